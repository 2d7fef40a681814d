"""The clone as people use it: Python started in it takes the folder `onet` that is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "import onet, onet._C; print(onet.__file__, onet._C.__file__)"),
        pytest.param(("-m", "benchmarks", "extract", "--help"), marks=pytest.mark.slow),
        pytest.param(
            ("-m", "pytest", "--collect-only", "-q", "tests/test_octree.py"), marks=pytest.mark.slow
        ),
        ("-m", "onet", "--version"),
        ("-m", "onet.cli", "--version"),
        ("onet", "--version"),
    ],
    ids=" ".join,
)
def test_commands_in_the_clone(arguments: tuple[str, ...]) -> None:
    done = python(*arguments)
    assert done.returncode == 0, done.stderr
    if arguments[0] == "-c":
        assert all(Path(name).is_relative_to(ROOT) for name in done.stdout.split())


def test_sources_without_the_compiled_part_say_what_to_do(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(ROOT / "onet", tmp_path / "onet", ignore=ignored)
    # Without site-packages, as an editable installation would find the one that it is of.
    done = python("-S", "-c", "from onet import _C", folder=tmp_path)
    assert done.returncode != 0
    assert "pip install -e ." in done.stderr
    assert "cannot import name" not in done.stderr


def test_the_build_leaves_the_compiled_part_in_the_clone(tmp_path: Path) -> None:
    """`pip install .` builds elsewhere; a stand-in for the sources keeps this short."""
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    build = re.search(r"^class Build\(build_ext\):.*?(?=^def )", setup, re.MULTILINE | re.DOTALL)
    assert build
    (tmp_path / "part").mkdir()
    (tmp_path / "part/__init__.py").touch()
    (tmp_path / "c.c").write_text(
        "#include <Python.h>\n"
        'static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "_C", 0, -1, 0};\n'
        "PyMODINIT_FUNC PyInit__C(void) { return PyModule_Create(&m); }\n"
    )
    (tmp_path / "setup.py").write_text(
        "import logging, os, subprocess\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from pathlib import Path\n"
        "from setuptools import Extension, setup\n"
        "from setuptools.command.build_ext import build_ext\n"
        f"NVCC = None\n{build[0]}\n"
        'setup(name="part", version="1", packages=["part"], cmdclass={"build_ext": Build},\n'
        '      ext_modules=[Extension("part._C", ["c.c"])])\n'
    )
    done = python("setup.py", "-q", "build", "--build-base", "elsewhere", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.suffix for path in (tmp_path / "part").glob("_C*")] in ([".so"], [".pyd"])
    assert list((tmp_path / "elsewhere").rglob("_C*"))


@pytest.mark.slow
def test_torchrun_trains_together(tmp_path: Path) -> None:
    """Two processes of torchrun are one run; `--` keeps torchrun from reading `--run` itself."""
    (tmp_path / "tiny.yaml").write_text(
        "inherit: pointcloud_small\n"
        f"data: {{path: {ROOT / 'data/sample'}, categories: [chair]}}\n"
        "training: {max_iterations: 2, batch_size: 2, print_every: 1, threads: 1, device: cpu}\n"
        "model: {encoder: {hidden_dim: 4}, decoder: {hidden_size: 4}, c_dim: 4}\n"
    )
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "onet"]
    run = tmp_path / "run"
    done = python(*words, "--", "train", str(tmp_path / "tiny.yaml"), "--run", str(run))
    assert done.returncode == 0, done.stderr
    assert "2 processes" in done.stderr
    assert (run / "checkpoints/best.safetensors").is_file()
    wrong = [
        "train",
        str(tmp_path / "tiny.yaml"),
        "training.devices=3",
        "--run",
        str(tmp_path / "b"),
    ]
    done = python(*words, "--", *wrong)
    assert done.returncode != 0
    assert "torchrun has started 2" in done.stderr
