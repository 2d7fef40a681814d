"""Builds `onet._cuda` with an ordinary C++ compiler: its kernels then run on the CPU.

The same .cu and binding files are compiled; the headers in `include/` stand for those of CUDA. Arrays
in ordinary memory (NumPy, torch on the CPU) stand for arrays on device 0.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import nanobind

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
FLAGS = ["-std=c++17", "-O1", "-g1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off"]
FLAGS += ["-fno-strict-aliasing", "-Wall", "-Wno-attributes", "-pthread"]
# A domain of its own: its types must not meet those of the real module in one process.
FLAGS += ["-DONET_EMULATED", "-DNB_DOMAIN=onet_emulated"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]


def sources() -> list[Path]:
    return [
        *sorted(CSRC.glob("*.cu")),
        *sorted((CSRC / "bindings").glob("cuda_*.cpp")),
        CSRC / "cube_table.cpp",
        CSRC / "nanobind_runtime.cpp",
    ]


def build(folder: Path, sanitize: bool = False) -> Path:
    """Path of the module, built in a subfolder of `folder` unless it is there from before."""
    flags = FLAGS + (SANITIZE if sanitize else [])
    content = [flags, nanobind.__version__, sysconfig.get_config_var("SOABI")]
    for path in sorted([*CSRC.rglob("*.*"), *HERE.rglob("*.*")]):
        if path.is_file() and path.suffix in (".h", ".cuh", ".cu", ".cpp"):
            content.append(path.read_bytes())
    target = folder / hashlib.sha256(repr(content).encode()).hexdigest()[:16] / "_cuda.so"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    nanobind_folder = Path(nanobind.__file__).parent
    include = [
        HERE / "include",
        nanobind_folder / "include",
        nanobind_folder / "src",
        nanobind_folder / "ext" / "robin_map" / "include",
        sysconfig.get_path("include"),
    ]
    command = [os.environ.get("CXX", "g++"), *flags, *[f"-I{path}" for path in include]]

    def compile_one(source: Path) -> Path:
        # The process number: two test runs may build at once.
        built = target.with_name(f"{source.name}.{os.getpid()}.o")
        _run([*command, "-x", "c++", "-c", str(source), "-o", str(built)])
        return built

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_one, sources()))
    linked = target.with_suffix(f".{os.getpid()}.so")
    _run([*command, "-shared", *map(str, objects), "-o", str(linked)])
    linked.rename(target)
    for path in objects:
        path.unlink()
    return target


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("onet_emulated._cuda", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
