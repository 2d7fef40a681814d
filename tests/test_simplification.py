from __future__ import annotations

import logging

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from test_extraction import noise_field
from twins import simplify as twin

from onet import _C
from onet.geometry.distance import TriangleTree
from onet.geometry.extraction import extract_mesh
from onet.geometry.simplification import simplify
from onet.geometry.topology import topology


def noise_mesh(shape, seed: int) -> trimesh.Trimesh:
    """Marching cubes of independent random values: every case, most of them ambiguous."""
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    tree = _C.Octree(tuple(n - 1 for n in shape), 0)
    tree.update(np.ascontiguousarray(values[tuple(tree.pending_points().T)]))
    vertices, faces = _C.marching_cubes(tree)
    return trimesh.Trimesh(vertices, faces.astype(np.int64), process=False)


def same_up_to_order(a, b) -> bool:
    """Equal triangles as sets of corner coordinates, each in its own order of walking."""

    def canonical(vertices, faces):
        corners = np.round(np.asarray(vertices)[np.asarray(faces)], 6) + 0.0
        turned = [
            min(tuple(map(tuple, np.roll(t, k, axis=0).tolist())) for k in range(3))
            for t in corners
        ]
        return sorted(turned)

    return canonical(*a) == canonical(*b)


@settings(max_examples=settings().max_examples // 2)  # the twin takes its time
@given(st.integers(0, 2**32 - 1), st.integers(4, 150))
def test_equals_the_twin(seed, target):
    mesh = noise_mesh((3, 4, 3), seed)
    if len(mesh.faces) == 0:
        return
    vertices, faces = np.array(mesh.vertices), np.array(mesh.faces)
    expected = twin.simplify(vertices, faces, target)
    assert same_up_to_order(_C.simplify(vertices, faces, target), expected)


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.9))
def test_noise_stays_a_solid_of_the_same_kind(seed, share):
    mesh = noise_mesh((7, 8, 6), seed)
    small = simplify(mesh, max(4, int(share * len(mesh.faces))))
    before, after = topology(mesh), topology(small)
    assert after.watertight and after.manifold and after.oriented
    assert (after.euler, after.components) == (before.euler, before.components)
    assert after.faces <= before.faces and after.vertices == len(small.vertices)


def solid(kind: str, rng: np.random.Generator) -> trimesh.Trimesh:
    """A random closed mesh of some 30 to 500 faces, thin or bent as it comes."""
    stretch = np.exp(rng.uniform(-3, 0, 3))
    match kind:
        case "hull":
            return trimesh.convex.convex_hull(rng.normal(size=(rng.integers(8, 60), 3)) * stretch)
        case "star":
            ball = trimesh.creation.icosphere(subdivisions=int(rng.integers(1, 3)))
            radius = np.exp(rng.normal(size=(len(ball.vertices), 1)) * rng.uniform(0, 0.6))
            return trimesh.Trimesh(ball.vertices * radius * stretch, ball.faces, process=False)
        case "torus":
            sections = [int(n) for n in rng.integers([6, 3], [24, 12])]
            ring = trimesh.creation.torus(1.0, rng.uniform(0.05, 0.6), *sections)
            return trimesh.Trimesh(ring.vertices * stretch, ring.faces, process=False)
        case "slab":
            slab = trimesh.creation.box(stretch**2).subdivide().subdivide()
            return slab.apply_transform(
                trimesh.transformations.random_rotation_matrix(rng.random(3))
            )
        case "shell":
            outer, inner = (trimesh.creation.icosphere(subdivisions=2) for _ in range(2))
            inner.apply_scale(rng.uniform(0.3, 0.98))
            inner.invert()
            return trimesh.util.concatenate([outer, inner])
    return noise_mesh(tuple(rng.integers(3, 8, 3)), int(rng.integers(2**32)))


def volumes(mesh: trimesh.Trimesh) -> np.ndarray:
    """Signed, of the connected parts by the order of their signs, and of all together."""
    part, count = _C.face_components(np.asarray(mesh.faces, dtype=np.int64), len(mesh.vertices))
    a, b, c = np.transpose(mesh.triangles - mesh.vertices.mean(axis=0), (1, 0, 2))
    each = np.bincount(part, np.einsum("ij,ij->i", a, np.cross(b, c)) / 6, minlength=count)
    return np.append(np.sort(np.sign(np.where(np.abs(each) > 1e-12, each, 0.0))), each.sum())


@settings(max_examples=200)
@given(
    st.sampled_from(["hull", "star", "torus", "slab", "shell", "noise"]),
    st.integers(0, 2**32 - 1),
    st.integers(4, 12),
    st.booleans(),
    st.sampled_from([0.0, 5e6]),
)
def test_no_solid_is_turned_inside_out(kind, seed, faces, cavity, away):
    mesh = solid(kind, np.random.default_rng(seed))
    if len(mesh.faces) == 0:
        return
    if cavity:
        mesh.invert()
    mesh.vertices = mesh.vertices + np.array([away, 0.1 * away, 0.0])
    small = simplify(mesh, faces)
    after = topology(small)
    assert after.watertight and after.manifold and after.oriented
    before, left = volumes(mesh), volumes(small)
    np.testing.assert_array_equal(left[:-1], before[:-1])
    assert left[-1] / before[-1] > 0.09


