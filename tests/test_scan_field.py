"""The field of a scan in the frame of its points."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

import onet
from onet.inference.scan_reconstructor import ScanReconstructor


@pytest.fixture(scope="module")
def model() -> ScanReconstructor:
    return onet.load("scan", device="cpu")


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    box = trimesh.creation.box((1.0, 0.8, 0.6))
    return np.asarray(box.sample(1500, seed=0))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-3, 0.0), (20.0, 1e5)])
def test_inside_is_positive_in_any_frame(
    scale: float, shift: float, model: ScanReconstructor, points: np.ndarray
) -> None:
    field = model.field(points * scale + shift, views=1)
    queries = np.random.default_rng(0).uniform(-0.6, 0.6, (500, 3))
    depth = (np.array([0.5, 0.4, 0.3]) - np.abs(queries)).min(axis=1)
    clear = np.abs(depth) > 0.06
    logits = field(queries * scale + shift)
    assert logits.shape == (500,) and ((logits > 0) == (depth > 0))[clear].mean() > 0.97
    assert np.allclose(field.occupancy(queries * scale + shift), 1 / (1 + np.exp(-logits)))


def test_the_mesh_is_where_the_field_is_zero(model: ScanReconstructor, points: np.ndarray) -> None:
    mesh = model.reconstruct(points, views=1)
    field = model.field(points, views=1)
    inward = mesh.vertices - 0.02 * mesh.vertex_normals
    outward = mesh.vertices + 0.02 * mesh.vertex_normals
    assert (field(inward) > field(outward)).mean() > 0.98
    assert abs(np.median(field(mesh.vertices))) < 1


def test_parts_far_apart_are_one_field(model: ScanReconstructor, points: np.ndarray) -> None:
    field = model.field(np.concatenate([points, points[:1000] + 50]), views=1)
    places = np.array([[0.0, 0, 0], [50, 50, 50], [25, 25, 25], [1, 0, 0]])
    assert ((field(places) > 0) == [True, True, False, False]).all()
    assert (field.bounds[0] < -0.3).all() and (field.bounds[1] > 50.3).all()


def test_a_field_can_be_handed_on(model: ScanReconstructor, points: np.ndarray) -> None:
    field = model.field(points + 1e5, views=1)
    assert (field.bounds[0] < (points + 1e5).min(0)).all()
    mesh = onet.extract_mesh(field, field.bounds, 24, field.level)
    assert mesh.is_watertight and mesh.volume == pytest.approx(0.48, rel=0.15)
    assert np.array_equal(field.logits(mesh.vertices), field(mesh.vertices))
