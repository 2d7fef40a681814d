"""Which faces cross others: exact, and the same as the twin in whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from onet import _C
from onet.geometry.solid.crossings import crossing_faces, move_without_crossing
from tests.twins.crossings import crossings

TRIANGLE = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0]], dtype=np.float64)


def pairs(vertices, faces) -> list[tuple[int, int]]:
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    return [tuple(pair) for pair in crossing_faces(mesh).tolist()]


def two(other) -> bool:
    vertices = np.concatenate([TRIANGLE, np.asarray(other, dtype=np.float64)])
    return bool(pairs(vertices, [[0, 1, 2], [3, 4, 5]]))


@pytest.mark.parametrize(
    ("other", "cross"),
    [
        ([[1, 1, -1], [1, 1, 1], [2, 1, 1]], True),  # through
        ([[1, 1, 0], [1, 1, 1], [2, 1, 1]], True),  # touches the inside
        ([[4, 0, 0], [5, 0, 1], [5, 0, 2]], True),  # touches a corner
        ([[2, 2, 0], [3, 3, 0], [3, 3, 1]], True),  # touches the long edge
        ([[2, 2.0000000000000004, 0], [3, 3, 0], [3, 3, 1]], False),  # almost
        ([[1, 1, 1e-300], [1, 1, 1], [2, 1, 1]], False),
        ([[1, 1, 0], [2, 1, 0], [1, 2, 0]], True),  # within, in one plane
        ([[5, 0, 0], [6, 0, 0], [5, 4, 0]], False),  # beside, in one plane
        ([[-1, -1, 0], [8, -1, 0], [-1, 8, 0]], True),  # around, in one plane
        ([[1, 1, 0], [1, 1, 0], [1, 1, 0]], True),  # a point of it
        ([[1, 1, 0], [1, 1, 3], [1, 1, 1]], True),  # a line from it
        ([[5, 5, 0], [6, 6, 0], [7, 7, 0]], False),  # a line beside it
    ],
)
def test_two_triangles(other, cross) -> None:
    assert two(other) is cross


def test_neighbours_cross_only_where_they_lie_on_each_other() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 2, 0], [0, 1, 1.0]])
    assert pairs(vertices, [[0, 1, 2], [1, 0, 3]]) == []  # flat
    assert pairs(vertices, [[0, 1, 2], [1, 0, 4]]) == [(0, 1)]  # folded
    assert pairs(vertices, [[0, 1, 2], [1, 0, 5]]) == []  # an angle
    assert pairs(vertices, [[0, 1, 2], [0, 1, 2]]) == [(0, 1)]  # the same


@given(
    seed=st.integers(0, 2**32 - 1),
    span=st.integers(1, 6),
    used=st.integers(3, 12),
    count=st.integers(1, 14),
)
@settings(max_examples=150, deadline=None)
def test_it_is_the_twin(seed, span, used, count) -> None:
    """Small whole numbers: full of coplanar, touching, folded and degenerate triangles."""
    rng = np.random.default_rng(seed)
    vertices = rng.integers(-span, span + 1, (used, 3)).astype(np.float64)
    faces = np.array([rng.permutation(used)[:3] for _ in range(count)])
    expected = crossings(vertices, faces)
    assert pairs(vertices, faces) == expected
    # The exact answer does not depend on where the mesh is, as long as its numbers are exact.
    assert pairs(vertices * 2.0**-40 + 2.0**9, faces) == expected
    wanted = (rng.random(count) < 0.4).astype(np.uint8)
    some = [pair for pair in expected if wanted[list(pair)].any()]
    found = _C.crossings(vertices, faces, wanted, 2)
    assert [tuple(pair) for pair in found.tolist()] == some


def test_all_cases_of_marching_cubes_with_vertices_in_the_middle_are_free_of_crossings() -> None:
    """What vertices of an extracted mesh can always go back to."""
    corners = np.array([[k & 1, k >> 1 & 1, k >> 2 & 1] for k in range(8)], dtype=np.float64)
    edges = [
        *((k, k | 1 << axis) for axis in range(3) for k in range(8) if not k >> axis & 1),
    ]
    middles = np.array([(corners[a] + corners[b]) / 2 for a, b in edges])
    for case in range(256):
        triangles = np.asarray(_C.cube_triangles(case), dtype=np.int64).reshape(-1, 3)
        if len(triangles):
            assert pairs(middles, triangles) == [], case


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_vertices_go_to_their_targets_unless_faces_would_cross(seed) -> None:
    rng = np.random.default_rng(seed)
    ball = trimesh.creation.icosphere(2)
    start, faces = np.asarray(ball.vertices), np.asarray(ball.faces)
    near, none = start * 1.1, np.zeros(len(start), dtype=bool)
    points, left, found = move_without_crossing(start, near, near, none, start, faces, lambda p: p)
    assert not len(found)
    np.testing.assert_allclose(points, near, atol=1e-3)
    far = start + rng.normal(0, 0.5, start.shape) * (rng.random((len(start), 1)) < 0.05)
    points, left, found = move_without_crossing(start, far, far, none, start, faces, lambda p: p)
    assert not len(found)
    assert not pairs(points, faces)
    assert (left < 1).any()


def test_rays_find_what_they_meet_first() -> None:
    box = trimesh.creation.box((2, 2, 2))
    vertices, faces = np.asarray(box.vertices), np.asarray(box.faces)
    rng = np.random.default_rng(0)
    origins = rng.uniform(-0.9, 0.9, (200, 3))
    directions = rng.normal(size=(200, 3))
    distance, face = _C.first_hits(vertices, faces, origins, directions)
    with np.errstate(divide="ignore"):
        expected = np.where(directions > 0, 1 - origins, 1 + origins) / np.abs(directions)
    np.testing.assert_allclose(distance, expected.min(axis=1), rtol=1e-9)
    hit = origins + distance[:, None] * directions
    normal = box.face_normals[face]
    np.testing.assert_allclose(np.einsum("ij,ij->i", hit, normal), 1, rtol=1e-9)
    away = _C.first_hits(vertices, faces, origins + 10, np.ones((200, 3)))
    assert np.isinf(away[0]).all()
    assert (away[1] == -1).all()
