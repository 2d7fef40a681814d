"""Meshes of many scans: which files, what is written, what is said."""

from __future__ import annotations

import csv
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from onet import cli
from onet.errors import CheckpointError, ConfigError, DataError
from onet.geometry.mesh_io import load_mesh
from onet.inference import scan_files as module
from onet.inference.scan_estimate import estimated_seconds
from onet.inference.scan_files import ScanOptions, scan_files
from onet.inference.scan_input import clean_scan
from onet.inference.scan_intervals import Intervals
from onet.inference.scan_output import finish
from onet.inference.scan_sources import find_scans, read_scan


class Balls:
    """In place of a network: a ball round the points; of negative coordinates nothing."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.intervals: Intervals | None = None

    def field(self, points: Any) -> Any:
        frame = clean_scan(points).frame
        return lambda places: 50 * (0.5 - np.linalg.norm(frame.to_unit(places), axis=1))

    def reconstruct(self, points: Any, **options: Any) -> trimesh.Trimesh:
        scan = clean_scan(points)
        self.calls.append({"scan": scan, **options})
        if (scan.points.max(axis=0) < 0).all():
            return finish(trimesh.Trimesh(), scan, options["trim"], options["closed"])
        ball = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
        ball.vertices = scan.frame.to_source(ball.vertices)
        return finish(ball, scan, options["trim"], options["closed"])


@pytest.fixture
def balls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Balls:
    """The network of all scans of a test, and the working directory."""
    network = Balls()
    (tmp_path / "network").write_bytes(b"1")
    monkeypatch.setattr(module, "load_network", lambda path, device: (network, network.intervals))
    monkeypatch.setattr(module, "NETWORK", "network")
    monkeypatch.setattr(module, "resolve_checkpoint", lambda name: tmp_path / "network")
    monkeypatch.chdir(tmp_path)
    return network


def points(count: int = 400) -> np.ndarray:
    ways = np.random.default_rng(0).standard_normal((count, 3))
    return ways / np.linalg.norm(ways, axis=1, keepdims=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good scans and two bad ones."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    np.save(root / "a.npy", points() + np.array([1e6, 0, 0]))
    np.save(root / "sub/a.npy", points())
    trimesh.creation.icosphere(subdivisions=3).export(root / "m.stl")
    (root / "broken.ply").write_text("ply\n")
    np.save(root / "few.npy", points(9))
    (root / "notes.md").write_text("no scan")
    return root


def test_every_scan_has_a_row_and_bad_ones_a_reason(balls: Balls, folder: Path) -> None:
    report = scan_files([folder], "out")
    assert not report.ok and len(report.rows) == 5
    reasons = {row["mesh"]: row["reason"] for row in report.failures}
    assert "broken.ply" in reasons["broken.ply"] and "9 points" in reasons["few.ply"]
    mesh = load_mesh("out/a.ply")
    assert mesh.is_watertight and np.allclose(mesh.bounds.mean(axis=0), [1e6, 0, 0], atol=0.1)
    assert Path("out/sub/a.ply").is_file() and Path("out/m.ply").is_file()
    with open("out/scans.csv", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)].count("ok") == 3


def test_a_second_call_makes_what_is_missing_or_changed(balls: Balls, folder: Path) -> None:
    before = scan_files([folder], "out")
    assert len(balls.calls) == 3
    again = scan_files([folder], "out")
    assert len(balls.calls) == 3 and again.skipped == 3
    assert [{**row, "seconds": 0} for row in again.rows] == [
        {**row, "seconds": 0} for row in before.rows
    ]
    os.unlink("out/m.ply")
    np.save(folder / "a.npy", points(300))
    assert scan_files([folder], "out").skipped == 1 and len(balls.calls) == 5
    scan_files([folder], "out", overwrite=True)
    assert len(balls.calls) == 8


def test_a_cluster_makes_the_same(balls: Balls, folder: Path) -> None:
    from distributed import LocalCluster

    rows = [scan_files([folder], "here").rows]
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        there = cluster.scheduler_address
        rows.append(scan_files([folder], "there", scheduler=there).rows)
        assert scan_files([folder], "there", scheduler=there).skipped == 3
        with pytest.raises(ConfigError, match="is one file"):
            scan_files([folder / "a.npy"], "one.ply", scheduler=there)
    without = [[{**row, "seconds": 0} for row in some] for some in rows]
    assert without[0] == without[1]
    for name in ("a.ply", "sub/a.ply", "m.ply"):
        assert Path("here", name).read_bytes() == Path("there", name).read_bytes()


def test_other_options_are_refused(balls: Balls, folder: Path) -> None:
    scan_files([folder / "a.npy"], "out")
    with pytest.raises(ConfigError, match=r"other options \(seed, trim\)"):
        scan_files([folder / "a.npy"], "out", ScanOptions(trim=2.0, seed=1))
    with pytest.raises(ConfigError, match=r"other options \(format\)"):
        scan_files([folder / "a.npy"], "out", format="glb")
    Path("network").write_bytes(b"2")
    with pytest.raises(ConfigError, match=r"other options \(network\)"):
        scan_files([folder / "a.npy"], "out")
    assert scan_files([folder / "a.npy"], "out", ScanOptions(seed=1), overwrite=True).ok


def test_options_reach_the_network(balls: Balls, folder: Path) -> None:
    options = ScanOptions(64, 0.5, False, 3, (0.0, 0.0, 9.0))
    scan_files([folder / "sub/a.npy"], "out", options)
    (call,) = balls.calls
    assert {key: call[key] for key in ("resolution", "trim", "closed", "seed")} == {
        "resolution": 64,
        "trim": 0.5,
        "closed": False,
        "seed": 3,
    }
    assert (call["scan"].sensors == [0, 0, 9]).all()


@pytest.mark.parametrize("name", ["x.ply", "x.glb", "x.obj", "deep/er/x.stl"])
def test_one_scan_to_one_file(name: str, balls: Balls, folder: Path) -> None:
    report = scan_files([folder / "a.npy"], name, report=True)
    assert report.ok and len(load_mesh(name).faces) == 1280
    told = json.loads(Path(name).with_name("x.report.json").read_text())
    assert told["volume"] > 0 and told["source"].endswith("a.npy")
    assert not Path("scans.csv").exists()


def test_one_file_for_several_scans_is_refused(balls: Balls, folder: Path) -> None:
    with pytest.raises(ConfigError, match="5 scans"):
        scan_files([folder], "x.ply")


def test_no_scan_is_replaced_by_a_mesh(balls: Balls, tmp_path: Path) -> None:
    trimesh.PointCloud(points()).export(tmp_path / "a.ply")
    before = (tmp_path / "a.ply").read_bytes()
    for out in (".", "a.ply", str(tmp_path)):
        with pytest.raises(DataError, match="would replace"):
            scan_files(["a.ply"], out)
    assert (tmp_path / "a.ply").read_bytes() == before
    assert scan_files(["a.ply"], ".", format="glb").ok


def test_no_surface_is_a_failure(balls: Balls, folder: Path) -> None:
    np.save(folder / "none.npy", points() - 9)
    (row,) = scan_files([folder / "none.npy"], "out").rows
    assert row["status"] == "failed" and "no surface" in row["reason"]
    (row,) = scan_files([folder / "a.npy"], "other", ScanOptions(trim=1e-9)).rows
    assert row["status"] == "failed" and "trimmed" in row["reason"]


def test_reports_that_are_asked_for_later(balls: Balls, folder: Path) -> None:
    scan_files([folder / "a.npy"], "out")
    scan_files([folder / "a.npy"], "out", report=True)
    assert Path("out/a.report.json").is_file() and len(balls.calls) == 2
    assert scan_files([folder / "a.npy"], "out", report=True).skipped == 1


def test_reports_have_bounds_where_the_network_has_intervals(balls: Balls, folder: Path) -> None:
    balls.intervals = Intervals((-1, 1), (-1, 1))
    scan_files([folder / "sub/a.npy"], "out", report=True)
    told = json.loads(Path("out/a.report.json").read_text())
    low, high = told["volume_90"]
    assert low < told["volume"] < high and high - low == pytest.approx(0.08 * 4 * np.pi, rel=0.05)


@pytest.mark.parametrize(
    "options", [{"trim": 0.0}, {"trim": -1.0}, {"resolution": 1}, {"resolution": -5}]
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ScanOptions(**options)


def test_a_damaged_table_is_told(balls: Balls, folder: Path) -> None:
    scan_files([folder / "a.npy"], "out")
    table = Path("out/scans.csv")
    table.write_text(table.read_text().replace(",400,", ",many,"))
    with pytest.raises(DataError, match=r"scans.csv.*damaged"):
        scan_files([folder / "a.npy"], "out")


# -- which files ----------------------------------------------------------------------------------


def test_results_among_scans_are_not_taken_as_scans(balls: Balls, folder: Path) -> None:
    wanted = {folder / "a.npy", folder / "sub/a.npy"}
    for name in ("few.npy", "broken.ply", "m.stl"):
        (folder / name).unlink()
    for given in ([folder], [folder], [f"{folder}/*.[cnp]*"]):
        report = scan_files(given, folder)
        assert report.ok and {Path(row["source"]) for row in report.rows} <= wanted
    assert report.skipped == 1 and len(list(folder.glob("**/*.ply"))) == 2
    assert len(find_scans([folder / "a.ply"])) == 1  # who names one means it


def test_patterns_folders_and_files_are_taken_once(balls: Balls, folder: Path) -> None:
    (folder / ".hidden.npy").write_bytes(b"")
    found = find_scans(["in/*.npy", "in", "in/a.npy"])
    assert sorted(str(scan.path) for scan in found) == sorted(
        ["in/a.npy", "in/few.npy", "in/broken.ply", "in/m.stl", "in/sub/a.npy"]
    )
    assert len({scan.name for scan in found}) == 5
    assert len({scan.name for scan in find_scans(["in/a.npy", "in/sub/a.npy"])}) == 2


def test_results_are_no_scans(balls: Balls, folder: Path) -> None:
    scan_files([folder], folder / "out")
    assert len(find_scans([folder])) == 5


@pytest.mark.parametrize("given", [[], ["*.nothing"], ["empty"]])
def test_nothing_to_scan(given: list[str], balls: Balls) -> None:
    Path("empty").mkdir()
    with pytest.raises(DataError):
        scan_files(given, "out")
    assert not Path("out").exists()


def test_a_missing_file_fails_alone(balls: Balls, folder: Path) -> None:
    report = scan_files(["in/a.npy", "in/absent.ply"], "out")
    assert [row["status"] for row in report.rows] == ["ok", "failed"]
    assert "no such file" in report.rows[1]["reason"]


@pytest.mark.parametrize("suffix", ["ply", "stl", "obj", "off"])
def test_a_mesh_gives_its_vertices_with_normals(suffix: str, tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.export(tmp_path / f"a.{suffix}")
    scan = clean_scan(read_scan(tmp_path / f"a.{suffix}"))
    assert len(scan) == len(ball.vertices) and scan.normals is not None
    assert np.abs(scan.normals - scan.points).max() < 0.05
    ball.invert()
    ball.export(tmp_path / f"b.{suffix}")
    inside_out = clean_scan(read_scan(tmp_path / f"b.{suffix}"))
    assert (
        inside_out.normals is not None
        and np.abs(inside_out.normals - inside_out.points).max() < 0.05
    )


def test_faces_that_disagree_give_no_normals(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.faces[::3] = ball.faces[::3, ::-1]
    ball.export(tmp_path / "a.ply")
    assert read_scan(tmp_path / "a.ply").normals is None


# -- the command line -----------------------------------------------------------------------------


def run(*arguments: object) -> int:
    try:
        cli.app([str(a) for a in arguments], standalone_mode=False)
    except Exception as error:
        return int(getattr(error, "exit_code", -1))
    return 0


def test_a_line_for_each_scan(
    balls: Balls, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.app(["scan", str(folder / "a.npy"), "-o", "x.glb"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert shown.startswith("x.glb: 1,280 faces from 400 points, 100% seen, closed")
    cli.app(["scan", "in/*a.npy", "in/sub", "-o", "out", "--json"], standalone_mode=False)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["status"] for row in rows] == ["ok", "ok"] and rows[0]["points"] == 400


def test_failures_are_told_at_the_end(
    balls: Balls, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.app(["scan", "in", "-o", "out"], standalone_mode=False)
    told = capsys.readouterr()
    assert told.err.count("failed:") == 2 and "3 of 5 scans" in told.out


@pytest.mark.parametrize("sensor", ["1,2", "a,b,c", "1,2,3,4", ""])
def test_a_sensor_that_is_none(sensor: str, balls: Balls, folder: Path) -> None:
    with pytest.raises(ConfigError, match="three numbers"):
        cli.app(["scan", "in", "-o", "out", f"--sensor={sensor}"], standalone_mode=False)


def test_another_network_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(CheckpointError, match="no network for scans"):
        scan_files([folder / "a.npy"], tmp_path / "out", network="demo")


def test_long_work_is_announced(
    balls: Balls, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        scan_files([folder / "a.npy"], "out")
        assert "cells along" not in caplog.text
        scan_files([folder / "a.npy"], "other", ScanOptions(resolution=4000))
    assert "400 points, about 4000 cells along" in caplog.text
    scan = clean_scan(points())
    assert estimated_seconds(scan, 500) < estimated_seconds(scan, 1000)
