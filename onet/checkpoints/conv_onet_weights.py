"""Weights in the layout of the published Convolutional Occupancy Networks (Peng et al., ECCV 2020).

The networks are those of `local_pointnet`, `local_voxels` and `local` with their option
`published`; on disk only names differ. Weights say neither which planes there are (all share one
U-Net) nor how many cells; see `conv_onet_config`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from onet.config import Config, load_config
from onet.errors import CheckpointError

logger = logging.getLogger(__name__)

_PLANES, _GRID = "encoder.unet", "encoder.unet3d"
_CELLS_AT_THE_BOTTOM = 8
"""An edge of the U-Nets' lowest level in all published configurations."""
_ENCODERS = {"local_pointnet", "local_voxels"}


def is_conv_onet(
    state: Mapping[str, Tensor],  # of a published file
) -> bool:
    """Return whether weights are those of a convolutional occupancy network, by their keys."""
    places = (f"{_PLANES}.", f"{_GRID}.", "encoder.sa1.")
    return "decoder.fc_c.0.weight" in state and any(key.startswith(places) for key in state)


def is_published(model: Mapping[str, Any]) -> bool:
    """Return whether a section `model` is of a network whose published layout is this one."""
    encoder = model.get("encoder") or {}
    return encoder.get("type") in _ENCODERS and bool(encoder.get("published"))


def own_weights(
    path: Path,
    state: dict[str, Tensor],  # as published
) -> dict[str, Tensor]:
    """Return the weights under the keys that they have here.

    Raises:
        CheckpointError: of another of the published networks.
    """
    if any(key.startswith("encoder.sa1.") for key in state):
        raise CheckpointError(
            f"{path}: weights of the published PointConv baseline, whose encoder is a PointNet++; "
            "of the convolutional occupancy networks those with planes or a grid can be read"
        )
    if "encoder.conv_in.weight" in state and _depth(state, _PLANES) and _depth(state, _GRID):
        raise CheckpointError(
            f"{path}: weights for voxels with U-Nets of planes and of a grid; the published code "
            "makes no such network"
        )
    return _renamed(state, dict(_layers(_depth(state, _PLANES), _depth(state, _GRID))))


def published_weights(
    state: dict[str, Tensor],  # of a network of this package with the option `published`
) -> dict[str, Tensor]:
    """Return the weights under the keys of the published layout."""
    depths = [_consecutive(state, f"encoder.maps.{unet}.down.") for unet in ("unet", "unet3d")]
    return _renamed(state, {own: published for published, own in _layers(*depths)})


def conv_onet_config(
    path: Path,
    state: Mapping[str, Tensor],  # as published
    config: Config | None = None,
) -> Config:
    """Return the configuration of a network with these weights, its options `published` on.

    Args:
        path: of the file, for the log; without a configuration, `1plane` in its name means the
            plane xz alone.
        state: weights that `is_conv_onet`.
        config: what the weights do not say is taken from it. By default planes are xz, xy and yz,
            and the U-Nets end at 8 cells an edge, as in all published configurations: 64^2 cells
            with 4 levels, 128^2 with 5, 32^3 with 3, 64^3 with 4. The log says so.
    """
    if config is None:
        config = _read_off(path, state)
    encoder, decoder = config.model.get("encoder") or {}, config.model.get("decoder") or {}
    if encoder.get("type") not in _ENCODERS or decoder.get("type") != "local":
        return config  # another network, which the comparison of keys refuses
    model = {
        **config.model,
        "encoder": {**encoder, "published": True},
        "decoder": {**decoder, "published": True},
    }
    return config.model_copy(update={"model": model})


