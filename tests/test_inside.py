from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from twins.inside import contains as exact_contains

from onet.geometry.extraction import extract_mesh
from onet.geometry.inside import contains

TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
seeds = st.integers(0, 2**32 - 1)


def mesh_of(triangles: np.ndarray) -> trimesh.Trimesh:
    """Soup: every triangle has vertices of its own."""
    corners = np.asarray(triangles, dtype=float).reshape(-1, 3)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)


def random_tetrahedra(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Boundaries of tetrahedra (4 count, 3, 3), flat ones included: parity calls them closed."""
    corners = rng.integers(0, size + 1, size=(count, 4, 3))
    return corners[:, TETRAHEDRON].reshape(-1, 3, 3)


def voxel_solid(rng: np.random.Generator, size: int) -> np.ndarray:
    """Boundary of random cubes, touching along edges and at corners, each square cut at random."""
    filled = np.pad(rng.random((size,) * 3) < 0.5, 1)
    squares = []
    for axis in range(3):
        u, v = np.eye(3, dtype=int)[(axis + 1) % 3], np.eye(3, dtype=int)[(axis + 2) % 3]
        for cell in np.argwhere(np.diff(filled.astype(int), axis=axis)):
            corner = cell + np.eye(3, dtype=int)[axis]
            ring = np.roll(
                [corner, corner + u, corner + u + v, corner + v], rng.integers(4), axis=0
            )
            squares += [ring[[0, 1, 2]], ring[[0, 2, 3]]]
    return np.array(squares).reshape(-1, 3, 3)


@pytest.mark.parametrize("subdivisions", [0, 1, 3])
def test_all_lattice_points_of_a_box(subdivisions):
    """Rays through edges and vertices: 729 of 729, where the published test loses 135."""
    box = trimesh.creation.box()
    for _ in range(subdivisions):
        box = box.subdivide()
    axis = np.linspace(-0.5, 0.5, 11)[1:-1]
    lattice = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    assert np.count_nonzero(contains(box, lattice)) == 729
    for shift in np.vstack([np.eye(3), -np.eye(3)]) * 1.5:
        assert not contains(box, lattice + shift).any()


@given(seeds)
def test_boxes_on_the_lattice(seed):
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 5, 3)
    high = low + rng.integers(1, 5, 3)
    scale = 2.0 ** rng.integers(-8, 8)
    box = trimesh.creation.box(bounds=np.array([low, high]) * scale)
    points = np.argwhere(np.ones((20, 20, 20))) / 2  # whole and half steps
    strictly = ((points > low) & (points < high)).all(axis=1)
    beyond = ((points < low) | (points > high)).any(axis=1)
    found = contains(box, points * scale)
    assert found[strictly].all() and not found[beyond].any()


@given(seeds, st.sampled_from([random_tetrahedra, voxel_solid]))
def test_equals_exact_arithmetic(seed, shape):
    rng = np.random.default_rng(seed)
    triangles = shape(rng, 12, 6) if shape is random_tetrahedra else shape(rng, 4)
    points = rng.integers(-1, 14, size=(400, 3))  # half steps
    inside, on_surface = exact_contains(2 * triangles, points)
    found = contains(mesh_of(triangles), points / 2)
    np.testing.assert_array_equal(found[~on_surface], inside[~on_surface])


def test_the_exact_twin_knows_a_tetrahedron():
    corners = np.array([[0, 0, 0], [6, 0, 0], [0, 6, 0], [0, 0, 6]])
    points = np.argwhere(np.ones((7, 7, 7)))
    inside, on_surface = exact_contains(corners[TETRAHEDRON], points)
    np.testing.assert_array_equal(
        inside[~on_surface],
        (points.min(1) > 0)[~on_surface] & (points.sum(axis=1) < 6)[~on_surface],
    )
    faces = (points.min(axis=1) == 0) & (points.sum(axis=1) <= 6)
    np.testing.assert_array_equal(on_surface, faces | (points.sum(axis=1) == 6))


@given(seeds)
def test_no_ray_slips_through_a_closed_mesh(seed):
    """Below a closed mesh the parity is even, in whatever way its coordinates are rounded."""
    rng = np.random.default_rng(seed)
    vertices = rng.normal(size=(12, 3)) * 10.0 ** rng.integers(-3, 4)
    triangles = vertices[rng.integers(0, 12, size=(15, 4))][:, TETRAHEDRON].reshape(-1, 3, 3)
    on_vertices = vertices[rng.integers(0, 12, 200)]
    on_edges = 0.5 * (on_vertices + vertices[rng.integers(0, 12, 200)])
    below = np.concatenate([on_vertices, on_edges])
    below[:, 2] = vertices[:, 2].min() - 1
    assert not contains(mesh_of(triangles), below).any()


@given(seeds)
def test_depends_on_the_surface_only(seed):
    """Not on shared vertices, the order of faces and corners, their orientation, or the threads."""
    rng = np.random.default_rng(seed)
    mesh = trimesh.creation.torus(0.33, 0.13, major_sections=16, minor_sections=8)
    under_vertices = mesh.vertices - np.array([0, 0, 0.2])
    points = np.concatenate([rng.uniform(-0.5, 0.5, (300, 3)), under_vertices])
    reference = contains(mesh, points)
    assert 0 < np.count_nonzero(reference) < len(points)
    np.testing.assert_array_equal(contains(mesh_of(mesh.triangles), points), reference)
    faces = mesh.faces[rng.permutation(len(mesh.faces))]
    faces = np.array([rng.permutation(face) for face in faces])
    shuffled = trimesh.Trimesh(mesh.vertices, faces, process=False)
    np.testing.assert_array_equal(contains(shuffled, points), reference)
    order = rng.permutation(len(points))
    np.testing.assert_array_equal(contains(mesh, points[order], threads=3), reference[order])


@pytest.mark.parametrize("shape", ["sphere", "torus"])
def test_agrees_with_the_field_that_was_meshed(shape, request):
    field = request.getfixturevalue(shape)
    mesh = extract_mesh(field, resolution=64)
    points = np.random.default_rng(0).uniform(-0.55, 0.55, (20000, 3))
    value = field(points)
    clear = np.abs(value) > 2e-3
    np.testing.assert_array_equal(contains(mesh, points)[clear], (value > 0)[clear])


def test_overlapping_solids_cancel():
    twice = trimesh.creation.box() + trimesh.creation.box()
    assert not contains(twice, np.zeros((1, 3))).any()


def test_nothing_is_inside_an_empty_mesh_and_nan_is_outside():
    empty = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int), process=False)
    assert contains(empty, np.zeros((5, 3))).tolist() == [False] * 5
    points = np.array([[np.nan, 0, 0], [0, np.nan, 0], [0, 0, np.nan], [0, 0, np.inf]])
    assert not contains(trimesh.creation.box(), points).any()
    assert contains(trimesh.creation.box(), np.zeros((0, 3))).shape == (0,)


def test_refuses_faces_that_name_missing_vertices():
    broken = trimesh.Trimesh(np.zeros((3, 3)), [[0, 1, 3]], process=False, validate=False)
    with pytest.raises(IndexError, match="face 0 names vertex 3 of 3"):
        contains(broken, np.zeros((1, 3)))
