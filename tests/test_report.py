import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from test_evaluation import results  # noqa: F401  (a fixture)

from onet.errors import DataError
from onet.evaluation.meshes import evaluate_generation
from onet.geometry.rendering import render_mesh
from onet.inference import generation_folder as folder
from onet.records import write_json
from onet.report.contact_sheet import contact_sheet, draw_grid
from onet.report.html import _scores, write_report
from onet.report.tables import build_table, format_cell, print_table

SIZE = 64


def test_categories_of_digits_stay_as_they_are(tmp_path):
    write_json(tmp_path / folder.PROTOCOL, {"samples": 100, "seed": 0})
    (tmp_path / folder.EVAL).write_text("category,items\n02691156,1200\nmean,1200\n")
    page = _scores(tmp_path)
    assert "02691156" in page and "2,691,156" not in page and "1,200" in page


def text_of(table):
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


def test_table_shows_title_columns_and_every_row():
    rows = [
        {"category": "chair", "items": 1200, "iou": 0.51239, "ok": True},
        {"category": "mean", "items": 2, "iou": None, "ok": False},
    ]
    text = text_of(build_table(rows, "IoU of [bold] things"))
    for words in ("IoU of [bold] things", "chair", "1,200", "0.5124", "yes", "no", "–", "mean"):
        assert words in text
    assert format_cell(float("nan")) == "nan" and format_cell("") == "–"


def test_print_table_writes_to_standard_output(capsys):
    print_table([{"chamfer_l1": 0.02}], "in units")
    out = capsys.readouterr().out
    assert "chamfer l1" in out and "0.0200" in out
    print_table([], "nothing")
    assert "nothing" in capsys.readouterr().out


def test_grid_puts_each_picture_in_its_place():
    colours = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (9, 9, 9)], [(1, 200, 3), (70, 0, 70)]]
    pictures = [[np.full((SIZE, SIZE, 3), c, np.uint8) for c in row] for row in colours]
    labels = [["a category with a very long name that cannot fit", "b"]] * 3
    sheet = np.asarray(draw_grid(pictures, labels, ["left", "right"], SIZE))
    found = [
        (int(ys.min()), int(xs.min()))
        for row in colours
        for c in row
        for ys, xs in [np.nonzero((sheet == c).all(axis=2))]
        if len(ys) == SIZE * SIZE
    ]
    assert len(found) == 6  # every picture is there whole, no text over it
    assert found == sorted(found)


def test_contact_sheet_shows_items_failures_and_scores(results):  # noqa: F811
    before = contact_sheet(results, size=SIZE)
    assert before == results / folder.CONTACT_SHEET
    plain = np.asarray(Image.open(before))
    assert (plain[:, -SIZE:] < 250).any()  # the truth, drawn from its surface points
    evaluate_generation(results, samples=100)
    scored = np.asarray(Image.open(contact_sheet(results, size=SIZE, out=results / "other.png")))
    assert scored.shape == plain.shape and not np.array_equal(scored, plain)
    two = Image.open(contact_sheet(results.parent, size=SIZE, count=2))
    assert two.height < plain.shape[0] and two.width == plain.shape[1]


def test_a_damaged_mesh_costs_one_picture_and_is_a_failure(results, caplog):  # noqa: F811
    (results / "meshes" / "ball" / "a.ply").write_bytes(b"ply nothing")
    before = contact_sheet(results, size=SIZE, out=results / "before.png")
    assert "not drawn" in caplog.text and "a.ply" in caplog.text and before.is_file()
    evaluate_generation(results, samples=100, noise_floor=False)
    assert "ball/a failed" in caplog.text
    page = write_report(results).read_text()
    assert "2 of 4" in page and "2 of 4 items failed" in page
    assert page.count("a.ply") >= 1 and "a failed item" in page and "sqrt(3)" in page


def test_contact_sheet_draws_the_mesh_that_is_there(results, monkeypatch):  # noqa: F811
    drawn = []

    def spy(mesh, *arguments, **options):
        drawn.append((mesh.extents.max(), np.ptp(options["bounds"], axis=0).max()))
        return render_mesh(mesh, *arguments, **options)

    monkeypatch.setattr("onet.report.contact_sheet.render_mesh", spy)
    contact_sheet(results, size=SIZE)
    sizes, boxes = zip(*drawn, strict=True)
    np.testing.assert_allclose(sizes, [3.0, 2.4, 2.7], rtol=1e-3)  # twice the radii, scale 3
    np.testing.assert_allclose(boxes, 3.0, rtol=0.02)  # all at the scale of the truth


def test_page_is_self_contained_and_complete(results):  # noqa: F811
    evaluate_generation(results, samples=100)
    path = write_report(results, title="balls <& orbs>")
    page = path.read_text()
    assert path == results / folder.REPORT
    assert "balls &lt;&amp; orbs&gt;" in page
    assert not re.search(r"(src|href)=\"(?!data:)|https?://|<script[^>]+src", page)
    assert "prefers-color-scheme: dark" in page
    assert "3 of 4" in page and "no surface" in page and "mean (items)" in page
    assert "longest edge" in page and "100 samples" in page
    encoded = re.search(r"data:image/png;base64,([^\"]+)", page)[1]
    assert base64.b64decode(encoded) == (results / folder.CONTACT_SHEET).read_bytes()
    for tag in ("table", "div", "tr", "td", "th", "main", "h2"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>")


def test_page_without_scores_and_of_scans(results):  # noqa: F811
    settings = folder.read_settings(results)
    del settings["split"], settings["data"]
    write_json(results / folder.SETTINGS, settings | {"input": "my scans"})
    page = write_report(results).read_text()
    assert "my scans" in page and "<h2>Scores" not in page


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"generation.json"):
        write_report(tmp_path)
