"""Folders of meshes against folders of true meshes: pairs, rules, tables and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner

import onet
from onet.cli import app
from onet.errors import ConfigError, DataError
from onet.evaluation.folders import BOTH_MADE, MEAN_OF_ITEMS, WITHOUT_FAILED
from onet.evaluation.pairs import find_pairs, method_folders
from onet.records import read_csv

FEW = 2000


def box(*extents: float) -> trimesh.Trimesh:
    return trimesh.creation.box(extents)


def save(mesh: trimesh.Trimesh, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mesh.export(path)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Four boxes in two categories; `equal` has copies in other formats, `small` smaller ones."""
    for number, category in enumerate(("flat", "flat", "tall", "tall")):
        true = box(1, 0.5, 0.2 + 0.1 * number)
        small = true.copy()
        small.apply_scale(0.8)
        save(true, tmp_path / f"truth/{category}/{number}.ply")
        save(true, tmp_path / f"equal/{category}/{number}.{('off', 'obj', 'stl', 'glb')[number]}")
        save(small, tmp_path / f"small/{category}/{number}.ply")
    return tmp_path


def evaluate(root: Path, *methods: str, **options: object):  # type: ignore[no-untyped-def]
    given: dict[str, object] = {"samples": FEW, "out": root / "out"} | options
    return onet.evaluate_folders([root / name for name in methods], root / "truth", **given)  # type: ignore[arg-type]


def test_copies_in_other_formats_score_as_the_truth_does(folders: Path) -> None:
    report = evaluate(folders, "equal", "small")
    for row in report.items:
        assert row["status"] == "ok" and row["closed"] and row["crossings"] == 0
        if row["method"] == "equal":
            assert row["iou"] == 1 and row["surface_hausdorff95"] < 1e-6
            assert row["chamfer_l1"] == pytest.approx(report.noise_floor["chamfer_l1"], rel=0.2)
        else:
            assert row["iou"] == pytest.approx(0.8**3, abs=row["iou_resolution"])
    assert report.mean("equal")["iou"].items == 4
    (difference,) = [row for row in report.paired if row["score"] == "iou"]
    assert difference["better"] == "equal" and difference["higher"] == 4
    assert difference["low"] <= difference["difference"] <= difference["high"]
    (distance,) = [row for row in report.paired if row["score"] == "surface_chamfer_l1"]
    assert distance["better"] == "equal" and distance["difference"] < 0


def test_the_wall_is_in_longest_edges(folders: Path) -> None:
    (row,) = [row for row in evaluate(folders, "equal").items if row["item"] == "flat/0"]
    assert row["thinnest_wall"] == pytest.approx(0.2, rel=1e-5)


def test_missing_and_broken_meshes_count_with_the_worst(folders: Path) -> None:
    (folders / "small/flat/0.ply").unlink()
    (folders / "small/tall/2.ply").write_text("ply\nnothing")
    report = evaluate(folders, "equal", "small")
    bad = {row["item"]: row for row in report.items if row["status"] != "ok"}
    assert {item: row["status"] for item, row in bad.items()} == {
        "flat/0": "missing",
        "tall/2": "failed",
    }
    for row in bad.values():
        assert row["iou"] == 0 and row["chamfer_l1"] == 3**0.5 and row["reason"]
    whole, rest = report.mean("small", MEAN_OF_ITEMS), report.mean("small", WITHOUT_FAILED)
    assert (whole["missing"], whole["failed"], rest["items"]) == (1, 1, 2)
    assert whole["iou"].value == pytest.approx(rest["iou"].value / 2)
    assert "2 of 8 meshes are missing or failed" in report.title
    both = [row for row in report.paired if row["over"] == BOTH_MADE and row["score"] == "iou"]
    assert both[0]["items"] == 2


def test_the_result_is_the_same_again_and_in_processes(folders: Path) -> None:
    first, again = evaluate(folders, "small"), evaluate(folders, "small", workers=2)
    assert first.items == again.items and first.means == again.means
    other = evaluate(folders, "small", seed=1)
    assert other.items != first.items


def test_broken_truth_leaves_the_item_out_for_all(folders: Path) -> None:
    (folders / "truth/flat/0.ply").write_text("solid of nothing")
    report = evaluate(folders, "equal", "small")
    assert set(report.unusable) == {"flat/0"} and len(report.items) == 6
    for item in (folders / "truth").rglob("*.ply"):
        item.write_text("nothing")
    with pytest.raises(DataError, match="none of the 4 items can be used"):
        evaluate(folders, "equal")


def test_files_hold_what_the_report_does(folders: Path) -> None:
    report = evaluate(folders, "equal", "small", units="mm")
    out = folders / "out"
    rows = [row for _, row in read_csv(out / "items.csv")]
    assert len(rows) == len(report.items) == 8
    for text, row in zip(rows, report.items, strict=True):
        assert float(text["iou [fraction]"]) == row["iou"]
        scale = float(text["longest edge [mm]"])
        assert float(text["chamfer_l1 [mm]"]) == pytest.approx(scale * row["chamfer_l1"])
    told = json.loads((out / "evaluation.json").read_text())
    assert told["items"] == 4 and told["samples"] == FEW and len(told["per_item"]) == 8
    means = [row for _, row in read_csv(out / "means.csv")]
    front = next(row for row in means if (row["method"], row["scope"]) == ("small", "items"))
    assert float(front["iou [fraction] low"]) == report.mean("small")["iou"].low
    page = (out / "report.html").read_text()
    assert page.count('class="view"') == 4 * 3 and "http" not in page


