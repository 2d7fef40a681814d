import numpy as np
import pytest
import trimesh

from onet.geometry.cameras import published_camera, random_cameras, ring_cameras
from onet.geometry.mesh_io import load_mesh
from onet.geometry.rendering import on_white, render_view


def blob(seed):
    """A bumpy closed shape away from the origin."""
    mesh = trimesh.creation.icosphere(subdivisions=3)
    rng = np.random.default_rng(seed)
    waves = np.sin(mesh.vertices @ rng.standard_normal((3, 3)) * 3).mean(axis=1, keepdims=True)
    mesh.vertices = mesh.vertices * (1 + 0.3 * waves) * [1, 0.6, 0.3] + [5, -2, 9]
    return mesh


@pytest.mark.parametrize("seed", range(3))
def test_vertices_project_into_the_silhouette_and_reach_its_rim(seed):
    mesh = blob(seed)
    for camera in random_cameras(mesh.bounds, 4, 64, np.random.default_rng(seed)):
        alpha = render_view(mesh, camera, 64)[..., 3]
        pixels, _ = camera.project(mesh.vertices)
        column, row = np.floor(pixels).astype(int).T
        around = np.max([np.roll(alpha, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)], 0)
        assert (around[row, column] > 0).all()
        covered = np.argwhere(alpha > 0)[:, ::-1]
        np.testing.assert_allclose(covered.min(axis=0), pixels.min(axis=0), atol=1.5)
        np.testing.assert_allclose(covered.max(axis=0) + 1, pixels.max(axis=0), atol=1.5)


def test_a_ball_is_drawn_as_large_as_geometry_says():
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.4)
    camera = published_camera(20, 30, 0.8, size=200)
    alpha = render_view(mesh, camera, 200)[..., 3] / 255
    distance, focal = 1.75 * 0.8, 35 * 200 / 32
    radius = focal * 0.4 / np.sqrt(distance**2 - 0.4**2)
    assert alpha.sum() == pytest.approx(np.pi * radius**2, rel=0.01)


def test_pixels_at_the_rim_have_the_colour_of_the_object():
    wall = trimesh.Trimesh([[0, -1, -1], [0, 1, -0.9], [0, 0.3, 1]], [[0, 1, 2]], process=False)
    image = render_view(wall, published_camera(0, 0, 2, 32), 32)
    seen = image[image[..., 3] > 0]
    assert (seen[:, 3] < 255).sum() > 10
    assert np.ptp(seen[:, :3], axis=0).max() <= 1


def test_nearer_faces_hide_farther_ones_in_perspective():
    def wall(x, size, color):
        corners = size * np.array([[0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1]]) + [x, 0, 0]
        mesh = trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)
        mesh.visual.face_colors = np.tile(np.array([*color, 255], np.uint8), (2, 1))
        return mesh

    both = trimesh.util.concatenate([wall(0.2, 0.1, (255, 0, 0)), wall(-0.2, 0.3, (0, 255, 0))])
    front = render_view(both, published_camera(0, 0, 0.8, 64), 64)
    assert front[32, 32, 0] > 100 and front[32, 32, 1] == 0
    assert front[32, 20, 1] > 100 and front[32, 20, 0] == 0
    back = render_view(both, published_camera(180, 0, 0.8, 64), 64)
    assert back[32, 32, 1] > 100 and back[32, 32, 0] == 0


def test_colours_come_from_the_file(tmp_path):
    mesh = trimesh.creation.box()
    grey = render_view(mesh, published_camera(30, 30, 1.2), 40)
    assert (np.ptp(grey[..., :3].astype(int), axis=2) == 0).all()
    mesh.visual.face_colors = np.tile(np.array([[200, 40, 40, 255]], np.uint8), (12, 1))
    mesh.export(tmp_path / "red.ply")
    assert not load_mesh(tmp_path / "red.ply").visual.defined
    red = load_mesh(tmp_path / "red.ply", colors=True)
    seen = render_view(red, published_camera(30, 30, 1.2), 40)
    hit = seen[..., 3] == 255
    assert (seen[hit][:, 0] > 2 * seen[hit][:, 1].astype(int)).all()
    np.testing.assert_array_equal(seen[..., 3], grey[..., 3])


def test_textures_and_unpainted_parts(tmp_path):
    from PIL import Image

    painted = trimesh.creation.box()
    texture = Image.new("RGB", (40, 40), (255, 0, 0))
    texture.paste((0, 0, 255), (20, 0, 40, 40))  # u > 0.5
    u = np.where(painted.vertices[:, 0] > 0, 0.95, 0.2)
    painted.visual = trimesh.visual.TextureVisuals(
        uv=np.stack([u, np.full(8, 0.5)], axis=1), image=texture
    )
    scene = trimesh.Scene([painted, trimesh.creation.icosphere().apply_translation([3, 0, 0])])
    scene.export(tmp_path / "two.glb")
    mesh = load_mesh(tmp_path / "two.glb", colors=True)
    colors = mesh.visual.face_colors
    assert len(colors) == len(mesh.faces)
    blue, red = ((colors[:, :3] == c).all(axis=1) for c in ([0, 0, 255], [255, 0, 0]))
    middles = mesh.triangles_center[:, 0]
    assert blue.sum() + red.sum() == 12  # the box, and not the ball
    assert middles[blue].min() > middles[red].max()
    assert len(np.unique(colors[~blue & ~red], axis=0)) == 1
    np.testing.assert_array_equal(mesh.faces, load_mesh(tmp_path / "two.glb").faces)


def test_white_where_nothing_is():
    mesh = blob(0)
    image = render_view(mesh, ring_cameras(mesh.bounds, 1, 50)[0], 50)
    flat = on_white(image)
    assert (flat[image[..., 3] == 0] == 255).all()
    np.testing.assert_array_equal(flat[image[..., 3] == 255], image[image[..., 3] == 255][:, :3])
    assert ((image[..., 3] > 0) & (image[..., 3] < 255)).any()  # antialiased
    nothing = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int))
    assert not render_view(nothing, published_camera(0, 0, 1), 8).any()
    with pytest.raises(ValueError, match="inside"):
        render_view(trimesh.creation.box(extents=(9, 9, 9)), published_camera(0, 0, 1), 8)
