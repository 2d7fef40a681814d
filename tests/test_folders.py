"""What lies in a store, a run and a generation folder is named in one module each."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

from onet.checkpoints import run_folder
from onet.data import store_folder
from onet.inference import generation_folder

ROOT = Path(__file__).parents[1] / "onet"
ELSEWHERE = {  # files of other folders, and a default of the configuration
    "contact_sheet.png": {"demo.py", "pipeline/texture.py"},
    "failures.csv": {"data/store_folder.py", "inference/generation_folder.py"},
    "points.npz": {"config/schema.py"},
    "evaluation.json": {"pipeline/evaluate_folders.py"},
    "report.html": {"gan_theory/studies/study.py", "pipeline/evaluate_folders.py"},
}


def file_names(module: ModuleType) -> set[str]:
    """Return the names of files that a module's constants hold."""
    constants = [value for name, value in vars(module).items() if name.isupper()]
    return {c for c in constants if isinstance(c, str) and "." in c and " " not in c}


def strings(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("module", [store_folder, run_folder, generation_folder])
def test_no_other_module_spells_the_name_of_a_file(module: ModuleType) -> None:
    names, own = file_names(module), Path(str(module.__file__))
    assert len(names) > 5
    for path in sorted(ROOT.rglob("*.py")):
        where = path.relative_to(ROOT).as_posix()
        spelled = {
            name for name in names & strings(path) if where not in ELSEWHERE.get(name, set())
        }
        assert path == own or not spelled, f"{where} spells {', '.join(sorted(spelled))}"
