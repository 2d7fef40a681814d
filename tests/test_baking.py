"""Baked textures: what they show, at seams too, and the files that they become."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

import onet
from onet import _C
from onet.errors import ConfigError, DataError
from onet.geometry.carried_colors import CloudColors
from onet.geometry.color.atlas import unfold
from onet.geometry.color.baked import BakedMesh
from onet.geometry.color.srgb import to_linear, to_srgb
from onet.geometry.color.textured import SurfaceColors, Texture
from onet.geometry.color.textured_files import load_textured
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.pipeline.bake import bake_file

Array = NDArray[np.float64]


def waves(points: Array) -> Array:
    return 0.5 + 0.5 * np.sin(np.asarray(points) * 9 + [0, 1, 2])


def ball(subdivisions: int = 3) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.5)
    mesh.vertices *= 1 + 0.1 * np.sin(9 * mesh.vertices[:, [0]])
    return mesh


@pytest.fixture(scope="module")
def baked() -> BakedMesh:
    return onet.bake(ball(), waves, 256)


def shown(texture: NDArray[np.uint8], uv: Array) -> Array:
    rgba = np.dstack([texture, np.full(texture.shape[:2], 255, np.uint8)])
    return to_srgb(Texture(rgba, ("clamp", "clamp")).at(uv)[:, :3])


def on_surface(baked: BakedMesh, count: int = 4000) -> tuple[Array, Array]:
    """Random places of the surface and their texture coordinates."""
    rng = np.random.default_rng(0)
    face = rng.integers(len(baked.mesh.faces), size=count)
    weights = rng.dirichlet(np.ones(3), count)
    places = np.einsum("nk,nkc->nc", weights, baked.mesh.vertices[baked.mesh.faces[face]])
    return places, np.einsum("nk,nkc->nc", weights, baked.atlas.uv[baked.atlas.faces[face]])


def test_the_texture_shows_the_field(baked: BakedMesh) -> None:
    places, uv = on_surface(baked)
    assert np.abs(shown(baked.texture, uv) - waves(places)).mean() < 1 / 255
    assert np.array_equal(baked.atlas.source[baked.atlas.faces], baked.mesh.faces)
    assert baked.mesh.is_watertight


def test_charts_overlap_nowhere(baked: BakedMesh) -> None:
    """Overlapping ones would cover fewer texels than their faces have area."""
    corners = baked.atlas.uv[baked.atlas.faces]
    assert corners.min() >= 0 and corners.max() <= 1
    size = 1024
    flat = np.column_stack([baked.atlas.uv * size, np.zeros(len(baked.atlas.uv))])
    _, face = _C.rasterize(flat, np.ascontiguousarray(baked.atlas.faces), size, size)
    sides = (corners[:, 1:] - corners[:, :1]) * size
    assert (face >= 0).sum() == pytest.approx(np.abs(np.linalg.det(sides)).sum() / 2, rel=0.005)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_no_seam_is_seen_at_any_level(baked: BakedMesh, level: int) -> None:
    """Both sides of a seam differ by less than two texels beside one another do elsewhere."""
    mesh, picture = baked.mesh, baked.texture.astype(float)
    for _ in range(level):
        picture = picture.reshape(len(picture) // 2, 2, -1, 2, 3).mean(axis=(1, 3))
    texture = np.round(picture).astype(np.uint8)
    pairs, edges = mesh.face_adjacency, mesh.face_adjacency_edges

    def sides(face: NDArray[np.int64]) -> Array:
        """Coordinates (E, 2, 2) of the edges' ends in a face."""
        corner = [(mesh.faces[face] == edges[:, k, None]).argmax(axis=1) for k in (0, 1)]
        return np.stack([baked.atlas.uv[baked.atlas.faces[face, k]] for k in corner], axis=1)

    first, second = sides(pairs[:, 0]), sides(pairs[:, 1])
    seam = np.abs(first - second).max(axis=(1, 2)) > 1e-9
    assert seam.any() and not seam.all()
    middles = [shown(texture, uv.mean(axis=1)) for uv in (first, second)]
    jumps = np.abs(middles[0] - middles[1])[seam]
    beside = shown(texture, first[~seam].mean(axis=1) + np.array([1 / len(texture), 0]))
    usual = np.abs(middles[0][~seam] - beside)
    assert jumps.mean() < usual.mean() and jumps.max() < usual.max()


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
@pytest.mark.parametrize("shift", [0.0, 1e5])
def test_files_show_it_too(suffix: str, shift: float, tmp_path: Path) -> None:
    mesh = ball()
    mesh.apply_translation([shift, 0, 0])
    baked = onet.bake(mesh, lambda points: waves(points - [shift, 0, 0]), 256)
    path = baked.save(tmp_path / f"a b{suffix}")
    read = load_textured(path)
    assert read.painted and len(read.mesh.faces) == len(mesh.faces)
    assert load_mesh(path).is_watertight == (suffix != ".glb")
    colors = SurfaceColors(read)(mesh.triangles_center)
    wanted = waves(mesh.triangles_center - [shift, 0, 0])
    assert np.abs(colors - wanted).mean() < (0.02 if suffix == ".ply" else 0.005)
    names = {".obj": {"a b.obj", "a b.mtl", "a b.png"}}.get(suffix, {f"a b{suffix}"})
    assert {file.name for file in tmp_path.iterdir()} == names


