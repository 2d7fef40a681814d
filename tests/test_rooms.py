"""Imports go downward, as the order of rooms in docs/architecture.md says, and never in a circle.

Every import counts: at the top of a module, inside a function, for type checkers only, or as the
name of a module in a string, for `importlib`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMPILED = {"onet._C", "onet._cuda"}
TORCH_FREE = ("onet.config", "onet.geometry", "onet.gan_theory.games")  # while they are imported

Graph = dict[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """Return the file of each module of the package `onet` in a folder."""
    found = {}
    for path in sorted((root / "onet").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def names(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the dotted names that a module imports, and strings that could be such a name.

    Args:
        tree: of the module.
        package: that relative imports start from.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join(
                [*(parts if node.level else []), *([node.module] if node.module else [])]
            )
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch(r"onet(\.\w+)+\.?", node.value)  # a dot at the end: of an f-string
        ):
            yield node.value.rstrip(".")


def imports(root: Path) -> Graph:
    """Return of each module of the package the modules that it imports, itself left out."""
    files = modules(root)
    graph: Graph = {}
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        graph[module] = set()
        for name in names(ast.parse(path.read_text(encoding="utf-8")), package):
            while name and name not in files and name not in COMPILED:
                name = name.rpartition(".")[0]  # a class or function: the module that holds it
            if name and name not in COMPILED and name != module:
                graph[module].add(name)
    return graph


def room(module: str) -> str:
    """Return the folder below `onet`, or the module beside the folders, that a module lies in."""
    return module.split(".")[1] if "." in module else "__init__"


def between_rooms(graph: Graph) -> Graph:
    """Return the rooms that each room imports from."""
    rooms: Graph = {room(module): set() for module in graph}
    for module, others in graph.items():
        rooms[room(module)] |= {room(other) for other in others} - {room(module)}
    return rooms


def cycle(graph: Graph) -> list[str]:
    """Return the nodes of a cycle, each imported by the next; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def floors(text: str) -> list[set[str]]:
    """Return the rooms of each floor, the lowest first, from the page on architecture."""
    (line,) = re.findall(r"^    (\w+(?:, \w+)*(?: < \w+(?:, \w+)*)+)$", text, re.MULTILINE)
    return [set(floor.split(", ")) for floor in line.split(" < ")]


ORDER = floors((ROOT / "docs/architecture.md").read_text(encoding="utf-8"))
IMPORTS = imports(ROOT)
ROOMS = between_rooms(IMPORTS)


def test_every_room_has_one_place_in_the_order() -> None:
    assert sum(map(len, ORDER)) == len(set().union(*ORDER))
    assert set().union(*ORDER) == ROOMS.keys()


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_a_room_imports_from_lower_ones_alone(name: str) -> None:
    (height,) = [k for k, floor in enumerate(ORDER) if name in floor]
    upward = {
        (module, other)
        for module, others in IMPORTS.items()
        for other in others
        if room(module) == name != room(other) and room(other) not in set().union(*ORDER[:height])
    }
    assert not upward


def test_no_cycles_of_rooms() -> None:
    assert cycle(ROOMS) == []


def test_no_cycles_of_modules() -> None:
    assert cycle(IMPORTS) == []


def test_every_room_of_the_tables_is_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `onet/(\w+)/` \|", text, re.MULTILINE))
    assert described == {path.parent.name for path in (ROOT / "onet").glob("*/__init__.py")}


@pytest.mark.parametrize("package", TORCH_FREE)
def test_rooms_that_need_no_torch_do_not_load_it(package: str) -> None:
    for module, path in modules(ROOT).items():
        if module == package or module.startswith(f"{package}."):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            top = ast.Module([node for node in tree.body if is_import(node)], [])
            assert "torch" not in {name.split(".")[0] for name in names(top, package)}, module


def is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


# -- the test itself ------------------------------------------------------------------------------

CIRCULAR = {
    "at the top": "from onet.high import b",
    "as a package": "from onet import high",
    "relative": "from ..high import b",
    "in a function": "def f():\n    import onet.high.b",
    "for type checkers": "if TYPE_CHECKING:\n    from onet.high.b import B",
    "as a string": "import importlib\nimportlib.import_module('onet.high.b')",
    "as a formatted string": "import importlib\nimportlib.import_module(f'onet.high.{name}')",
    "from a table": "HOME = {'b': 'onet.high.b'}",
}


@pytest.mark.parametrize("how", CIRCULAR)
def test_every_way_to_import_is_seen(how: str, tmp_path: Path) -> None:
    low, high = tmp_path / "onet/low", tmp_path / "onet/high"
    for folder in (low, high):
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    (tmp_path / "onet/__init__.py").touch()
    (low / "a.py").write_text("import numpy\nfrom onet import _C\n")
    (high / "b.py").write_text("from onet.low.a import A\n")
    graph = imports(tmp_path)
    assert graph["onet.high.b"] == {"onet.low.a"} and graph["onet.low.a"] == set()
    assert cycle(between_rooms(graph)) == cycle(graph) == []
    (low / "a.py").write_text(CIRCULAR[how])
    graph = imports(tmp_path)
    assert {room(other) for other in graph["onet.low.a"]} == {"high"}
    assert set(cycle(between_rooms(graph))) == {"low", "high"}


def test_floors_are_read() -> None:
    assert floors("text\n\n    a < b, c < d\n\nmore < text\n") == [{"a"}, {"b", "c"}, {"d"}]
