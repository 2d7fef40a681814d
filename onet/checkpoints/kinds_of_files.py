"""What a file holds, by its name, and which networks take it.

A network that is given something else than it observes, or a picture in place of a network, is the
commonest mistake; its message says which packaged network takes that kind of thing.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from onet.checkpoints.packaged import SCAN, PackagedModel, packaged_models
from onet.data.images import IMAGE_SUFFIXES
from onet.data.inputs import INPUTS, Input
from onet.geometry.point_cloud_io import GEOMETRY_SUFFIXES, POINT_SUFFIXES

PICTURE, CLOUD, MESH, GRID = "picture", "point cloud", "mesh", "voxel grid"
VIDEO, CONFIGURATION = "video", "configuration"

_OTHERS = {
    PICTURE: (*IMAGE_SUFFIXES, ".jpe", ".heic", ".heif", ".avif", ".jp2", ".tga"),
    GRID: (".binvox", ".vox"),
    VIDEO: (".mp4", ".mov", ".avi", ".mkv", ".webm"),
    CONFIGURATION: (".yaml", ".yml"),
}
_HEADING = 1 << 20  # bytes in which a PLY file says what it holds
_ARRAYS = (".npy", ".npz")  # of points, of voxels, or of anything else
_OBSERVED = {PICTURE: "image", CLOUD: "points", MESH: "points", GRID: "voxels"}
_PLURAL = {"image": "pictures", "points": "point clouds", "voxels": "voxel grids"}
_CONFIG = {"image": "img", "points": "pointcloud", "voxels": "voxels"}


def kind_of(path: Path) -> str | None:
    """Return what a file holds, as far as its name tells, and of PLY its heading; else None."""
    suffix = path.suffix.lower()
    for kind, suffixes in _OTHERS.items():
        if suffix in suffixes:
            return kind
    if suffix in _ARRAYS or suffix not in POINT_SUFFIXES:
        return None
    if suffix == ".ply":
        return MESH if _has_faces(path) else CLOUD
    return MESH if suffix in GEOMETRY_SUFFIXES else CLOUD


def not_a_network(path: Path) -> str | None:
    """Return why a file given in place of a network is none, and what to do; None if it may be."""
    kind = kind_of(path)
    if kind is None or not path.is_file():
        return None
    if kind == CONFIGURATION:
        return f"{path}: is a configuration, no trained network; `onet train {path}` makes one"
    return f"{path}: is a {kind}, no trained network; {_who_takes(kind, path)}"


def not_observed(path: Path, input: Input) -> str | None:
    """Return why a file is nothing that a network with this input observes; None if it may be."""
    kind = kind_of(path)
    if kind is None or path.suffix.lower() in input.suffixes or not path.is_file():
        return None
    observed = _PLURAL.get(input.kind, input.kind)
    return f"{path}: is a {kind}, and the model observes {observed}; {_who_takes(kind, path)}"


def no_scan(path: Path) -> str | None:
    """Return why a file is no scan, and what takes it; None if it may be one."""
    kind = kind_of(path)
    if kind in (None, CLOUD, MESH) or not path.is_file():
        return None
    return f"{path}: is a {kind}, not a scan; {_who_takes(str(kind), path)}"


def no_mesh(path: Path) -> str | None:
    """Return why a file is no mesh, and what takes it; None if it may be one."""
    kind = kind_of(path)
    if kind in (None, MESH) or not path.is_file():
        return None
    if kind == CLOUD:
        line = f"onet scan {shlex.quote(str(path))} -o out.ply"
        return f"{path}: is a point cloud, not a mesh; make one first: `{line}`"
    return f"{path}: is a {kind}, not a mesh; {_who_takes(str(kind), path)}"


def _who_takes(kind: str, path: Path) -> str:
    """Return which packaged networks take a kind of file, or how to get one that does."""
    observed = _OBSERVED.get(kind)
    if observed is None:
        return f"no model takes a {kind}"
    takers = [model for model in packaged_models().values() if observes(model) == observed]
    if not takers:
        return (
            f"no packaged model takes {_PLURAL[observed]}: train one, "
            f"`onet train {_CONFIG[observed]} data.path=PREPARED`, or give published weights"
        )
    names = ", ".join(model.name for model in takers)
    scan = next((model for model in takers if model.kind == SCAN), None)
    name = shlex.quote(str(path))
    line = f"onet scan {name} -o out.ply" if scan else f"onet generate {takers[0].name} {name}"
    return f"packaged models that take {_PLURAL[observed]}: {names}; try `{line}`"


def observes(model: PackagedModel) -> str | None:
    """Return the kind of observation (`points`, `image`, ...) that a network makes shapes of.

    None for networks that make no shapes, or whose file is missing.
    """
    if model.kind == SCAN:
        return "points"
    config = _configuration(model.path)
    data = config.get("data") or {}
    if any(data.get(key) is not None for key in ("views", "sequence", "pictures")):
        return None  # colours, motion, or pictures
    if "input" not in data:
        return None
    input: Any = INPUTS[data["input"]["type"]]
    return str(input.kind)


def _configuration(path: Path) -> dict[str, Any]:
    """Return the configuration in the header of a safetensors file; empty if there is none."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        config: dict[str, Any] = json.loads(header["__metadata__"]["config"])
    except (OSError, ValueError, KeyError):
        return {}
    return config


def _has_faces(path: Path) -> bool:
    """Whether the heading of a PLY file tells of faces, or has no end where it could be read."""
    try:
        with path.open("rb") as file:
            heading, end, _ = file.read(_HEADING).partition(b"end_header")
    except OSError:
        return False
    counts = re.findall(rb"element\s+(?:faces?|tristrips)\s+(\d+)", heading)
    return not end or any(int(count) for count in counts)
