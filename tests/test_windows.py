"""Parts of shapes as training items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onet.config import load_config
from onet.data.build import build_datasets
from onet.data.dataset import ShapeDataset
from onet.data.inputs.image import ImageInput
from onet.data.inputs.pointcloud import PointCloudInput
from onet.data.store import POINTCLOUD, POINTS
from onet.data.windows import HALF, Windows
from onet.errors import ConfigError, DataError


class Ball:
    """Stands for an item: a ball of radius 0.4 in the box of query points."""

    name = "category/ball"

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        directions = rng.standard_normal((40_000, 3))
        surface = 0.4 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        inside = rng.uniform(-HALF, HALF, (40_000, 3))
        self.files = {POINTCLOUD: surface.astype(np.float16), POINTS: inside.astype(np.float16)}

    def points(self, file: str = POINTS) -> np.ndarray:
        return self.files[file]

    def occupancies(self, chosen: np.ndarray) -> np.ndarray:
        return np.linalg.norm(self.files[POINTS][chosen].astype(float), axis=1) < 0.4


BALL = Ball()


@settings(max_examples=40, deadline=None)
@given(
    edges=st.tuples(st.floats(0.2, 2.0), st.floats(0.2, 2.0)).map(sorted),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_window_shows_the_same_solid(edges: list[float], seed: int) -> None:
    """Undoing the window's frame, found by fitting it to what is seen, gives the ball again."""
    drawn = Windows(tuple(edges)).draw(BALL, 2000, np.random.default_rng(seed))
    surface, points, occupancies = drawn
    # The generator's first two draws are those of the frame.
    rng = np.random.default_rng(seed)
    edge = np.exp(rng.uniform(*np.log(edges)))
    anchor = BALL.points(POINTCLOUD)[rng.integers(len(BALL.points(POINTCLOUD)))]
    middle = anchor + edge * rng.uniform(-0.5, 0.5, 3)
    assert len(surface) >= 1
    assert np.abs(surface).max() <= HALF + 1e-3 / edge
    assert np.abs(points).max() <= HALF + 1e-3 / edge
    np.testing.assert_allclose(np.linalg.norm(surface * edge + middle, axis=1), 0.4, atol=1e-3)
    distance = np.linalg.norm(points * edge + middle, axis=1) - 0.4
    clear = np.abs(distance) > 1e-3
    np.testing.assert_array_equal(occupancies[clear] > 0.5, distance[clear] < 0)


def test_query_points_fill_the_window() -> None:
    """Also where the window leaves the box of stored points, and in the stored points' shares."""
    rng = np.random.default_rng(0)
    points = np.concatenate([Windows((1.0, 1.5)).draw(BALL, 500, rng)[1] for _ in range(60)])
    counts, _ = np.histogramdd(points, bins=3, range=[(-HALF, HALF)] * 3)
    assert counts.min() > 0.8 * counts.mean()
    assert counts.max() < 1.2 * counts.mean()


def test_windows_without_query_points_are_refused() -> None:
    ball = Ball()
    ball.files[POINTS] = HALF * (2.0 * np.indices((2, 2, 2)).reshape(3, 8).T - 1)  # corners only
    with pytest.raises(DataError, match=r"category/ball.*longer data.windows"):
        Windows((0.1, 0.1)).draw(ball, 8, np.random.default_rng(0))


@pytest.mark.parametrize("edges", [(0.0, 1.0), (1.0, 0.5), (float("nan"), 1.0)])
def test_impossible_edges(edges: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"data\.windows"):
        Windows(edges)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": ImageInput()}, "only point clouds"),
        ({"points_subsample": (8, 8)}, "points_subsample"),
        ({"points_file": "points_surface.npz"}, "points_file"),
        ({"importance": True}, "importance"),
        ({"distances": True}, "distances"),
    ],
)
def test_settings_that_do_not_go_with_windows(changes: dict, words: str) -> None:
    options = {"input": PointCloudInput(30), "points_subsample": 16} | changes
    with pytest.raises(ConfigError, match=words):
        ShapeDataset(None, "train", windows=Windows((0.5, 1.0)), **options)


def test_training_and_validation_look_through_windows(sample_store: Path) -> None:
    changes = [f"data.path={sample_store}", "data.input.count=50", "data.categories=null"]
    config = load_config("pointcloud_scene", [*changes, "training.validation_points=200"])
    datasets = build_datasets(config)
    counts = {"train": config.data.points_subsample, "val": 200}
    for split, count in counts.items():
        first, again = datasets[split][0], datasets[split][0]
        assert first["inputs"].shape == (50, 3)
        assert first["points"].shape == (count, 3)
        for key in ("inputs", "points", "occupancies"):
            assert torch.equal(first[key], again[key])
    before = datasets["train"][0]["points"]
    datasets["train"].set_epoch(1)
    assert not torch.equal(before, datasets["train"][0]["points"])


def test_windows_need_a_number_of_points(sample_store: Path) -> None:
    changes = [
        f"data.path={sample_store}",
        "data.categories=null",
        "training.validation_points=null",
    ]
    with pytest.raises(ConfigError, match=r"training\.validation_points"):
        build_datasets(load_config("pointcloud_scene", changes))
