"""The published table against the ordinary evaluation of the same folder."""

import csv

import numpy as np
import pytest
import trimesh
from test_generate import FRAME, write_item
from test_reconstructor import CONFIG

from onet import cli
from onet.errors import ConfigError, DataError
from onet.evaluation import onet2019
from onet.evaluation.meshes import COUNTS, evaluate_generation
from onet.evaluation.onet2019 import CATEGORIES, EXTRACTION, evaluate_onet2019
from onet.geometry.mesh_io import save_mesh
from onet.inference import generation_folder as folder
from onet.records import read_json, write_json

SAMPLES = 1000
SHAPES = {
    ("03001627", "a"): 0.5,
    ("03001627", "b"): 0.4,
    ("02691156", "c"): 0.45,
    ("gadget", "d"): 0.3,
}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Balls in the place of two chairs, an airplane and a thing of another data set."""
    monkeypatch.setattr(onet2019, "SAMPLES", SAMPLES)
    store, out = tmp_path / "store", tmp_path / "run" / "generation"
    rows = []
    for (category, model), radius in SHAPES.items():
        write_item(store / category / model, count=SAMPLES)
        with (store / category / "test.lst").open("a") as file:
            file.write(f"{model}\n")
        path = f"meshes/{category}/{model}.ply"
        ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
        save_mesh(FRAME.mesh_to_source(ball), out / path)
        row = {"category": category, "model": model, "status": "ok", "mesh": path}
        row |= dict.fromkeys(COUNTS, True) | {"faces": len(ball.faces), "box_contacts": 0}
        rows.append(dict.fromkeys(folder.COLUMNS, "") | row)
    (store / "metadata.yaml").write_text("gadget: {id: gadget, name: Gadget}\n")
    folder.write_results(out, rows)
    settings = {
        "checkpoint": {"path": "x", "sha256": "y"},
        "data": str(store),
        "split": "test",
        "categories": sorted({category for category, _ in SHAPES}),
        "limit": None,
        **EXTRACTION,
        "config": CONFIG.model_dump(mode="json"),
    }
    write_json(out / folder.SETTINGS, settings)
    return out


def test_the_table_is_the_ordinary_one_in_published_names_and_units(results):
    table = evaluate_onet2019(results, samples=SAMPLES, seed=2)
    ordinary = evaluate_generation(results, samples=SAMPLES, seed=2, noise_floor=False)
    of = {row["category"]: row for row in ordinary.categories}
    names = {"Gadget": "gadget", "airplane": "02691156", "chair": "03001627", "mean": "mean"}
    assert [row["category"] for row in table.rows] == list(names)
    for row in table.rows:
        other = of[names[row["category"]]]
        assert row["chamfer_l1_x10"] == pytest.approx(10 * other["chamfer_l1"])
        for key in ("iou", "normal_consistency", "items", "failed"):
            assert row[key] == other[key]
    iou = [row["iou"] for row in table.rows]
    assert iou[-1] == pytest.approx(np.mean(iou[:-1]))  # of categories, not of items
    assert "tenth of the longest edge" in table.title and "11 of its 13" in table.title
    assert "Meshes were made" not in table.title and "Failed" not in table.title


def test_files(results):
    table = evaluate_onet2019(results.parent, samples=SAMPLES)
    with (results / "eval_onet2019.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["chamfer_l1_x10 [longest edge / 10]"]) for row in rows] == [
        row["chamfer_l1_x10"] for row in table.rows
    ]
    told = read_json(results / "eval_onet2019.json")
    assert told == table.settings
    assert told["mean"]["iou"] == table.rows[-1]["iou"] and told["samples"] == SAMPLES
    assert told["published_categories"] == ["airplane", "chair"]
    assert (results / folder.EVAL).is_file() and (results / folder.EVAL_ITEMS).is_file()
    folder.clear(results)
    assert not list(results.glob("eval*"))


def test_what_differs_from_the_publication_is_told(results):
    settings = folder.read_settings(results)
    changed = settings | {"probability": 0.4, "simplify": 5000}
    write_json(results / folder.SETTINGS, changed)
    (results / "meshes" / "gadget" / "d.ply").unlink()
    table = evaluate_onet2019(results, samples=SAMPLES)
    assert table.settings["differences"] == {"probability": [0.4, 0.2], "simplify": [5000, None]}
    assert "probability 0.4 (released: 0.2)" in table.title
    assert "Failed items" in table.title
    gadget, airplane, chair, mean, without = table.rows
    assert gadget["chamfer_l1_x10"] == pytest.approx(10 * 3**0.5)
    assert gadget["normal_consistency"] == -1  # as published, and the rule beside the table says it
    assert "normal consistency -1" in table.title and table.settings["failed"] == 1
    assert table.settings["mean"]["normal_consistency"] == mean["normal_consistency"]
    assert without["category"] == "mean (without failed)" and without["items"] == 3
    for key in ("iou", "chamfer_l1_x10", "normal_consistency"):
        assert without[key] == pytest.approx((airplane[key] + chair[key]) / 2)


@pytest.mark.parametrize(
    ("changes", "word"), [({"split": "val"}, "'val'"), ({"limit": 3}, "3 items only")]
)
def test_a_part_of_the_test_split_is_refused(results, changes, word):
    write_json(results / folder.SETTINGS, folder.read_settings(results) | changes)
    with pytest.raises(DataError, match=word):
        evaluate_onet2019(results, samples=SAMPLES)


def test_other_numbers_of_samples_and_points_are_refused(results, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="samples: 999"):
        evaluate_onet2019(results, samples=999)
    monkeypatch.setattr(onet2019, "SAMPLES", 500)
    with pytest.raises(DataError, match=r"1,000 points, the protocol takes 500"):
        evaluate_onet2019(results, samples=500)
    assert not (results / "eval_onet2019.csv").exists()


def test_folders_without_truth_are_refused(results, tmp_path):
    with pytest.raises(DataError, match=r"generation\.json"):
        evaluate_onet2019(tmp_path, samples=SAMPLES)
    made = folder.read_settings(results)
    del made["split"]
    write_json(results / folder.SETTINGS, made | {"input": "scans"})
    with pytest.raises(DataError, match="no truth"):
        evaluate_onet2019(results, samples=SAMPLES)


def test_command(results, capsys):
    arguments = ["eval", str(results), "--protocol", "onet2019", f"--samples={SAMPLES}"]
    cli.app(arguments, standalone_mode=False)
    shown = capsys.readouterr().out
    assert "chamfer l1 x10" in shown and "airplane" in shown and "11 of its 13" in shown
    assert "report.html" in shown.replace("\n", "")


def test_the_published_numbers():
    from onet.evaluation.onet2019 import SAMPLES as published

    assert published == 100_000
    assert len(CATEGORIES) == 13 and list(CATEGORIES.values()) == sorted(CATEGORIES.values())
