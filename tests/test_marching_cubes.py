from __future__ import annotations

import itertools
from collections import Counter

import mcubes
import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes as skimage_marching_cubes
from twins.marching_cubes import cell_segments, loops_of, marching_cubes

from onet import _C
from onet.geometry.extraction import extract_mesh
from onet.geometry.inside import contains
from onet.geometry.topology import topology

EDGES = [  # as documented: 4 * axis + the other two coordinates, the first one fastest
    (tuple(np.insert([u, v], axis, 0).tolist()), axis)
    for axis in range(3)
    for v in (0, 1)
    for u in (0, 1)
]


def march(volume: np.ndarray) -> trimesh.Trimesh:
    """Mesh of a dense volume, in lattice units; every point is evaluated."""
    tree = _C.Octree(tuple(n - 1 for n in volume.shape), 0)
    tree.update(np.ascontiguousarray(volume[tuple(tree.pending_points().T)], dtype=np.float32))
    vertices, faces = _C.marching_cubes(tree)
    return trimesh.Trimesh(vertices, faces.astype(np.int64), process=False)


def cube_volume(corners: int) -> np.ndarray:
    bits = corners >> np.arange(8) & 1
    return np.where(bits, 1.0, -1.0).reshape(2, 2, 2).transpose(2, 1, 0)  # bit x + 2y + 4z


def case_triangles(corners: int) -> list[list]:
    return [[EDGES[e] for e in triangle] for triangle in _C.cube_triangles(corners).tolist()]


def half_edges(polygons) -> Counter:
    return Counter(
        (polygon[i - 1], polygon[i]) for polygon in polygons for i in range(len(polygon))
    )


def boundary(polygons) -> set:
    """Directed sides without a partner in the other direction."""
    sides = half_edges(polygons)
    return {(a, b) for a, b in sides if (b, a) not in sides}


def squares(edge) -> set:
    """Lattice squares that a lattice edge borders: centre in half units."""
    start, axis = edge
    middle = 2 * np.array(start) + np.eye(3, dtype=int)[axis]
    others = [a for a in range(3) if a != axis]
    return {tuple(middle + sign * np.eye(3, dtype=int)[a]) for a in others for sign in (-1, 1)}


def lattice_edges(vertices: np.ndarray) -> list:
    """The lattice edge (in the padded lattice of the twin) that each vertex lies on."""
    axes = np.abs(vertices - np.round(vertices)).argmax(axis=1)
    starts = np.round(vertices).astype(int) + 1
    rows = np.arange(len(vertices))
    starts[rows, axes] = np.floor(vertices[rows, axes]).astype(int) + 1
    return [(tuple(s), a) for s, a in zip(starts.tolist(), axes.tolist(), strict=True)]


def test_every_case_fills_the_loops_of_its_faces():
    for corners in range(256):
        volume = cube_volume(corners)
        triangles = case_triangles(corners)
        segments = cell_segments(volume, (0, 0, 0))
        assert boundary(triangles) == set(segments), corners
        assert max(half_edges(triangles).values(), default=1) == 1
        assert len(triangles) == sum(len(loop) - 2 for loop in loops_of(segments))


def test_no_case_draws_a_diagonal_on_a_face_of_the_cell():
    for corners in range(256):
        triangles = case_triangles(corners)
        for a, b in set(half_edges(triangles)) - boundary(triangles):
            assert not squares(a) & squares(b), corners


@pytest.mark.slow
def test_cases_turn_with_the_cube():
    """All 48 symmetries: the same number of triangles, on the same edges, with the same sides."""
    for corners in range(256):
        volume = cube_volume(corners)
        for order in itertools.permutations(range(3)):
            for flips in itertools.product((False, True), repeat=3):
                turned = np.flip(volume.transpose(order), tuple(a for a in range(3) if flips[a]))
                mirrored = (np.linalg.det(np.eye(3)[list(order)]) < 0) ^ (sum(flips) % 2 == 1)
                other = int(((turned > 0).transpose(2, 1, 0).reshape(8) << np.arange(8)).sum())

                def move(edge, order=order, flips=flips):
                    ends = [edge[0], tuple(np.add(edge[0], np.eye(3, dtype=int)[edge[1]]).tolist())]
                    ends = [
                        tuple(
                            1 - p[a] if flip else p[a] for a, flip in zip(order, flips, strict=True)
                        )
                        for p in ends
                    ]
                    return min(ends), order.index(edge[1])

                expected = {(move(a), move(b)) for a, b in boundary(case_triangles(corners))}
                if mirrored:
                    expected = {(b, a) for a, b in expected}
                assert boundary(case_triangles(other)) == expected, (corners, order, flips)
                assert len(_C.cube_triangles(other)) == len(_C.cube_triangles(corners))