def test_names_on_the_page_are_no_code(folders: Path) -> None:
    (folders / "equal").rename(folders / "<script>alert(1)<")
    evaluate(folders, "<script>alert(1)<", "small")
    assert "<script>alert" not in (folders / "out/report.html").read_text()


@pytest.mark.parametrize("name", ["onet2019", "conv2020"])
def test_protocols_fix_what_they_fix(folders: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="takes 100,000"):
        evaluate(folders, "small", protocol=name)
    for item in ("flat/1", "tall/2", "tall/3"):
        (folders / f"truth/{item}.ply").unlink()
    report = evaluate(folders, "small", protocol=name, samples=None)
    (row,) = report.items
    assert row["iou"] == pytest.approx(0.8**3, abs=2 * row["iou_resolution"])
    assert "chamfer_l1_x10" in report.table()[0]
    (folders / "small/flat/0.ply").unlink()
    save(box(1, 1, 1), folders / "small/flat/1.ply")
    save(box(1, 1, 1), folders / "truth/flat/1.ply")
    report = evaluate(folders, "small", protocol=name, samples=None)
    assert report.items[0]["normal_consistency"] == -1


def test_other_options_are_refused(folders: Path) -> None:
    for options in (
        {"protocol": "onet2020"},
        {"align": "affine"},
        {"open_meshes": "guess"},
        {"units": "parsec"},
        {"thresholds": (0.0,)},
        {"samples": 0},
    ):
        with pytest.raises(ConfigError):
            evaluate(folders, "small", **options)


def test_an_open_mesh_that_is_inside_out_is_turned_and_told(tmp_path: Path) -> None:
    box = trimesh.creation.box((1, 1, 1)).subdivide()
    box.update_faces(np.arange(len(box.faces)) > 0)  # open
    for name, turned in (("truth", True), ("made", False), ("turned", True)):
        (tmp_path / name).mkdir()
        mesh = box.copy()
        if turned:
            mesh.invert()
        mesh.export(tmp_path / name / "a.ply")
    report = evaluate(tmp_path, "made", "turned", open_meshes="winding")
    assert [row["iou"] for row in report.items] == [1.0, 1.0]
    told = {row["method"]: " ".join(row["notes"]) for row in report.items}
    assert "the true mesh is inside out" in told["made"] and "it is inside" not in told["made"]
    assert "it is inside out" in told["turned"]


@pytest.mark.parametrize(
    ("rule", "expected"), [("none", None), ("zero", 0.0), ("winding", 1.0), ("parity", 1.0)]
)
def test_open_meshes_go_by_the_rule(folders: Path, rule: str, expected: float | None) -> None:
    sphere = trimesh.creation.icosphere(subdivisions=3)
    save(sphere, folders / "truth/flat/0.ply")
    sphere.update_faces(np.arange(len(sphere.faces)) > 0)
    save(sphere, folders / "small/flat/0.ply")
    report = evaluate(folders, "small", open_meshes=rule)
    row = report.items[0]
    assert row["closed"] is False
    assert row["iou"] == (expected if expected in (None, 0.0) else pytest.approx(1, abs=0.02))
    assert report.mean("small")["iou"].items == (3 if rule == "none" else 4)
    assert ("have no IoU" in report.title) == (rule == "none")


def test_other_frames_are_noticed_and_aligned(folders: Path) -> None:
    pytest.importorskip("small_gicp")
    shape = trimesh.util.concatenate([box(1, 0.5, 0.3), box(0.2, 0.2, 1.1)])
    (folders / "truth/flat/0.ply").unlink()
    save(shape, folders / "truth/flat/0.ply")
    turn = trimesh.transformations.rotation_matrix(0.7, (1, 2, 3))
    turn[:3, 3] = (5, -3, 2)
    moved = shape.copy()
    moved.apply_transform(turn)
    moved.apply_scale(50)
    (folders / "equal/flat/0.off").unlink()
    save(moved, folders / "equal/flat/0.ply")
    first = evaluate(folders, "equal")
    assert any("other units?" in note for note in first.notes)
    row = evaluate(folders, "equal", align="similarity").items[0]
    assert row["surface_chamfer_l1"] < 0.003 < first.items[0]["surface_chamfer_l1"]
    assert row["align_scale"] == pytest.approx(1 / 50, rel=0.01)


# -- pairs ----------------------------------------------------------------------------------------


