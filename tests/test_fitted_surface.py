"""Surfaces moved to points: nearer to the truth where points are clean, left alone where not."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

import onet
from onet.geometry.distance import closest_point
from onet.geometry.fitted_surface import Heights, fitted_to_points

RADIUS = 10.0


def ball(seed: int, count: int, noise: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((count, 3))
    points *= RADIUS / np.linalg.norm(points, axis=1, keepdims=True)
    return points + noise * rng.standard_normal(points.shape)


def bumpy(size: float) -> trimesh.Trimesh:
    """A sphere whose radius is wrong by a smooth function of the direction."""
    sphere = trimesh.creation.icosphere(4, RADIUS)
    wrong = size * (1 + np.sin(0.4 * sphere.vertices).sum(axis=1))
    return trimesh.Trimesh(sphere.vertices * (1 + wrong / RADIUS)[:, None], sphere.faces)


def error(mesh: trimesh.Trimesh) -> float:
    return float(np.abs(np.linalg.norm(mesh.vertices, axis=1) - RADIUS).mean())


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.02, 0.08))
def test_clean_points_take_smooth_errors_away(seed: int, size: float) -> None:
    wrong = bumpy(size)
    mesh, rounds = fitted_to_points(wrong, ball(seed, 1500, 0.0), 0.8)
    assert rounds > 0 and error(mesh) < 0.4 * error(wrong)
    assert np.array_equal(mesh.faces, wrong.faces) and mesh.is_watertight


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 1.0))
def test_noise_is_not_fitted(seed: int, noise: float) -> None:
    right = trimesh.creation.icosphere(4, RADIUS)
    mesh, rounds = fitted_to_points(right, ball(seed, 1500, noise), 0.8)
    assert rounds == 0 and mesh is right


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.3, 1.0))
def test_a_plate_thinner_than_the_noise_is_not_inflated(seed: int, noise: float) -> None:
    plate = trimesh.creation.box((20, 20, 0.4))
    for _ in range(4):
        plate = plate.subdivide()
    points = np.asarray(plate.sample(4000, seed=seed))
    points = points + noise * np.random.default_rng(seed).standard_normal(points.shape)
    mesh, rounds = fitted_to_points(plate, points, 0.8)
    assert rounds == 0 and mesh is plate


@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-1e3, 1e3))
@settings(deadline=None, max_examples=10)
def test_units_and_places_do_not_matter(seed: int, scale: float, shift: float) -> None:
    wrong, points = bumpy(0.06), ball(seed, 800, 0.0)
    moved = trimesh.Trimesh(scale * wrong.vertices + shift, wrong.faces, process=False)
    here, rounds = fitted_to_points(wrong, points, 0.8)
    there, same = fitted_to_points(moved, scale * points + shift, 0.8 * scale)
    assert rounds == same
    apart = np.abs(there.vertices - (scale * here.vertices + shift))
    assert apart.mean() < 2e-3 * scale  # on an edge either face may be the nearest


def test_heights_are_those_over_the_surface() -> None:
    """Against sums over all points, which are few."""
    mesh, points = trimesh.creation.box((2, 2, 2)), np.array([[0.2, 0.1, 1.3], [-0.4, 0.3, 0.9]])
    heights = Heights.over(mesh, points)
    assert np.allclose(heights.heights, [0.3, -0.1])
    at, normals = np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, 0.0, 1.0]])
    total, weights = heights.sums_at(at, normals, 0.8)
    feet = points * [1, 1, 0] + [0, 0, 1]
    expected = np.exp(-0.5 * (np.linalg.norm(feet - at, axis=1) / 0.8) ** 2)
    expected *= (1 - (np.array([0.3, 0.1]) / heights.bound) ** 2) ** 2
    assert weights[0] == pytest.approx(expected.sum())
    assert total[0] == pytest.approx((expected * [0.3, -0.1]).sum())


def test_clean_scans_are_nearer_to_what_was_scanned() -> None:
    torus = trimesh.creation.torus(0.4, 0.15, major_sections=64, minor_sections=48)
    points = torus.sample(3000, seed=0)
    model = onet.load("scan", device="cpu")
    apart = []
    for fit in (False, True):
        mesh = model.reconstruct(points, views=1, fit=fit)
        assert mesh.is_watertight
        assert (mesh.metadata["reconstruction"]["rounds_fitted"] > 0) == fit
        _, distances, _ = closest_point(torus, mesh.vertices)
        apart.append(distances.mean())
    assert apart[1] < 0.9 * apart[0]
