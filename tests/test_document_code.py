"""The code of README and tutorials is run, block after block, as a reader would.

A page is a session: its Python blocks share their names, its shell blocks run in the same folder.
`<!-- not run: REASON -->` before a block leaves it out, `<!-- needs: PACKAGE -->` where that is
not installed, `<!-- exits: 1 -->` says how its last command ends. Commands are told to do less: two
iterations of training, coarse meshes, few samples.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import trimesh

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted((DOCS / "tutorials").glob("*.md"))]
QUICK = {"functions"}
MARKS = {"not run", "needs", "exits"}
BLOCK = re.compile(
    r"(?:^<!-- ([\w ]+): ([^\n]+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
LESS = {
    "prepare": "--resolution 32 --points 2000 --surface 2000 --workers 1",
    "train": "training.max_iterations=2 training.validate_every=2 training.threads=1",
    "generate": "--resolution 32",
    "eval": "--samples 2000",
    "scan": "--resolution 48",
    "solid": "--resolution 64 --workers 1",
}


@dataclass(frozen=True)
class Block:
    """A block of code: what the comment before it says, its language, and the code."""

    mark: str
    about: str
    language: str
    code: str


def blocks(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(*parts) for parts in found]


class Session:
    """What a reader of one page has: a folder, a shell and a Python."""

    def __init__(self, folder: Path, demo: Path) -> None:
        self.folder = folder
        self.demo = demo
        self.names: dict[str, object] = {"__name__": "page"}
        programs = folder / ".programs"
        programs.mkdir()
        less = "\n".join(f'  {command}) less="{words}" ;;' for command, words in LESS.items())
        (programs / "onet").write_text(
            f'#!/bin/bash\nless=""\ncase "$1" in\n{less}\nesac\n'
            f'exec "{sys.executable}" -m onet.cli "$@" $less\n'
        )
        (programs / "onet").chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, block: Block) -> None:
        if block.language == "python":
            exec(compile(block.code, "page", "exec"), self.names)
        elif block.code == "onet demo\n":  # of several pages, made once
            shutil.copytree(self.demo, self.folder / "demo-output")
        else:
            self.shell(block.code, int(block.about) if block.mark == "exits" else 0)

    def shell(self, code: str, status: int) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == status, f"{code}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `onet demo` writes."""
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run(
        [sys.executable, "-m", "onet.cli", "demo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        timeout=600,
    )
    return folder / "demo-output"


def left_out(block: Block) -> bool:
    if block.language not in ("python", "bash") or block.mark == "not run":
        return True
    return block.mark == "needs" and importlib.util.find_spec(block.about) is None


def own_files(folder: Path) -> None:
    """Write what the README takes as the reader's own: scans, meshes, a broken mesh."""
    for name in ("scans", "truth", "theirs"):
        (folder / name).mkdir()
    for name in ("chair_chair.ply", "sofa_sofa2.ply"):
        shutil.copyfile(ROOT / "data/scans" / name, folder / "scans" / name)
        shutil.copyfile(ROOT / "data/truth" / name, folder / "truth" / name)
        trimesh.load(ROOT / "data/scans" / name).convex_hull.export(folder / "theirs" / name)
    shutil.copyfile(folder / "scans/chair_chair.ply", folder / "scan.ply")
    (folder / "meshes/box").mkdir(parents=True)
    for number in range(10):
        trimesh.creation.box((1, 1 + 0.1 * number, 0.7)).export(folder / f"meshes/box/{number}.ply")
    mesh = trimesh.creation.icosphere(3)
    mesh.update_faces(mesh.triangles_center[:, 1] < 0.9)
    mesh.export(folder / "broken.stl")


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[] if p.stem in QUICK else [pytest.mark.slow]) for p in PAGES],
    ids=lambda page: page.stem,
)
def test_the_code_of_a_page_runs(
    page: Path,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    told = blocks(page)
    if page.stem == "README":
        own_files(tmp_path)
    demo = "onet demo\n" in {block.code for block in told}
    session = Session(tmp_path, request.getfixturevalue("demo") if demo else tmp_path)
    run = [block for block in told if not left_out(block)]
    assert run
    for block in run:
        session.run(block)


@pytest.mark.parametrize("page", [*PAGES, *DOCS.glob("**/*.md")], ids=lambda page: page.stem)
def test_marks_are_known_and_tell_a_reason(page: Path) -> None:
    for block in blocks(page):
        assert not block.mark or (block.mark in MARKS and block.about.strip())
    text = page.read_text(encoding="utf-8")
    comments = re.findall(r"^<!-- .*\n+```", text, re.MULTILINE)
    assert len(comments) == sum(bool(block.mark) for block in blocks(page))


def test_few_blocks_are_left_out() -> None:
    told = [block for page in PAGES for block in blocks(page) if block.language]
    skipped = [block for block in told if block.mark == "not run"]
    assert len(skipped) <= 3 < len(told)


def test_a_block_that_fails_is_found(tmp_path: Path) -> None:
    session = Session(tmp_path, tmp_path)
    session.run(Block("exits", "3", "bash", "exit 3\n"))
    with pytest.raises(AssertionError, match="broken"):
        session.run(Block("", "", "bash", "false | cat  # broken\n"))
    with pytest.raises(NameError):
        session.run(Block("", "", "python", "undefined_name"))
