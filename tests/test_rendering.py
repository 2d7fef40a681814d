from __future__ import annotations

import numpy as np
import pytest
import trimesh

from onet.geometry.rendering import render_mesh, render_points

UNIT = [[-0.5] * 3, [0.5] * 3]
HALF_WIDTH = 0.52 * np.sqrt(3)  # of the picture, in units of the box that fills it


def drawn(image: np.ndarray) -> np.ndarray:
    return np.any(image < 255, axis=2)


def centroid(image: np.ndarray) -> np.ndarray:
    """(right, up) of what is drawn, from the centre of the picture, in pixels."""
    rows, columns = np.nonzero(drawn(image))
    size = len(image)
    return np.array([columns.mean() + 0.5 - size / 2, size / 2 - rows.mean() - 0.5])


def test_nothing_is_white():
    empty = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int), process=False)
    for image in (render_mesh(empty, size=40), render_points(np.zeros((0, 3)), size=40)):
        assert image.shape == (40, 40, 3) and image.dtype == np.uint8 and (image == 255).all()


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (-35, 25), (120, -60), (0, 90)])
def test_the_silhouette_of_a_sphere_is_a_disc(azimuth, elevation):
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.4)
    image = render_mesh(mesh, 200, azimuth, elevation, bounds=UNIT)
    assert image.shape == (200, 200, 3) and image.dtype == np.uint8
    coverage = np.count_nonzero(drawn(image)) / 200**2
    radius = 0.4 / (2 * HALF_WIDTH)
    np.testing.assert_allclose(coverage, np.pi * radius**2, rtol=0.04)
    assert np.abs(centroid(image)).max() < 0.5
    assert len(np.unique(image[drawn(image)], axis=0)) > 50  # shaded, not flat


@pytest.mark.parametrize(
    ("at", "azimuth", "elevation", "expected"),
    [
        ((0.3, 0, 0), 0, 0, (1, 0)),  # azimuth 0 looks along -z: x to the right, y up
        ((0, 0.3, 0), 0, 0, (0, 1)),
        ((0, 0, 0.3), 0, 0, (0, 0)),
        ((0, 0, 0.3), 90, 0, (-1, 0)),  # from +x: z to the left
        ((0, 0, 0.3), 0, 90, (0, -1)),  # from above: z towards the lower edge
    ],
)
def test_the_camera_is_where_it_says(at, azimuth, elevation, expected):
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.1).apply_translation(at)
    shift = 0.3 * 120 / (2 * HALF_WIDTH)
    meshed = render_mesh(ball, 120, azimuth, elevation, bounds=UNIT)
    dots = render_points(ball.vertices, 120, azimuth, elevation, bounds=UNIT)
    for image in (meshed, dots):
        np.testing.assert_allclose(centroid(image), np.array(expected) * shift, atol=1.0)


def test_the_nearer_surface_hides_the_farther_one():
    front = trimesh.creation.box([0.4, 0.4, 0.01]).apply_translation([0, 0, 0.2])
    back = trimesh.creation.icosphere(radius=0.15)
    alone = render_mesh(front, 80, 0, 0, bounds=UNIT)
    both = render_mesh(back + front, 80, 0, 0, bounds=UNIT)
    np.testing.assert_array_equal(alone, both)
    behind = render_mesh(back + front, 80, 180, 0, bounds=UNIT)
    assert (behind != render_mesh(front, 80, 180, 0, bounds=UNIT)).any()


def test_flipped_faces_look_the_same():
    mesh = trimesh.creation.torus(0.35, 0.12)
    flipped = trimesh.Trimesh(mesh.vertices, mesh.faces[:, ::-1], process=False)
    difference = render_mesh(mesh, 100).astype(int) - render_mesh(flipped, 100)
    assert np.abs(difference).max() <= 1


def test_default_bounds_fit_the_object_wherever_it_is():
    mesh = trimesh.creation.box([2.0, 3.0, 1.0])
    moved = mesh.copy().apply_translation([100.0, -20.0, 7.0])
    moved.apply_scale(4.0)
    image = drawn(render_mesh(mesh, 100))
    assert np.mean(image != drawn(render_mesh(moved, 100))) < 0.002
    assert not image[[0, -1]].any() and not image[:, [0, -1]].any()
    assert image.any(axis=0).sum() > 50 or image.any(axis=1).sum() > 50


def test_points_are_drawn_as_dots():
    few = np.random.default_rng(0).uniform(-0.4, 0.4, size=(5, 3))
    image = drawn(render_points(few, 128, bounds=UNIT))
    one = np.count_nonzero(drawn(render_points(few[:1], 128, bounds=UNIT)))
    assert 2 < one < 30
    assert 3 * one < np.count_nonzero(image) <= 6 * one


def test_color_is_that_of_the_caller():
    mesh = trimesh.creation.icosphere()
    for image in (
        render_mesh(mesh, 64, color=(1.0, 0.0, 0.0)),
        render_points(mesh.vertices, 64, color=(1.0, 0.0, 0.0)),
    ):
        red = image[drawn(image)].astype(int)
        assert (red[:, 0] >= red[:, 1]).all() and (red[:, 0] > red[:, 1]).mean() > 0.9
        np.testing.assert_array_equal(red[:, 1], red[:, 2])


def test_each_face_may_have_a_color_of_its_own():
    box = trimesh.creation.box()
    right = box.face_normals[:, 0] > 0.5
    colors = np.where(right[:, None], (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    for azimuth, red in ((90, True), (-90, False)):
        image = render_mesh(box, size=40, azimuth=azimuth, elevation=0, color=colors)
        pixel = image[20, 20]
        assert (pixel[0] > 100) == red and (pixel[2] > 100) != red
    same = render_mesh(box, size=40, color=np.tile((0.2, 0.4, 0.6), (len(box.faces), 1)))
    assert (same == render_mesh(box, size=40, color=(0.2, 0.4, 0.6))).all()


def test_points_beyond_the_bounds_are_cut_off():
    points = np.array([[0.0, 0, 0], [50.0, 0, 0], [0, -50.0, 0]])
    image = render_points(points, 64, 0, 0, bounds=UNIT)
    single = render_points(points[:1], 64, 0, 0, bounds=UNIT)
    np.testing.assert_array_equal(drawn(image), drawn(single))
