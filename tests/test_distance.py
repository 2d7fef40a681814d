from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from twins.closest_point import closest_point as twin_closest_point

from onet.geometry.distance import TriangleTree, closest_point

seeds = st.integers(0, 2**32 - 1)


def soup(triangles: np.ndarray) -> trimesh.Trimesh:
    corners = np.asarray(triangles, dtype=float).reshape(-1, 3)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)


def check(triangles: np.ndarray, points: np.ndarray) -> None:
    closest, distance, face = closest_point(soup(triangles), points)
    expected, distances = twin_closest_point(triangles, points)
    scale = np.abs(triangles).max() + np.abs(points).max()
    np.testing.assert_allclose(distance, distances.min(axis=1), atol=1e-7 * scale)
    # Ties may be broken either way: the named face is as near as any, the point lies on it.
    rows = np.arange(len(points))
    np.testing.assert_allclose(distances[rows, face], distance, atol=1e-7 * scale)
    np.testing.assert_allclose(
        np.linalg.norm(points - closest, axis=1), distance, rtol=1e-12, atol=1e-15 * scale
    )
    for k, point in enumerate(closest):
        own = twin_closest_point(triangles[face[k]][None], point[None])[1]
        assert own.item() < 1e-7 * scale
    clear = np.partition(distances, 1, axis=1)[:, 1] - distances.min(axis=1) > 1e-5 * scale
    np.testing.assert_allclose(closest[clear], expected[clear], atol=1e-6 * scale)


@pytest.mark.slow
@given(seeds, st.integers(2, 60))
def test_equals_the_twin_on_random_soup(seed, count):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, 1, 3))
    triangles = centres + rng.choice([0.05, 1.0]) * rng.normal(size=(count, 3, 3))
    check(triangles * 10.0 ** rng.integers(-2, 3), rng.normal(size=(30, 3)))


@pytest.mark.slow
@given(seeds)
def test_equals_the_twin_where_coordinates_coincide(seed):
    """Integer corners and queries: Voronoi regions, their borders, degenerate triangles, ties."""
    rng = np.random.default_rng(seed)
    triangles = rng.integers(0, 4, size=(12, 3, 3)).astype(float)
    check(triangles, rng.integers(-1, 5, size=(40, 3)).astype(float))


DEGENERATE = {
    "point": [0, 0, 0],
    "first two equal": [0, 0, 1],
    "last two equal": [0, 1, 1],
    "first and last equal": [0, 1, 0],
    "middle between": [0, 0.3, 1],
    "first between": [0.6, 0, 1],
    "last between": [0, 1, 0.2],
}


