"""Views of an object fused by a recurrent network: 3D-R2N2's convolutional LSTM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from onet.config import load_config, parse_config
from onet.data.inputs import ImageInput
from onet.data.store import Item
from onet.data.store_folder import RENDERINGS
from onet.errors import ConfigError, DataError
from onet.inference.reconstructor import Reconstructor
from onet.models import MODELS, build_model, check_config
from onet.nn.baselines.recurrence import VoxelLSTM
from onet.nn.baselines.voxels import overlap

SMALL = {
    "type": "r2n2",
    "fusion": "lstm",
    "c_dim": 32,
    "width": 16,
    "encoder": {"type": "resnet18"},
}


def parameters(part: Any) -> int:
    return sum(p.numel() for p in part.parameters())


def test_numbers_of_parameters() -> None:
    with torch.device("meta"):
        model: Any = MODELS.build(load_config("r2n2_img_multiview").model, "model")
    gates = 3 * ((256 + 1) * 128 * 64 + 27 * 128**2)
    deconvolutions = sum(27 * n * n // 2 + n // 2 for n in (128, 64, 32)) + 16 + 1
    assert parameters(model.encoder) == 11_307_840
    assert (parameters(model.fusion), parameters(model.decoder)) == (gates, deconvolutions)
    assert parameters(model) == 19_241_409


def test_the_cell_is_that_of_the_equations() -> None:
    lstm = VoxelLSTM(3, 2).double()
    codes = torch.rand(1, 2, 3, dtype=torch.float64)
    seen = lstm.of_code(codes).view(1, 2, 3, 2, 4, 4, 4)
    state = memory = np.zeros((2, 4, 4, 4))
    weights = lstm.of_state.weight.detach().numpy().reshape(3, 2, 2, 27)

    def around(state: np.ndarray, gate: int) -> np.ndarray:
        padded = np.pad(state, ((0, 0), (1, 1), (1, 1), (1, 1)))
        boxes = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3), (1, 2, 3))
        return np.einsum("cxyzk,ock->oxyz", boxes.reshape(2, 4, 4, 4, 27), weights[gate])

    for view in range(2):
        gates = [seen[0, view, g].detach().numpy() + around(state, g) for g in range(3)]
        forget, take = (1 / (1 + np.exp(-g)) for g in gates[:2])
        memory = forget * memory + take * np.tanh(gates[2])
        state = np.tanh(memory)
    np.testing.assert_allclose(lstm(codes)[0].detach().numpy(), state, atol=1e-12)


def test_gradients_of_the_cell() -> None:
    lstm = VoxelLSTM(2, 1).double()
    codes = torch.rand(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c: lstm(c).sum((2, 3, 4)), (codes,))


def pictures(folder: Path, count: int) -> Item:
    from PIL import Image

    (folder / RENDERINGS).mkdir(parents=True)
    for number in range(count):
        path = folder / RENDERINGS / f"{number:03d}.png"
        Image.new("L", (16, 16), 20 * number).save(path)
    return Item("c", "m", folder)


def test_training_gets_different_views_at_once_and_the_test_one(tmp_path: Path) -> None:
    item, input = pictures(tmp_path, 6), ImageInput(size=16, views=4)
    drawn = input.sample(item, np.random.default_rng(0))
    assert isinstance(drawn, np.ndarray) and drawn.shape == (4, 3, 16, 16)
    assert len(np.unique(drawn.mean((1, 2, 3)))) == 4
    others = input.sample(item, np.random.default_rng(1))
    assert isinstance(others, np.ndarray) and not np.array_equal(drawn, others)
    tested = input.sample(item, np.random.default_rng(0), training=False)
    assert isinstance(tested, np.ndarray) and tested.shape == (3, 16, 16)
    usual = ImageInput(size=16).sample(item, np.random.default_rng(0))
    np.testing.assert_array_equal(
        usual, input.view_of(item, int(np.random.default_rng(0).integers(6)))
    )
    with pytest.raises(DataError, match="6 pictures"):
        ImageInput(size=16, views=7).sample(item, np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"data\.input\.views"):
        ImageInput(views=2, camera=True)


def test_what_does_not_go_together_is_refused() -> None:
    check_config(load_config("r2n2_img_multiview"))
    for name, change in (("r2n2_img", "data.input.views=3"), ("img", "data.input.views=2")):
        with pytest.raises(ConfigError, match=r"fusion=lstm"):
            check_config(load_config(name, [change]))
    with pytest.raises(ConfigError, match="observes points"):
        check_config(load_config("r2n2_pointcloud", ["model.fusion=lstm"]))
    with pytest.raises(ConfigError, match=r"mean. or .lstm"):
        check_config(load_config("r2n2_img", ["model.fusion=sum"]))


def test_training_takes_a_random_number_of_views() -> None:
    model: Any = build_model(SMALL)
    counts = []
    model.fusion.register_forward_pre_hook(lambda _, given: counts.append(given[0].shape[1]))
    batch = {"inputs": torch.rand(2, 3, 3, 32, 32), "voxels": torch.zeros(2, 32, 32, 32)}
    with torch.random.fork_rng():
        for seed in range(12):
            torch.manual_seed(seed)
            model.loss(batch)
    assert set(counts) == {1, 2, 3}


def test_views_are_fused_and_not_averaged() -> None:
    tree = {
        "data": {"input": {"type": "image", "size": 32, "views": 2}},
        "model": SMALL,
        "generation": {"resolution": 33, "padding": 0.03125, "probability": 0.4},
    }
    config = parse_config(json.dumps(tree), "test")
    model = Reconstructor(build_model(config.model), config, {})
    one, other = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    both = model.encode_multiview([one, other])
    whole = model.model.encode(torch.from_numpy(np.stack([one, other]))[None])[0]
    torch.testing.assert_close(both, whole)
    first, second = model.encode(one), model.encode(other)
    assert isinstance(first, Tensor) and isinstance(second, Tensor)
    torch.testing.assert_close(model.encode_multiview([one]), first)
    assert not torch.allclose(both, (first + second) / 2)
    mesh = model.reconstruct_multiview([one, other])
    assert mesh.metadata["reconstruction"]["observations"] == 2


CELL = (torch.arange(32) + 0.5) / 32 - 0.5
GRID = torch.cartesian_prod(CELL, CELL, CELL)


STEPS = 350


def boxes() -> tuple[Tensor, Tensor]:
    """Return four boxes as voxels, and a front and a side view of each, (4, 2, 3, 32, 32).

    The front shows the width alone, the side the depth alone, on grounds of their own.
    """
    sizes = [(w, 0.25, d) for w in (0.15, 0.4) for d in (0.15, 0.4)]
    voxels = [(GRID.abs() < torch.tensor(size)).all(-1).view(32, 32, 32) for size in sizes]
    views = torch.ones(4, 2, 3, 32, 32)
    views[:, 1, 0] = 0.5
    for shape, full in enumerate(voxels):
        views[shape, 0, :, full.any(2).T] = 0.2
        views[shape, 1, :, full.any(0)] = 0.2
    return torch.stack(voxels).float(), views


@pytest.mark.slow
def test_two_views_tell_more_than_one() -> None:
    voxels, views = boxes()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = build_model(SMALL | {"width": 32})
        model.encoder = nn.Sequential(
            nn.AvgPool2d(4), nn.Flatten(), nn.Linear(192, 32), nn.ReLU()
        )  # a ResNet would take minutes
        optimizer = torch.optim.Adam(model.parameters(), 5e-3)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        for _ in range(STEPS):
            order = torch.randperm(2)
            optimizer.zero_grad()
            model.loss({"inputs": views[:, order], "voxels": voxels})["loss"].backward()
            optimizer.step()
            falling.step()
    model.eval()

    def iou(seen: Tensor) -> float:
        with torch.no_grad():
            made = model.decoder(model.encode(seen)) > 0
        return float(overlap(made, voxels > 0.5).mean())

    both = (iou(views) + iou(views.flip(1))) / 2
    single = (iou(views[:, :1]) + iou(views[:, 1:])) / 2
    assert both > 0.7 and both > single + 0.08, (both, single)
