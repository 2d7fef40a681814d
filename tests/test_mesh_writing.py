"""What is written is what is read back, in the frame of the mesh."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from onet.errors import DataError
from onet.geometry.color.srgb import LINEAR_OF_BYTE
from onet.geometry.mesh_io import MESH_SUFFIXES, load_mesh, save_mesh
from onet.geometry.mesh_writing import TOLERANCE, Rounding, median_edge, points_ply
from onet.geometry.topology import topology
from onet.geometry.written import save_and_examine

UTM = np.array([450_000.0, 5_400_000.0, 320.0])
EXACT = [suffix for suffix in MESH_SUFFIXES if suffix != ".stl"]


def scan(place=UTM, size=4.0, subdivisions=3) -> trimesh.Trimesh:
    """An object of edges of a few centimetres, none of whose coordinates are round."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions)
    turn = trimesh.transformations.random_rotation_matrix(np.array([0.2, 0.5, 0.7]))
    ball.apply_transform(turn)
    vertices = ball.vertices * [0.5 * size, 0.3 * size, 0.2 * size] + place
    return trimesh.Trimesh(vertices, ball.faces, process=False)


def plain(path) -> trimesh.Trimesh:
    """As trimesh alone reads it."""
    loaded = trimesh.load(path, process=False)
    return loaded.to_mesh() if isinstance(loaded, trimesh.Scene) else loaded


def error(mesh: trimesh.Trimesh, read: trimesh.Trimesh) -> float:
    """The largest way of a vertex, in median edges."""
    assert len(read.vertices) == len(mesh.vertices)
    away = np.linalg.norm(read.vertices - mesh.vertices, axis=1).max()
    return float(away / median_edge(mesh))


@pytest.mark.parametrize("suffix", EXACT)
@pytest.mark.parametrize("read", [load_mesh, plain])
def test_a_scan_at_utm_coordinates_comes_back(tmp_path, caplog, suffix, read):
    mesh = scan()
    with caplog.at_level(logging.WARNING):
        back = read(save_mesh(mesh, tmp_path / f"a{suffix}"))
    assert not caplog.records
    assert error(mesh, back) < TOLERANCE
    assert back.area_faces.min() == pytest.approx(mesh.area_faces.min(), rel=0.01)
    np.testing.assert_array_equal(back.faces, mesh.faces)
    assert topology(back).solid


@given(
    st.sampled_from(EXACT),
    st.floats(-12, 12),
    st.floats(-4, 7),
    st.sampled_from([(1, 0, 0), (0.1, -1, 0), (1, 1, 1)]),
)
def test_any_place_and_size_comes_back_or_is_told(tmp_path_factory, suffix, size, away, direction):
    """The object is `away` decades of its size from the origin."""
    size = 10.0**size
    mesh = scan(np.multiply(direction, size * 10.0**away), size, subdivisions=2)
    path = tmp_path_factory.mktemp("a") / f"a{suffix}"
    assert error(mesh, load_mesh(save_mesh(mesh, path))) < TOLERANCE


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_near_the_origin_files_are_as_ever(tmp_path, suffix):
    mesh = scan(np.array([0.1, 0.2, 0.3]), 1.0)
    digits = 8 - int(np.floor(np.log10(np.ptp(mesh.vertices, axis=0).max())))
    options = {"digits": digits} if suffix in (".obj", ".off") else {}
    expected = mesh.export(file_type=suffix[1:], **options)
    data = save_mesh(mesh, tmp_path / f"a{suffix}").read_bytes()
    assert data == (expected.encode() if isinstance(expected, str) else expected)


def test_stl_says_what_it_loses_and_topology_is_that_of_the_file(tmp_path, caplog):
    mesh = scan(subdivisions=5)
    with caplog.at_level(logging.WARNING):
        state = save_and_examine(mesh, tmp_path / "a.stl")
    assert topology(mesh).solid and not state.manifold
    told = Rounding.of(mesh, mesh.vertices.astype(np.float32).astype(float))
    assert 0.2 < told.moved < 0.3 and told.flattened > 100
    for word in (
        "a.stl",
        f"{told.moved:.2g}",
        f"{told.moved / told.edge:.2g} of an edge",
        f"{told.flattened} of {len(mesh.faces)} faces",
        "PLY, GLB or OBJ",
    ):
        assert word in caplog.text
    for suffix in EXACT:
        assert save_and_examine(mesh, tmp_path / f"a{suffix}") == topology(mesh)


