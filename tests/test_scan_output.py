"""What a mesh tells of its scan: distances, what was seen, colours; and what is trimmed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onet.errors import ConfigError
from onet.geometry.carried_colors import carry_colors
from onet.geometry.color.srgb import to_linear
from onet.geometry.mesh_io import save_mesh
from onet.geometry.trimming import with_faces
from onet.inference.scan_input import ScanInput, clean_scan
from onet.inference.scan_measures import measures
from onet.inference.scan_output import DISTANCE, SEEN, finish

Array = NDArray[np.float64]


def ball_points(count: int = 3000) -> Array:
    ways = np.random.default_rng(0).standard_normal((count, 3))
    return 0.5 * ways / np.linalg.norm(ways, axis=1, keepdims=True)


def ball_mesh() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=5, radius=0.5)


def half(scale: float = 1.0, shift: float = 0.0, colors: bool = False) -> ScanInput:
    """A scan of the upper half of the ball."""
    points = ball_points()
    points = points[points[:, 2] > 0]
    rgb = np.round(255 * (points + 0.5)).astype(np.uint8) if colors else None
    return clean_scan(points * scale + shift, colors=rgb)


def attribute(mesh: trimesh.Trimesh, name: str) -> Array:
    return np.asarray(mesh.vertex_attributes[name], dtype=np.float64).reshape(-1)


@given(st.sampled_from([1e-3, 1.0, 1e4]), st.sampled_from([0.0, 1e5]))
def test_what_was_seen(scale: float, shift: float) -> None:
    mesh = ball_mesh()
    mesh.apply_transform(trimesh.transformations.scale_matrix(scale))
    mesh.apply_translation([shift] * 3)
    heights = (mesh.vertices[:, 2] - shift) / scale
    mesh = finish(mesh, half(scale, shift))
    seen, away = attribute(mesh, SEEN), attribute(mesh, DISTANCE)
    assert seen[heights > 0].all() and not seen[heights < -0.15].any()
    assert away[heights > 0].mean() < 1 and (away[heights < -0.15] > 2.5).all()
    assert mesh.metadata["scan"]["seen"] == pytest.approx(seen.mean())
    assert mesh.is_watertight and mesh.metadata["scan"]["removed"] == 0


@pytest.mark.parametrize("trim", [0.02, 0.1, 0.3])
def test_nothing_is_farther_than_the_distance_of_a_trim(trim: float) -> None:
    scan = half()
    mesh = finish(ball_mesh(), scan, trim=trim)
    assert 0 < len(mesh.faces) < len(ball_mesh().faces)
    gaps = np.linalg.norm(mesh.vertices[:, None] - scan.points[None, ::1], axis=2).min(axis=1)
    assert gaps.max() <= trim
    assert mesh.metadata["scan"]["removed"] == len(ball_mesh().faces) - len(mesh.faces)
    assert len(np.unique(mesh.faces)) == len(mesh.vertices) == len(attribute(mesh, SEEN))


def with_bubble(shown: bool) -> trimesh.Trimesh:
    """The ball with a hollow in the middle, and with an island far away or on the scan."""
    hollow = trimesh.creation.icosphere(subdivisions=2, radius=0.1)
    hollow.invert()
    island = trimesh.creation.icosphere(subdivisions=2, radius=0.05)
    island.apply_translation([0, 0, 0.5 if shown else 0.9])
    return trimesh.util.concatenate([ball_mesh(), hollow, island])


@pytest.mark.parametrize("shown", [False, True])
def test_pieces_that_nothing_was_seen_of_are_removed(shown: bool) -> None:
    mesh = finish(with_bubble(shown), half(colors=True))
    assert mesh.is_watertight and mesh.body_count == 1 + shown
    assert mesh.metadata["scan"]["removed"] == 320 * (2 - shown)
    assert 0.45 < mesh.metadata["scan"]["seen"] < 0.65


def test_where_nothing_was_seen_all_pieces_stay() -> None:
    mesh = with_bubble(False)
    mesh.apply_translation([50, 0, 0])
    told = finish(mesh, half()).metadata["scan"]
    assert told["removed"] == 0 and told["seen"] == 0


def test_open_removes_what_was_not_seen() -> None:
    mesh = finish(ball_mesh(), half(), closed=False)
    assert attribute(mesh, SEEN).all() and not mesh.is_watertight
    whole = finish(ball_mesh(), clean_scan(ball_points()), closed=False)
    assert whole.is_watertight and len(whole.faces) == len(ball_mesh().faces)


def test_a_trim_that_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    mesh = finish(ball_mesh(), half(), trim=1e-12)
    assert len(mesh.faces) == 0 and "larger distance" in caplog.text


@pytest.mark.parametrize("trim", [0, -1, np.nan, np.inf])
def test_a_trim_that_is_no_distance(trim: float) -> None:
    with pytest.raises(ConfigError, match="trim"):
        finish(ball_mesh(), half(), trim=trim)


def test_an_empty_mesh_stays_empty() -> None:
    mesh = finish(trimesh.Trimesh(), half(), trim=1.0)
    assert len(mesh.faces) == 0 and mesh.metadata["scan"]["seen"] == 0


@pytest.mark.parametrize("trim", [None, 0.1])
@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_files_keep_attributes_and_colours(suffix: str, trim: float | None, tmp_path: Path) -> None:
    mesh = finish(ball_mesh(), half(colors=True), trim=trim)
    read = trimesh.load(save_mesh(mesh, tmp_path / f"a{suffix}"), force="mesh", process=False)
    colors = np.asarray(read.visual.vertex_colors)[:, :3]
    wanted = np.asarray(mesh.visual.vertex_colors)[:, :3]
    if suffix == ".glb":  # amounts of light, which trimesh leaves as they are
        wanted = np.round(255 * to_linear(wanted / 255))
    assert np.abs(colors - wanted.astype(int)).max() <= 1
    if suffix == ".glb":
        for name in (SEEN, DISTANCE):
            stored = np.asarray(read.vertex_attributes[f"_{name}"]).reshape(-1)
            assert np.array_equal(stored, attribute(mesh, name).astype(np.float32))
    else:
        table = read.metadata["_ply_raw"]["vertex"]["data"]
        assert {SEEN, DISTANCE} <= set(table if isinstance(table, dict) else table.dtype.names)


# -- colours --------------------------------------------------------------------------------------


def test_colours_follow_the_surface() -> None:
    mesh = finish(ball_mesh(), half(colors=True))
    upper = mesh.vertices[:, 2] > 0.05
    wanted = 255 * (mesh.vertices + 0.5)
    found = np.asarray(mesh.visual.vertex_colors)[:, :3]
    assert np.abs(found - wanted)[upper].max() < 16 and np.abs(found - wanted)[upper].mean() < 3


def test_stray_colours_do_not_show() -> None:
    points, rng = ball_points(), np.random.default_rng(1)
    colors = np.full((len(points), 3), 120, np.uint8) + rng.integers(-5, 6, (len(points), 3))
    stray = rng.random(len(points)) < 0.05
    colors[stray] = [255, 0, 255]
    found = carry_colors(ball_mesh().vertices, points, colors.astype(np.uint8)).astype(int)
    assert np.quantile(np.abs(found - 120).max(axis=1), 0.999) < 12


def test_a_border_between_colours_stays_sharp() -> None:
    points = ball_points()
    colors = np.where(points[:, :1] > 0, [250, 10, 10], [10, 10, 250]).astype(np.uint8)
    vertices = np.asarray(ball_mesh().vertices)
    found = carry_colors(vertices, points, colors).astype(int)
    away = np.abs(vertices[:, 0]) > 0.05
    assert np.array_equal(found[away, 0] > 128, vertices[away, 0] > 0)
    assert {tuple(row) for row in found[np.abs(vertices[:, 0]) > 0.1]} == {
        (250, 10, 10),
        (10, 10, 250),
    }


@pytest.mark.parametrize("count", [1, 2, 7])
def test_colours_of_few_or_equal_points(count: int) -> None:
    points = np.zeros((count, 3))
    colors = np.full((count, 3), 77, np.uint8)
    found = carry_colors(np.array([[0.0, 0, 0], [1e-3, 5, 1e9]]), points, colors)
    assert (found == 77).all()


# -- trimming, measures ---------------------------------------------------------------------------


def test_with_faces_keeps_what_vertices_carry() -> None:
    mesh = ball_mesh()
    mesh.vertex_attributes["number"] = np.arange(len(mesh.vertices))
    normals = np.asarray(mesh.vertex_normals)
    kept = np.random.default_rng(0).random(len(mesh.faces)) < 0.1
    part = with_faces(mesh, kept)
    numbers = np.asarray(part.vertex_attributes["number"])
    assert np.array_equal(part.triangles, mesh.triangles[kept])
    assert np.array_equal(part.vertices, mesh.vertices[numbers])
    assert np.array_equal(part.vertex_normals, normals[numbers])


def test_measures_of_a_box() -> None:
    box = trimesh.creation.box((3, 2, 1)).subdivide_to_size(0.1)
    box.apply_transform(trimesh.transformations.random_rotation_matrix(np.array([0.1, 0.5, 0.7])))
    scan = clean_scan(np.asarray(box.sample(5000, seed=0)))
    told = measures(finish(box, scan))
    assert told["size"] == pytest.approx([3, 2, 1], rel=0.02)
    assert told["volume"] == pytest.approx(6) and told["area"] == pytest.approx(22)
    assert told["seen_area"] == pytest.approx(1) and told["points"] == 5000
    cut = measures(finish(ball_mesh(), half(), closed=False))
    assert cut["volume"] is None and 1.5 < cut["area"] < 2.1
    told = measures(finish(ball_mesh(), half()))
    assert 0.5 < told["seen_area"] < 0.65 and told["volume"] == pytest.approx(np.pi / 6, rel=0.01)
