"""Files of the published convolutional occupancy networks give their own outputs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from twins import conv_onet as twin

import onet
from onet.checkpoints.checkpoint import load_checkpoint
from onet.checkpoints.published_weights import convert, read_checkpoint
from onet.config import load_config
from onet.errors import CheckpointError
from onet.models import build_model

PLANES = ["xz", "xy", "yz"]
KINDS: dict[str, tuple[dict[str, Any], dict[str, int]]] = {  # layout, resolutions
    "pointcloud_planes": ({"points": True, "planes": 4, "grid": 0}, dict.fromkeys(PLANES, 64)),
    "pointcloud_grid": ({"points": True, "planes": 0, "grid": 3}, {"grid": 32}),
    "voxels_planes": ({"points": False, "planes": 4, "grid": 0}, dict.fromkeys(PLANES, 64)),
    "voxels_grid": ({"points": False, "planes": 0, "grid": 3}, {"grid": 32}),
    "rooms_1plane": ({"points": True, "planes": 5, "grid": 0}, {"xz": 128}),
    "rooms_combine": (
        {"points": True, "planes": 5, "grid": 3},
        {**dict.fromkeys(PLANES, 128), "grid": 32},
    ),
    "small": (
        {"points": True, "planes": 2, "grid": 3, "c": 6, "width": 8, "hidden": 7},
        {**dict.fromkeys(PLANES, 16), "grid": 32},
    ),
    "narrow": ({"points": False, "planes": 0, "grid": 2, "c": 16, "width": 8}, {"grid": 16}),
}
SMALL = ("small", "narrow")
B, N, T = 2, 150, 400


def random_state(layout: twin.Layout, seed: int = 0) -> dict[str, Tensor]:
    """Weights with which features neither explode nor fade."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in layout.items():
        noise = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            inputs = shape[0] if "upconv" in key else noise[0].numel()
            noise = noise * inputs**-0.5
        elif "norm.weight" in key:
            noise = 1 + 0.3 * noise
        else:
            noise = 0.3 * noise
        state[key] = noise
    return state