@pytest.mark.parametrize("positions", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_degenerate_triangles_are_the_segments_that_they_are(positions):
    rng = np.random.default_rng(0)
    for _ in range(200):
        start, step = rng.normal(size=(2, 3))
        triangle = start + np.array(positions)[:, None] * step
        at = rng.uniform(-0.5, 1.5)
        point = start + at * step + 10 ** rng.uniform(-4, 0) * rng.normal(size=3)
        found = closest_point(soup(triangle), point[None])[1].item()
        t = np.clip((point - start) @ step / (step @ step), min(positions), max(positions))
        np.testing.assert_allclose(found, np.linalg.norm(point - start - t * step), atol=1e-9)


@pytest.mark.parametrize("height", [1e-16, 1e-14, 1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-4, 1e-2])
def test_slivers(height):
    """Points straight over a triangle that is all but a segment, as CAD models have many."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, b = rng.normal(size=(2, 3))
        across = np.cross(b - a, rng.normal(size=3))
        normal = np.cross(b - a, across)
        third = a + rng.random() * (b - a) + height * across / np.linalg.norm(across)
        triangle = np.array([a, b, third])
        above = 10 ** rng.uniform(-6, -1)
        point = rng.dirichlet([1, 1, 1]) @ triangle + above * normal / np.linalg.norm(normal)
        rng.shuffle(triangle)
        found = closest_point(soup(triangle), point[None])[1].item()
        np.testing.assert_allclose(found, above, atol=1e-7)  # triangles of size 1


def test_rounding_takes_no_closest_point_out_of_the_box_of_its_triangle():
    """Which the search relies on. Points over the rim of triangles that end at a plane x = c."""
    rng = np.random.default_rng(0)
    for triangle in rng.normal(size=(600, 3, 3)):
        triangle[2, 0] = triangle[1, 0]
        rim = triangle[1] + rng.random() * (triangle[2] - triangle[1])
        normal = np.cross(triangle[1] - triangle[0], triangle[2] - triangle[0])
        point = rim + 10 ** rng.uniform(-17, -14) * (triangle[0] - rim)
        point += 10 ** rng.uniform(-9, 0) * normal
        closest = closest_point(soup(triangle), point[None])[0][0]
        assert (triangle.min(axis=0) <= closest).all() and (closest <= triangle.max(axis=0)).all()


def test_distance_to_a_sphere():
    mesh = trimesh.creation.icosphere(subdivisions=4)
    points = np.random.default_rng(0).normal(size=(2000, 3))
    closest, distance, face = closest_point(mesh, points)
    radii = np.linalg.norm(points, axis=1)
    np.testing.assert_allclose(distance, np.abs(radii - 1), atol=3e-3)
    aligned = (mesh.face_normals[face] * points).sum(axis=1) / radii
    assert aligned[radii > 0.2].min() > 0.99
    assert np.linalg.norm(closest, axis=1).min() > 0.99


def test_points_on_the_surface_have_distance_zero():
    mesh = trimesh.creation.torus(1.0, 0.3)
    weights = np.random.default_rng(0).dirichlet([1, 1, 1], size=len(mesh.faces))
    points = (weights[:, :, None] * mesh.triangles).sum(axis=1)
    assert closest_point(mesh, points)[1].max() < 1e-12
    assert closest_point(mesh, mesh.vertices)[1].max() == 0


@given(seeds)
def test_independent_of_batches_threads_and_face_order(seed):
    rng = np.random.default_rng(seed)
    triangles, points = rng.normal(size=(40, 3, 3)), rng.normal(size=(600, 3))
    tree = TriangleTree(soup(triangles))
    closest, distance, face = tree.closest(points, threads=1)
    order, turned = rng.permutation(600), rng.permutation(40)
    again = tree.closest(points[order], threads=3)
    for one, other in zip(again, (closest, distance, face), strict=True):
        np.testing.assert_array_equal(one, other[order])
    other = closest_point(soup(triangles[turned][:, [2, 0, 1]]), points)
    np.testing.assert_allclose(other[1], distance, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(other[0], closest, atol=1e-9)
    assert face.dtype == np.int64 and (face >= 0).all() and (face < 40).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_the_smallest_face_is_named_where_several_are_equally_near(threads):
    """Every triangle three times, and queries nearest to a corner that many share."""
    rng = np.random.default_rng(0)
    mesh = trimesh.creation.icosphere(subdivisions=2)
    faces = np.concatenate([mesh.faces[rng.permutation(len(mesh.faces))] for _ in range(3)])
    soup_of_three = trimesh.Trimesh(mesh.vertices, faces, process=False)
    at = rng.integers(0, len(mesh.vertices), 5000)
    closest, _, face = closest_point(soup_of_three, 2 * mesh.vertices[at], threads)
    first = np.full(len(mesh.vertices), len(faces))
    np.minimum.at(first, faces.reshape(-1), np.repeat(np.arange(len(faces)), 3))
    np.testing.assert_array_equal(face, first[at])
    np.testing.assert_array_equal(closest, mesh.vertices[at])


def test_far_queries_and_triangles_of_all_sizes():
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.uniform(-6, 2, size=(60, 1, 1))
    triangles = rng.normal(size=(60, 1, 3)) + sizes * rng.normal(size=(60, 3, 3))
    check(triangles, np.concatenate([1e4 * rng.normal(size=(20, 3)), rng.normal(size=(60, 3))]))


def test_what_is_no_number_is_named():
    triangles = np.random.default_rng(0).normal(size=(3, 3, 3))
    points = np.zeros((5, 3))
    points[1, 2] = np.nan
    with pytest.raises(ValueError, match="points: 1 of 5"):
        closest_point(soup(triangles), points)
    triangles[0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="vertices: 1 of 9"):
        closest_point(soup(triangles), np.zeros((5, 3)))


def test_empty_inputs():
    mesh = soup(np.random.default_rng(0).normal(size=(3, 3, 3)))
    closest, distance, face = closest_point(mesh, np.zeros((0, 3)))
    assert closest.shape == (0, 3) and distance.shape == face.shape == (0,)
    with pytest.raises(ValueError, match="no faces"):
        closest_point(soup(np.zeros((0, 3, 3))), np.zeros((1, 3)))
