"""What the documents of the repository say of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from onet._version import __version__

ROOT = Path(__file__).parents[1]
PLACEHOLDER = re.compile(r"NAME|\.\.\.|[*<]")


def test_one_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *releases = re.findall(r"^## (\S+)", changes, re.MULTILINE)
    assert first == "Unreleased" and releases[0] == __version__


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"])
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        linked = page.parent / path if path else page
        assert linked.exists(), f"{name}: {target}"
        titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, f"{name}: {target}"


def test_paths_and_commands_of_the_contributing_page_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"[\w./]+/[\w./]+\.(?:py|h|cpp|md|yaml)\b", text)
    assert len(paths) > 10
    for path in paths:
        assert PLACEHOLDER.search(path) or (ROOT / path).exists(), path
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    used = re.findall(r"^make ([\w-]+)", text, re.MULTILINE)
    assert used and set(used) <= set(targets)
