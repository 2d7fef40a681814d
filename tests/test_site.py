"""The documents as a site: nothing missing, no link that leads nowhere, no warning."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import onet

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        linked = page.parent / path if path else page
        assert linked.exists(), target
        if linked.name != "configuration.md":  # whose sections are made with the site
            assert not anchor or anchor in anchors(linked), target


def test_every_page_has_its_place() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    tree = re.compile(r"^```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    listed = [name for names in tree.findall(index) for name in names.split()]
    there = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    assert sorted(listed) == sorted(there - {"index"})


def test_the_reference_has_every_public_name() -> None:
    page = (DOCS / "reference/api.md").read_text(encoding="utf-8")
    for name in onet.__all__:
        home = r"onet\.errors" if name == "OnetError" else rf"onet\.{name}"
        assert re.search(rf"::  ?{home}$", page, re.MULTILINE), name


def test_the_configuration_reference_has_every_key() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/configuration_reference.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    config = onet.load_config("pointcloud").model_dump(mode="json")
    for section in ("data", "training", "generation", "evaluation"):
        part = done.stdout.split(f"### `{section}`\n")[1].split("\n### ")[0]
        assert set(re.findall(r"^\| `(\w+)`", part, re.MULTILINE)) == {*config[section]}
    assert "| `pointcloud_planes` | `pointcloud` |" in done.stdout
    assert "`hidden_dim: 512`" in done.stdout


def test_pictures_are_small_and_used() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in (DOCS / "pictures").iterdir():
        assert picture.stat().st_size <= 200_000, picture.name
        assert f"pictures/{picture.name}" in text


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="needs the extra docs")
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", DOCS, tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site/reference/api.html").read_text(encoding="utf-8")
    assert "reconstruct_scene" in page