def test_the_complement_turns_the_surface_over_where_no_face_is_ambiguous():
    compared = 0
    for corners in range(256):
        volume = np.greater(cube_volume(corners), 0)
        ambiguous = any(
            face[0, 0] == face[1, 1] != face[0, 1] == face[1, 0]
            for face in (volume.take(side, axis) for axis in range(3) for side in (0, 1))
        )
        if not ambiguous:
            reverse = {(b, a) for a, b in boundary(case_triangles(corners))}
            assert boundary(case_triangles(255 - corners)) == reverse
            compared += 1
    assert compared == 136


values = st.one_of(
    st.floats(-1, 1, width=32),
    st.sampled_from(
        [0.0, -0.0, 1.0, -1.0, 1e-30, -1e-30, 1e30, -1e30, float("inf"), -float("inf")]
    ),
)
volumes = st.one_of(
    arrays(
        np.float32, array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=5), elements=values
    ),
    st.builds(
        lambda shape, seed: np.float32(np.random.default_rng(seed).normal(size=shape)),
        st.tuples(*[st.integers(2, 7)] * 3),
        st.integers(0, 2**32 - 1),
    ),
)


@given(volumes)
def test_solid_and_equal_to_the_twin_for_every_volume(volume):
    volume = np.clip(volume, -1e30, 1e30)  # as extract_mesh does with infinities
    mesh = march(volume)
    positions, loops = marching_cubes(volume)
    assert len(mesh.faces) == sum(len(loop) - 2 for loop in loops)
    if not loops:
        return
    assert topology(mesh).solid
    edges = lattice_edges(mesh.vertices)
    assert len(set(edges)) == len(edges) and set(edges) == set(positions)
    expected = np.array([positions[edge] for edge in edges])
    np.testing.assert_allclose(mesh.vertices, expected, atol=1e-12)
    on_squares = {
        (a, b)
        for a, b in half_edges([[edges[i] for i in face] for face in mesh.faces.tolist()])
        if squares(a) & squares(b)
    }
    assert on_squares == set(half_edges(loops))
    lattice = np.argwhere(np.ones(volume.shape))
    np.testing.assert_array_equal(contains(mesh, lattice), (volume > 0).reshape(-1))


@pytest.mark.parametrize("seed", range(4))
def test_equals_pymcubes_on_noise(seed):
    volume = np.random.default_rng(seed).normal(size=(9, 12, 10)).astype(np.float32)
    padded = np.pad(volume, 1, constant_values=-1.0)
    mesh = march(volume)
    vertices, faces = mcubes.marching_cubes(padded.astype(np.float64), 0.0)
    assert (len(mesh.vertices), len(mesh.faces)) == (len(vertices), len(faces))
    # Near the box our vertices stay beside it; elsewhere they differ by the margin at most.
    vertices -= 1
    within = ((vertices >= 0) & (vertices <= np.array(volume.shape) - 1)).all(axis=1)
    distance, index = cKDTree(mesh.vertices).query(vertices[within])
    assert distance.max() < 2e-4
    assert len(set(index.tolist())) == np.count_nonzero(within)


@pytest.mark.parametrize("value", [1.0, np.inf, 1e-30])
def test_a_full_box_gives_the_box(value):
    mesh = march(np.full((3, 4, 5), min(value, 1e30), dtype=np.float32))
    found = topology(mesh)
    assert found.solid and found.euler == 2 and found.components == 1
    np.testing.assert_allclose(mesh.bounds, [[-1e-4] * 3, [2 + 1e-4, 3 + 1e-4, 4 + 1e-4]])
    np.testing.assert_allclose(mesh.volume, 2 * 3 * 4, rtol=1e-3)


def test_equals_scikit_image_on_the_dense_grid_of_a_torus(torus):
    resolution = 128
    mesh = extract_mesh(torus, resolution=resolution)
    axis = -0.55 + 1.1 / resolution * np.arange(resolution + 1)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).astype(np.float32)
    dense = torus(grid.reshape(-1, 3)).reshape((resolution + 1,) * 3).astype(np.float32)
    vertices, faces, _, _ = skimage_marching_cubes(dense, 0.0)
    assert (len(mesh.vertices), len(mesh.faces)) == (len(vertices), len(faces))
    distance, index = cKDTree((mesh.vertices + 0.55) * resolution / 1.1).query(vertices)
    assert distance.max() < 2e-4
    assert len(np.unique(index)) == len(vertices)
    found = topology(mesh)
    assert found.solid and found.euler == 0 and found.components == 1


def test_volume_converges_quadratically(sphere):
    errors = []
    for resolution in (32, 64, 128):
        mesh = extract_mesh(sphere, resolution=resolution)
        assert topology(mesh).solid and topology(mesh).euler == 2
        errors.append(4 / 3 * np.pi * 0.4**3 - mesh.volume)
    assert 0 < errors[2] < 1e-4
    assert 3 < errors[0] / errors[1] < 5
    assert 3 < errors[1] / errors[2] < 5
