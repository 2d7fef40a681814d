"""The layout of prepared data on disk: that of the published Occupancy Networks download.

    ROOT/metadata.yaml                      {category: {id, name}}
    ROOT/CATEGORY/{train,val,test}.lst      one model name per line
    ROOT/CATEGORY/MODEL/points.npz          points (N, 3) float16, occupancies (packed bits)
    ROOT/CATEGORY/MODEL/pointcloud.npz      points, normals (M, 3) float16
    ROOT/CATEGORY/MODEL/model_watertight.ply
    ROOT/CATEGORY/MODEL/points_surface.npz  like points.npz, half of them near the surface
    ROOT/CATEGORY/MODEL/model.binvox        occupancy grid of the unit cube
    ROOT/CATEGORY/MODEL/img_choy2016/       pictures 000.jpg, ... and their cameras.npz
    ROOT/CATEGORY/MODEL/pointcloud_colors.npz  colors (M, 3) uint8 RGB of pointcloud.npz
    ROOT/CATEGORY/MODEL/image/, depth/      pictures with colours, their depth and cameras
    ROOT/CATEGORY/MODEL/item.json           how the item was made
    ROOT/failures.csv                       mesh files without an item, and why

Points are in the unit frame; both npz files carry `loc` (3,) and `scale`, which take them to the
source frame. Near-surface points, grid and pictures are there where they were asked for. The
published ShapeNet download is read unchanged: `metadata.yaml`, the mesh and `item.json` are
optional, occupancies may be packed or not, and float16 points are used as they are, without the
jitter of 1e-4 that the published loader adds after the labels were computed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from onet.errors import DataError
from onet.files import replacing
from onet.safe_yaml import read_yaml_file

POINTS = "points.npz"
POINTCLOUD = "pointcloud.npz"
NEAR_SURFACE = "points_surface.npz"
POINT_COLORS = "pointcloud_colors.npz"
VOXELS = "model.binvox"
RENDERINGS = "img_choy2016"
CAMERAS = "cameras.npz"
MESH = "model_watertight.ply"
RECORD = "item.json"
METADATA = "metadata.yaml"
SPLITS = ("train", "val", "test")
FAILURES = "failures.csv"

_METADATA_BYTES, _METADATA_VALUES = 2**23, 500_000


def list_file(category: Path, split: str) -> Path:
    """Return the list of the models of a split, in the folder of a category."""
    return category / f"{split}.lst"


def read_record(item: Path) -> dict[str, Any]:
    """Return the content of `item.json` in the folder of an item.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is no JSON object.
    """
    content = json.loads((item / RECORD).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("is no JSON object")
    return content


def write_record(item: Path, content: dict[str, Any]) -> None:
    """Write `item.json` to the folder of an item, atomically."""
    with replacing(item / RECORD) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_metadata(root: Path) -> dict[str, Any]:
    """`metadata.yaml` of a store, or nothing where there is none.

    Raises:
        DataError: the file is not a mapping in YAML.
    """
    path = root / METADATA
    if not path.is_file():
        return {}
    try:
        content = read_yaml_file(path, _METADATA_BYTES, _METADATA_VALUES)
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: {error}; correct or delete it") from None
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: expected 'category: {{id: ..., name: ...}}' entries; correct or delete it"
        )
    return {str(key): value for key, value in content.items()}


def write_metadata(root: Path, content: dict[str, Any]) -> None:
    """Write `metadata.yaml` of a store, atomically."""
    with replacing(root / METADATA) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=True), encoding="utf-8")
