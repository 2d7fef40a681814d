"""Lines and branches of the functions of a package: the median, and the largest.

    python tools/function_sizes.py                # of `onet`
    python tools/function_sizes.py PATH --show 20

Lines are those of the code, from `def` to the last, without the docstring. Branches are the places
where a function can go one way or another: if, for, while, except, assert, and, or, a ternary, a
case, a comprehension and each of its conditions. Functions and classes inside a function count with
it, as they are read with it.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.Assert,
    ast.comprehension,
    ast.match_case,
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Size:
    """Of one function: its module, name, lines and branches."""

    file: str
    name: str
    lines: int
    branches: int


def sizes(source: str, file: str) -> list[Size]:
    """Return the sizes of the functions and methods of a module, nested ones within theirs."""
    return [
        Size(file, name, _lines(node), _branches(node))
        for name, node in _functions(ast.parse(source), "")
    ]


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield prefix + child.name, child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def _lines(node: Function) -> int:
    whole = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is None:
        return whole
    text = node.body[0]
    return whole - ((text.end_lineno or text.lineno) - text.lineno + 1)


def _branches(node: Function) -> int:
    count = 0
    for part in ast.walk(node):
        count += isinstance(part, BRANCHES)
        if isinstance(part, ast.BoolOp):
            count += len(part.values) - 1
        elif isinstance(part, ast.comprehension):
            count += len(part.ifs)
    return count


def main() -> None:
    """Print the sizes of a package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, nargs="?", default=ROOT / "onet")
    parser.add_argument("--show", type=int, default=10, help="how many of the largest")
    arguments = parser.parse_args()
    found = [
        size
        for path in sorted(arguments.path.rglob("*.py"))
        for size in sizes(path.read_text(encoding="utf-8"), str(path.relative_to(arguments.path)))
    ]
    lines = [size.lines for size in found]
    print(
        f"{len(found):,} functions; lines: median {median(lines):g}, largest {max(lines)}, "
        f"{sum(n > 40 for n in lines)} over 40; branches: "
        f"median {median(size.branches for size in found):g}, "
        f"largest {max(size.branches for size in found)}"
    )
    for order in ("lines", "branches"):
        print(f"\nby {order}:")
        for size in sorted(found, key=lambda size: -getattr(size, order))[: arguments.show]:
            print(f"{size.lines:5} lines {size.branches:4} branches  {size.file}: {size.name}")


if __name__ == "__main__":
    main()