def write(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save({"model": state, "optimizer": {}, "epoch_it": 3, "it": 500}, path)
    return path


def batch(kind: str) -> tuple[Tensor, Tensor]:
    """Observations, of which some points are beyond the box, and query points alike."""
    generator = torch.Generator().manual_seed(1)
    points = 1.3 * (torch.rand(B, T, 3, generator=generator) - 0.5)
    edge = torch.tensor([0.55, -0.55, 0.5500001, 0.5503, 0.5506, 0.0, 0.5, -0.5])
    points[0, :8] = edge[:, None]
    if kind.startswith(("voxels", "narrow")):
        return (torch.rand(B, 32, 32, 32, generator=generator) > 0.5).float(), points
    return 1.2 * (torch.rand(B, N, 3, generator=generator) - 0.5), points


def logits(path: Path, inputs: Tensor, points: Tensor) -> Tensor:
    checkpoint = read_checkpoint(path)
    model = build_model(checkpoint.config.model).eval()
    model.load_state_dict(checkpoint.state)
    with torch.no_grad():
        return model.decode(points, model.encode(inputs))


@pytest.mark.parametrize(
    "kind",
    [k if k in SMALL else pytest.param(k, marks=pytest.mark.slow) for k in KINDS],
)
def test_a_published_file_gives_its_own_outputs(kind: str, tmp_path: Path) -> None:
    layout, resolutions = KINDS[kind]
    state = random_state(twin.layout(**layout))
    path = write(tmp_path / f"{kind}.pt", state)
    inputs, points = batch(kind)
    exact = twin.logits(state, inputs, points, resolutions)
    assert exact.std() > 0.05
    assert (logits(path, inputs, points) - exact).abs().max() < 1e-5

    ours = tmp_path / "ours.safetensors"
    checkpoint = convert(path, ours)
    assert load_checkpoint(ours).config == checkpoint.config
    assert checkpoint.metadata["iteration"] == 500
    assert (logits(ours, inputs, points) - exact).abs().max() < 1e-5

    convert(ours, tmp_path / "again.pt")
    written = torch.load(tmp_path / "again.pt", weights_only=True)["model"]
    assert written.keys() == state.keys()
    assert all(torch.equal(written[key], value) for key, value in state.items())


def test_sizes_are_read_off_the_weights(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    for kind in ("pointcloud_planes", "voxels_grid", "rooms_combine", "small"):
        layout, resolutions = KINDS[kind]
        narrow = {"c": 8, "width": 8, "hidden": 8}
        state = random_state(twin.layout(**{**layout, **narrow}))
        caplog.clear()
        config = read_checkpoint(write(tmp_path / f"{kind}.pt", state)).config
        assert "do not say on which planes" in caplog.text
        encoder = config.model["encoder"]
        assert (config.model["c_dim"], encoder["unet_width"]) == (8, 8)
        maps = dict.fromkeys(encoder["planes"], encoder["plane_resolution"])
        if encoder["grid_resolution"]:
            maps["grid"] = encoder["grid_resolution"]
        assert maps == resolutions
        assert encoder["published"] and config.model["decoder"]["published"]
        assert config.generation.probability == 0.2
        if layout["points"]:
            rooms = kind == "rooms_combine"
            assert config.data.input["count"] == (10_000 if rooms else 3000)
    plain = load_config("pointcloud_planes")
    state = random_state(twin.layout(**KINDS["pointcloud_planes"][0]))
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        given = read_checkpoint(write(tmp_path / "a.pt", state), plain).config
    assert not caplog.records
    assert given.data == plain.data and given.model["encoder"]["published"]


def test_planes_that_weights_do_not_tell(tmp_path: Path) -> None:
    """The same weights as one plane, by the configuration or the name of the file."""
    layout, _ = KINDS["small"]
    state = random_state(twin.layout(**{**layout, "grid": 0}))
    inputs, points = batch("small")
    three = logits(write(tmp_path / "a.pt", state), inputs, points)
    one = logits(write(tmp_path / "shapenet_1plane.pt", state), inputs, points)
    assert (one - twin.logits(state, inputs, points, {"xz": 16})).abs().max() < 1e-5
    assert (one - three).abs().max() > 1e-3
    config = read_checkpoint(tmp_path / "shapenet_1plane.pt").config
    assert read_checkpoint(tmp_path / "a.pt", config).config == config


def test_a_published_file_is_loaded_whole(tmp_path: Path) -> None:
    """By `onet.load`, folded; wrapped by `DataParallel`."""
    layout, resolutions = KINDS["small"]
    state = random_state(twin.layout(**layout))
    path = write(tmp_path / "a.pt", {f"module.{key}": value for key, value in state.items()})
    model = onet.load(path, device="cpu")
    cloud = np.random.default_rng(0).random((300, 3), dtype=np.float32) - 0.5
    _, points = batch("small")
    code = model.encode(cloud)
    values = model.field_of_code(code)(points[0].numpy())
    exact = twin.logits(state, torch.from_numpy(cloud)[None], points[:1], resolutions)[0]
    np.testing.assert_allclose(values, exact, atol=2e-5)


def test_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    state = random_state(twin.layout(**KINDS["small"][0]))
    missing = {key: value for key, value in state.items() if key != "encoder.unet.conv_final.bias"}
    with pytest.raises(CheckpointError, match=r"1 missing \(encoder\.maps\.unet\.last\.bias\)"):
        read_checkpoint(write(tmp_path / "a.pt", missing))
    rest = {key: value for key, value in state.items() if "unet" not in key}
    pointconv = {**rest, "encoder.sa1.mlp_convs.0.weight": torch.zeros(64, 6, 1, 1)}
    with pytest.raises(CheckpointError, match=r"PointConv.*PointNet\+\+"):
        read_checkpoint(write(tmp_path / "b.pt", pointconv))
    with pytest.raises(CheckpointError, match="another architecture"):
        read_checkpoint(write(tmp_path / "c.pt", state), "voxels")
    both = random_state(twin.layout(points=False, planes=2, grid=2, c=8, width=8, hidden=8))
    with pytest.raises(CheckpointError, match="makes no such network"):
        read_checkpoint(write(tmp_path / "d.pt", both))
    odd = {**rest, "encoder.unet.conv_final.bias": torch.zeros(3)}
    with pytest.raises(CheckpointError, match="missing"):
        read_checkpoint(write(tmp_path / "e.pt", odd))
