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
def test_no_ray_slips_past_a_vertex_in_the_last_digit(seed):
    """Edges from near to far: products of differences cannot tell a vertex from its neighbours."""
    rng = np.random.default_rng(seed)
    vertices = rng.normal(size=(12, 3)) * 10.0 ** rng.integers(-9, 10, size=(12, 1))
    triangles = vertices[rng.integers(0, 12, size=(15, 4))][:, TETRAHEDRON].reshape(-1, 3, 3)
    below = np.repeat(vertices, 9, axis=0)
    for axis in range(2):
        steps = np.array([-np.inf, 0, np.inf])[np.tile(np.arange(9) // 3**axis % 3, 12)]
        moved = np.nextafter(below[:, axis], steps)
        below[:, axis] = np.where(steps == 0, below[:, axis], moved)
    below[:, 2] = vertices[:, 2].min() - 1
    assert not contains(mesh_of(triangles), below).any()


@given(seeds)
def test_depends_on_the_point_and_the_mesh_only(seed):
    """Long slanted triangles over many columns, against few points, which share one column."""
    rng = np.random.default_rng(seed)
    mesh = trimesh.creation.cylinder(0.5, 1.0, sections=40)
    mesh.apply_transform(trimesh.transformations.random_rotation_matrix(rng.random(3)))
    mesh.apply_translation(rng.normal(size=3) * 10.0 ** rng.integers(-2, 14))
    points = rng.uniform(*mesh.bounds, (6000, 3))
    found = contains(mesh, points)
    assert 0.2 < found.mean() < 0.99
    few = rng.permutation(len(points))[:200].reshape(-1, 5)
    for k in few:
        np.testing.assert_array_equal(contains(mesh, points[k]), found[k])


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


def test_overlapping_solids_cancel_in_parity_only():
    twice = trimesh.creation.box() + trimesh.creation.box()
    assert not contains(twice, np.zeros((1, 3))).any()
    assert contains(twice, np.zeros((1, 3)), mode="winding").all()


def ball(centre: np.ndarray, subdivisions: int = 3) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.3)
    return mesh.apply_translation(centre)


@given(seeds)
def test_winding_mode_is_right_where_solids_overlap(seed):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-0.2, 0.2, (4, 3))
    points = rng.uniform(-0.6, 0.6, (2000, 3))
    depth = 0.3 - np.linalg.norm(points[:, None] - centres, axis=2)
    clear = (np.abs(depth) > 0.01).all(axis=1)
    mesh = trimesh.util.concatenate([ball(centre) for centre in centres])
    inside = (depth > 0).any(axis=1)[clear]
    np.testing.assert_array_equal(contains(mesh, points[clear], mode="winding"), inside)
    assert (contains(mesh, points[clear]) != inside).any()  # parity cannot


@given(seeds)
def test_winding_mode_is_right_where_faces_are_missing(seed):
    rng = np.random.default_rng(seed)
    mesh = ball(np.zeros(3), subdivisions=4)
    kept = rng.permutation(len(mesh.faces))[: int(0.975 * len(mesh.faces))]
    holed = trimesh.Trimesh(mesh.vertices, mesh.faces[kept], process=False)
    points = rng.uniform(-0.4, 0.4, (2000, 3))
    depth = 0.3 - np.linalg.norm(points, axis=1)
    clear = np.abs(depth) > 0.02
    found = contains(holed, points[clear], mode="winding", threads=2)
    np.testing.assert_array_equal(found, (depth > 0)[clear])
    assert (contains(holed, points[clear]) != (depth > 0)[clear]).any()  # parity cannot


def test_both_modes_agree_on_a_closed_mesh():
    mesh = trimesh.creation.torus(0.33, 0.13, major_sections=48, minor_sections=24)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20000, 3))
    far = np.abs(np.hypot(np.hypot(*points[:, :2].T) - 0.33, points[:, 2]) - 0.13) > 0.005
    np.testing.assert_array_equal(
        contains(mesh, points[far], mode="winding"), contains(mesh, points[far])
    )


def test_winding_mode_wants_outward_normals():
    """Nothing is inside an inward mesh, and an inward part is a cavity."""
    inward = trimesh.creation.box(extents=[0.5] * 3)
    inward.invert()
    points = np.array([[0, 0, 0], [0.4, 0, 0]])
    assert contains(inward, points, mode="winding").tolist() == [False, False]
    hollow = trimesh.util.concatenate([trimesh.creation.box(), inward])
    assert contains(hollow, points, mode="winding").tolist() == [False, True]


@pytest.mark.parametrize("mode", ["parity", "winding"])
def test_nothing_is_inside_an_empty_mesh_and_nan_is_outside(mode):
    empty = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int), process=False)
    assert contains(empty, np.zeros((5, 3)), mode=mode).tolist() == [False] * 5
    points = np.array([[np.nan, 0, 0], [0, np.nan, 0], [0, 0, np.nan], [0, 0, np.inf]])
    assert not contains(trimesh.creation.box(), points, mode=mode).any()
    assert contains(trimesh.creation.box(), np.zeros((0, 3)), mode=mode).shape == (0,)


@pytest.mark.parametrize("mode", ["parity", "winding"])
def test_refuses_faces_that_are_not_finite(mode):
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, np.nan, 0], [0, 0, 1]])
    broken = trimesh.Trimesh(corners, TETRAHEDRON, process=False, validate=False)
    with pytest.raises(ValueError, match=r"face 0: vertex 2 is not finite .* remove such faces"):
        contains(broken, np.zeros((1, 3)), mode=mode)


def test_coordinates_up_to_1e100():
    box = trimesh.creation.box(extents=[2e100] * 3)
    points = np.array([[0, 0, 0], [0.99, 0.5, -0.99], [1.01, 0, 0], [0, 0, -1e200]]) * 1e100
    for mode in ("parity", "winding"):
        assert contains(box, points, mode=mode).tolist() == [True, True, False, False]


def test_refuses_an_unknown_mode():
    with pytest.raises(ValueError, match="mode is 'rays': give 'parity' or 'winding'"):
        contains(trimesh.creation.box(), np.zeros((1, 3)), mode="rays")


def test_refuses_faces_that_name_missing_vertices():
    broken = trimesh.Trimesh(np.zeros((3, 3)), [[0, 1, 3]], process=False, validate=False)
    with pytest.raises(IndexError, match="face 0 names vertex 3 of 3"):
        contains(broken, np.zeros((1, 3)))
