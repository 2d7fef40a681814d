"""Builds the compiled geometry `onet._C` with nanobind: plain setuptools, no torch, no CMake."""

import sys
from pathlib import Path

import nanobind
from setuptools import Extension, setup

NANOBIND = Path(nanobind.__file__).parent
SOURCES = ["octree", "marching_cubes", "inside", "closest_point", "depth_map", "bindings"]

if sys.platform == "win32":
    compile_args, link_args = ["/std:c++17", "/O2", "/EHsc", "/fp:precise"], []
else:
    # No contraction into fused multiply-adds: the exact predicates of inside.cpp rely on it.
    compile_args = ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden", "-ffp-contract=off"]
    compile_args += ["-fno-strict-aliasing", "-pthread"]  # aliasing: asked for by nanobind
    link_args = ["-pthread"] + (["-s"] if sys.platform == "linux" else [])

setup(
    ext_modules=[
        Extension(
            "onet._C",
            sources=[
                *(f"csrc/{name}.cpp" for name in SOURCES),
                str(NANOBIND / "src" / "nb_combined.cpp"),
            ],
            depends=[str(path) for path in Path("csrc").glob("*.h")],
            include_dirs=[
                str(NANOBIND / "include"),
                str(NANOBIND / "ext" / "robin_map" / "include"),
            ],
            define_macros=[("NDEBUG", None)],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            language="c++",
        )
    ],
)
