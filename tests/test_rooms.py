"""What the table of rooms in docs/architecture.md allows is all that is imported."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {path.parent.name for path in (ROOT / "onet").glob("*/__init__.py")}


def allowed() -> dict[str, set[str]]:
    """Of each room the rooms that it may import, as the last column says."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows: dict[str, set[str]] = {}
    for room, may in re.findall(r"^\| `onet/(\w+)/` \|.*\| ([^|]*) \|$", text, re.MULTILINE):
        named = {*re.findall(r"`(\w+)`", may)} & ROOMS
        if may.startswith("all of the above"):
            named = {*rows}
        if may.startswith("everything"):
            named = ROOMS
        rows[room] = named | {room, "config"}
    return rows


def test_every_room_has_a_row() -> None:
    assert {*allowed()} == ROOMS


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_imports(room: str) -> None:
    for file in (ROOT / "onet" / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module[:5] == "onet.":
                other = node.module.split(".")[1]
                assert other not in ROOMS - allowed()[room], f"{file}: imports {node.module}"
