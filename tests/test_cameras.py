import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from onet.errors import DataError
from onet.geometry.cameras import (
    Camera,
    look_at,
    pinhole,
    published_camera,
    random_cameras,
    read_cameras,
    ring_cameras,
    write_cameras,
)

BOX = np.array([[-1.0, 3.0, 0.0], [2.0, 4.0, 5.0]])
angles = st.floats(-180, 180)
heights = st.floats(-80, 80)


def published_pose(azimuth, elevation, ratio):
    """The pose as the published data compose it, from rotations about the axes, z up."""
    a, e = np.radians([-azimuth, -elevation])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    lift = np.array([[np.cos(e), 0, np.sin(e)], [0, 1, 0], [-np.sin(e), 0, np.cos(e)]])
    blender = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])  # a camera on +x: right, up, backwards
    fix = np.diag([1, -1, -1])  # to right, down, forwards
    rotation = fix @ blender @ (turn @ lift).T
    translation = -fix @ blender @ [1.75 * ratio, 0, 0]
    y_up = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    return np.column_stack([rotation @ y_up, translation])


@given(angles, heights, st.floats(0.5, 1.5))
def test_the_published_pose(azimuth, elevation, ratio):
    camera = published_camera(azimuth, elevation, ratio)
    np.testing.assert_allclose(camera.pose, published_pose(azimuth, elevation, ratio), atol=1e-12)
    np.testing.assert_allclose(camera.intrinsics[0], [35 * 137 / 32, 0, 137 / 2])


@given(angles, heights, st.floats(0.1, 10), st.integers(16, 512))
def test_what_is_looked_at_is_in_the_middle_and_up_is_up(azimuth, elevation, ratio, size):
    target = np.array([3.0, -2.0, 7.0])
    camera = published_camera(azimuth, elevation, ratio, size, target, diagonal=2.0)
    rotation = camera.pose[:, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    pixels, depth = camera.project(np.array([[0, 0, 0], [0, 0.01, 0]]) + target)
    np.testing.assert_allclose(pixels[0], size / 2, atol=1e-6 * size)
    assert depth[0] == pytest.approx(3.5 * ratio)
    assert pixels[1, 1] < pixels[0, 1]
    np.testing.assert_allclose(np.linalg.norm(camera.centre - target), 3.5 * ratio)


def test_a_camera_needs_a_direction():
    with pytest.raises(ValueError, match="eye"):
        look_at((1, 2, 3), (1, 2, 3))
    with pytest.raises(ValueError, match="up"):
        look_at((0, 5, 0))


@pytest.mark.parametrize("kind", ["ring", "random"])
def test_the_object_is_wholly_in_every_picture(kind):
    rng = np.random.default_rng(0)
    make = ring_cameras if kind == "ring" else random_cameras
    cameras = make(BOX, 24, 137, rng)
    corners = trimesh.bounds.corners(BOX)
    centre = BOX.mean(axis=0)
    for camera in cameras:
        pixels, depth = camera.project(corners)
        assert (depth > 0).all()
        assert ((pixels > 0) & (pixels < 137)).all()
    sides = np.array([camera.centre - centre for camera in cameras])
    up = np.degrees(np.arcsin(sides[:, 1] / np.linalg.norm(sides, axis=1)))
    turn = np.degrees(np.arctan2(sides[:, 2], sides[:, 0])) % 360
    if kind == "ring":
        np.testing.assert_allclose(turn, np.arange(24) * 15.0, atol=1e-9)
        assert (up >= 25).all()
        assert (up <= 30).all()
    assert len(set(up.round(6))) == 24


def test_resized_pictures_show_the_same():
    camera = published_camera(30, 20, 0.8)
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (50, 3))
    pixels, depth = camera.project(points)
    larger, same = camera.resized(3).project(points)
    np.testing.assert_allclose(larger, 3 * pixels)
    np.testing.assert_array_equal(same, depth)


def test_files_in_the_published_layout(tmp_path):
    cameras = ring_cameras(BOX, 12)
    write_cameras(tmp_path / "cameras.npz", cameras)
    with np.load(tmp_path / "cameras.npz") as archive:
        assert archive["camera_mat_11"].shape == (3, 3)
        assert archive["world_mat_11"].shape == (3, 4)
        assert len(archive.files) == 24
    for before, after in zip(cameras, read_cameras(tmp_path / "cameras.npz"), strict=True):
        np.testing.assert_array_equal(before.pose, after.pose)
        np.testing.assert_array_equal(before.intrinsics, after.intrinsics)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", None])
def test_broken_files_are_named(tmp_path, content):
    path = tmp_path / "cameras.npz"
    if content is None:
        write_cameras(path, [Camera(pinhole(), np.eye(3))])
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"cameras\.npz"):
        read_cameras(path)
    with pytest.raises(DataError, match="no such file"):
        read_cameras(tmp_path / "absent.npz")
