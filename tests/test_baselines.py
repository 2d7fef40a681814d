"""What occupancy networks are compared with: voxels, points and meshes from a code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from onet import load
from onet.config import Config, load_config
from onet.errors import ConfigError, DataError
from onet.inference.generate import generate
from onet.models import MODELS, build_model
from onet.nn.baselines.distances import earth_movers, nearest_indices, squared_chamfer
from onet.nn.baselines.voxels import EMPTY, overlap, sample_grid
from onet.training.loop import train


def count(part: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- sizes of the published networks ---------------------------------------------------------------


COUNTS = {  # all, encoder, decoder
    "r2n2_img": (16_680_001, 11_307_840, 5_372_161),
    "r2n2_pointcloud": (16_391_937, 6_825_472, 9_566_465),
    "psgn_img": (13_540_672, 11_307_840, 2_232_832),
    "psgn_pointcloud": (9_189_376, 6_825_472, 2_363_904),
    "psgn_two_branch": (28_126_774, 18_325_040, 9_801_734),
}


@pytest.mark.parametrize("name", COUNTS)
def test_numbers_of_parameters(name: str) -> None:
    with torch.device("meta"):
        model: Any = MODELS.build(load_config(name).model, "model")
    assert (count(model), count(model.encoder), count(model.decoder)) == COUNTS[name]


# -- operations ------------------------------------------------------------------------------------


def test_a_grid_is_itself_at_its_centres_and_empty_outside() -> None:
    grid = random(2, 4, 4, 4)
    axis = (torch.arange(4, dtype=torch.float64) + 0.5) / 4 - 0.5
    points = torch.cartesian_prod(axis, axis, axis)[None].expand(2, -1, -1)
    assert torch.allclose(sample_grid(grid, points), grid.flatten(1))
    far = torch.full((2, 1, 3), 0.7, dtype=torch.float64)
    assert torch.allclose(sample_grid(grid, far), torch.full((2, 1), EMPTY, dtype=torch.float64))


def test_overlap_of_nothing_is_one() -> None:
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    assert overlap(nothing, nothing).item() == 1
    assert (
        overlap(torch.tensor([[True, True, False]]), torch.tensor([[True, False, True]])) == 1 / 3
    )


def test_nearest_and_chamfer_are_those_of_all_pairs() -> None:
    one, other = random(2, 30, 3), random(2, 40, 3, seed=1)
    distances = torch.cdist(one, other)
    assert torch.equal(nearest_indices(one, other), distances.argmin(2))
    there, back = squared_chamfer(one, other)
    assert torch.allclose(there, distances.min(2).values.square().mean(1))
    assert torch.allclose(back, distances.min(1).values.square().mean(1))


SETS = (random(2, 9, 3), random(2, 9, 3, seed=1))
DIFFERENTIABLE: dict[str, tuple[Any, tuple[Tensor, ...]]] = {
    "earth mover": (earth_movers, SETS),
    "chamfer": (squared_chamfer, SETS),
    "grid": (sample_grid, (random(2, 4, 4, 4), random(2, 5, 3, seed=1) - 0.5)),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    operation, given = DIFFERENTIABLE[name]
    arguments = tuple(tensor.clone().requires_grad_() for tensor in given)
    assert torch.autograd.gradcheck(operation, arguments, eps=1e-6, atol=1e-5)


def test_earth_movers_distance_of_a_shuffled_and_moved_set() -> None:
    one = random(1, 20, 3)
    moved = one[:, torch.randperm(20, generator=torch.Generator().manual_seed(0))] + 1e-3
    assert earth_movers(one, moved).item() == pytest.approx(3**0.5 * 1e-3, rel=1e-6)
    with pytest.raises(ValueError, match="differ"):
        earth_movers(one, moved[:, 1:])


# -- as models -------------------------------------------------------------------------------------


def small(name: str, store: Path, *changes: str) -> Config:
    few = [
        *("training.batch_size=6", "training.threads=1", "training.device=cpu"),
        *("training.validate_every=100000", "training.max_minutes=null", "data.train_split=all"),
        *("data.val_split=all", "data.test_split=all", "training.precision=32-true"),
        *("training.print_every=50", "training.learning_rate=0.002"),
    ]
    return load_config(name, [f"data.path={store}", *few, *changes])


@pytest.fixture(scope="module")
def few_shapes(sample_store: Path) -> Path:
    """Name a split of three shapes."""
    for folder in sample_store.iterdir():
        if folder.is_dir():
            names = [(folder / f"{s}.lst").read_text().split() for s in ("train", "val", "test")]
            (folder / "all.lst").write_text("\n".join(sum(names, [])) + "\n")
    return sample_store


CLOUD = ["data.input.count=100", "data.input.noise=0"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes", "steps", "least"),
    [
        (
            "r2n2_pointcloud_small",
            ["model.width=32", "training.selection_metric=iou_voxels"],
            400,
            0.9,
        ),
        ("psgn_pointcloud_small", [], 300, 0.004),
    ],
)
def test_a_few_shapes_are_learned_by_heart(
    name: str, changes: list[str], steps: int, least: float, few_shapes: Path, tmp_path: Path
) -> None:
    config = small(name, few_shapes, *CLOUD, *changes, f"training.max_iterations={steps}")
    result = train(config, tmp_path / "run")
    assert result.last is not None
    score = result.last[config.training.selection_metric]
    assert score > least if config.training.selection_mode == "max" else score < least, score


def test_voxels_of_another_resolution_are_refused(few_shapes: Path) -> None:
    from onet.data.inputs import INPUTS
    from onet.data.store import Store
    from onet.data.targets import Targets

    item = Store(few_shapes).items("train")[0]
    with pytest.raises(DataError, match="--voxels 16"):
        Targets(voxels=16).sample(item, np.random.default_rng(0))
    assert INPUTS is not None


def test_a_model_of_meshes_has_no_field(few_shapes: Path, tmp_path: Path) -> None:
    pytest.importorskip("pymeshlab")
    config = small("psgn_pointcloud_small", few_shapes, *CLOUD, "training.max_iterations=1")
    train(config, tmp_path / "run")
    model = load(tmp_path / "run", "cpu")
    points = np.random.default_rng(0).normal(size=(100, 3))
    with pytest.raises(ConfigError, match="no field"):
        model.field(points)
    with pytest.raises(ConfigError, match="resolution"):
        model.reconstruct(points, resolution=64)
    report = generate(tmp_path / "run", limit=1, device="cpu")
    assert len(report.rows) == 1


def test_two_branches_have_their_own_encoder() -> None:
    with pytest.raises(ConfigError, match="two_branch"):
        build_model({"type": "psgn", "two_branch": True, "encoder": {"type": "resnet18"}})
    with pytest.raises(ConfigError, match="768"):
        build_model({"type": "psgn", "two_branch": True, "c_dim": 32, "n_points": 700})
    model: Any = build_model({"type": "psgn", "two_branch": True, "c_dim": 32})
    assert model.points(model.encode(torch.rand(2, 3, 64, 64))).shape == (2, 1024, 3)
