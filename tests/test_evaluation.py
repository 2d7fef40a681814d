import csv
import shutil

import numpy as np
import pytest
import trimesh
from test_generate import FRAME, write_item
from test_reconstructor import CONFIG

from onet.data.store import Store
from onet.errors import DataError
from onet.evaluation.meshes import COUNTS, SCORES, evaluate_generation
from onet.geometry.mesh_io import save_mesh
from onet.inference import generation_folder as folder
from onet.metrics.scores import PENALTY
from onet.records import read_json, write_json

SAMPLES = 2000
RADII = {("ball", "a"): 0.5, ("ball", "b"): 0.4, ("ball", "c"): 0.3, ("orb", "d"): 0.45}


def failed(category, model, reason):
    row = dict.fromkeys(folder.COLUMNS, "")
    return row | {"category": category, "model": model, "status": "failed", "reason": reason}


@pytest.fixture
def results(tmp_path):
    """Three balls of known radii against truth of radius 0.5, and one failure, in a run folder."""
    store, out = tmp_path / "store", tmp_path / "run" / "generation"
    rows = []
    for (category, model), radius in RADII.items():
        write_item(store / category / model, count=SAMPLES)
        path = f"meshes/{category}/{model}.ply"
        ball = trimesh.creation.icosphere(subdivisions=4, radius=radius)
        save_mesh(FRAME.mesh_to_source(ball), out / path)
        row = {"category": category, "model": model, "status": "ok", "mesh": path}
        row |= dict.fromkeys(COUNTS, True) | {"faces": len(ball.faces), "box_contacts": 0}
        rows.append(dict.fromkeys(folder.COLUMNS, "") | row)
    rows[2] = failed("ball", "c", "no surface")
    (store / "ball" / "test.lst").write_text("a\nb\nc\n")
    (store / "orb" / "test.lst").write_text("d\n")
    folder.write_results(out, rows)
    settings = {
        "checkpoint": {"path": "x", "sha256": "y"},
        "data": str(store),
        "split": "test",
        "categories": ["ball", "orb"],
        "limit": None,
        "config": CONFIG.model_dump(mode="json"),
    }
    write_json(out / folder.SETTINGS, settings)
    return out


def by_model(report):
    return {row["model"]: row for row in report.items}


def test_scores_are_those_of_the_shapes_in_the_unit_frame(results):
    items = by_model(evaluate_generation(results, samples=SAMPLES))
    floor = 0.5 * np.sqrt(np.pi / SAMPLES)
    assert items["a"]["iou"] > 0.97 and items["a"]["chamfer_l1"] < 2 * floor
    assert items["b"]["iou"] == pytest.approx(0.8**3, abs=0.05)
    assert items["b"]["accuracy"] == pytest.approx(0.1, abs=0.01)
    assert items["d"]["chamfer_l1"] == pytest.approx(0.05, abs=0.02)
    assert items["b"]["normal_consistency"] > 0.98
    assert all(items[m][key] for m in "abd" for key in COUNTS)


def test_failed_items_count_with_the_worst_of_each_score(results):
    report = evaluate_generation(results, samples=SAMPLES)
    failure = by_model(report)["c"]
    assert failure["status"] == "failed" and failure["reason"] == "no surface"
    assert failure["iou"] == 0.0
    assert {key: failure[key] for key in PENALTY} == PENALTY
    assert failure["normal_consistency"] == 0 and failure["normal_consistency_signed"] == -1
    ball = report.categories[0]
    assert (ball["category"], ball["items"], ball["failed"]) == ("ball", 3, 1)
    assert ball["chamfer_l1"] > 3**0.5 / 3
    assert [ball[key] for key in COUNTS] == [2, 2, 2, 2]


