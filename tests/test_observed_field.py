"""The field of an observation in the user's frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ball_model import load_ball
from hypothesis import given
from hypothesis import strategies as st
from random_weights import randomise

import onet
from onet.config import load_config
from onet.errors import DataError
from onet.geometry.normalization import UnitFrame
from onet.inference.reconstructor import Reconstructor
from onet.models import build_model

FAR = np.array([4e6, -7e5, 300.0])
TINY = {
    "pointcloud": ["model.encoder.hidden_dim=8", "model.decoder.hidden_size=16", "model.c_dim=8"],
    "pointcloud_planes_small": [],
    "pointcloud_set_small": [],
}


@pytest.fixture(scope="module")
def scan() -> np.ndarray:
    points = np.random.default_rng(0).standard_normal((60, 3))
    return 20 * points / np.linalg.norm(points, axis=1, keepdims=True) + FAR


@pytest.fixture(scope="module")
def ball() -> Reconstructor:
    return load_ball("pointcloud", count=60, noise=0)


@pytest.fixture(scope="module", params=TINY)
def network(request: pytest.FixtureRequest) -> Reconstructor:
    config = load_config(request.param, TINY[request.param])
    return Reconstructor(randomise(build_model(config.model)), config, {})


def queries(field: object, count: int = 50) -> np.ndarray:
    return np.random.default_rng(1).uniform(*field.bounds, size=(count, 3))  # type: ignore[attr-defined]


def test_it_is_that_of_the_code_in_the_users_frame(network, scan) -> None:
    field = network.field(scan, seed=3)
    frame = UnitFrame.of(scan)
    np.testing.assert_array_equal(field.frame.loc, frame.loc)
    half = (1 + network.config.generation.padding) / 2
    np.testing.assert_allclose(frame.to_unit(field.bounds), [[-half] * 3, [half] * 3], atol=1e-9)
    seen = network.input.observe(scan, np.random.default_rng(3), frame)
    inner = network.field_of_code(network.encode(seen))
    points = queries(field)
    at = frame.to_unit(points).astype(np.float32)
    logits, slopes = inner.value_and_gradient(at)
    np.testing.assert_allclose(field.logits(points), logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(field(points), field.logits(points))
    np.testing.assert_allclose(
        field.occupancy(points), 1 / (1 + np.exp(-logits.astype(float))), atol=1e-4
    )
    np.testing.assert_allclose(field.gradient(points) * frame.scale, slopes, rtol=1e-3, atol=1e-3)


def test_a_point_gets_the_same_alone_and_among_many(network, scan, monkeypatch) -> None:
    monkeypatch.setattr("onet.inference.observed_field.BATCH", 1000)
    field = network.field(scan)
    points = queries(field, 2500)
    logits, slopes = field.value_and_gradient(points)
    size = np.abs(logits).max()
    for rows in ([0], [999], [1000], [2499], [5, 5, 5], range(990, 1010)):
        few = points[list(rows)]
        np.testing.assert_allclose(field.logits(few), logits[list(rows)], atol=1e-5 * size)
        close = 1e-4 * np.abs(slopes).max()
        np.testing.assert_allclose(field.gradient(few), slopes[list(rows)], atol=close)
    order = np.random.default_rng(0).permutation(len(points))
    np.testing.assert_allclose(field(points[order]), logits[order], atol=1e-5 * size)


def test_no_points(network, scan) -> None:
    field = network.field(scan)
    for empty in (np.empty((0, 3)), np.empty((0, 3), np.float32), torch.empty(0, 3)):
        for values in (field(empty), field.logits(empty), field.occupancy(empty)):
            assert values.shape == (0,) and type(values) is type(empty)
        assert field.gradient(empty).shape == (0, 3)
        assert values.dtype == empty.dtype


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, ">f8"])
def test_arrays_lists_and_tensors_give_the_same(ball, dtype) -> None:
    scan = np.random.default_rng(0).standard_normal((60, 3)) * 3
    field = ball.field(scan)
    points = np.round(queries(field)).astype(dtype)
    expected = field.occupancy(np.asarray(points, dtype=np.float64))
    assert expected.dtype == np.float64
    for same in (points, points.tolist(), np.asfortranarray(points), points[::-1][::-1]):
        np.testing.assert_allclose(field.occupancy(same), expected, atol=1e-6)
    assert field.occupancy(points).dtype == (
        np.float64 if points.itemsize == 8 and points.dtype.kind == "f" else np.float32
    )
    if isinstance(dtype, type):
        tensor = torch.from_numpy(points)
        made = field.occupancy(tensor)
        assert isinstance(made, torch.Tensor) and not made.requires_grad
        np.testing.assert_allclose(made, expected, atol=1e-6)
    given = points.copy()
    field.gradient(points)
    np.testing.assert_array_equal(points, given)


def test_far_from_the_origin_nothing_is_lost(ball, scan) -> None:
    near, far = ball.field(scan - FAR), ball.field(scan)
    points = queries(near)
    np.testing.assert_allclose(far(points + FAR), near(points), atol=1e-4)
    np.testing.assert_allclose(far.gradient(points + FAR), near.gradient(points), atol=1e-4)
    centre = far.frame.loc
    np.testing.assert_allclose(far.occupancy(np.array([centre])), [1], atol=0.05)
    for away in (1e9, 1e300):
        point = centre[None] + [away, 0, 0]
        assert far.occupancy(point) == 0
        assert np.isfinite(far.gradient(point)).all()


@given(seed=st.integers(0, 1000), shift=st.floats(-1e5, 1e5), scale=st.floats(1e-3, 1e3))
def test_the_gradient_is_that_of_the_logits(seed: int, shift: float, scale: float) -> None:
    model = load_ball("pointcloud", count=60, noise=0)
    rng = np.random.default_rng(seed)
    field = model.field(rng.standard_normal((60, 3)) * scale + shift)
    points = field.frame.to_source(rng.uniform(0.1, 0.5, size=(10, 3)))
    step = 1e-2 * field.frame.scale
    for axis, along in enumerate(np.eye(3) * step):
        slope = (field(points + along) - field(points - along)) / (2 * step)
        np.testing.assert_allclose(
            field.gradient(points)[:, axis], slope, atol=0.1 / field.frame.scale
        )
    occupancy = field.occupancy(points)
    assert ((occupancy >= 0) & (occupancy <= 1)).all()


def test_its_surface_is_that_of_reconstruct(ball, scan) -> None:
    expected = ball.reconstruct(scan, refine="none")
    field = ball.field(scan)
    mesh = onet.extract_mesh(field, bounds=field.bounds, level=field.level, resolution=32)
    assert len(mesh.faces) == len(expected.faces)
    np.testing.assert_allclose(mesh.vertices, expected.vertices, atol=1e-3)
    refined = onet.refine_roots(field, mesh)
    assert np.abs(field(np.asarray(refined.vertices)) - field.level).max() < 1e-2
    assert np.isfinite(onet.dual_contouring(mesh, field).vertices).all()


def test_unconditional_models_have_one_for_each_seed() -> None:
    model = load_ball("none", z_dim=4)
    field = model.field(seed=3)
    points = queries(field)
    np.testing.assert_array_equal(field(points), model.field(seed=3)(points))
    assert not np.array_equal(field(points), model.field(seed=4)(points))
    mesh = model.reconstruct(seed=3, refine="root")
    assert np.abs(field(np.asarray(mesh.vertices)) - field.level).max() < 0.05
    assert field.frame.scale == 1 and "field" in repr(field)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros(3), r"points\[None\]"),
        (np.zeros((4, 2)), r"found \(4, 2\)"),
        (torch.zeros(1, 4, 3), r"found \(1, 4, 3\)"),
        ([[0, 0, np.nan], [0, 0, 0]], "1 of 2 are NaN"),
        (torch.full((2, 3), torch.inf), "2 of 2"),
        ([[1, 2, 3], [1, 2]], "no array"),
        ([["a", "b", "c"]], "real numbers"),
        (np.zeros((2, 3), complex), "real numbers"),
        (None, "real numbers"),
    ],
)
def test_points_that_are_none_are_refused(ball, scan, points, message: str) -> None:
    field = ball.field(scan)
    for method in (field, field.occupancy, field.gradient):
        with pytest.raises(DataError, match=message):
            method(points)
