from __future__ import annotations

import warnings

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from test_extraction import noise_field

from onet.errors import FieldError
from onet.geometry.dual_contouring import dual_contouring
from onet.geometry.extraction import extract_mesh
from onet.geometry.mesh_lattice import MARGIN, MeshLattice
from onet.geometry.normals import with_field_normals
from onet.geometry.refinement import refine_roots
from onet.geometry.simplification import simplify
from onet.geometry.topology import topology


def steep(points):
    """A ball of radius 0.4 whose values bend between lattice points."""
    radius = np.linalg.norm(points.astype(np.float64), axis=1)
    return np.exp(-6 * radius) - np.exp(-6 * 0.4)


@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_vertices_reach_the_surface(torus, resolution):
    for field in (torus, steep):
        mesh = extract_mesh(field, resolution=resolution)
        fine = refine_roots(field, mesh)
        told = fine.metadata["refinement"]
        assert told["residual_after"] < told["residual_before"] / 100
        for when, state in (("before", mesh), ("after", fine)):
            residual = np.abs(field(state.vertices.astype(np.float32))).max()
            assert told[f"residual_{when}"] == pytest.approx(residual, rel=1e-6)
        assert told["per_vertex"] < 4 and told["fixed"] == 0
        np.testing.assert_array_equal(fine.faces, mesh.faces)
    error = np.abs(np.linalg.norm(fine.vertices, axis=1) - 0.4)
    assert error.max() < 5e-5 * 1.1 / resolution + 1e-7


def test_every_vertex_is_the_root_that_brent_finds(torus):
    mesh = extract_mesh(torus, resolution=32)
    fine = refine_roots(torus, mesh, tolerance=1e-6)
    lattice = MeshLattice.of(mesh)
    start, axis, _ = lattice.edges(mesh.vertices)
    for vertex, lower, along in list(zip(fine.vertices, start, axis, strict=True))[::17]:
        ends = lattice.origin[along] + lattice.cell * (lower[along] + np.array([0.0, 1.0]))

        def value(at, vertex=vertex, along=along):
            point = vertex.copy()
            point[along] = at
            return torus(point[None])[0]

        assert vertex[along] == pytest.approx(brentq(value, *ends, xtol=1e-12), abs=5e-7)


@pytest.mark.slow
@given(
    st.integers(0, 2**32 - 1),
    st.floats(-2, 2),
    st.sampled_from([9, 33]),
    st.sampled_from(["smooth", "steps", "spikes"]),
)
def test_no_vertex_leaves_its_edge_whatever_the_field(seed, bias, resolution, kind):
    waves = noise_field(seed, bias)
    field = {
        "smooth": waves,
        "steps": lambda points: waves(points) > 0,
        "spikes": lambda points: np.tan(waves(points)),
    }[kind]
    mesh = extract_mesh(field, resolution=resolution, level=0.25)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the field jumps")
        fine = refine_roots(field, mesh)
    lattice = MeshLattice.of(mesh)
    before, after = lattice.edges(mesh.vertices), lattice.edges(fine.vertices)
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1], before[1])
    assert after[2].min() > 0.99 * MARGIN and after[2].max() < 1 - 0.99 * MARGIN
    assert topology(fine) == topology(mesh)
    on_box = lattice.beyond(mesh.vertices).any(axis=1)
    np.testing.assert_array_equal(fine.vertices[on_box], mesh.vertices[on_box])
    assert fine.metadata["refinement"]["fixed"] == on_box.sum()


def test_a_step_is_found_by_bisection(sphere):
    def occupancy(points):
        return sphere(points) > 0

    mesh = extract_mesh(occupancy, resolution=32, level=0.5)
    with pytest.warns(UserWarning, match="jumps over the level at"):
        fine = refine_roots(occupancy, mesh, tolerance=1e-3)
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 0.4).max() > 0.01
    assert np.abs(np.linalg.norm(fine.vertices, axis=1) - 0.4).max() < 2e-3 * 1.1 / 32
    assert fine.metadata["refinement"]["rounds"] <= 12


def test_evaluations_are_counted_and_batched(torus):
    sizes = []

    def recorded(points):
        assert points.dtype == np.float32
        sizes.append(len(points))
        return torus(points)

    mesh = extract_mesh(torus, resolution=48, level=0.02)
    fine = refine_roots(recorded, mesh, batch_size=500)
    assert max(sizes) == 500
    assert sum(sizes) == fine.metadata["refinement"]["evaluations"]
    np.testing.assert_array_equal(refine_roots(torus, mesh).vertices, fine.vertices)
    assert np.abs(torus(fine.vertices) - 0.02).max() < 1e-6
    again = refine_roots(torus, fine)
    assert np.abs(again.vertices - fine.vertices).max() < 1e-4 * 1.1 / 48
    assert again.metadata["refinement"]["evaluations"] < fine.metadata["refinement"]["evaluations"]


def test_a_field_that_changed_its_mind_does_no_harm(torus):
    mesh = extract_mesh(torus, resolution=32)
    for value in (1.0, -1.0):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="the field jumps")
            fine = refine_roots(lambda points, value=value: np.full(len(points), value), mesh)
        assert topology(fine) == topology(mesh)
        MeshLattice.of(mesh).edges(fine.vertices)


