"""Near-surface points that stand for uniform ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onet.config import load_config
from onet.data.build import build_datasets
from onet.data.importance import LEAST_NOISE, importance_weights, near_surface_density
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.store_folder import NEAR_SURFACE, POINTCLOUD, POINTS
from onet.errors import ConfigError, DataError
from onet.geometry.normalization import UnitFrame
from onet.models import build_model

RADIUS = 0.35
PADDING = 0.1


def sphere(count: int, rng: np.random.Generator) -> np.ndarray:
    points = rng.standard_normal((count, 3))
    return RADIUS * points / np.linalg.norm(points, axis=1, keepdims=True)


def mixture(count: int, noise: float, rng: np.random.Generator) -> np.ndarray:
    uniform = rng.uniform(-0.55, 0.55, (count // 2, 3))
    return np.concatenate(
        [uniform, sphere(count // 2, rng) + noise * rng.normal(size=(count // 2, 3))]
    )


def exact_density(points: np.ndarray, noise: float) -> np.ndarray:
    """Of a sphere's surface with Gaussian noise: the integral over its angles is elementary."""
    r = np.linalg.norm(points, axis=1)
    near = np.exp(-((r - RADIUS) ** 2) / (2 * noise**2))
    far = np.exp(-((r + RADIUS) ** 2) / (2 * noise**2))
    return (near - far) / (r * RADIUS * 2 * noise * (2 * np.pi) ** 1.5)


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_density_of_a_sphere_is_the_exact_one(noise: float) -> None:
    rng = np.random.default_rng(0)
    points = mixture(4000, noise, rng)
    exact = exact_density(points, noise)
    found = near_surface_density(points, sphere(200_000, rng), noise)
    # a sum over so many points has that error by itself
    own = np.sqrt(1 / (200_000 * noise**2 / RADIUS**2))
    assert np.abs(found - exact).max() < (0.01 + 5 * own) * exact.max()
    # what the grid does has no direction
    assert (found - exact)[exact > exact.max() / 10].mean() == pytest.approx(
        0, abs=0.01 * exact.max()
    )


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_weighted_sums_estimate_uniform_ones(noise: float) -> None:
    """The loss of a wrong prediction, a function with all its weight near the surface."""
    rng = np.random.default_rng(1)
    surface = sphere(100_000, rng)

    def loss(points: np.ndarray) -> np.ndarray:
        r = np.linalg.norm(points, axis=1)
        logits = (RADIUS + 0.03 - r) / 0.02
        return np.logaddexp(0, np.where(r < RADIUS, -logits, logits))

    uniform = loss(rng.uniform(-0.55, 0.55, (2_000_000, 3)))
    near = mixture(400_000, noise, rng)
    weights = importance_weights(near, surface, noise, PADDING)
    values = weights * loss(near)
    error = np.hypot(uniform.std() / np.sqrt(len(uniform)), values.std() / np.sqrt(len(values)))
    assert values.mean() == pytest.approx(uniform.mean(), abs=4 * error + 0.005 * uniform.mean())
    assert loss(near).mean() > 1.5 * uniform.mean()  # without weights it is another loss
    assert weights.mean() == pytest.approx(1, abs=0.01)
    # the point of it: the same number of points tells more
    assert values.std() < uniform.std()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.04, 0.3), st.floats(0, 0.5))
def test_weights_are_bounded_and_nothing_outside_the_cube_counts(
    seed: int, noise: float, padding: float
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(scale=0.4, size=(50, 3))
    weights = importance_weights(points, sphere(30, rng), noise, padding)
    outside = np.abs(points).max(axis=1) > (1 + padding) / 2
    assert (weights[outside] == 0).all()
    assert (weights[~outside] > 0).all() and (weights <= 2).all()


def test_too_little_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="noise"):
        near_surface_density(np.zeros((1, 3)), np.zeros((1, 3)), LEAST_NOISE / 2)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    frame, item = UnitFrame(np.zeros(3), 1.0), tmp_path / "ball/a"
    for file, drawn in {
        POINTS: rng.uniform(-0.55, 0.55, (500, 3)),
        NEAR_SURFACE: mixture(4000, 0.05, rng),
    }.items():
        points = drawn.astype(np.float16)
        inside = np.linalg.norm(points.astype(np.float64), axis=1) < RADIUS
        write_points(item / file, points, inside, frame)
    surface = sphere(40_000, rng)
    write_pointcloud(item / POINTCLOUD, surface, surface / RADIUS, frame)
    write_record(item, 0.05)
    for split in ("train", "val"):
        (tmp_path / f"ball/{split}.lst").write_text("a\n")
    return tmp_path


def write_record(item: Path, noise: float) -> None:
    record = {"settings": {"padding": PADDING}, "extras": {NEAR_SURFACE: {"noise": noise}}}
    (item / "item.json").write_text(json.dumps(record))


def datasets(store: Path, *overrides: str) -> dict:
    return build_datasets(load_config("importance", [f"data.path={store}", *overrides]))


def test_items_carry_the_weights_of_their_points(store: Path) -> None:
    built = datasets(store, "data.points_subsample=3000")
    item = built["train"][0]
    assert item["weights"].shape == (3000,) and item["weights"].dtype == torch.float32
    expected = 2 / (1 + 1.1**3 * exact_density(item["points"].double().numpy(), 0.05))
    inside = item["points"].abs().amax(1).numpy() <= 0.55
    close = np.abs(item["weights"].numpy() - expected * inside) < 0.15  # of few surface points
    assert close.mean() > 0.99
    assert "weights" not in built["val"][0]
    assert "weights" not in datasets(store, "data.importance=false")["train"][0]


def test_the_loss_is_weighted(store: Path) -> None:
    item = datasets(store, "data.points_subsample=64")["train"][0]
    model = build_model(
        {
            "type": "occupancy",
            "c_dim": 4,
            "encoder": {"type": "pointnet_simple", "hidden_dim": 4},
            "decoder": {"type": "simple", "hidden_size": 4},
        }
    )
    batch = {key: torch.as_tensor(value)[None] for key, value in item.items()}
    logits = model.decode(batch["points"], model.encode(batch["inputs"]))
    losses = torch.nn.functional.softplus(logits) - batch["occupancies"] * logits
    expected = (batch["weights"] * losses).sum()
    torch.testing.assert_close(model.loss(batch)["loss"], expected)
    del batch["weights"]
    torch.testing.assert_close(model.loss(batch)["loss"], losses.sum())


def test_data_without_what_weights_need_is_named(store: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.cache"):
        datasets(store, "data.cache=false")
    with pytest.raises(ConfigError, match=r"data\.points_subsample"):
        datasets(store, "data.points_subsample=[5, 5]")
    with pytest.raises(DataError, match=r"item\.json.*points\.npz.*--near-surface"):
        datasets(store, "data.points_file=points.npz")["train"][0]
    write_record(store / "ball/a", 0.001)
    with pytest.raises(DataError, match=r"0\.001.*too near"):
        datasets(store)["train"][0]
    (store / "ball/a/item.json").unlink()
    with pytest.raises(DataError, match=r"item\.json.*data\.importance=false"):
        datasets(store)["train"][0]
