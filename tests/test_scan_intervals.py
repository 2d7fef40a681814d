"""Bounds of volumes and dimensions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from onet.errors import CheckpointError, DataError
from onet.inference.scan_input import clean_scan
from onet.inference.scan_intervals import (
    INTERVALS,
    Intervals,
    conformal_bounds,
    per_logit,
    read_intervals,
)
from onet.inference.scan_measures import measures
from onet.inference.scan_output import finish


def ball(radius: float) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=5, radius=radius)


@pytest.mark.parametrize("scale", [1.0, 250.0])
@pytest.mark.parametrize("slope", [20.0, 200.0])
def test_growth_of_a_ball(scale: float, slope: float) -> None:
    def field(points: np.ndarray) -> np.ndarray:
        return slope * (0.5 - np.linalg.norm(points / scale, axis=1))

    growth = per_logit(ball(0.5 * scale), field, 0.01 * scale)
    way = scale / slope
    assert growth.volume == pytest.approx(ball(0.5 * scale).area * way, rel=1e-3)
    assert growth.box == pytest.approx([2 * way] * 3, rel=1e-3)


def test_growth_is_wide_where_the_field_is_flat() -> None:
    def field(points: np.ndarray) -> np.ndarray:
        slope = np.where(points[:, 2] > 0, 100.0, 10.0)
        return slope * (0.5 - np.linalg.norm(points, axis=1))

    growth = per_logit(ball(0.5), field, 0.01)
    assert growth.volume == pytest.approx(np.pi / 2 * (0.01 + 0.1), rel=0.05)
    assert growth.box[2] == pytest.approx(0.11, rel=0.01)


def test_a_flat_field_has_bounds() -> None:
    growth = per_logit(ball(0.5), lambda points: np.zeros(len(points)), 0.01)
    assert growth.box == pytest.approx([0.2] * 3, rel=1e-3)


@given(st.integers(19, 400), st.integers(0, 1000))
def test_bounds_hold_as_many_as_they_say(count: int, seed: int) -> None:
    """The share of a continuous distribution between them is 0.9 or more on average."""
    shares = []
    for k in range(50):
        low, high = conformal_bounds(np.random.default_rng([seed, k]).random(count).tolist())
        shares.append(high - low)
    assert np.mean(shares) > 0.87


@pytest.mark.parametrize("ratios", [[], [1.0] * 18, [np.nan] * 30])
def test_too_few_ratios(ratios: list[float]) -> None:
    with pytest.raises(DataError):
        conformal_bounds(ratios)


def test_the_report_has_the_bounds() -> None:
    points = np.asarray(ball(0.5).vertices)
    mesh = finish(ball(0.5), clean_scan(points))
    told = measures(
        mesh,
        lambda places: 100 * (0.5 - np.linalg.norm(places, axis=1)),
        Intervals((-1.0, 2.0), (-0.5, 0.5)),
    )
    low, high = told["volume_90"]
    area = mesh.area
    assert low == pytest.approx(mesh.volume - 0.01 * area, rel=1e-3)
    assert high == pytest.approx(mesh.volume + 0.02 * area, rel=1e-3)
    assert np.allclose(told["box_90"], [[0.99, 1.01]] * 3, atol=1e-3)
    assert json.dumps(told)
    assert "volume_90" not in measures(mesh)


def test_intervals_of_a_header() -> None:
    header = {INTERVALS: json.dumps({"volume": [-1, 1], "box": [0, 2]})}
    assert read_intervals(header, "x") == Intervals((-1, 1), (0, 2))
    assert read_intervals({}, "x") is None
    for content in ("{", "{}", '{"volume": [1, 0], "box": [0, 1]}', '{"volume": 1, "box": 2}'):
        with pytest.raises(CheckpointError, match="calibrate"):
            read_intervals({INTERVALS: content}, "x")
