"""What the network sees of scans, by how many points they have and how densely these lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given
from hypothesis import strategies as st

import onet
from onet.inference.scan_input import clean_scan
from onet.inference.scan_views import CROWDED, MANY, VERY_MANY, views_of
from onet.nn.cell_size import cell_size, points_per_cell


def sphere(count: int, stretch: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    return points * torch.tensor([1.0, stretch, stretch])


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (500, [500] * 4),
        (MANY, [MANY] * 4),
        (MANY + 1, [MANY + 1] * 2),
        (VERY_MANY + 1, [VERY_MANY + 1, 60_000, 24_000]),
    ],
)
def test_dense_scans_are_seen_at_several_densities(count: int, sizes: list[int]) -> None:
    points = sphere(count)
    views = list(views_of(points, cell_size(points)))
    assert [len(view.rows) for view in views] == sizes
    assert torch.equal(views[0].turn, torch.eye(3))
    for view in views:
        assert view.rows.diff().min() > 0  # none twice, in their order
        assert view.cell == pytest.approx(cell_size(points[view.rows]))


def test_orientations_that_are_asked_for_are_of_all_points() -> None:
    points = sphere(VERY_MANY + 1)
    sizes = [len(view.rows) for view in views_of(points, cell_size(points), 3)]
    assert sizes == [VERY_MANY + 1] * 3 + [60_000, 24_000]


@given(st.integers(300, 3000), st.floats(0.001, 0.3), st.floats(0.005, 0.2))
def test_no_view_is_crowded(count: int, stretch: float, cell: float) -> None:
    points = sphere(count, stretch)
    for view in views_of(points, cell, 2):
        assert points_per_cell(points[view.rows], view.cell) <= CROWDED
        assert len(view.rows) > 0


def test_the_same_scan_is_seen_alike() -> None:
    points = sphere(MANY + 1)
    first, second = (list(views_of(points, 0.02)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.rows, other.rows) and torch.equal(one.turn, other.turn)


def test_the_mesh_tells_how_many_points_were_seen() -> None:
    mesh = onet.load("scan", device="cpu").reconstruct(sphere(600).numpy(), resolution=16)
    assert mesh.metadata["reconstruction"]["points_seen"] == (600,) * 4


@pytest.mark.slow
def test_what_is_thick_is_solid_however_densely_it_was_scanned() -> None:
    """All of 300,000 points alone, in cells of 1/320, leave a seventh of such a box empty."""
    box = trimesh.creation.box((1.0, 0.8, 0.6))
    points = np.asarray(box.sample(300_000, seed=0))
    points += 0.002 * np.random.default_rng(0).standard_normal(points.shape)
    field = onet.load("scan", device="cpu").field(points)
    queries = np.random.default_rng(1).uniform(-0.48, 0.48, (3000, 3)) * [1.0, 0.8, 0.6]
    assert (field(queries) > 0).mean() > 0.995


def test_far_from_the_points_the_view_with_the_largest_cells_counts() -> None:
    """Also where points of a thin thing crowd its cells, and the first view shows the fewest."""
    points = sphere(VERY_MANY + 1, stretch=0.01).numpy()
    encoded = onet.load("scan", device="cpu").encode(clean_scan(points))
    views = encoded.field.views
    scale = [float(view.turn.square().sum().sqrt()) for view in views]  # less with larger cells
    assert [view.near is None for view in views] == [s <= min(scale) * 1.0001 for s in scale]
    assert encoded.seen[0] < VERY_MANY  # crowded
