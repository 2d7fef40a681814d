"""Writes what docs/commands.md says of each command, from the command line itself.

python tools/commands.py           # writes the page
python tools/commands.py --check   # exits with 1 where the page is another
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from enum import EnumMeta
from pathlib import Path
from typing import Any, get_args

import typer.main

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from onet import cli  # noqa: E402
from onet.cli.app import PANELS  # noqa: E402

PAGE = ROOT / "docs" / "commands.md"
COMMON = ("--out", "--device", "--threads", "--seed", "--workers", "--json")
MARK = "<!-- from here on written by tools/commands.py -->\n"


def commands(group: Any, path: str = "onet") -> Iterator[tuple[str, Any, str | None]]:
    """Yield the line that calls each command, the command, and its panel."""
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.commands[name]
        line = f"{path} {name}"
        if hasattr(command, "commands"):
            panel = getattr(command, "rich_help_panel", None)
            yield from ((below, one, panel) for below, one, _ in commands(command, line))
        else:
            yield line, command, getattr(command, "rich_help_panel", None)


def examples(command: Any) -> list[str]:
    """Return the examples that the help of a command ends with."""
    return [line for line in (command.epilog or "").splitlines() if line.startswith("onet ")]


def page() -> str:
    """Return the whole page: what is above the mark as it stands, and the rest anew."""
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    found = [*commands(typer.main.get_command(cli.app))]
    return above + "\n".join([MARK, *_table(found), *_sections(found)]) + "\n"


def _table(found: list[tuple[str, Any, str | None]]) -> Iterator[str]:
    yield "| command | " + " | ".join(f"`{name}`" for name in COMMON) + " |"
    yield "|---|" + "---|" * len(COMMON)
    for line, command, _ in found:
        given = {name for option in command.params for name in option.opts}
        marks = ("x" if name in given else "" for name in COMMON)
        yield f"| `{line}` | " + " | ".join(marks) + " |"


def _sections(found: list[tuple[str, Any, str | None]]) -> Iterator[str]:
    for panel in PANELS:
        yield f"\n## {panel}"
        for line, command, of in found:
            if of == panel:
                yield from _section(line, command)


def _section(line: str, command: Any) -> Iterator[str]:
    yield f"\n### {line}\n"
    yield " ".join(command.help.split()) + "\n"
    yield "```bash"
    yield from examples(command)
    yield "```\n"
    for option in command.params:
        if option.name == "help":
            continue
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        if option.param_type_name == "argument":
            names = f"`{(option.metavar or option.name.upper()).strip('[]')}`"
        among = f" ({', '.join(choices)})" if (choices := _choices(option)) else ""
        yield f"- {names}{among}: {re.sub(r'(?<!`)<', '&lt;', option.help or '')}"


def _choices(option: Any) -> list[str]:
    """Return the words that an option takes, if they are few; typer and click keep them apart."""
    kind = getattr(getattr(option, "type_descriptor", None), "annotation", None)
    for one in (kind, *get_args(kind)):
        if isinstance(one, EnumMeta):
            return [str(choice.value) for choice in one]  # type: ignore[var-annotated]
    return [*(getattr(getattr(option, "type", None), "choices", None) or ())]


def main() -> None:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE}: is not what the command line says; write it by python tools/commands.py")


if __name__ == "__main__":
    main()
