from __future__ import annotations

import math

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from twins.winding import winding_number as direct_sum

from onet.geometry.winding import WindingTree, winding_number

seeds = st.integers(0, 2**32 - 1)
SHAPES = {
    "box": (trimesh.creation.box(), lambda p: np.abs(p).max(axis=1) - 0.5),
    "sphere": (
        trimesh.creation.icosphere(subdivisions=3, radius=0.5),
        lambda p: np.linalg.norm(p, axis=1) - 0.5,
    ),
    "torus": (
        trimesh.creation.torus(0.33, 0.13, major_sections=48, minor_sections=24),
        lambda p: np.hypot(np.hypot(p[:, 0], p[:, 1]) - 0.33, p[:, 2]) - 0.13,
    ),
}


def soup(triangles: np.ndarray) -> trimesh.Trimesh:
    corners = np.asarray(triangles, dtype=float).reshape(-1, 3)
    return trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)


def ball(shift: float = 0.0, radius: float = 0.4) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return mesh.apply_translation([shift, 0, 0])


def joined(*meshes: trimesh.Trimesh) -> trimesh.Trimesh:
    return soup(np.concatenate([mesh.triangles for mesh in meshes]))


def exact(mesh: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    return winding_number(mesh, points, beta=math.inf)


def test_the_twin_knows_an_octant():
    octant = 3 * np.eye(3)[None]
    assert direct_sum(octant, np.zeros((1, 3))) == pytest.approx([1 / 8])
    assert direct_sum(octant[:, ::-1], np.zeros((1, 3))) == pytest.approx([-1 / 8])
    assert direct_sum(octant, np.ones((1, 3))) == pytest.approx([0])  # on it


@given(seeds, st.booleans())
def test_exact_sum_equals_the_twin(seed, whole):
    """On random soups with repeated and degenerate triangles, at any place and scale."""
    rng = np.random.default_rng(seed)
    count = rng.integers(1, 60)
    if whole:  # points on corners, edges, faces and in their planes
        triangles = rng.integers(0, 5, (count, 3, 3)).astype(float)
        points = rng.integers(-1, 6, (100, 3)).astype(float)
    else:
        triangles = rng.normal(size=(count, 3, 3)) * 10.0 ** rng.uniform(-3, 1, (count, 1, 1))
        points = np.concatenate(
            [rng.normal(size=(80, 3)), triangles[rng.integers(0, count, 20), 0]]
        )
    triangles = triangles[rng.integers(0, count, 2 * count)]
    triangles[::7, 2] = triangles[::7, rng.integers(0, 2)]
    scale = 2.0 ** rng.integers(-300, 300)
    found = exact(soup(scale * triangles), scale * points)
    np.testing.assert_allclose(found, direct_sum(triangles, points), atol=1e-11)


@pytest.mark.slow
@given(seeds, st.sampled_from([(1.5, 0.1), (2.0, 0.03), (4.0, 3e-3), (8.0, 3e-4), (32.0, 2e-5)]))
def test_expansions_are_as_accurate_as_beta_asks(seed, accuracy):
    """On parts of closed meshes, where nothing cancels."""
    beta, bound = accuracy
    rng = np.random.default_rng(seed)
    mesh = [ball(), SHAPES["torus"][0]][seed % 2]
    triangles = mesh.triangles[rng.random(len(mesh.faces)) < rng.uniform(0.2, 1.0)]
    size = 10.0 ** rng.uniform(-6, 6)
    triangles = size * (triangles + rng.normal(size=3))
    points = triangles.mean(axis=(0, 1)) + size * rng.uniform(-1.0, 1.0, (100, 3))
    mesh = soup(triangles)
    error = np.abs(winding_number(mesh, points, beta) - direct_sum(triangles, points))
    assert error.max() < bound
    assert error.max() > 1e-12 or beta > 8  # otherwise nothing was expanded


@given(seeds)
def test_expansions_are_of_third_order(seed):
    """Their error falls with the fifth power of the distance: every coefficient is right."""
    rng = np.random.default_rng(seed)
    triangles = rng.uniform(-0.5, 0.5, (60, 3, 3))
    directions = rng.normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    error = [
        np.abs(
            winding_number(soup(triangles), points, beta=1) - direct_sum(triangles, points)
        ).max()
        for points in (10 * directions, 40 * directions)
    ]
    assert error[0] > 700 * error[1] > 0


@pytest.mark.parametrize("name", list(SHAPES))
def test_one_inside_and_zero_outside_of_closed_meshes(name):
    mesh, distance = SHAPES[name]
    points = np.random.default_rng(0).uniform(-0.7, 0.7, (3000, 3))
    clear = np.abs(distance(points)) > 0.01
    inside = (distance(points) < 0)[clear]
    assert 0 < np.count_nonzero(inside) < len(inside)
    np.testing.assert_allclose(exact(mesh, points[clear]), inside, atol=1e-12)
    np.testing.assert_allclose(winding_number(mesh, points[clear]), inside, atol=0.02)


@given(seeds)
def test_adds_up_over_parts_and_turns_with_the_orientation(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (200, 3))
    one, other = ball(rng.uniform(0, 0.4)), SHAPES["box"][0]
    sums = exact(one, points) + exact(other, points)
    both = exact(joined(one, other), points)
    np.testing.assert_allclose(both, sums, atol=1e-12)
    assert np.isclose(both, 2).any()
    turned = joined(one, other)
    turned.faces = turned.faces[:, ::-1]
    np.testing.assert_allclose(exact(turned, points), -sums, atol=1e-12)
    np.testing.assert_allclose(winding_number(turned, points), -sums, atol=0.03)


@given(seeds)
def test_what_is_missing_is_the_solid_angle_of_the_hole(seed):
    rng = np.random.default_rng(seed)
    mesh = ball()
    kept = rng.random(len(mesh.faces)) < 0.975
    points = 0.3 * rng.uniform(-0.5, 0.5, (100, 3))
    found = exact(soup(mesh.triangles[kept]), points)
    np.testing.assert_allclose(found, 1 - direct_sum(mesh.triangles[~kept], points), atol=1e-12)
    assert (found < 1 - 1e-3).any()


def test_an_open_box_is_five_sixths():
    mesh = trimesh.creation.box()
    five = mesh.triangles[mesh.face_normals[:, 2] < 0.5]
    assert exact(soup(five), np.zeros((1, 3))) == pytest.approx([5 / 6])


@given(seeds)
def test_moves_with_the_mesh(seed):
    rng = np.random.default_rng(seed)
    mesh, points = SHAPES["torus"][0].copy(), rng.uniform(-0.6, 0.6, (200, 3))
    points = points[np.abs(SHAPES["torus"][1](points)) > 0.01]
    before, fast = exact(mesh, points), winding_number(mesh, points)
    scale = 2.0 ** rng.integers(-300, 300)
    scaled = trimesh.Trimesh(scale * mesh.vertices, mesh.faces, process=False)
    np.testing.assert_array_equal(exact(scaled, scale * points), before)
    np.testing.assert_array_equal(winding_number(scaled, scale * points), fast)
    motion = trimesh.transformations.random_rotation_matrix(rng.random(3))
    motion[:3] *= 10.0 ** rng.uniform(-5, 5)
    motion[:3, 3] = rng.normal(size=3) * 100 * np.abs(motion[:3, :3]).max()
    mesh.apply_transform(motion)
    points = trimesh.transform_points(points, motion)
    np.testing.assert_allclose(exact(mesh, points), before, atol=1e-9)
    np.testing.assert_allclose(winding_number(mesh, points), before, atol=0.02)


@given(seeds, st.sampled_from([1.0, 2.0, math.inf]))
def test_depends_on_the_point_and_the_mesh_only(seed, beta):
    """Not on the other points or the threads, and a tree can be asked twice."""
    rng = np.random.default_rng(seed)
    tree = WindingTree(ball())
    points = rng.uniform(-0.6, 0.6, (5000 if beta < 3 else 1200, 3))
    reference = tree.winding_number(points, beta, threads=1)
    order = rng.permutation(len(points))[: len(points) - 7]
    found = tree.winding_number(points[order], beta, threads=3)
    np.testing.assert_array_equal(found, reference[order])


def test_triangles_without_area_contribute_nothing():
    mesh = ball()
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (500, 3))
    a, b = mesh.vertices[:100], mesh.vertices[100:200]
    flat = np.concatenate([np.stack(t, axis=1) for t in ([a, b, a], [a, a, a], [a, b, b])])
    more = soup(np.concatenate([flat, mesh.triangles, flat]))
    np.testing.assert_array_equal(winding_number(more, points), winding_number(mesh, points))
    np.testing.assert_array_equal(winding_number(soup(flat), points), np.zeros(500))
    line = np.array([[[0, 0, 0], [1, 2, 3], [2, 4, 6]]])  # its middle is on it
    np.testing.assert_array_equal(winding_number(soup(line), [[1, 2, 3], [4, 0, 0]]), [0, 0])


