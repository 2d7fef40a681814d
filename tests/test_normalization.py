import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from onet.data.closed_mesh import close_mesh, trust_mesh
from onet.errors import DataError
from onet.geometry.cameras import ring_cameras
from onet.geometry.distance import closest_point
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.geometry.normalization import UnitFrame, used_vertices, without_loose_vertices
from onet.geometry.rendering import render_view
from onet.geometry.simplification import simplify
from onet.geometry.watertight import make_watertight

clouds = arrays(
    np.float64, st.tuples(st.integers(2, 30), st.just(3)), elements=st.floats(-1e3, 1e3, width=32)
)


@settings(max_examples=50, deadline=None)
@given(clouds)
def test_unit_frame_is_centred_with_longest_edge_one_and_invertible(points):
    if not np.ptp(points, axis=0).max() > 1e-6:
        return
    frame = UnitFrame.of(points)
    unit = frame.to_unit(points)
    assert np.isclose(np.ptp(unit, axis=0).max(), 1)
    assert np.allclose(unit.min(axis=0) + unit.max(axis=0), 0, atol=1e-6)
    assert np.allclose(frame.to_source(unit), points, atol=1e-9 * max(1, abs(points).max()))


def test_vertices_that_no_face_uses_set_no_scale():
    box = trimesh.creation.box((2, 4, 6))
    vertices = np.vstack([[[99, 0, 0]], box.vertices, [[np.nan] * 3]])
    loose = trimesh.Trimesh(vertices, box.faces + 1, process=False)
    frame = UnitFrame.of_mesh(loose)
    assert frame.scale == 6 and np.array_equal(frame.loc, [0, 0, 0])
    assert np.array_equal(used_vertices(loose), box.vertices)
    assert without_loose_vertices(box) is box
    kept = without_loose_vertices(loose)
    assert np.array_equal(kept.triangles, box.triangles) and len(loose.vertices) == 10
    with pytest.raises(DataError, match="part: has no faces"):
        UnitFrame.of_mesh(trimesh.Trimesh(np.eye(3), np.zeros((0, 3), int)), "part")


def test_compose_is_one_frame_after_the_other():
    rng = np.random.default_rng(0)
    outer, inner = (UnitFrame(rng.normal(size=3), float(rng.uniform(1, 2))) for _ in range(2))
    points = rng.normal(size=(10, 3))
    both = outer.compose(inner)
    assert np.allclose(both.to_unit(points), inner.to_unit(outer.to_unit(points)))
    assert np.allclose(both.to_source(points), outer.to_source(inner.to_source(points)))


def test_meshes_are_copied_not_moved():
    mesh = trimesh.creation.box((2, 4, 6))
    mesh.apply_translation((1, 2, 3))
    before = mesh.vertices.copy()
    unit = UnitFrame.of(mesh.vertices).mesh_to_unit(mesh)
    assert np.array_equal(mesh.vertices, before)
    assert np.allclose(unit.extents, (1 / 3, 2 / 3, 1))
    assert np.allclose(UnitFrame.of(before).mesh_to_source(unit).vertices, before)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (np.zeros((0, 3)), "shape"),
        (np.zeros((4, 2)), "shape"),
        (np.ones((5, 3)), "extent"),
        (np.array([[0, 0, 0], [1, np.nan, 1.0]]), "1 of 2 points are NaN"),
    ],
)
def test_bad_points_are_refused(points, says):
    with pytest.raises(DataError, match=says) as error:
        UnitFrame.of(points, "shape.ply")
    assert "shape.ply" in str(error.value)


def ball_and_loose():
    """A ball, and the same with vertices that no face uses."""
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.5)
    vertices = np.vstack([[[99, 0, 0]], ball.vertices])
    return ball, trimesh.Trimesh(vertices, ball.faces + 1, process=False)


def test_loose_vertices_change_no_solid():
    ball, loose = ball_and_loose()
    for solid in (close_mesh(loose, "loose", 32), trust_mesh(loose, "loose")):
        assert solid.frame.scale == pytest.approx(1, abs=0.15)
        assert solid.mesh.extents.max() == pytest.approx(1)
    expected = make_watertight(ball, 32, views=20)
    assert np.array_equal(make_watertight(loose, 32, views=20).vertices, expected.vertices)
    assert np.array_equal(simplify(loose, 60).vertices, simplify(ball, 60).vertices)


@pytest.mark.parametrize("far", [99.0, 1e200, np.nan, np.inf])
def test_loose_vertices_change_no_distance_picture_or_file(far, tmp_path):
    ball, loose = ball_and_loose()
    loose.vertices[0] = far
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    assert np.array_equal(closest_point(loose, points)[1], closest_point(ball, points)[1])
    camera = ring_cameras(ball.bounds, 1, 32, np.random.default_rng(0))[0]
    assert np.array_equal(render_view(loose, camera, 32), render_view(ball, camera, 32))
    for suffix in (".obj", ".off"):
        read = load_mesh(save_mesh(loose, tmp_path / f"loose{suffix}"))
        np.testing.assert_allclose(read.triangles, ball.triangles, atol=1e-8)
