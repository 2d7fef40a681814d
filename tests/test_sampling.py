import numpy as np
import pytest
import trimesh

from onet.errors import DataError
from onet.geometry.sampling import sample_box, sample_surface, surface_area


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


def test_the_points_for_a_seed_are_those_of_trimesh():
    """Data prepared with a seed stay what they are."""
    mesh = trimesh.creation.icosphere(subdivisions=2)
    points, _, face = sample_surface(mesh, 5000, np.random.default_rng(5))
    expected, expected_face = trimesh.sample.sample_surface(
        mesh, 5000, seed=np.random.default_rng(5)
    )
    np.testing.assert_allclose(points, expected, atol=1e-14)
    np.testing.assert_array_equal(face, expected_face)


@pytest.mark.parametrize("seed", range(3))
def test_triangles_without_area_are_never_chosen(seed):
    """First, last, in runs, and beside triangles of very different sizes."""
    rng = np.random.default_rng(seed)
    triangles = rng.normal(size=(300, 3, 3)) * 10.0 ** rng.integers(-4, 2, (300, 1, 1))
    flat = rng.random(300) < 0.6
    flat[[0, 1, -1]] = True
    triangles[flat, 2] = triangles[flat, 0]
    mesh = trimesh.Trimesh(triangles.reshape(-1, 3), np.arange(900).reshape(-1, 3), process=False)
    points, normals, face = sample_surface(mesh, 50_000, rng)
    assert not flat[face].any()
    assert np.isfinite(points).all() and np.allclose(np.linalg.norm(normals, axis=1), 1)
    expected = mesh.area_faces / mesh.area * 50_000
    found = np.bincount(face, minlength=300)
    assert (np.abs(found - expected) < 6 * np.sqrt(expected) + 6).all()


class Picks:
    """A generator that draws given numbers first, then zeros."""

    def __init__(self, *picks):
        self.picks = np.array(picks)

    def random(self, count):
        return self.picks if count == len(self.picks) else np.zeros(count)


def test_the_extreme_picks_fall_on_triangles_with_area():
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]], float)
    mesh = trimesh.Trimesh(corners, [[0, 1, 3], [0, 1, 2], [0, 1, 1], [0, 3, 2]], process=False)
    below_one = np.nextafter(1, 0)
    face = sample_surface(mesh, 5, Picks(0.0, 0.3, 1 / 3 + 1e-9, 0.9, below_one))[2]
    assert face.tolist() == [1, 1, 3, 3, 3]
    ends_flat = trimesh.Trimesh(corners, [[0, 1, 2], [0, 1, 3]], process=False)
    assert sample_surface(ends_flat, 2, Picks(0.0, below_one))[2].tolist() == [0, 0]


def test_surface_area():
    assert surface_area(trimesh.creation.box((1, 2, 3))) == pytest.approx(22)
    assert surface_area(trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int))) == 0


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
