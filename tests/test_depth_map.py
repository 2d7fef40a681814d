from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from twins.depth_map import rasterize

from onet import _C
from onet.geometry.watertight import sphere_directions

seeds = st.integers(0, 2**32 - 1)
SIZE, RADIUS = 128, 1.0
PIXEL = 2 * RADIUS / SIZE


def views(mesh: trimesh.Trimesh, directions: np.ndarray, threads: int = 0) -> _C.Views:
    return _C.Views(
        np.ascontiguousarray(mesh.vertices, dtype=np.float64),
        np.ascontiguousarray(mesh.faces, dtype=np.int64),
        np.ascontiguousarray(directions, dtype=np.float64),
        SIZE,
        RADIUS,
        threads,
    )


def visible(mesh: trimesh.Trimesh, points: np.ndarray, directions: np.ndarray | None = None):
    maps = views(mesh, sphere_directions(40) if directions is None else directions)
    return maps.visible(np.ascontiguousarray(points, dtype=np.float64)).astype(bool)


@given(seeds, st.integers(1, 12))
def test_equals_the_twin(seed, count):
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(-8, 40, size=(3 * count, 3))  # some of it beyond the picture
    faces = rng.permutation(3 * count).reshape(-1, 3)
    depth, face = _C.rasterize(vertices, faces, 33, 21)
    expected, expected_face, clearance = rasterize(vertices, faces, 33, 21)
    clear = clearance > 1e-9
    np.testing.assert_array_equal(face[clear], expected_face[clear])
    np.testing.assert_allclose(depth[clear], expected[clear], rtol=1e-5, atol=1e-5)
    assert np.isinf(depth[face < 0]).all() and np.isfinite(depth[face >= 0]).all()


@given(seeds)
def test_no_cracks_between_triangles(seed):
    """Edges and vertices at pixel centres are drawn too, and nothing beyond the outline is."""
    rng = np.random.default_rng(seed)
    n = 6
    grid = np.stack(np.meshgrid(np.arange(n + 1), np.arange(n + 1)), axis=-1).reshape(-1, 2)
    steps = rng.choice([1.0, 2.0, 3.0])
    vertices = np.column_stack([grid * steps + 2.5, rng.normal(size=len(grid))])
    at = np.arange((n + 1) * n).reshape(n, n + 1)[:, :-1].reshape(-1)
    faces = np.concatenate(
        [
            np.column_stack([at, at + 1, at + n + 2]),
            np.column_stack([at, at + n + 2, at + n + 1]),
        ]
    )
    faces = np.array([rng.permutation(face) for face in faces])  # both orientations
    end = 3 + int(n * steps)
    depth, _ = _C.rasterize(vertices, faces, 24, 24)
    covered = np.zeros((24, 24), dtype=bool)
    covered[2:end, 2:end] = True
    np.testing.assert_array_equal(np.isfinite(depth), covered)


def test_the_nearer_triangle_wins_and_degenerate_ones_do_not_draw():
    square = np.array([[0, 0], [8, 0], [8, 8], [0, 8]], dtype=float)
    vertices = np.vstack([np.column_stack([square, np.full(4, z)]) for z in (3.0, 1.0, 2.0)])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    depth, face = _C.rasterize(vertices, np.concatenate([faces, faces + 4, faces + 8]), 8, 8)
    assert (depth == 1).all() and set(np.unique(face)) == {2, 3}
    vertices[4] = np.nan
    line = np.array([[0, 0, 1], [5, 6, 6], [4, 1, 2]])
    depth, face = _C.rasterize(vertices, line, 8, 8)
    assert np.isinf(depth).all() and (face == -1).all()


def test_visibility_around_a_sphere():
    """Compared with the shadow that a ball casts, up to the pixels that the views are made of."""
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.4)
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.55, 0.55, size=(4000, 3))
    radii = np.linalg.norm(points, axis=1)
    for count in (1, 2, 5):
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        along = points @ directions.T
        across = np.sqrt(np.maximum(radii[:, None] ** 2 - along**2, 0))
        seen = (across > 0.4 + 2.5 * PIXEL) | ((along > 0) & (radii[:, None] > 0.43))
        hidden = (radii < 0.39)[:, None] | ((across < 0.395) & (along < 0))
        # In front but near the outline, the erosion looks up to two pixels inwards.
        steep = (across > 0.3) & (across < 0.4 + 2.5 * PIXEL)
        seen &= ~steep | (across > 0.4 + 2.5 * PIXEL)
        found = visible(mesh, points, directions)
        sure = seen.any(axis=1)
        never = hidden.all(axis=1)
        assert np.count_nonzero(sure) > 300 and np.count_nonzero(never) > 300
        assert found[sure].all()
        assert not found[never].any()


