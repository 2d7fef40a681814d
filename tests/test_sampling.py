import numpy as np
import pytest
import trimesh

from onet.errors import DataError
from onet.geometry.sampling import sample_box, sample_surface


def test_surface_points_lie_on_their_faces_and_cover_them_by_area():
    mesh = trimesh.creation.box((1, 2, 3))
    count = 20_000
    points, normals, face = sample_surface(mesh, count, np.random.default_rng(0))
    assert points.shape == normals.shape == (count, 3)
    assert np.allclose(np.abs(points / (0.5, 1, 1.5)).max(axis=1), 1)
    assert np.allclose(normals, mesh.face_normals[face])
    offset = np.einsum("ij,ij->i", points - mesh.vertices[mesh.faces[face, 0]], normals)
    assert np.allclose(offset, 0, atol=1e-12)
    expected = mesh.area_faces / mesh.area * count
    found = np.bincount(face, minlength=len(mesh.faces))
    assert (np.abs(found - expected) < 5 * np.sqrt(expected)).all()


def test_samples_repeat_with_the_seed_and_work_at_any_size():
    big = trimesh.creation.icosphere(subdivisions=1)
    small = big.copy()
    small.vertices = big.vertices * 1e-9
    a, normals, _ = sample_surface(big, 100, np.random.default_rng(3))
    b, tiny_normals, _ = sample_surface(small, 100, np.random.default_rng(3))
    assert np.allclose(a * 1e-9, b, rtol=1e-6, atol=0)
    assert np.allclose(normals, tiny_normals)
    assert not np.array_equal(a, sample_surface(big, 100, np.random.default_rng(4))[0])


def test_a_mesh_without_area_is_refused():
    line = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], process=False)
    with pytest.raises(DataError, match="no area"):
        sample_surface(line, 10, np.random.default_rng(0))


def test_box_points_fill_the_padded_cube():
    points = sample_box(20_000, 0.1, np.random.default_rng(0))
    assert points.dtype == np.float32
    assert np.abs(points).max() <= 0.55
    assert np.allclose(points.min(axis=0), -0.55, atol=1e-3)
    counts = np.histogramdd(points, bins=(2, 2, 2), range=[(-0.55, 0.55)] * 3)[0]
    assert np.abs(counts - 2500).max() < 5 * np.sqrt(2500)
