"""Pages are clicked through in Chromium; skipped where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from browser import Tab, browser
from PIL import Image
from test_evaluation import results  # noqa: F401  (a fixture)

from onet.evaluation.meshes import evaluate_generation
from onet.geometry.mesh_io import save_mesh
from onet.inference.generate import generate
from onet.pipeline.evaluate_folders import evaluate_folders
from onet.report.html import write_report
from onet.viewer import export
from onet.viewer.finding import find_entries

PIXELS = "document.querySelector('{}').toDataURL()"
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
CARDS = "[...document.querySelectorAll('.card')].every(c => c.scrollWidth <= c.clientWidth)"
COLUMN = "[...document.querySelectorAll('.items tr')].slice(1).map(r => r.cells[{}].textContent)"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def look(tab: Tab, page: Path, width: int = 1200) -> None:
    """Open a page, which asks for nothing but itself and says nothing of errors."""
    tab.asked.clear()
    tab.errors.clear()
    tab.open(page.resolve().as_uri(), width)
    assert {url.partition(":")[0] for url in tab.asked} <= {"file", "data", "blob"}
    assert tab.errors == []


def downloaded(tab: Tab, folder: Path, suffix: str) -> Path:
    end = time.monotonic() + 20
    while not (found := list(folder.glob(f"*{suffix}"))):
        tab.value("1")
        assert time.monotonic() < end
        time.sleep(0.05)
    return found[0]


def test_the_page_of_a_generation(tab: Tab, results: Path) -> None:  # noqa: F811
    evaluate_generation(results, samples=300)
    page = write_report(results)
    for width in (1200, 400):
        look(tab, page, width)
        assert tab.value(FITS)
        assert tab.value("document.querySelectorAll('.chart rect').length") > 20
        drawn = tab.value("[...document.querySelectorAll('canvas.view')].map(v => v.dataset.drawn)")
        assert len(drawn) >= 5 and all(drawn)
    look(tab, page)
    assert tab.value(CARDS)
    assert "a failed item" in tab.value("document.querySelector('table').textContent")
    for ways in (1, -1):  # what failed is the lowest IoU of all
        tab.click(".items th:nth-child(3) button")
        numbers = [float(text) for text in tab.value(COLUMN.format(2))]
        assert numbers == sorted(numbers)[::ways] and len(numbers) == 4
    one = "canvas[data-group='2']"
    other = f"figure + figure {one}"
    before = tab.value(PIXELS.format(other).replace("'2'", '"2"'))
    tab.drag(one, 80, 30)
    assert tab.value(PIXELS.format(other).replace("'2'", '"2"')) != before  # they turn together


def test_the_page_of_a_comparison(tab: Tab, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, noise in {"truth": 0.0, "fine": 0.002, "rough": 0.05}.items():
        for number in range(3):
            mesh = trimesh.creation.icosphere(subdivisions=2, radius=1 + number)
            mesh.vertices += noise * rng.standard_normal(mesh.vertices.shape)
            save_mesh(mesh, tmp_path / name / f"{number}.ply")
    methods = [tmp_path / "fine", tmp_path / "rough"]
    evaluate_folders(methods, tmp_path / "truth", tmp_path / "out", samples=300)
    for width in (1200, 400):
        look(tab, tmp_path / "out" / "report.html", width)
        assert tab.value(FITS)
    look(tab, tmp_path / "out" / "report.html")
    assert tab.value(CARDS)
    tab.click(".items th:nth-child(3) button")
    assert tab.value(COLUMN.format(2)) == ["fine"] * 3 + ["rough"] * 3
    tab.click(".items th:nth-child(5) button")
    numbers = [float(text) for text in tab.value(COLUMN.format(4))]
    assert numbers == sorted(numbers) and len(set(numbers)) > 1


def test_pictures_alone_can_be_chosen(tab: Tab, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(tmp_path / "in" / f"{name}.png")
    look(tab, export([tmp_path / "in"], tmp_path / "page.html"))
    hidden = "[...document.querySelectorAll('section.item')].map(e => e.hidden).join()"
    assert tab.value(hidden) == "false,true"
    tab.value("(e => {e.value = 1; e.dispatchEvent(new Event('change'))})"
              "(document.querySelector('select.items'))")  # fmt: skip
    assert tab.value(hidden) == "true,false"


def test_the_page_of_the_viewer(tab: Tab, tmp_path: Path) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=3)
    mesh.apply_translation([10, 0, 0])
    mesh.vertex_attributes["scan_distance"] = np.linspace(0, 4, len(mesh.vertices), dtype="f4")
    mesh.visual.vertex_colors = np.tile([[200, 30, 30, 255]], (len(mesh.vertices), 1))
    save_mesh(mesh, tmp_path / "in" / "a.ply")
    moved = np.stack([mesh.vertices * [1, 1 / (1 + k), 1] for k in range(3)])
    np.savez(tmp_path / "in" / "b.npz", vertices=moved, faces=mesh.faces)
    page = export([tmp_path / "in"], tmp_path / "page.html")
    for width in (1200, 400):
        look(tab, page, width)
        assert tab.value(FITS)
    look(tab, page)
    first, second = "section:nth-of-type(1) canvas", "section:nth-of-type(2) canvas"
    before = tab.value(PIXELS.format(first))
    tab.value("(e => {e.value = 'scan_distance'; e.dispatchEvent(new Event('change'))})"
              "(document.querySelector('select.coloured'))")  # fmt: skip
    assert tab.value(PIXELS.format(first)) != before
    assert "0 to 3.9" in tab.value("document.querySelector('.limits').textContent")
    tab.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "got"))
    tab.click("button.glb")
    tab.click("button.picture")
    kept: Any = trimesh.load(downloaded(tab, tmp_path / "got", ".glb"), force="mesh")
    np.testing.assert_allclose(kept.bounds, mesh.bounds, atol=1e-5)
    assert abs(int(kept.visual.vertex_colors[0, 0]) - 147) < 3  # linear, as glTF has it
    with Image.open(downloaded(tab, tmp_path / "got", ".png")) as picture:
        assert np.ptp(np.asarray(picture.convert("L"))) > 50
    tab.value("(e => {e.value = 1; e.dispatchEvent(new Event('change'))})"
              "(document.querySelector('select.items'))")  # fmt: skip
    before = tab.value(PIXELS.format(second))
    tab.value("(e => {e.value = 2; e.dispatchEvent(new Event('input'))})"
              "(document.querySelector('input.time'))")  # fmt: skip
    assert tab.value(PIXELS.format(second)) != before
    assert tab.value("document.querySelector('input.time').closest('label')"
                     ".nextElementSibling.textContent") == "2"  # fmt: skip


@pytest.mark.slow
def test_the_viewer_itself(tab: Tab, make_run: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("viser")
    from onet.viewer.server import Viewer

    run = make_run("image", size=8)
    Image.new("L", (8, 8), 0).save(tmp_path / "dark.png")
    generate(run, input=tmp_path / "dark.png")
    viewer = Viewer(find_entries([run]), port=8766)
    try:
        address = f"http://localhost:{viewer.server.get_port()}"
        tab.asked.clear()
        tab.open(address)
        named = "[...document.querySelectorAll('button')].find(b => b.innerText === 'Save GLB')"
        tab.wait(f"{named} !== undefined")
        tab.value(f"{named}.id = 'press'")
        tab.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "g"))
        tab.click("#press")
        kept: Any = trimesh.load(downloaded(tab, tmp_path / "g", ".glb"), force="mesh")
        assert kept.is_watertight
        elsewhere = [url for url in tab.asked if not url.startswith((address, "data:", "blob:"))]
        assert elsewhere == []
    finally:
        viewer.stop()