def test_a_glb_too_fine_for_its_size_says_so(tmp_path, caplog):
    ball = scan(np.zeros(3), 0.001, subdivisions=2)
    parts = [ball, ball.copy().apply_translation([0, 5e4, 0])]
    street = trimesh.util.concatenate(parts)
    with caplog.at_level(logging.WARNING):
        save_mesh(street, tmp_path / "a.glb")
    assert "write PLY instead" in caplog.text
    assert error(street, load_mesh(save_mesh(street, tmp_path / "a.ply"))) < TOLERANCE


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_colours_normals_and_attributes_stay(tmp_path, suffix):
    mesh = scan()
    rng = np.random.default_rng(0)
    mesh.visual.vertex_colors = rng.integers(0, 256, (len(mesh.vertices), 4), dtype=np.uint8)
    mesh.vertex_normals = trimesh.unitize(rng.normal(size=mesh.vertices.shape))
    mesh.vertex_attributes["uncertainty"] = rng.random(len(mesh.vertices)).astype(np.float32)
    normals, colors = mesh.vertex_normals.copy(), mesh.visual.vertex_colors.copy()
    back = plain(save_mesh(mesh, tmp_path / f"a{suffix}"))
    assert error(mesh, back) < TOLERANCE
    raw = trimesh.load(tmp_path / f"a{suffix}", process=False)
    part = raw if isinstance(raw, trimesh.Trimesh) else next(iter(raw.geometry.values()))
    np.testing.assert_allclose(part.vertex_normals, normals, atol=1e-6)
    if suffix == ".glb":  # holds amounts of light
        light = LINEAR_OF_BYTE[colors[:, :3]] * 255
        np.testing.assert_allclose(part.visual.vertex_colors[:, :3], light, atol=1)
    else:
        np.testing.assert_array_equal(part.visual.vertex_colors, colors)
    kept = part.vertex_attributes
    if suffix == ".glb":
        np.testing.assert_array_equal(
            kept["_uncertainty"].reshape(-1), mesh.vertex_attributes["uncertainty"]
        )
    else:
        told = part.metadata["_ply_raw"]["vertex"]["data"]["uncertainty"]
        np.testing.assert_array_equal(told.reshape(-1), mesh.vertex_attributes["uncertainty"])


def test_face_colours_and_lists_stay_in_ply(tmp_path):
    mesh = scan()
    rng = np.random.default_rng(0)
    mesh.visual.face_colors = rng.integers(0, 256, (len(mesh.faces), 4), dtype=np.uint8)
    mesh.vertex_attributes["pair"] = rng.random((len(mesh.vertices), 2))
    back = plain(save_mesh(mesh, tmp_path / "a.ply"))
    assert error(mesh, back) == 0
    np.testing.assert_array_equal(back.faces, mesh.faces)
    np.testing.assert_array_equal(back.visual.face_colors, mesh.visual.face_colors)


def test_no_faces_and_bad_vertices(tmp_path):
    for suffix in (".ply", ".obj"):
        save_mesh(trimesh.Trimesh(UTM[None] + np.eye(3), process=False), tmp_path / f"e{suffix}")
    broken = scan()
    broken.vertices[3, 1] = np.nan
    with pytest.raises(DataError, match=r"a\.ply: .* NaN"):
        save_mesh(broken, tmp_path / "a.ply")
    huge = scan(np.full(3, 1e45), 1e44)
    for suffix in (".stl", ".glb"):
        with pytest.raises(DataError, match="beyond single precision"):
            save_mesh(huge, tmp_path / f"a{suffix}")
    assert error(huge, load_mesh(save_mesh(huge, tmp_path / "a.ply"))) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ply", "e.obj", "e.ply"]


def test_a_point_cloud_far_away_keeps_its_points(tmp_path):
    points = scan().vertices
    (tmp_path / "a.ply").write_bytes(points_ply(points))
    np.testing.assert_array_equal(trimesh.load(tmp_path / "a.ply").vertices, points)
    near = points - UTM
    assert points_ply(near) == trimesh.PointCloud(near).export(file_type="ply")
