"""Meshes and clouds to Open3D and back; without Open3D what is missing and how to get it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trimesh

from onet.errors import DataError, MissingDependency
from onet.geometry.clouds.cloud import PointCloud
from onet.geometry.clouds.memory import take_cloud
from onet.geometry.open3d_io import from_open3d, to_open3d

FAR = np.array([4.5e5, -5.2e6, 321.123456789])  # float32 would move these points by centimetres


def box() -> trimesh.Trimesh:
    mesh = trimesh.creation.box()
    mesh.apply_translation(FAR)
    return mesh


def test_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(MissingDependency, match=r"pip install 'onet\[open3d\]'"):
        to_open3d(box())


def test_a_library_of_the_system_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open3d.py").write_text("raise ImportError('libusb-1.0.so.0: cannot open')\n")
    monkeypatch.delitem(sys.modules, "open3d", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependency, match=r"onet\[open3d\].*libusb.*package manager"):
        to_open3d(box())


class _Attributes(dict[str, Any]):
    """The attributes of a tensor geometry as they look from outside."""

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        return SimpleNamespace(cpu=lambda: SimpleNamespace(numpy=lambda: value))


def _old_kind(mesh: trimesh.Trimesh, colors: Any = ()) -> Any:
    return SimpleNamespace(vertices=mesh.vertices, triangles=mesh.faces, vertex_colors=colors)


def _tensor_kind(mesh: trimesh.Trimesh) -> Any:
    return SimpleNamespace(
        vertex=_Attributes(positions=np.asarray(mesh.vertices)),
        triangle=_Attributes(indices=np.asarray(mesh.faces)),
    )


@pytest.mark.parametrize("make", [_old_kind, _tensor_kind])
def test_what_looks_like_a_mesh_comes_in(make: Any) -> None:
    mesh = from_open3d(make(box()))
    np.testing.assert_array_equal(mesh.vertices, box().vertices)
    np.testing.assert_array_equal(mesh.faces, box().faces)


def test_what_is_refused() -> None:
    mesh = box()
    with pytest.raises(DataError, match="is a ndarray"):
        from_open3d(np.zeros((3, 3)))
    with pytest.raises(DataError, match="no triangles"):
        from_open3d(SimpleNamespace(vertices=mesh.vertices, triangles=[], vertex_colors=()))
    with pytest.raises(DataError, match="name vertices 1 to 8 of 8"):
        from_open3d(
            SimpleNamespace(vertices=mesh.vertices, triangles=mesh.faces + 1, vertex_colors=())
        )
    with pytest.raises(DataError, match="mesh"):
        from_open3d(_old_kind(SimpleNamespace(vertices=mesh.vertices * np.nan, faces=mesh.faces)))


def test_meshes_there_and_back() -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    mesh = box()
    colors = np.arange(24, dtype=np.uint8).reshape(8, 3) * 10
    visual: Any = mesh.visual
    visual.vertex_colors = colors
    out = to_open3d(mesh)
    assert out.is_watertight() and isinstance(out, open3d.geometry.TriangleMesh)
    for kind in (out, open3d.t.geometry.TriangleMesh.from_legacy(out, open3d.core.float64)):
        back: Any = from_open3d(kind)
        np.testing.assert_array_equal(back.vertices, mesh.vertices)
        np.testing.assert_array_equal(back.faces, mesh.faces)
        np.testing.assert_array_equal(back.visual.vertex_colors[:, :3], colors)


def test_colours_of_faces_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("open3d", exc_type=ImportError)
    mesh: Any = box()
    mesh.visual.face_colors = np.full((12, 4), 255, np.uint8)
    with caplog.at_level(logging.WARNING):
        assert not to_open3d(mesh).has_vertex_colors()
    assert "colours (face) are left out" in caplog.text


def test_clouds_there_and_back() -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(50, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    cloud = PointCloud(
        FAR + rng.random((50, 3)), normals, rng.integers(0, 256, (50, 3), dtype=np.uint8)
    )
    out = to_open3d(cloud)
    assert isinstance(out, open3d.geometry.PointCloud)
    for kind in (out, open3d.t.geometry.PointCloud.from_legacy(out, open3d.core.float64)):
        back = take_cloud(kind)
        np.testing.assert_array_equal(back.points, cloud.points)
        np.testing.assert_allclose(back.normals, normals, atol=1e-12)
        np.testing.assert_array_equal(back.colors, cloud.colors)
    with pytest.raises(DataError, match=r"trimesh\.Scene"):
        to_open3d(trimesh.Scene(box()))
