"""Builds `onet._cuda` with an ordinary C++ compiler: its kernels then run on the CPU.

The same .cu and binding files are compiled; the headers in `include/` stand for those of CUDA.
Arrays in ordinary memory (NumPy, torch on the CPU) stand for arrays on device 0.
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
COMPILER = os.environ.get("CXX", "g++")
FLAGS = ["-std=c++17", "-g1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off"]
FLAGS += ["-fno-strict-aliasing", "-Wall", "-Wno-attributes", "-pthread"]
# A domain of its own: its types must not meet those of the real module in one process.
FLAGS += ["-DONET_EMULATED", "-DNB_DOMAIN=onet_emulated"]
SANITIZERS = {
    "": [],
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
    "thread": ["-fsanitize=thread"],
}


def build(folder: Path, sanitizer: str = "") -> Path:
    """Path of the module, built in `folder` except for what is there from before.

    sanitizer: a key of SANITIZERS, for the .cu files. Such a module can only be loaded by a process
    that was started with the sanitizer's runtime preloaded.
    """
    nanobind_folder = Path(nanobind.__file__).parent
    include = [
        HERE / "include",
        nanobind_folder / "include",
        nanobind_folder / "src",
        nanobind_folder / "ext" / "robin_map" / "include",
        sysconfig.get_path("include"),
    ]
    headers = sorted(p for top in (CSRC, HERE) for s in ("h", "cuh") for p in top.rglob(f"*.{s}"))
    common = [nanobind.__version__, *[path.read_bytes() for path in headers]]
    sources = [*sorted(CSRC.glob("*.cu")), *sorted((CSRC / "bindings").glob("cuda_*.cpp"))]
    host = ["cube_table", "hilbert", "nearest", "nanobind_runtime"]
    sources += [CSRC / f"{name}.cpp" for name in host]

    def compile_one(source: Path) -> Path:
        flags = [*FLAGS]
        if source.suffix == ".cu":
            flags += ["-O1", "-D__CUDACC__", *SANITIZERS[sanitizer]]
        command = [COMPILER, *flags, *[f"-I{path}" for path in include]]
        target = folder / f"{source.stem}-{_digest(command, common, source.read_bytes())}.o"
        return _make(target, [*command, "-x", "c++", "-c", str(source)])

    with ThreadPoolExecutor(2) as pool:
        objects = [str(path) for path in pool.map(compile_one, sources)]
    target = folder / _digest(objects, sanitizer) / "_cuda.so"
    return _make(target, [COMPILER, "-shared", *SANITIZERS[sanitizer], *objects])


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("onet_emulated._cuda", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _digest(*content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def _make(target: Path, command: list[str]) -> Path:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}")  # two test runs may be at it at once
        done = subprocess.run([*command, "-o", str(part)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
        part.rename(target)
    return target
