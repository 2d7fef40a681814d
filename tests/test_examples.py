"""The scripts of the gallery: each makes its picture, and the gallery shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(path.stem for path in (ROOT / "examples").glob("[a-z]*.py"))
LONG = {"network", "demo"}  # trains for two minutes; the tests of tutorials run the demonstration


def test_the_gallery_shows_what_the_scripts_make() -> None:
    page = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")
    for name in SCRIPTS:
        assert f"](pictures/{name}.png)" in page
        assert f"examples/{name}.py" in page or name == "demo"


@pytest.mark.parametrize("name", sorted({*SCRIPTS} - LONG))
@pytest.mark.slow
def test_a_script_makes_its_picture(name: str, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, ROOT / f"examples/{name}.py", "--out", tmp_path],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=True,
    )
    with Image.open(tmp_path / f"{name}.png") as picture:
        shown = Image.open(ROOT / f"docs/pictures/{name}.png")
        assert picture.size == shown.size
        assert len(set(picture.convert("L").getdata())) > 20