def test_meshes_in_other_subfolders_are_found_by_name(folders: Path) -> None:
    (folders / "small/flat/0.ply").rename(folders / "small/0.ply")
    methods = method_folders([folders / "small"])
    pairs = find_pairs(methods, folders / "truth")
    assert all(item.meshes["small"] for item in pairs.items) and "1 meshes lie" in pairs.notes[0]


def test_what_belongs_to_nothing_is_told(folders: Path) -> None:
    save(box(1, 1, 1), folders / "small/flat/more.ply")
    pairs = find_pairs(method_folders([folders / "small"]), folders / "truth")
    assert pairs.notes == ["small: 1 meshes belong to no true one: flat/more"]


def test_two_meshes_of_one_name_are_refused(folders: Path) -> None:
    save(box(1, 1, 1), folders / "small/flat/0.obj")
    with pytest.raises(DataError, match="is called like"):
        find_pairs(method_folders([folders / "small"]), folders / "truth")


def test_a_folder_without_any_pair_is_refused_with_names_of_both(folders: Path) -> None:
    save(box(1, 1, 1), folders / "other/shape_pred.ply")
    with pytest.raises(DataError, match=r"shape_pred.*flat/0.*table of pairs"):
        find_pairs(method_folders([folders / "other"]), folders / "truth")


def test_formats_that_are_not_read_fail_and_say_so(folders: Path) -> None:
    (folders / "small/flat/0.ply").rename(folders / "small/flat/0.fbx")
    row = evaluate(folders, "small").items[0]
    assert row["status"] == "failed" and ".fbx" in row["reason"]


def test_folders_of_one_name_get_that_above(folders: Path) -> None:
    (folders / "a").mkdir()
    (folders / "small").rename(folders / "a/meshes")
    (folders / "b").mkdir()
    (folders / "equal").rename(folders / "b/meshes")
    assert list(method_folders([folders / "a/meshes", folders / "b/meshes"])) == [
        "a/meshes",
        "b/meshes",
    ]
    assert list(method_folders([f"mine={folders}/a/meshes"])) == ["mine"]
    with pytest.raises(DataError, match="is taken"):
        method_folders([f"m={folders}/a/meshes", f"m={folders}/b/meshes"])


def test_a_table_of_pairs(folders: Path) -> None:
    table = folders / "pairs.csv"
    table.write_text(
        "item,category,truth,equal,small\n"
        "one,x,flat/0.ply,flat/0.off,tall/2.ply\n"
        "two,x,flat/1.ply,,nowhere.ply\n"
    )
    report = evaluate(folders, "equal", "small", pairs=table)
    status = {(row["item"], row["method"]): row["status"] for row in report.items}
    assert status == {
        ("one", "equal"): "ok",
        ("one", "small"): "ok",
        ("two", "equal"): "missing",
        ("two", "small"): "missing",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("truth\n", "no rows"),
        ("small\nflat/0.ply\n", "no column 'truth'"),
        ("truth,mine\nflat/0.ply,flat/0.ply\n", "no column 'small'"),
        ("truth,small\nflat/0.ply,a\nflat/0.ply,b\n", "twice"),
        ("truth,small\n,a\n", "has no truth"),
    ],
)
def test_tables_that_cannot_be_used(folders: Path, text: str, message: str) -> None:
    (folders / "pairs.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        evaluate(folders, "small", pairs=folders / "pairs.csv")


# -- the command line -----------------------------------------------------------------------------


def run(*words: object) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(app, ["eval", *map(str, words)])
    return done.exit_code, done.output, done.exception


def test_the_command(folders: Path) -> None:
    (folders / "small/flat/0.ply").unlink()
    code, text, _ = run(
        *(f"b={folders}/equal", folders / "small", "--truth", folders / "truth"),
        *("-o", folders / "scores", "--samples", FEW, "--thresholds", "0.05", "--no-solids"),
    )
    assert code == 0 and "f score 5pct" in " ".join(text.split())
    assert "missing: small, flat/0" in text and (folders / "scores/report.html").is_file()
    (folders / "truth/tall/2.ply").write_text("x")
    code, text, _ = run(
        folders / "small", "--truth", folders / "truth", "-o", folders / "s", "--samples", FEW
    )
    assert code == 1 and "left out: tall/2" in text


def test_the_command_without_truth_says_what_is_missing(folders: Path) -> None:
    for words in (("small", "equal"), ("small", "--align", "rigid")):
        code, _, error = run(*words)
        assert code != 0 and isinstance(error, ConfigError) and "--truth" in str(error)
    _, _, error = run(folders / "small")
    assert isinstance(error, DataError) and "--truth" in str(error)


def test_meshes_that_single_precision_has_rounded_are_named(folders: Path) -> None:
    rounded = box(1, 0.5, 0.3)
    rounded.vertices += 4e4  # steps of .004
    rounded.vertices = rounded.vertices.astype(np.float32).astype(float)
    (folders / "truth/flat/0.ply").unlink()
    save(rounded, folders / "truth/flat/0.ply")
    notes = evaluate(folders, "equal").notes
    assert any("1 true meshes are rounded" in n and "double precision" in n for n in notes)
    assert not any("equal: 1 meshes are rounded" in note for note in notes)
