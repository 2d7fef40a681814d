from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from test_extraction import noise_field
from twins.dual_contouring import corner
from twins.marching_cubes import marching_cubes

from onet.geometry.distance import TriangleTree
from onet.geometry.dual_contouring import _halves, dual_contouring, polygons
from onet.geometry.extraction import extract_mesh
from onet.geometry.mesh_lattice import MARGIN, MeshLattice
from onet.geometry.normals import vertex_normals
from onet.geometry.refinement import refine_roots
from onet.geometry.topology import topology


def random_grid_field(seed: int, cells: int):
    """Independent random values on a grid over the box, linear between: ambiguous throughout."""
    values = np.random.default_rng(seed).normal(size=(cells + 1,) * 3)

    def field(points):
        at = (points.astype(np.float64) + 0.55) / 1.1 * cells
        return map_coordinates(values, at.T, order=1, mode="nearest")

    return field, values.astype(np.float32)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 4]))
def test_polygons_are_the_loops_of_the_twin(seed, cells):
    field, values = random_grid_field(seed, cells)
    mesh = extract_mesh(field, resolution=cells)
    lattice = MeshLattice.of(mesh)
    polygon_of, cell = polygons(lattice.coordinates(mesh.vertices), np.asarray(mesh.faces))
    start, axis, _ = lattice.edges(mesh.vertices)
    names = [(tuple(s), a) for s, a in zip((start + 1).tolist(), axis.tolist(), strict=True)]
    found = sorted(
        sorted({names[v] for v in mesh.faces[polygon_of == p].reshape(-1)})
        for p in range(len(cell))
    )
    _, loops = marching_cubes(values)
    assert found == sorted(sorted(loop) for loop in loops)


@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1))
def test_vertices_are_the_least_squares_of_the_twin(seed):
    field = noise_field(seed, 0.5)
    mesh = refine_roots(field, extract_mesh(field, resolution=8))
    lattice = MeshLattice.of(mesh)
    points = lattice.coordinates(mesh.vertices)
    normals, _ = vertex_normals(field, mesh)
    flat = lattice.beyond(mesh.vertices)
    normals = np.where(flat.any(axis=1)[:, None], flat, normals)
    polygon_of, cell = polygons(points, np.asarray(mesh.faces))
    dual = lattice.coordinates(dual_contouring(mesh, field).vertices)
    for p in range(len(cell)):
        at = np.unique(mesh.faces[polygon_of == p])
        low = np.maximum(cell[p] + MARGIN, -MARGIN)
        high = np.minimum(cell[p] + 1 - MARGIN, 8 + MARGIN)
        expected = corner(points[at], normals[at], low, high)
        np.testing.assert_allclose(dual[p], expected, atol=1e-7)


@pytest.mark.slow
@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.floats(-2, 2), st.sampled_from([9, 33]))
def test_solid_for_every_field(seed, bias, resolution):
    field = noise_field(seed, bias)
    mesh = extract_mesh(field, resolution=resolution)
    before, after = topology(mesh), topology(dual_contouring(mesh, field))
    assert after.solid
    assert (after.euler, after.components) == (before.euler, before.components)


@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 6]))
def test_ambiguous_squares_stay_manifold(seed, cells):
    field, _ = random_grid_field(seed, cells)
    mesh = extract_mesh(field, resolution=cells)
    dual = dual_contouring(mesh, field)
    before, after = topology(mesh), topology(dual)
    assert after.watertight and after.manifold and after.oriented
    assert (after.euler, after.components) == (before.euler, before.components)
    assert cells == 3 or dual.metadata["dual_contouring"]["split"] > 0
    assert np.abs(MeshLattice.of(mesh).coordinates(dual.vertices) - cells / 2).max() <= (
        cells / 2 + MARGIN * 1.01
    )


