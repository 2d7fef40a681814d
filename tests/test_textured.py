"""Textured meshes: what is read of them, and what cameras see."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from onet.data.parts.colored_views import write_views_depth
from onet.data.store_folder import POINTS
from onet.data.view_files import points_of_view, read_depth, view_matrices
from onet.geometry.cameras import Camera, look_at, pinhole, ring_cameras
from onet.geometry.color.srgb import to_srgb
from onet.geometry.color.textured import SurfaceMaterial, Texture, TexturedMesh
from onet.geometry.color.textured_files import load_textured
from onet.geometry.color.views import render_textured
from onet.geometry.distance import TriangleTree
from onet.geometry.mesh_io import save_mesh
from onet.geometry.normalization import UnitFrame

PIXELS = np.zeros((2, 2, 4), dtype=np.uint8)
PIXELS[..., 3] = 255
PIXELS[0, 0, 0] = PIXELS[0, 1, 1] = PIXELS[1, 0, 2] = 255  # red, green; blue, black


def square(uv: Any, material: SurfaceMaterial | None = None) -> TexturedMesh:
    """The square from -1 to 1 that faces +z."""
    vertices = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], dtype=float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    material = material or SurfaceMaterial(texture=Texture(PIXELS, nearest=True))
    return TexturedMesh(mesh, [material], np.zeros(2, int), np.asarray(uv, float)[faces])


def front(size: int = 32) -> Camera:
    return Camera(pinhole(size), look_at([0, 0, 4]))


WHOLE = [[0, 0], [1, 0], [1, 1], [0, 1]]


@pytest.mark.parametrize("shift", [0, 1, -3])
def test_coordinates_beyond_the_picture_repeat(shift: int) -> None:
    image = render_textured(square(np.array(WHOLE) + shift), front(), 32).image
    assert image[12, 12].tolist() == [255, 0, 0, 255] and image[12, 20].tolist() == [0, 255, 0, 255]
    assert image[20, 12].tolist() == [0, 0, 255, 255] and image[20, 20].tolist() == [0, 0, 0, 255]
    assert not image[0].any()


@pytest.mark.parametrize(("wrap", "left"), [("repeat", 1), ("clamp", 0), ("mirror", 0)])
def test_wraps(wrap: str, left: int) -> None:
    texture = Texture(PIXELS, (wrap, wrap), nearest=True)
    assert texture.at(np.array([[-0.2, 0.75]]))[0, left] == 1


def test_light_is_averaged_not_its_encoding() -> None:
    stripes = np.zeros((1, 2, 4), dtype=np.uint8)
    stripes[:, 1], stripes[..., 3] = 255, 255
    middle = Texture(stripes, ("clamp", "clamp")).at(np.array([[0.5, 0.5]]))[0]
    assert to_srgb(middle[:3]) == pytest.approx(to_srgb([0.5] * 3))


def test_alpha_hides_or_lets_through() -> None:
    back, clear = square(WHOLE), SurfaceMaterial(np.array([1, 1, 1, 0.5]), None, "blend")
    for material, wanted in (
        (clear, to_srgb(np.array([1, 0.5, 0.5]))),
        (SurfaceMaterial(np.array([1, 1, 1, 0.3]), None, "mask"), [1, 0, 0]),
        (SurfaceMaterial(np.array([1, 1, 1, 0.3])), [1, 1, 1]),
    ):
        pane = square(WHOLE, material)
        pane.mesh.apply_translation([0, 0, 1])
        both = TexturedMesh(
            trimesh.util.concatenate([pane.mesh, back.mesh]),
            [material, back.materials[0]],
            np.array([0, 0, 1, 1]),
            np.concatenate([pane.uv, back.uv]),
        )
        seen = render_textured(both, front(), 32).image[13, 13]
        assert np.abs(seen[:3] / 255 - wanted).max() < 0.01 and seen[3] == 255


@pytest.mark.parametrize("inside", [False, True])
def test_depth_is_that_of_the_surface(inside: bool) -> None:
    """From a camera inside of the mesh too, where rays are cast."""
    mesh = trimesh.creation.icosphere(subdivisions=3)
    material = SurfaceMaterial(np.array([0.5, 0.2, 0.1, 1]))
    textured = TexturedMesh(
        mesh, [material], np.zeros(len(mesh.faces), int), np.zeros((len(mesh.faces), 3, 2))
    )
    camera = Camera(pinhole(24), look_at([0.1, 0.2, 0.3] if inside else [1, 2, 3]))
    view = render_textured(textured, camera, 24)
    there = np.isfinite(view.depth)
    rows, columns = np.nonzero(there)
    rays = np.column_stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    seen = rays @ np.linalg.inv(camera.intrinsics).T * view.depth[there][:, None]
    points = (seen - camera.pose[:, 3]) @ camera.pose[:, :3]
    assert TriangleTree(mesh).closest(points)[1].max() < 1e-5
    assert there.all() == inside and there.any()
    towards = ((camera.centre - points) * view.normals[there]).sum(axis=1)
    assert (towards > 0).all() and np.allclose(np.linalg.norm(view.normals[there], axis=1), 1)


def test_the_published_layout_puts_points_on_the_surface(tmp_path: Path) -> None:
    pytest.importorskip("OpenEXR")
    textured = square(WHOLE)
    textured.mesh.apply_translation([10, 0, -5])
    frame = UnitFrame.of(textured.mesh.vertices)
    np.savez(tmp_path / POINTS, points=np.zeros((1, 3)), loc=frame.loc, scale=frame.scale)
    write_views_depth(tmp_path, textured, ring_cameras(textured.mesh.bounds, 3, 20), 20)
    depth = read_depth(tmp_path / "depth" / "001.exr")
    points = points_of_view(depth, view_matrices(tmp_path, 1), lambda: frame)
    there = np.isfinite(depth)
    assert there.sum() > 20 and np.abs(points[there][:, 2]).max() < 1e-5
    assert np.abs(points[there]).max() < 0.51


def obj_file(folder: Path, picture: str) -> Path:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    folder.mkdir()
    (folder / "p.png").write_bytes(buffer.getvalue())
    (folder.parent / "secret.png").write_bytes(buffer.getvalue())
    (folder / "m.mtl").write_text(f"newmtl a\nKd 1 0 0\nmap_Kd {picture}\nnewmtl b\nKd 0 1 0\n")
    (folder / "a.obj").write_text(
        "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
        "usemtl a\nf 1/1 2/2 3/3\nusemtl b\nf 1 3 4\n"
    )
    return folder / "a.obj"


@pytest.mark.parametrize("picture", ["../secret.png", "/etc/passwd", "gone.png", "a.obj"])
def test_textures_elsewhere_or_broken_are_left_out(
    picture: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read = load_textured(obj_file(tmp_path / "o", picture))
    assert all(material.texture is None for material in read.materials)
    assert "left out" in caplog.text
    assert read.materials[read.material[0]].factor.tolist() == [1, 0, 0, 1]


def test_several_materials_of_an_obj(tmp_path: Path) -> None:
    read = load_textured(obj_file(tmp_path / "o", "p.png"))
    first, second = (read.materials[number] for number in read.material)
    assert first.texture is not None and second.factor.tolist() == [0, 1, 0, 1]
    assert read.uv[0].tolist() == [[0, 0], [1, 0], [1, 1]] and read.painted


@pytest.mark.parametrize("mirrored", [False, True])
def test_glb_with_textures_and_mirrors(mirrored: bool, tmp_path: Path) -> None:
    """A mirrored node shows the mirrored picture, its faces turned back."""
    plain = square(WHOLE)
    visual = trimesh.visual.TextureVisuals(
        uv=np.array(WHOLE, float),
        material=trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(PIXELS)),
    )
    mesh = trimesh.Trimesh(plain.mesh.vertices, plain.mesh.faces, visual=visual, process=False)
    scene = trimesh.Scene()
    scene.add_geometry(mesh, transform=np.diag([-1.0 if mirrored else 1.0, 1, 1, 1]))
    (tmp_path / "a.glb").write_bytes(scene.export(file_type="glb"))
    read = load_textured(tmp_path / "a.glb")
    image = render_textured(read, front(), 32).image
    left, right = image[11, 10, :3].argmax(), image[11, 21, :3].argmax()
    assert (left, right) == ((1, 0) if mirrored else (0, 1))
    assert (read.mesh.face_normals[:, 2] > 0).all()


def test_colours_of_vertices_come_back_from_every_format(tmp_path: Path) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=2)
    colors = np.random.default_rng(0).integers(0, 256, (len(mesh.vertices), 3)).astype(np.uint8)
    mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=colors)
    for suffix in ("ply", "glb"):
        read = load_textured(save_mesh(mesh, tmp_path / f"a.{suffix}"))
        assert read.light is not None
        found = np.round(255 * to_srgb(read.light[..., :3]))
        assert np.array_equal(found, colors[mesh.faces])
