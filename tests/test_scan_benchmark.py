"""The benchmark of scans: what it scans, how it scores, and that it goes on where it stopped."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import _scan_truth  # noqa: E402
from benchmarks import scan as benchmark  # noqa: E402
from benchmarks._scan_cells import Cell, cells_of, make_scan, parse_cell  # noqa: E402
from benchmarks._scan_checks import rotation_rows, scale_rows  # noqa: E402
from benchmarks._scan_contender import known_network  # noqa: E402
from benchmarks._scan_items import ScanItem, held_out_objects, scans  # noqa: E402
from benchmarks._scan_oriented import ORIENTED, oriented  # noqa: E402
from benchmarks._scan_peers import Given, Method, missing, peers  # noqa: E402
from benchmarks._scan_pictures import chosen  # noqa: E402
from benchmarks._scan_results import (  # noqa: E402
    Results,
    best_variants,
    interval,
    paired_difference,
    table,
)
from benchmarks._scan_scores import run_method, score  # noqa: E402
from benchmarks._scan_truth import Truth  # noqa: E402
from benchmarks._scan_visible import Sensor, all_around, one_sensor, seen_points  # noqa: E402
from onet.errors import ConfigError, DataError  # noqa: E402

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True)
def _fewer_points(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UNIFORM", "NEAR", "TARGET", "CHUNK"):
        monkeypatch.setattr(_scan_truth, name, 8_000)


def hull(points: np.ndarray, **given: np.ndarray) -> trimesh.Trimesh:
    return trimesh.convex.convex_hull(np.asarray(points))


def truth_of(mesh: trimesh.Trimesh, folder: Path, **options: bool) -> Truth:
    path = folder / "shape.ply"
    mesh.export(path)
    return Truth(ScanItem("scans", "scan", "shape", "test", path), folder / "cache", **options)


def write_manifest(folder: Path, rows: list[tuple[str, str, str]]) -> None:
    with (folder / "manifest.csv").open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["category", "file", "source", "licence", "quality"])
        out.writerows([[c, f"{c}/{k}.ply", "x", lic, q] for k, (c, lic, q) in enumerate(rows)])


def test_objects_are_held_out_and_smaller_draws_are_part_of_larger_ones(tmp_path: Path) -> None:
    rows = [("chair", "CC-BY-3.0", "A")] * 9 + [("chair", "CC0-1.0", "A")] * 9
    rows += [("chair", "CC-BY-3.0", "C")] * 9 + [("lamp", "GPL-2.0", "B")] * 4
    write_manifest(tmp_path, rows)
    five = held_out_objects(tmp_path, 5, ["chair"], seed=3)
    numbers = {int(item.path.stem) for item in five}
    assert len(numbers) == 5 and numbers <= set(range(9))
    assert set(held_out_objects(tmp_path, 2, ["chair"], seed=3)) < set(five)
    assert {i.category for i in held_out_objects(tmp_path, 4, 2, seed=0)} == {"chair", "lamp"}
    with pytest.raises(DataError, match="lamp"):
        held_out_objects(tmp_path, 5, 2, seed=0)
    (tmp_path / "manifest.csv").write_text("file,licence\na.ply,x\n")
    with pytest.raises(DataError, match="category"):
        held_out_objects(tmp_path, 1, 1, seed=0)
    with pytest.raises(DataError, match="no meshes"):
        scans(tmp_path, None, 0)


@pytest.mark.parametrize("text", ["3000", "3000/x", "0/0", "3000/-1", "3000/nan", "9/0/upside"])
def test_other_names_of_cells_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cell"):
        parse_cell(text)


def test_names_of_cells() -> None:
    every = cells_of(["all"])
    assert len(every) == 128 and [parse_cell(cell.name) for cell in every] == every
    table_cells = cells_of(["quick", "table", "quick"])
    assert table_cells[0].name == "3000/0.005" and len(set(table_cells)) == len(table_cells)
    assert set(table_cells) <= set(every)


@given(seeds, st.booleans(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_scan_is_as_its_cell_says(seed: int, outliers: bool, rotated: bool) -> None:
    rng = np.random.default_rng(seed)
    surface = np.column_stack([rng.uniform(-0.5, 0.5, (4000, 2)), np.zeros(4000)])
    normals = np.tile([0.0, 0.0, 1.0], (4000, 1))
    cell = Cell(3000, 0.004, outliers=outliers, rotated=rotated)
    made = make_scan(cell, surface, normals, np.array([0.0, 0.0, 2.0]), rng)
    assert made.points.shape == made.normals.shape == (3000, 3)
    np.testing.assert_allclose(made.rotation @ made.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(made.rotation) > 0
    assert np.array_equal(made.rotation, np.eye(3)) != rotated
    back = made.points @ made.rotation
    moved = np.abs(back[:, 2]) > 6 * 0.004
    assert (moved.mean() > 0.01) == outliers and moved.sum() <= 150
    near = back[~moved] - surface[:3000][~moved]
    assert near[:, 2].std() == pytest.approx(0.004, rel=0.2)
    true = (made.normals @ made.rotation)[:, 2]
    assert (true < 0.999).sum() == pytest.approx(150 if outliers else 0, abs=3)
    np.testing.assert_allclose(made.rotation.T @ made.sensor, [0, 0, 2], atol=1e-12)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_one_sensor_sees_the_near_cap_of_a_ball_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.5)
    sensor = one_sensor(rng)
    points, normals = seen_points(ball, [sensor], 2000, rng)
    height = points @ sensor.towards
    horizon = 0.25 / sensor.distance  # of a ball of radius r: r^2 / distance
    assert height.min() > horizon - 0.03
    # Uniform over the cap: heights are uniform between the horizon and the top.
    assert height.mean() == pytest.approx((0.5 + horizon) / 2, abs=0.02)
    assert (np.einsum("ij,ij->i", normals, points) > 0).mean() > 0.995


def test_sensors_all_around_see_the_outside_alone() -> None:
    outer = trimesh.creation.box([1.0, 0.8, 0.6])
    inner = trimesh.creation.box([0.7, 0.5, 0.3])
    nested = trimesh.util.concatenate([outer, inner])
    points, normals = seen_points(nested, all_around(), 4000, np.random.default_rng(0))
    far = np.abs(points) / [0.5, 0.4, 0.3]
    assert np.allclose(far.max(axis=1), 1)
    assert (np.einsum("ij,ij->i", normals, points) > 0).all()
    shares = [(far[:, axis] > 0.999).mean() for axis in range(3)]
    np.testing.assert_allclose(shares, np.array([0.48, 0.6, 0.8]) / 1.88, atol=0.03)
    inverted = trimesh.Trimesh(nested.vertices, nested.faces[:, ::-1], process=False)
    points, normals = seen_points(inverted, all_around(), 500, np.random.default_rng(0))
    assert (np.einsum("ij,ij->i", normals, points) > 0).all()


def test_a_sensor_that_sees_nothing_is_an_error() -> None:
    triangle = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], process=False)
    with pytest.raises(DataError, match="seen"):
        seen_points(triangle, [Sensor(np.array([0.6, -0.8, 0.0]))], 3, np.random.default_rng(0))


def test_scores_of_known_meshes(tmp_path: Path) -> None:
    truth = truth_of(trimesh.creation.box([2.0, 1.0, 1.0]), tmp_path)  # unit: 1 x 0.5 x 0.5
    item = make_scan(Cell(500, 0.0), *truth.seen(500, False), np.random.default_rng(0))

    def scored(mesh: trimesh.Trimesh | None, parity: bool = False) -> dict[str, object]:
        def run(given: Given) -> trimesh.Trimesh:
            if mesh is None:
                raise RuntimeError("no idea\nat all")
            return mesh

        return score(run_method(Method("m", "", run), item), truth, parity)

    same = scored(trimesh.creation.box([1, 0.5, 0.5]))
    assert same["iou"] == same["iou_near"] == 1 and same["chamfer_l1"] < 0.01
    assert same["closed"] and same["manifold"] and not same["turned"] and not same["failed"]
    half = trimesh.creation.box(bounds=[[0, -0.25, -0.25], [1, 0.25, 0.25]])
    assert scored(half)["iou"] == pytest.approx(1 / 3, abs=0.02)  # half of it is beyond the box
    assert scored(half, parity=True)["iou"] == pytest.approx(1 / 3, abs=0.02)
    huge = trimesh.creation.box([10, 10, 10])
    assert scored(huge)["iou"] == pytest.approx(0.25 / 1000, rel=0.1)
    inverted = trimesh.Trimesh(huge.vertices / 10, huge.faces[:, ::-1], process=False)
    assert scored(inverted)["turned"] and scored(inverted)["iou"] == pytest.approx(0.25, abs=0.02)
    opened = trimesh.Trimesh(half.vertices, half.faces[1:], process=False)
    assert not scored(opened)["closed"] and not scored(opened)["manifold"]
    failed = scored(None)
    assert failed["failed"] and failed["error"] == "RuntimeError: no idea"
    assert failed["iou"] == 0 and failed["chamfer_l1"] == pytest.approx(3**0.5)
    assert scored(trimesh.Trimesh())["error"] == "no surface"


def test_a_truth_that_is_inside_out_is_turned_and_kept(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    truth = truth_of(trimesh.Trimesh(ball.vertices, ball.faces[:, ::-1], process=False), tmp_path)
    points, inside = truth.uniform
    radii = np.linalg.norm(points, axis=1)
    assert inside[radii < 0.48].all() and not inside[radii > 0.5].any() and truth.solid
    truth.item.path.unlink()
    again = Truth(truth.item, truth.cache)
    np.testing.assert_array_equal(again.uniform[1], inside)
    first, more = truth.seen(10, False)[0], truth.seen(8_001, False)[0]
    np.testing.assert_array_equal(more[: len(first)], first)
    open_sheet = trimesh.Trimesh(ball.vertices, ball.faces[:3], process=False)
    assert not truth_of(open_sheet, tmp_path / "cache").solid


def row(item: str, method: str, variant: str, iou: float, **more: object) -> dict[str, object]:
    scores = {"iou_near": iou, "chamfer_l1": 0.1, "f_score_1pct": 0.5, "normal_consistency": 0.9}
    flags = {"turned": False, "closed": True, "manifold": True, "failed": False}
    names = {"item": item, "group": "scans", "category": "scan", "cell": "c"}
    costs = {"seconds": 1.0, "peak_mib": None}
    names |= {"method": method, "variant": variant}
    return {**names, "iou": iou, **scores, **flags, **costs, **more}


def test_table_has_the_best_variant_and_paired_differences() -> None:
    rows = [row(f"i{k}", "Poisson", "depth 6", 0.1 * k) for k in range(5)]
    rows += [row(f"i{k}", "Poisson", "depth 7", 0.1 * k + 0.05) for k in range(5)]
    rows += [row("i0", "Poisson", "depth 8", 1.0)]  # not run on all yet
    rows += [row(f"i{k}", "mine", "", 0.1 * k + 0.15) for k in range(5)]
    assert best_variants(rows)["Poisson"][0]["variant"] == "depth 7"
    lines = {line["method"]: line for line in table(rows, ["scans"], ["c", "other"])}
    assert lines["Poisson"]["variant"] == "depth 7" and lines["Poisson"]["minus_poisson"] == 0
    mine = lines["mine"]
    assert mine["iou"] == pytest.approx(0.35) and mine["items"] == 5
    for key in ("minus_poisson", "minus_poisson_low", "minus_poisson_high"):
        assert mine[key] == pytest.approx(0.1)
    assert mine["iou_low"] < 0.35 < mine["iou_high"]
    assert mine["peak_mib"] is None and mine["closed"] == 1 and mine["failed"] == 0
    assert paired_difference(rows[:5], []) is None


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = [low < 0.5 < high for low, high in (interval(rng.random(40)) for _ in range(100))]
    assert 0.88 <= np.mean(held) <= 1


def test_worst_five_are_among_the_pictures() -> None:
    rows = [row(f"i{k}", "mine", "", k / 30) for k in range(30)]
    picked = chosen(rows, 20, seed=1)
    assert [r["item"] for r in picked[:5]] == [f"i{k}" for k in range(5)]
    assert len({r["item"] for r in picked}) == 20


def test_results_go_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    Results(path, {"seed": 0}).add(row("a", "m", "", 0.5))
    with path.open("a") as stream:
        stream.write('{"item": "b", "ce')
    again = Results(path, {"seed": 0})
    assert set(again.rows) == {("a", "c", "m", "")}
    again.add(row("b", "m", "", 0.25))
    assert len(Results(path, {"seed": 0}).rows) == 2
    assert not Results(path, {"seed": 1}).rows


def test_packages_that_are_not_there_are_named() -> None:
    absent = Method("m", "", lambda given: trimesh.Trimesh(), needs=("no_such_package",))
    assert "pip install no_such_package" in str(missing(absent))
    assert missing(Method("m", "", lambda given: trimesh.Trimesh())) is None


@pytest.mark.parametrize("package", ["open3d", "pymeshlab"])
def test_peers_reconstruct_a_ball(package: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    truth = truth_of(trimesh.creation.icosphere(subdivisions=3), tmp_path)
    item = make_scan(Cell(1500, 0.0), *truth.seen(1500, False), np.random.default_rng(0))
    for method in peers():
        if method.needs == (package,):
            found = score(run_method(method, item), truth, method.parity)
            least = 0.0 if "alpha" in method.variant else 0.9  # a shell, where alpha is small
            assert not found["failed"] and found["iou"] >= least, method


def test_poisson_by_a_network_is_known_by_its_weights(tmp_path: Path) -> None:
    methods = oriented("scan", None)
    assert {m.name for m in methods} == {f"{ORIENTED} scan {known_network('scan', None)[2]}"}
    assert len({m.variant for m in methods}) == len(methods) == 8
    pytest.importorskip("open3d")
    truth = truth_of(trimesh.creation.icosphere(subdivisions=3), tmp_path)
    item = make_scan(Cell(1500, 0.0), *truth.seen(1500, False), np.random.default_rng(0))
    found = score(run_method(methods[0], item), truth, methods[0].parity)
    assert not found["failed"] and found["iou"] > 0.95 and not found["turned"]


def test_checks_see_what_depends_on_the_frame(tmp_path: Path) -> None:
    truth = truth_of(trimesh.creation.box([2.0, 1.0, 1.0]), tmp_path)
    scan = make_scan(Cell(500, 0.0), *truth.seen(500, False), np.random.default_rng(0))
    free = Method("hull", "", lambda given: hull(given.scan.points))

    def aligned(given: Given) -> trimesh.Trimesh:
        points = given.scan.points
        return trimesh.creation.box(bounds=[points.min(axis=0), points.max(axis=0)])

    turns = [r["iou"] for r in rotation_rows(free, scan, truth, 3)]
    assert max(turns) - min(turns) < 0.002 and min(turns) > 0.9
    turns = [r["iou"] for r in rotation_rows(Method("box", "", aligned), scan, truth, 3)]
    assert turns[0] > 0.95 and max(turns) - min(turns) > 0.2
    for line in scale_rows(Method("box", "", aligned), scan, truth):
        assert abs(line["iou_change"]) < 0.001 and line["vertices"] < 1e-9


def test_a_second_start_measures_only_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scans").mkdir()
    trimesh.creation.icosphere(subdivisions=2).export(tmp_path / "scans/ball.ply")
    trimesh.creation.box([2, 1, 1]).export(tmp_path / "scans/box.ply")
    calls = []

    def counted(points: np.ndarray, **given: np.ndarray) -> trimesh.Trimesh:
        calls.append(sorted(given))
        return hull(points)

    monkeypatch.setattr(sys.modules[__name__], "hull_counted", counted, raising=False)
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)

    def start(*more: str) -> None:
        words = ["--scans", str(tmp_path / "scans"), "-o", str(tmp_path / "out")]
        words += ["--function", f"{__name__}:hull_counted", "--methods", "model", *more]
        benchmark._run(parser.parse_args(words))

    start("--cells", "500/0")
    assert len(calls) == 2
    start("--cells", "500/0", "500/0/one-sided", "--give", "sensors", "--label", "seen")
    assert len(calls) == 6 and calls[2:] == [[], [], ["sensors"], ["sensors"]]
    start("--cells", "500/0", "500/0/one-sided", "--give", "sensors", "--label", "seen")
    assert len(calls) == 6
    start("--cells", "500/0", "--scan-limit", "1", "--report")
    assert len(calls) == 6
    told = json.loads((tmp_path / "out/scores.json").read_text())
    assert [(line["method"], line["items"]) for line in told["scores"]] == [("hull_counted", 1)]
    start("--cells", "500/0", "500/0/one-sided", "--give", "sensors", "--label", "seen")
    told = json.loads((tmp_path / "out/scores.json").read_text())
    assert {line["method"] for line in told["scores"]} == {"seen +sensors"}
    whole = [line for line in told["scores"] if line["cell"] == "500/0"]
    assert all(line["iou"] > 0.85 and line["closed"] == 1 for line in whole)
    assert "IoU" in capsys.readouterr().out
    assert list((tmp_path / "out").glob("sheet*.png"))
