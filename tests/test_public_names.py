"""What `import onet` offers: these names and no others, each documented."""

from __future__ import annotations

import ast
import inspect
import pydoc
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import onet

NAMES = (
    "Config OnetError Reconstructor UnitFrame __version__ bake calibrate contains convert "
    "dual_contouring evaluate evaluate_diversity evaluate_folders evaluate_run export "
    "extract_mesh fit generate interpolate load load_config make_solid prepare reconstruct_scene "
    "refine_roots sample_grid search_threshold simplify train"
)
PUBLIC = NAMES.split()
FUNCTIONS = [name for name in PUBLIC if name[0].islower()]
METHODS = ["field", "reconstruct", "reconstruct_many", "reconstruct_multiview"]
STUB = Path(onet.__file__).with_name("_C.pyi")


def undocumented(function: object) -> set[str]:
    """Return the arguments that the docstring does not name at the beginning of a paragraph."""
    text = inspect.getdoc(function) or ""
    section = re.search(r"^Args:\n((?:    .*\n|\n)*)", text + "\n", re.MULTILINE)
    named = re.findall(r"^    ([\w, ]+):", section[1], re.MULTILINE) if section else []
    told = {word for names in named for word in names.split(", ")}
    return {*inspect.signature(function).parameters} - told - {"self"}  # type: ignore[arg-type]


def test_the_public_names_are_these() -> None:
    assert sorted(onet.__all__) == dir(onet) == PUBLIC
    shown = {name for name, value in vars(onet).items() if not isinstance(value, types.ModuleType)}
    assert {name for name in shown if not name.startswith("_")} <= {*PUBLIC}


def test_the_import_brings_no_other_names_and_nothing_heavy() -> None:
    code = (
        "import onet, sys; print(*[n for n in vars(onet) if n[0] != '_'], '|', "
        "*{'torch', 'trimesh', 'numpy', 'pydantic'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["|"]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_is_there_and_on_the_first_page(name: str) -> None:
    value = getattr(onet, name)
    if name == "__version__":
        return
    assert (inspect.getdoc(value) or "").strip()
    lines = re.findall(rf"^    {name} +\w", onet.__doc__ or "", re.MULTILINE)
    assert len(lines) == 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_document_their_arguments(name: str) -> None:
    assert undocumented(getattr(onet, name)) == set()


@pytest.mark.parametrize("name", METHODS)
def test_methods_document_their_arguments(name: str) -> None:
    assert undocumented(getattr(onet.Reconstructor, name)) == set()


def test_arguments_that_are_left_out_are_found() -> None:
    def function(first: int, second: int, third: int) -> None:
        """Return.

        Args:
            first, second: of
                third: kind.
        """

    assert undocumented(function) == {"third"}


def test_help_is_the_page() -> None:
    text = pydoc.plain(pydoc.render_doc(onet))
    assert 'model = onet.load("runs/mine")' in text
    assert "reconstruct_scene   one closed mesh" in text


def test_names_that_are_not_there_are_said() -> None:
    with pytest.raises(AttributeError, match="no attribute 'reconstrct'"):
        _ = onet.reconstrct


def signatures(text: str) -> dict[str, list[str]]:
    """Return the classes and functions of a stub, with methods or arguments."""
    found: dict[str, list[str]] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = [n.name for n in node.body if isinstance(n, ast.FunctionDef)]
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = [argument.arg for argument in node.args.args]
    return found


def test_the_stub_of_the_compiled_module_lists_what_is_in_it() -> None:
    from onet import _C

    listed = signatures(STUB.read_text(encoding="utf-8"))
    assert {*listed} == {name for name in vars(_C) if not name.startswith("_")}
    for name, members in listed.items():
        value = getattr(_C, name)
        if isinstance(value, type):
            public = {n for n in vars(value) if not n.startswith("_")} | {"__init__"}
            assert {*members} == public


def test_the_stub_is_what_nanobind_makes_of_the_module() -> None:
    stubgen = pytest.importorskip("nanobind.stubgen")
    from onet import _C

    generator = stubgen.StubGen(_C)
    generator.put(_C)
    assert signatures(generator.get()) == signatures(STUB.read_text(encoding="utf-8"))
