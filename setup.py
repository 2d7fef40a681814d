"""Builds the compiled geometry `onet._C` with nanobind: plain setuptools, no torch, no CMake."""

import re
import sys
from pathlib import Path

import nanobind
from setuptools import Extension, find_packages, setup

NANOBIND = Path(nanobind.__file__).parent
OPERATIONS = ["octree", "marching_cubes", "components", "inside", "winding", "nearest"]
OPERATIONS += ["closest_point", "sampling", "simplify", "depth_map", "residual"]
SOURCES = [f"csrc/{name}.cpp" for name in OPERATIONS]
SOURCES += [f"csrc/bindings/{name}.cpp" for name in [*OPERATIONS, "module"]]
SOURCES += ["csrc/hilbert.cpp", "csrc/nanobind_runtime.cpp"]

if sys.platform == "win32":
    compile_args, link_args = ["/std:c++17", "/O2", "/EHsc", "/fp:precise"], []
else:
    # No contraction into fused multiply-adds: the exact predicates of inside.cpp rely on it.
    compile_args = ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden", "-ffp-contract=off"]
    compile_args += ["-fno-math-errno", "-fno-trapping-math"]  # lets loops become vector code
    compile_args += ["-fno-strict-aliasing", "-pthread"]  # aliasing: asked for by nanobind
    link_args = ["-pthread"] + (["-s"] if sys.platform == "linux" else [])

VERSION = re.search(r'__version__ = "(.+?)"', Path("onet/__init__.py").read_text())[1]

setup(
    version=VERSION,
    # The folders at the top of the tree that the installed package carries inside itself.
    packages=[*find_packages(include=["onet", "onet.*"]), "onet.configs", "onet.assets"],
    package_dir={"onet.configs": "configs", "onet.assets": "data"},
    package_data={"onet": ["py.typed"], "onet.configs": ["*.yaml"], "onet.assets": ["**/*"]},
    ext_modules=[
        Extension(
            "onet._C",
            sources=SOURCES,
            depends=[str(path) for path in Path("csrc").rglob("*.h")],
            include_dirs=[
                str(NANOBIND / "include"),
                str(NANOBIND / "src"),
                str(NANOBIND / "ext" / "robin_map" / "include"),
            ],
            define_macros=[("NDEBUG", None)],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            language="c++",
        )
    ],
)