def test_the_rule_stands_beside_the_table_and_the_means_without_failed_items(results):
    report = evaluate_generation(results, samples=SAMPLES)
    assert [row["category"] for row in report.table()] == [
        "ball", "orb", "a failed item", "mean (without failed)", "mean", "mean (items)",
        "noise floor",
    ]  # fmt: skip
    counted, without = report.failures
    assert {key: counted[key] for key in PENALTY} == PENALTY and counted["iou"] == 0
    made = [row for row in report.items if row["status"] == "ok"]
    assert (without["items"], without["failed"]) == (3, 0)
    for key in SCORES:
        assert without[key] == pytest.approx(np.mean([row[key] for row in made]))
    assert without["normal_consistency"] > 0.98 > 0.8 > report.categories[-1]["normal_consistency"]
    assert "1 of 4 items failed" in report.title and "sqrt(3)" in report.title
    told = read_json(results / folder.PROTOCOL)
    assert told["failed_rule"] in report.title and told["failed"] == 1
    assert told["failed_counts_as"]["normal_consistency"] == 0
    assert told["failed_counts_as"].keys() == SCORES.keys()
    with (results / folder.EVAL).open(newline="") as file:
        rows = {row["category"]: row for row in csv.DictReader(file)}
    assert float(rows["a failed item"]["normal_consistency [|cos|]"]) == 0
    assert float(rows["mean (without failed)"][folder.IOU]) == without["iou"]


def test_nothing_is_said_of_failed_items_where_none_failed_and_no_mean_where_all_did(results):
    rows = folder.read_results(results)
    kept = [row for key, row in rows.items() if key[1] != "c"]
    made = {"category": "ball", "model": "c", "status": "ok", "mesh": "meshes/ball/c.ply"}
    folder.write_results(results, [*kept, rows["ball", "c"] | made])
    report = evaluate_generation(results, samples=100)
    assert report.failures == () and "0 of 4 items failed" in report.title
    shutil.rmtree(results / "meshes")
    report = evaluate_generation(results, samples=100)
    assert [row["category"] for row in report.failures] == ["a failed item"]
    assert report.mean["normal_consistency"] == 0 and report.mean["iou"] == 0
    assert report.noise_floor is None


@pytest.mark.parametrize(
    ("vertices", "reason"),
    [
        ([[0, 0, 0], [1, 0, 0], [2, 0, 0]], "no area"),
        ([[0, 0, 0], [1e200, 0, 0], [0, 1e200, 0]], "beyond"),
    ],
)
def test_a_mesh_that_cannot_be_compared_is_a_failed_item(results, vertices, reason):
    path = results / "meshes" / "ball" / "a.off"
    numbers = "\n".join(" ".join(f"{x:g}" for x in row) for row in vertices)
    path.write_text(f"OFF\n3 1 0\n{numbers}\n3 0 1 2\n")
    rows = folder.read_results(results)
    rows["ball", "a"]["mesh"] = "meshes/ball/a.off"
    folder.write_results(results, rows.values())
    report = evaluate_generation(results, samples=100)
    failure = by_model(report)["a"]
    assert failure["status"] == "failed" and reason in failure["reason"]
    assert report.categories[-1]["failed"] == 2


@pytest.mark.parametrize("damage", ["row", "file", "content", "table"])
def test_whatever_is_missing_is_a_failed_item(results, damage):
    mesh = results / "meshes" / "ball" / "a.ply"
    if damage == "row":
        rows = folder.read_results(results)
        del rows["ball", "a"]
        folder.write_results(results, rows.values())
    elif damage == "file":
        mesh.unlink()
    elif damage == "content":
        mesh.write_bytes(mesh.read_bytes()[:3000])
    else:
        (results / folder.RESULTS).unlink()
    report = evaluate_generation(results, samples=100)
    assert len(report.items) == 4
    assert by_model(report)["a"]["status"] == "failed" and by_model(report)["a"]["iou"] == 0
    assert by_model(report)["a"]["reason"]


