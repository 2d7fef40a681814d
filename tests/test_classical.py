"""Classical surfaces of scans: what they are told when the library or the scan is missing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh

from onet.errors import ConfigError, DataError, MissingDependency
from onet.geometry.classical import METHODS, ClassicalSettings, _inside_out, reconstruct
from onet.geometry.mesh_io import load_mesh
from onet.pipeline.classical import reconstruct_scans

CENTRE = np.array([1e5, 2e5, 30.0])


def has_open3d() -> bool:
    return importlib.util.find_spec("open3d") is not None


def ball(count: int = 2000) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(count, 3))
    return CENTRE + 2 * points / np.linalg.norm(points, axis=1, keepdims=True)


def test_the_side_of_an_open_mesh_is_told_wherever_it_lies() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=3)
    sphere.update_faces(np.arange(len(sphere.faces)) > 200)
    for shift in (0.0, 7.0, -7.0):
        moved = sphere.copy()
        moved.apply_translation((shift, 0, shift))
        assert not _inside_out(moved, np.asarray(moved.vertices))
        moved.invert()
        assert _inside_out(moved, np.asarray(moved.vertices))


def test_bad_points_are_refused() -> None:
    with pytest.raises(DataError, match="needs 10"):
        reconstruct("poisson", ball(9))
    with pytest.raises(DataError, match="one place"):
        reconstruct("poisson", np.ones((50, 3)))


def test_an_unknown_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ball-pivoting"):
        reconstruct_scans([tmp_path], tmp_path / "out", ["delaunay"])


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    np.save(tmp_path / "a.npy", ball())
    with pytest.raises(MissingDependency, match=r"onet\[open3d\]"):
        reconstruct_scans([tmp_path / "a.npy"], tmp_path / "out")


@pytest.mark.skipif(not has_open3d(), reason="needs Open3D")
def test_a_ball_by_every_method(tmp_path: Path) -> None:
    np.save(tmp_path / "ball.npy", ball())
    np.save(tmp_path / "few.npy", ball(5))
    scans = [tmp_path / "ball.npy", tmp_path / "few.npy"]
    # The circumsphere of any four points of a sphere is the sphere itself, 25 spacings in radius.
    report = reconstruct_scans(scans, tmp_path / "out", settings=ClassicalSettings(alpha=40))
    assert report.meshes == len(METHODS) == len(report.failures)
    for method in METHODS:
        mesh = load_mesh(tmp_path / "out" / method / "ball.ply")
        away = np.linalg.norm(np.asarray(mesh.vertices) - CENTRE, axis=1)
        assert abs(away - 2).max() < 0.2
    assert load_mesh(tmp_path / "out/poisson/ball.ply").volume > 0


@pytest.mark.skipif(not has_open3d(), reason="needs Open3D")
def test_an_alpha_that_is_too_small_is_told() -> None:
    with pytest.raises(DataError, match="larger alpha"):
        reconstruct("alpha-shapes", ball(), settings=ClassicalSettings(alpha=8))