@pytest.mark.parametrize("copies", [9, 1000])
def test_repeated_triangles_count_as_often(copies):
    """More equal centroids than a leaf of the tree holds."""
    triangle = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    found = exact(soup(np.repeat(triangle, copies, axis=0)), points)
    np.testing.assert_allclose(found, copies * direct_sum(triangle, points), rtol=1e-10)


def test_sizes_from_tiny_to_large_in_one_mesh():
    """Balls, each a tenth of the one before: the tree is deep and its nodes are small."""
    radii = 10.0 ** -np.arange(18)
    unit = ball(2.2, 1.0).triangles
    points = np.stack([2.2 * radii, 0 * radii, 0 * radii], axis=1)
    mesh = soup(radii[:, None, None, None] * unit)
    found = winding_number(mesh, np.concatenate([points, [[-1, 0, 0]]]))
    np.testing.assert_allclose(found, [1] * 18 + [0], atol=0.02)


def test_far_points_and_points_that_are_no_numbers():
    points = np.array(
        [
            [1e300, 0, 0],
            [0, -math.inf, 0],
            [1e14, 1e14, 0],
            [0, 0, math.nan],
            [math.inf, math.nan, 0],
        ]
    )
    found = winding_number(ball(), points)
    np.testing.assert_allclose(found, [0, 0, 0, math.nan, math.nan], atol=1e-20)
    assert winding_number(ball(), np.zeros((0, 3))).shape == (0,)