@pytest.mark.parametrize(
    ("kind", "seed"), [("torus", 42), ("star", 173), ("slab", 10), ("noise", 296)]
)
def test_turns_that_add_up_do_not_turn_a_solid(kind, seed):
    """No collapse turned a triangle by as much as 78 degrees, all together turned the solid."""
    mesh = solid(kind, np.random.default_rng(seed))
    assert simplify(mesh, 4).volume >= 0.09 * mesh.volume > 0


@pytest.mark.parametrize("seed", range(4))
def test_waves_that_cross_the_box(seed):
    mesh = extract_mesh(noise_field(seed, 0.0), resolution=48)
    small = simplify(mesh, len(mesh.faces) // 20)
    before, after = topology(mesh), topology(small)
    assert after.solid and after.faces <= before.faces // 20
    assert (after.euler, after.components) == (before.euler, before.components)
    assert small.volume == pytest.approx(mesh.volume, rel=0.05)


def test_budget_and_closeness_on_a_torus(torus):
    mesh = extract_mesh(torus, resolution=96)
    for faces in (5000, 1001, 300):
        small = simplify(mesh, faces)
        assert faces - 2 < len(small.faces) <= faces
        assert topology(small).solid and topology(small).euler == 0
        told = small.metadata["simplification"]
        assert told == {"before": len(mesh.faces), "budget": faces, "after": len(small.faces)}
        assert "extraction" in small.metadata
        # Both ways, a length of a face times half the angle that it spans.
        limit = 0.6 * small.area / len(small.faces) / 0.13
        assert TriangleTree(small).closest(mesh.vertices)[1].max() < limit
        assert np.abs(torus(small.triangles_center)).max() < limit


def test_flat_sides_and_sharp_edges_survive():
    turn = trimesh.transformations.random_rotation_matrix(seed=1)
    box = trimesh.creation.box((0.5, 0.4, 0.3)).apply_transform(turn)
    inverse = np.linalg.inv(turn)[:3, :3]

    def field(points):
        return 0.5 * (1 - (np.abs(points @ inverse.T) / [0.25, 0.2, 0.15]).max(axis=1))

    fine = extract_mesh(field, resolution=64)
    small = simplify(fine, 200)
    assert len(small.faces) == 200 and topology(small).solid
    # Marching cubes cuts the edges off by up to half a cell; the flat sides stay where they are.
    distance = TriangleTree(box).closest(small.vertices)[1]
    assert np.percentile(distance, 80) < 1e-3 and distance.max() < 0.5 * 1.1 / 64


def test_no_triangle_is_turned_over(sphere):
    for faces in (2000, 400, 100):
        small = simplify(extract_mesh(sphere, resolution=48), faces)
        outward = small.triangles_center / np.linalg.norm(small.triangles_center, axis=1)[:, None]
        assert np.einsum("ij,ij->i", small.face_normals, outward).min() > 0.7


def test_frame_and_unit_change_nothing(torus):
    mesh = extract_mesh(torus, resolution=33)
    far = mesh.copy()
    far.vertices = mesh.vertices * 4096 + [2.0**20, -7.0, 0.0]
    here, there = simplify(mesh, 600), simplify(far, 600)
    assert len(there.faces) == len(here.faces) == 600
    moved = (there.vertices - [2.0**20, -7.0, 0.0]) / 4096
    assert TriangleTree(here).closest(moved)[1].max() < 2e-2
    np.testing.assert_allclose(there.volume / 4096**3, here.volume, rtol=1e-2)
    np.testing.assert_array_equal(simplify(mesh, 600).vertices, here.vertices)


def test_smallest_solids_stay(caplog):
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    two = trimesh.Trimesh(
        np.concatenate([corners, corners + 5]), np.concatenate([faces, faces + 4]), process=False
    )
    with caplog.at_level(logging.WARNING):
        kept = simplify(two, 4)
    assert "8 faces remain of 4" in caplog.text
    np.testing.assert_array_equal(kept.faces, two.faces)
    ball = simplify(trimesh.creation.icosphere(subdivisions=3), 4)
    assert len(ball.faces) <= 12 and topology(ball).solid
    assert len(simplify(trimesh.Trimesh(), 10).faces) == 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda v, f: (v, f[1:]), "edge"),  # open
        (lambda v, f: (v, np.concatenate([f, f[:1]])), "edge"),  # a face twice
        (lambda v, f: (v, np.concatenate([f[:1, ::-1], f[1:]])), "edge"),  # turned over
        (lambda v, f: (v, np.concatenate([f, [[0, 0, 1]]])), "edge"),  # degenerate
        (lambda v, f: (v, np.concatenate([f, np.where(f == 0, 0, f + len(v) // 2)])), "fan"),
        (lambda v, f: (np.where(v == v.max(), np.nan, v), f), "NaN"),
    ],
)
def test_what_is_not_a_closed_manifold_is_refused(change, word):
    ball = trimesh.creation.icosphere(subdivisions=1)
    vertices = np.concatenate([ball.vertices, ball.vertices + 3])
    broken = trimesh.Trimesh(*change(vertices, ball.faces), process=False)
    with pytest.raises(ValueError, match=word):
        simplify(broken, 10)


def test_a_budget_below_a_tetrahedron_is_refused():
    with pytest.raises(ValueError, match="faces"):
        simplify(trimesh.creation.icosphere(), 3)
