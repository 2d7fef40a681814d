"""The messages that the page on troubleshooting explains are those of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
QUOTES = [
    quote
    for line in re.findall(r"^> (.+)$", PAGE, re.MULTILINE)
    for quote in re.findall(r"`([^`]+)`", line)
]
OTHERS = {  # of pip and of the operating system
    "error: command … failed",
    "…: no space left on device; free some space",
    "–",
}


def messages() -> list[str]:
    """Return all texts of the code, with … in place of what is filled in."""
    found = []
    for path in [*(ROOT / "onet").rglob("*.py"), ROOT / "setup.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%(?:\.\d+)?[sdgr]", "…", node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
                found.append("".join(map(str, parts)))
    return [message.replace("`", "") for message in found]


MESSAGES = messages()


def said(quote: str, texts: list[str]) -> bool:
    """Whether the parts of the quote between … follow one another in one of the texts."""
    parts = [part.strip() for part in quote.split("…") if re.search(r"\w", part)]
    wanted = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    return bool(parts) and any(wanted.search(text) for text in texts)


def test_there_are_messages() -> None:
    assert len(QUOTES) > 35


@pytest.mark.parametrize("quote", sorted({*QUOTES} - OTHERS))
def test_the_code_still_says_it(quote: str) -> None:
    assert said(quote, MESSAGES)


def test_a_message_that_is_gone_is_found() -> None:
    assert not said("…: is no longer said; …", MESSAGES)
    assert not said("…", MESSAGES)