def _read_off(path: Path, state: Mapping[str, Tensor]) -> Config:
    """Return the packaged configuration that is nearest, with the sizes of the weights."""
    planes, grid = _depth(state, _PLANES), _depth(state, _GRID)
    planes = planes or (0 if grid else 4)  # without any, the comparison of keys names what lacks
    points = "encoder.conv_in.weight" not in state
    names: list[str] = []
    if planes:
        names = ["xz"] if "1plane" in path.name else ["xz", "xy", "yz"]
    encoder: dict[str, Any] = {
        "planes": names,
        "plane_resolution": _cells(planes) if planes else 64,
        "grid_resolution": _cells(grid) if grid else 0,
        "unet_depth": planes or grid,
        "unet_width": _size(state, f"{_first(planes)}.weight", 0),
    }
    if planes and grid:
        encoder["grid_unet_depth"] = grid
    if points:
        encoder["hidden_dim"] = _size(state, "encoder.fc_c.weight", 1)
        encoder["blocks"] = _consecutive(state, "encoder.blocks.")
    decoder = {
        "hidden_size": _size(state, "decoder.fc_p.weight", 0),
        "blocks": _consecutive(state, "decoder.blocks."),
    }
    c_dim = _size(state, "decoder.fc_c.0.weight", 1)
    changes: dict[str, Any] = {"model": {"c_dim": c_dim, "encoder": encoder, "decoder": decoder}}
    if points and (planes > 4 or grid > 3):  # of rooms, not of single objects
        changes["data"] = {"input": {"count": 10_000}}
    _say(path, encoder)
    base = f"{'pointcloud' if points else 'voxels'}_{'planes' if planes else 'grid'}"
    return load_config(base, changes)


def _say(path: Path, encoder: dict[str, Any]) -> None:
    """Tell what the weights do not say and was assumed."""
    maps = [f"{', '.join(encoder['planes'])} of {encoder['plane_resolution']}^2 cells"]
    if not encoder["planes"]:
        maps = []
    if encoder["grid_resolution"]:
        maps.append(f"a grid of {encoder['grid_resolution']}^3 cells")
    logger.warning(
        "%s: weights of a convolutional occupancy network do not say on which planes and cells; "
        "taken as %s over the unit cube; give the configuration if they were trained otherwise",
        path,
        " and ".join(maps),
    )


def _layers(planes: int, grid: int) -> Iterator[tuple[str, str]]:
    """Published and own names of layers, of U-Nets with so many levels (0 for none)."""
    here, there = "encoder.maps.unet", _PLANES
    for level in range(planes):
        for i in (0, 1):
            yield (f"{there}.down_convs.{level}.conv{i + 1}", f"{here}.down.{level}.conv_{i}")
    for level in range(planes - 1):
        up = f"{there}.up_convs.{level}"
        yield (f"{up}.upconv", f"{here}.enlarge.{level}")
        yield (f"{up}.conv1", f"{here}.up.{level}.conv_0")
        yield (f"{up}.conv2", f"{here}.up.{level}.conv_1")
    yield (f"{there}.conv_final", f"{here}.last")
    here, there = "encoder.maps.unet3d", _GRID
    for way, own, count in (("encoders", "down", grid), ("decoders", "up", grid - 1)):
        for level in range(count):
            for i in (0, 1):
                single = f"{there}.{way}.{level}.basic_module.SingleConv{i + 1}"
                yield (f"{single}.groupnorm", f"{here}.{own}.{level}.norm_{i}")
                yield (f"{single}.conv", f"{here}.{own}.{level}.conv_{i}")
    yield (f"{there}.final_conv", f"{here}.last")


def _renamed(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the state with these layers under other names."""
    renamed = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        renamed[f"{names.get(layer, layer)}.{kind}"] = value
    return renamed


def _depth(state: Mapping[str, Tensor], unet: str) -> int:
    """Levels of a published U-Net; 0 without it."""
    return _consecutive(state, f"{unet}.{'down_convs' if unet == _PLANES else 'encoders'}.")


def _first(planes: int) -> str:
    """The layer whose outputs are as many as the features of the first level."""
    if planes:
        return f"{_PLANES}.down_convs.0.conv2"
    return f"{_GRID}.encoders.0.basic_module.SingleConv2.conv"


def _cells(depth: int) -> int:
    return _CELLS_AT_THE_BOTTOM * 2 ** (depth - 1)


def _consecutive(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbers, from 0 on, follow the prefix in keys."""
    parts = {key[len(prefix) :].split(".", 1)[0] for key in state if key.startswith(prefix)}
    count = 0
    while str(count) in parts:
        count += 1
    return count


def _size(state: Mapping[str, Tensor], key: str, dimension: int) -> int:
    """Return a size of a tensor; 1 where there is none, which the comparison of keys refuses."""
    value = state.get(key)
    return int(value.shape[dimension]) if value is not None and value.ndim > dimension else 1