def test_boxes_of_other_shapes_and_places(sphere):
    def shifted(points):
        return sphere((points - [100.0, 0.0, -30.0]) / 8)

    box = [[96, -4, -34], [104, 4, -28]]
    mesh = extract_mesh(shifted, box, resolution=40)
    fine = refine_roots(shifted, mesh)
    assert topology(fine).solid and fine.metadata["extraction"]["box_contacts"] > 0
    free = ~MeshLattice.of(mesh).beyond(mesh.vertices).any(axis=1)
    assert np.abs(shifted(fine.vertices[free])).max() < 1e-5
    assert np.abs(shifted(mesh.vertices[free])).max() > 1e-4


def test_other_meshes_are_refused(sphere):
    with pytest.raises(ValueError, match="extract_mesh"):
        refine_roots(sphere, trimesh.creation.icosphere())
    mesh = extract_mesh(sphere, resolution=32)
    with pytest.raises(ValueError, match="no edge of the lattice"):
        refine_roots(sphere, simplify(mesh, 500))
    with pytest.raises(ValueError, match="tolerance"):
        refine_roots(sphere, mesh, tolerance=0)
    with pytest.raises(FieldError, match="NaN"):
        refine_roots(lambda points: np.full(len(points), np.nan), mesh)
    with pytest.warns(UserWarning, match="no surface"):
        empty = extract_mesh(lambda points: -np.ones(len(points)), resolution=8)
    assert len(refine_roots(sphere, empty).faces) == 0


def radius(points):
    return np.linalg.norm(points.astype(np.float64), axis=1)


JUMPS = {
    "boolean": (lambda p: radius(p) < 0.4, 0.0, 1.0),
    "labels": (lambda p: np.where(radius(p) < 0.4, 3, 0), 0.0, 3.0),
    "half": (lambda p: radius(p) < 0.4, 0.5, 0.5),
    "density": (lambda p: np.where(radius(p) < 0.4, np.exp(-radius(p)), 0.0), 0.0, np.exp(-0.4)),
    "almost": (lambda p: np.where(radius(p) < 0.4, 1.0, -1e-6), 0.0, 1.0),
    "inside": (lambda p: np.where(radius(p) < 0.4, 1e-9, -1.0), 0.0, 1.0),
    "slopes": (lambda p: np.where(radius(p) < 0.4, 2 + radius(p), 1 - radius(p)), 1.0, 1.4),
}


@pytest.mark.parametrize("kind", JUMPS)
@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_vertices_go_to_the_jump_and_it_is_told(kind, mode):
    field, level, height = JUMPS[kind]
    mesh = extract_mesh(field, resolution=32, level=level, mode=mode)
    with pytest.warns(UserWarning, match="jumps over the level"):
        fine = refine_roots(field, mesh)
    assert np.abs(radius(fine.vertices) - 0.4).max() < 1e-3 * 1.1 / 32
    told = fine.metadata["refinement"]
    assert told["jumps"] == len(mesh.vertices) and topology(fine) == topology(mesh)
    assert told["residual_after"] == pytest.approx(height, abs=1e-3)


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("power", [1, 2])
def test_a_field_that_only_touches_the_level_does_not_jump(level, power):
    """Rectified: the level itself everywhere outside, or everywhere inside."""
    for side in (1, -1):
        inside = 1e-12 * (side < 0)  # of the second, which is never above the level else

        def field(points, side=side, inside=inside):
            return side * np.maximum(0, side * (0.4 - radius(points))) ** power + level + inside

        mesh = extract_mesh(field, resolution=32, level=level)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fine = refine_roots(field, mesh)
        if side > 0 or power == 1:  # flat over 1e-6 for the square
            assert np.abs(radius(fine.vertices) - 0.4).max() < 1e-3 * 1.1 / 32
        assert fine.metadata["refinement"]["jumps"] == 0
        assert 0 < fine.metadata["refinement"]["residual_after"] < 1e-5


def test_smooth_fields_do_not_jump_however_steep(sphere, torus):
    for field in (sphere, torus, steep, lambda p: np.tanh(500 * sphere(p))):
        mesh = extract_mesh(field, resolution=32)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert refine_roots(field, mesh).metadata["refinement"]["jumps"] == 0


def test_the_field_is_not_asked_out_of_the_box():
    def field(points):
        assert np.abs(points).max() <= 0.55
        return radius(points) < 0.549

    with pytest.warns(UserWarning, match="jumps"):
        refine_roots(field, extract_mesh(field, resolution=32))


@pytest.mark.parametrize("away", [1e3, 1e5, 5e6])
def test_far_from_the_origin_the_root_is_as_exact(away):
    centre = np.array([0.1 * away, away, 0.0])

    def ball(points):
        return 1 - radius(points.astype(np.float64) - centre)

    mesh = extract_mesh(ball, [centre - 1.3, centre + 1.3], resolution=64)
    fine = refine_roots(ball, mesh)
    assert np.abs(radius(fine.vertices - centre) - 1).max() < 1e-4 * 2.6 / 64 + 1e-8
    sharp = dual_contouring(fine, ball)
    assert topology(sharp).solid and np.abs(radius(sharp.vertices - centre) - 1).max() < 2e-3
    normals = with_field_normals(ball, fine).vertex_normals
    np.testing.assert_allclose(normals, fine.vertices - centre, atol=2e-3)


def test_meshes_that_call_their_level_a_threshold_are_refined_as_others(torus):
    mesh = extract_mesh(torus, resolution=24, level=0.02)
    expected = refine_roots(torus, mesh)
    extraction = mesh.metadata["extraction"]
    extraction["threshold"] = extraction.pop("level")
    np.testing.assert_array_equal(refine_roots(torus, mesh).vertices, expected.vertices)