def test_many_faces_are_simplified_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        baked = onet.bake(ball(), waves, 64, max_faces=500)
    assert baked.report["faces"] <= 500 < baked.report["faces_before"] == 1280
    assert "simplified to 500" in caplog.text


@pytest.mark.parametrize("split", [False, True])
def test_a_ball_that_is_flat_from_face_to_face_has_charts(split: bool) -> None:
    fine = trimesh.creation.icosphere(subdivisions=6)  # one closed plane to xatlas, which crashes
    if split:  # each face has vertices of its own, as files may have them
        soup = np.arange(3 * len(fine.faces)).reshape(-1, 3)
        fine = trimesh.Trimesh(fine.triangles.reshape(-1, 3), soup, process=False)
    atlas = unfold(fine, 512)
    assert 6 <= atlas.charts < 100
    assert (atlas.source[atlas.faces] == fine.faces).all()
    assert atlas.uv.min() >= 0 and atlas.uv.max() <= 1
    corners = atlas.uv[atlas.faces]
    edges = corners[:, 1:] - corners[:, :1]
    assert (np.abs(np.linalg.det(edges)) > 0).all()


def test_faces_without_area_do_no_harm() -> None:
    mesh = ball(2)
    mesh.faces = np.vstack([mesh.faces, [[0, 0, 1], [2, 2, 2]]])
    baked = onet.bake(mesh, waves, 128)
    places, uv = on_surface(baked)
    assert len(baked.atlas.faces) == 322
    assert np.median(np.abs(shown(baked.texture, uv) - waves(places))) < 0.01


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (lambda points: np.full((len(points), 3), np.nan), "NaN"),
        (lambda points: np.full((len(points), 3), 200.0), "outside of 0..1"),
        (lambda points: np.zeros(len(points)), "shape"),
    ],
)
def test_fields_that_are_none(field: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        onet.bake(ball(1), field, 64)  # type: ignore[arg-type]


def test_meshes_and_sizes_that_cannot_be_baked(baked: BakedMesh, tmp_path: Path) -> None:
    empty = trimesh.Trimesh(np.eye(3), np.zeros((0, 3), dtype=int), process=False)
    flat = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], process=False)
    for mesh, message in ((empty, "no faces"), (flat, "has an area")):
        with pytest.raises(DataError, match=message):
            onet.bake(mesh, waves, 64)
    with pytest.raises(ConfigError, match="16 to 8192"):
        onet.bake(ball(1), waves, 10_000)
    with pytest.raises(DataError, match=r"\.stl"):
        baked.save(tmp_path / "a.stl")


def cloud(count: int = 20_000, noise: float = 0.005) -> tuple[Array, NDArray[np.uint8]]:
    points = np.asarray(trimesh.sample.sample_surface(ball(), count, seed=0)[0])
    colors = np.round(255 * waves(points)).astype(np.uint8)
    return points + np.random.default_rng(0).normal(size=points.shape) * noise, colors


def test_a_cloud_is_a_field_that_strays_do_not_disturb() -> None:
    points, colors = cloud()
    places = ball().triangles_center
    assert np.abs(CloudColors(points, colors)(places) - waves(places)).mean() < 0.03
    colors[::20] = [255, 0, 255]
    assert np.abs(CloudColors(points, colors)(places) - waves(places)).mean() < 0.04
    far = CloudColors(points + 1e6, colors)(places + 1e6)
    assert np.abs(far - CloudColors(points, colors)(places)).max() < 0.05


def test_colours_from_one_file_to_another(tmp_path: Path) -> None:
    points, colors = cloud()
    trimesh.PointCloud(points, colors).export(tmp_path / "scan.ply")
    save_mesh(ball(), tmp_path / "plain.ply")
    bake_file(tmp_path / "plain.ply", tmp_path / "scan.ply", tmp_path / "a.glb", 256)
    bake_file(tmp_path / "plain.ply", tmp_path / "a.glb", tmp_path / "b.obj", 256)
    places = ball().triangles_center
    for name in ("a.glb", "b.obj"):
        found = SurfaceColors(load_textured(tmp_path / name))(places)
        assert np.abs(found - waves(places)).mean() < 0.04
    with pytest.raises(DataError, match=r"plain\.ply: has no colours"):
        bake_file(tmp_path / "plain.ply", tmp_path / "plain.ply", tmp_path / "c.glb")
    moved = ball()
    moved.apply_translation([5, 0, 0])
    save_mesh(moved, tmp_path / "moved.ply")
    with pytest.raises(DataError, match="lies beside"):
        bake_file(tmp_path / "moved.ply", tmp_path / "scan.ply", tmp_path / "c.glb")
    with pytest.raises(DataError, match="is read"):
        bake_file(tmp_path / "a.glb", tmp_path / "scan.ply", tmp_path / "a.glb")


def test_srgb_goes_there_and_back() -> None:
    values = np.linspace(0, 1, 1000)
    assert np.allclose(to_srgb(to_linear(values)), values, atol=1e-6)
    assert to_linear(0.5) == pytest.approx(0.21404, abs=1e-5)