@pytest.mark.parametrize("resolution", [32, 64])
def test_edges_and_corners_are_sharp(resolution):
    turn = trimesh.transformations.random_rotation_matrix(seed=4)[:3, :3]
    half = np.array([0.25, 0.2, 0.3])

    def block(points):
        return 0.3 * (1 - (np.abs(points @ turn) / half).max(axis=1))

    signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, 8).T * half
    edges = [(a, b) for a in signs for b in signs if np.count_nonzero(a != b) == 1]
    along = np.concatenate([a + (b - a) * np.linspace(0, 1, 50)[:, None] for a, b in edges])
    plain = refine_roots(block, extract_mesh(block, resolution=resolution))
    sharp = dual_contouring(plain, block)

    def distances(mesh):
        tree = TriangleTree(mesh)
        return [tree.closest(points @ turn.T)[1].mean() for points in (along, signs)]

    for cut_off, kept in zip(distances(plain), distances(sharp), strict=True):
        assert kept < cut_off / 8
    assert abs(sharp.volume - 8 * half.prod()) < abs(plain.volume - 8 * half.prod()) / 8
    assert topology(sharp).solid and topology(sharp).euler == 2


@pytest.mark.parametrize("shift", range(4))
def test_quads_are_cut_along_the_edge_that_crosses_them(shift):
    roof = np.array([[0, 0, 0], [1, 0, -0.6], [1, 1, 0], [0, 1, -0.6]])  # ridge from 0 to 2
    order = np.roll(np.arange(4), shift)
    quad = order[None]
    for side in ([0.6, -0.6, 1.0], [-0.6, 0.6, 1.0]):  # the normal of one half of it
        halves = _halves(quad, roof, np.array([side]) / np.linalg.norm(side))
        assert all({0, 2} < set(half) for half in halves.tolist())
    # A dart: cut from its inner corner 2, or one triangle lies over the other, face down.
    dart = np.array([[0, 0, 0], [1, 0, 0], [0.2, 0.2, 0], [0, 1, 0.0]])
    halves = _halves(quad, dart, np.array([[0, 0, 1.0]]))
    assert all({0, 2} < set(half) for half in halves.tolist())
    assert all(np.cross(dart[b] - dart[a], dart[c] - dart[a])[2] > 0 for a, b, c in halves)


def test_smooth_surfaces_stay_smooth(torus):
    plain = extract_mesh(torus, resolution=48)
    smooth = dual_contouring(plain, torus)
    assert topology(smooth).solid and topology(smooth).euler == 0
    assert abs(len(smooth.faces) - len(plain.faces)) < 0.01 * len(plain.faces)
    errors = [np.abs(torus(mesh.triangles_center)).max() for mesh in (smooth, plain)]
    assert errors[0] < errors[1]
    told = smooth.metadata["dual_contouring"]
    assert told["split"] == 0 and told["from_faces"] == 0
    assert smooth.metadata["refinement"]["residual_after"] < 1e-6


def test_ends_at_the_box_are_flat_with_sharp_rims():
    def column(points):
        return 0.2 - np.hypot(points[:, 0], points[:, 1])

    mesh = extract_mesh(column, resolution=32)
    dual = dual_contouring(mesh, column)
    assert topology(dual).solid
    radius, height = np.hypot(*dual.vertices[:, :2].T), np.abs(dual.vertices[:, 2])
    on_end = height > 0.55
    assert on_end.sum() > 60 and np.ptp(height[on_end]) < 1e-9
    assert np.abs(radius[on_end].max() - 0.2) < 2e-3  # a rim, not a bevel
    assert np.abs(radius[~on_end] - 0.2).max() < 2e-3


def test_other_meshes_are_refused(sphere):
    with pytest.raises(ValueError, match="extract_mesh"):
        dual_contouring(trimesh.creation.icosphere(), sphere)
    mesh = dual_contouring(extract_mesh(sphere, resolution=32), sphere)
    with pytest.raises(ValueError, match="lattice"):
        dual_contouring(mesh, sphere)