def test_means_over_categories_and_over_items(results):
    report = evaluate_generation(results, samples=SAMPLES)
    ball, orb, mean, of_items = report.categories
    assert [row["category"] for row in report.categories] == [
        "ball", "orb", "mean", "mean (items)",
    ]  # fmt: skip
    for key in SCORES:
        values = [row[key] for row in report.items]
        assert ball[key] == pytest.approx(np.mean(values[:3]))
        assert mean[key] == pytest.approx((ball[key] + orb[key]) / 2)
        assert of_items[key] == pytest.approx(np.mean(values))
    assert mean["items"] == of_items["items"] == 4
    assert report.mean is mean


def test_csv_files_name_units_and_hold_the_same_numbers(results):
    report = evaluate_generation(results, samples=SAMPLES, seed=4)
    with (results / folder.EVAL_ITEMS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["chamfer_l1 [longest edge]"]) for row in rows] == [
        row["chamfer_l1"] for row in report.items
    ]
    assert folder.IOU in rows[0]
    with (results / folder.EVAL).open(newline="") as file:
        assert [row["category"] for row in csv.DictReader(file)][-1] == "mean (items)"
    protocol = read_json(results / folder.PROTOCOL)
    assert (protocol["samples"], protocol["seed"]) == (SAMPLES, 4)
    assert "longest edge" in report.title and "seed 4" in report.title
    assert "1 failed" in report.summary() and "3 watertight" in report.summary()
    assert [row["category"] for row in report.table()][-2:] == ["mean (items)", "noise floor"]
    assert protocol["noise_floor"] == report.noise_floor


def test_noise_floor_is_what_a_perfect_mesh_scores_and_changes_nothing(results):
    report = evaluate_generation(results, samples=SAMPLES)
    perfect = by_model(report)["a"]
    assert report.noise_floor["chamfer_l1"] == pytest.approx(perfect["chamfer_l1"], rel=0.2)
    assert report.noise_floor["normal_consistency"] > 0.98
    shown = report.table()[-1]
    assert shown["chamfer_l1"] == report.noise_floor["chamfer_l1"] and shown["iou"] is None
    without = evaluate_generation(results, samples=SAMPLES, noise_floor=False)
    assert without.items == report.items and without.noise_floor is None
    assert len(without.table()) == len(without.rows) and "Noise floor" not in without.title


def test_repetition_changes_nothing_and_another_seed_the_scores(results):
    one = evaluate_generation(results, samples=500)
    assert evaluate_generation(results, samples=500).items == one.items
    assert evaluate_generation(results, samples=500, seed=1).items != one.items


@pytest.mark.slow
def test_workers_change_nothing(results):
    one = evaluate_generation(results, samples=500)
    assert evaluate_generation(results, samples=500, workers=2).items == one.items


def test_limit_of_the_generation_decides_what_is_expected(results):
    settings = folder.read_settings(results)
    write_json(results / folder.SETTINGS, settings | {"limit": 2})
    report = evaluate_generation(results, samples=100)
    assert [row["model"] for row in report.items] == ["a", "d"]


def test_run_folder_and_moved_data(results, tmp_path):
    moved = shutil.move(tmp_path / "store", tmp_path / "elsewhere")
    report = evaluate_generation(results.parent, data=moved, samples=100)
    assert report.folder == results
    assert Store(moved).categories == ["ball", "orb"]


def test_damaged_truth_is_named(results, tmp_path):
    (tmp_path / "store" / "orb" / "d" / "points.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"orb.d.*onet data check"):
        evaluate_generation(results, samples=100)


def test_folders_without_truth_are_refused(results, tmp_path):
    with pytest.raises(DataError, match=r"generation.json"):
        evaluate_generation(tmp_path)
    checkpoint = {"path": "best.safetensors", "sha256": "0"}
    settings = {"input": "scans", "checkpoint": checkpoint}
    write_json(results / folder.SETTINGS, settings)
    with pytest.raises(DataError, match="no truth"):
        evaluate_generation(results)