def test_a_mesh_without_faces_winds_around_nothing():
    empty = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int), process=False)
    points = np.array([[0, 0, 0], [1e300, 0, 0], [0, math.nan, 0]])
    np.testing.assert_array_equal(winding_number(empty, points), [0, 0, math.nan])


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e101])
def test_refuses_faces_that_are_not_finite(value):
    mesh = trimesh.creation.box()
    vertices = np.array(mesh.vertices)
    vertices[mesh.faces[3, 1], 2] = value
    first = np.flatnonzero((mesh.faces == mesh.faces[3, 1]).any(axis=1))[0]
    broken = trimesh.Trimesh(vertices, mesh.faces, process=False, validate=False)
    with pytest.raises(ValueError, match=f"face {first}: vertex {mesh.faces[3, 1]} is not finite"):
        winding_number(broken, np.zeros((1, 3)))
    unused = trimesh.Trimesh(
        np.vstack([mesh.vertices, [[value] * 3]]), mesh.faces, process=False, validate=False
    )
    assert winding_number(unused, np.zeros((1, 3))) == pytest.approx([1])


@pytest.mark.parametrize("beta", [0.5, -2, math.nan])
def test_refuses_a_beta_within_the_group(beta):
    with pytest.raises(ValueError, match=r"beta is .* math\.inf for the exact sum"):
        winding_number(ball(), np.zeros((1, 3)), beta)