@given(seeds)
def test_nothing_within_closed_walls_is_seen(seed):
    rng = np.random.default_rng(seed)
    extents = rng.uniform(0.4, 1.0, 3)
    turn = trimesh.transformations.random_rotation_matrix(rng.random(3))
    outer = trimesh.creation.box(extents, transform=turn)
    inner = trimesh.creation.box(0.4 * extents, transform=turn)
    hollow = outer + inner
    within = rng.uniform(-0.48, 0.48, size=(500, 3)) * extents @ turn[:3, :3].T
    beyond = rng.normal(size=(500, 3))
    beyond *= rng.uniform(0.95, 3, size=(500, 1)) / np.linalg.norm(beyond, axis=1, keepdims=True)
    for mesh in (outer, hollow):
        assert not visible(mesh, within).any()
        assert visible(mesh, beyond).all()
    flipped = trimesh.Trimesh(hollow.vertices, hollow.faces[:, ::-1], process=False)
    points = rng.uniform(-0.7, 0.7, size=(1000, 3))
    np.testing.assert_array_equal(visible(flipped, points), visible(hollow, points))


def test_an_open_box_is_looked_into_and_small_cracks_are_not():
    box = trimesh.creation.box()
    open_box = box.copy()
    open_box.update_faces(box.face_normals[:, 1] < 0.5)  # no lid
    middle = np.zeros((1, 3))
    assert visible(open_box, middle).item()
    assert not visible(box, middle).item()
    half = trimesh.creation.box([1, 1, 0.5 - 0.3 * PIXEL])
    cracked = half.copy().apply_translation([0, 0, -0.25]) + half.apply_translation([0, 0, 0.25])
    assert not visible(cracked, middle).item()


@pytest.mark.parametrize("axis", [0, 1])
def test_slits_below_two_pixels_are_closed_and_wide_ones_are_not(axis):
    towards = np.array([[0.0, 0.0, 1.0]])
    board = trimesh.creation.box([1.2, 1.2, 0.01])
    for start in np.linspace(-0.1, 0.1, 23):
        for pixels, seen in ((1.95, False), (4.1, True)):
            width = pixels * PIXEL
            shifts = np.zeros((2, 3))
            shifts[:, axis] = start - 0.6, start + width + 0.6
            slit = board.copy().apply_translation(shifts[0])
            slit += board.copy().apply_translation(shifts[1])
            behind = np.full((9, 3), -0.3)
            behind[:, axis] = start + width * np.linspace(0.01, 0.99, 9)
            assert visible(slit, behind, towards).any() == seen


@given(seeds)
def test_more_directions_see_more_and_their_order_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-0.5, 0.5, size=(30, 3))
    mesh = trimesh.Trimesh(corners, np.arange(30).reshape(-1, 3), process=False)
    points = rng.uniform(-0.55, 0.55, size=(1500, 3))
    directions = sphere_directions(12)
    separate = np.array([visible(mesh, points, d.reshape(1, 3)) for d in directions])
    together = visible(mesh, points, directions)
    np.testing.assert_array_equal(together, separate.any(axis=0))
    shuffled = views(mesh, rng.permutation(directions), threads=3)
    order = rng.permutation(len(points))
    found = shuffled.visible(points[order], threads=3).astype(bool)
    np.testing.assert_array_equal(found, together[order])


@pytest.mark.parametrize("count", [1, 20, 100])
def test_directions_are_unit_vectors_all_around(count):
    directions = sphere_directions(count)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    if count > 1:
        nearest = np.max(directions @ directions.T - 2 * np.eye(count), axis=1)
        assert np.degrees(np.arccos(nearest)).min() > 120 / np.sqrt(count)
        assert np.linalg.norm(directions.mean(axis=0)) < 0.05


@given(seeds, st.integers(1, 5))
def test_counts_are_those_of_single_views(seed, count):
    rng = np.random.default_rng(seed)
    mesh = trimesh.creation.icosphere(1, radius=0.6)
    directions = sphere_directions(count)
    points = rng.uniform(-1.2, 1.2, (50, 3))
    single = [visible(mesh, points, one[None]) for one in directions]
    counted = views(mesh, directions).count(points)
    np.testing.assert_array_equal(counted, np.sum(single, axis=0))
    np.testing.assert_array_equal(counted > 0, visible(mesh, points, directions))
