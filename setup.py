"""Builds the compiled geometry with nanobind: plain setuptools, no torch, no CMake.

`onet._C` is for the CPU. `onet._cuda` is for CUDA devices; it needs nvcc to build and no driver to
import. Environment variables:

ONET_CUDA        auto (default): build onet._cuda if nvcc is found; 0: never; 1: fail without nvcc
CUDA_HOME        folder of the CUDA toolkit, if nvcc is neither there nor on the PATH
ONET_ABI3        1: build onet._C for the stable ABI, one binary for CPython 3.12 and later, as the
                 wheels have it; before 3.12 nanobind needs more than the stable ABI has
ONET_CUDA_ARCHS  compute capabilities such as "80;90", or a word that nvcc's -arch takes such as
                 "native"; default: every major one that the toolkit knows, and PTX for later ones
"""

import logging
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nanobind
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

NANOBIND = Path(nanobind.__file__).parent
OPERATIONS = ["octree", "marching_cubes", "components", "inside", "winding", "nearest"]
OPERATIONS += ["closest_point", "sampling", "simplify", "depth_map", "residual"]
OPERATIONS += ["crossings", "rays", "sparse_cells", "cell_maxima", "table_rows", "rows"]
CUDA_OPERATIONS = ["octree", "marching_cubes", "inside", "nearest"]
ABI3 = os.environ.get("ONET_ABI3") == "1" and sys.version_info >= (3, 12)
# What the CUDA module needs of the host code.
CUDA_HOST_SOURCES = [f"csrc/{name}.cpp" for name in ["cube_table", "nearest", "hilbert"]]
HEADERS = [str(path) for suffix in ("h", "cuh") for path in Path("csrc").rglob(f"*.{suffix}")]

if sys.platform == "win32":
    compile_args, link_args = ["/std:c++17", "/O2", "/EHsc", "/fp:precise"], []
else:
    # No contraction into fused multiply-adds: the exact predicates of inside.cpp rely on it.
    compile_args = ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden", "-ffp-contract=off"]
    compile_args += ["-fno-math-errno", "-fno-trapping-math"]  # lets loops become vector code
    compile_args += ["-fno-strict-aliasing", "-pthread"]  # aliasing: asked for by nanobind
    link_args = ["-pthread"] + (["-s"] if sys.platform == "linux" else [])


def extension(name: str, sources: list[str], **more: object) -> Extension:
    return Extension(
        name,
        sources=[*sources, "csrc/nanobind_runtime.cpp"],
        include_dirs=[
            str(NANOBIND / "include"),
            str(NANOBIND / "src"),
            str(NANOBIND / "ext" / "robin_map" / "include"),
            *more.pop("include_dirs", []),
        ],
        define_macros=[("NDEBUG", None), *([("Py_LIMITED_API", "0x030C0000")] if ABI3 else [])],
        py_limited_api=ABI3,
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        language="c++",
        **more,
    )


def find_nvcc() -> Path | None:
    """nvcc, or None when this build is to do without."""
    wanted = os.environ.get("ONET_CUDA", "auto")
    if wanted not in ("auto", "0", "1"):
        sys.exit(f"ONET_CUDA is {wanted!r}; it must be auto, 0 or 1")
    if wanted == "0":
        return None
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    on_path = os.pathsep.join([*(f"{home}/bin" for home in homes if home), os.environ["PATH"]])
    nvcc = shutil.which("nvcc", path=on_path)
    if nvcc is None and wanted == "1":
        sys.exit("ONET_CUDA=1 but nvcc was not found: set CUDA_HOME to the CUDA toolkit's folder")
    if nvcc is not None and sys.platform == "win32":
        if wanted == "1":
            sys.exit("ONET_CUDA=1 is not supported on Windows")
        return None
    return Path(nvcc) if nvcc else None


def toolkit_of(nvcc: Path) -> Path:
    """The toolkit's folder. nvcc is asked, since the one on the PATH may be a wrapper elsewhere."""
    dry = subprocess.run([nvcc, "-dryrun", "-E", "x.cu"], capture_output=True, text=True).stderr
    top = re.search(r"^#\$ TOP=(.+)$", dry, re.MULTILINE)
    return Path(top[1]).resolve() if top else nvcc.resolve().parent.parent


def cuda_extension(nvcc: Path) -> Extension:
    toolkit = toolkit_of(nvcc)
    runtime = sorted(toolkit.glob("**/libcudart_static.a"))
    if not runtime:
        sys.exit(
            f"no libcudart_static.a in {toolkit}, the toolkit of {nvcc}: set CUDA_HOME to a whole "
            "CUDA toolkit, or ONET_CUDA=0 to build without"
        )
    return extension(
        "onet._cuda",
        CUDA_HOST_SOURCES
        + [f"csrc/bindings/cuda_{name}.cpp" for name in [*CUDA_OPERATIONS, "module"]],
        depends=[*HEADERS, *CUDA_SOURCES],
        include_dirs=[str(toolkit / "include")],
        library_dirs=[str(runtime[0].parent)],
        libraries=["cudart_static", "dl", "rt"],
    )


CUDA_SOURCES = [f"csrc/{name}.cu" for name in [*CUDA_OPERATIONS, "cuda_backend"]]


class Build(build_ext):
    """Compiles the .cu files with nvcc, at the same time as the compiler is busy with the rest.

    What was compiled is also left in the source tree, where Python looks first when it is started
    in the clone: `pip install .` then serves commands inside of it as an editable one does.
    """

    def run(self) -> None:
        super().run()
        if not self.inplace:  # where it is, that is what has just been done
            self.copy_extensions_to_source()

    def build_extensions(self) -> None:
        if NVCC is None:
            self.announce("onet._cuda is left out: no nvcc, or ONET_CUDA=0", level=logging.INFO)
            return super().build_extensions()
        self.announce(f"building onet._cuda with {NVCC}", level=logging.INFO)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self.cuda_objects = [pool.submit(self.compile_cuda, source) for source in CUDA_SOURCES]
            super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        if ext.name == "onet._cuda":
            ext.extra_objects = [built.result() for built in self.cuda_objects]
        super().build_extension(ext)

    def compile_cuda(self, source: str) -> str:
        target = Path(self.build_temp, source).with_suffix(".cu.o")
        target.parent.mkdir(parents=True, exist_ok=True)
        if self.force or newer_group([source, *HEADERS], str(target)):
            # No contraction: the answers are those of the CPU, bit for bit.
            flags = ["-std=c++17", "-O3", "-fmad=false", "-DNDEBUG", *architectures()]
            flags += ["-Xcompiler", "-fPIC,-fvisibility=hidden,-ffp-contract=off"]
            command = [str(NVCC), *flags, "-c", source, "-o", str(target)]
            self.announce(" ".join(command), level=logging.INFO)
            if subprocess.run(command).returncode:
                raise SystemExit(
                    f"nvcc failed for {source}, see above (often the host compiler is newer than "
                    "it supports); ONET_CUDA=0 builds onet without CUDA"
                )
        return str(target)


def architectures() -> list[str]:
    wanted = os.environ.get("ONET_CUDA_ARCHS", "all-major")
    if not re.fullmatch(r"\d+[af]?([;,]\d+[af]?)*", wanted):
        return [f"-arch={wanted}"]
    archs = re.split("[;,]", wanted)
    codes = [(arch, f"sm_{arch}") for arch in archs] + [(archs[-1], f"compute_{archs[-1]}")]
    return [f"-gencode=arch=compute_{arch},code={code}" for arch, code in codes]


NVCC = find_nvcc()
VERSION = re.search(r'__version__ = "(.+?)"', Path("onet/_version.py").read_text())[1]

setup(
    version=VERSION,
    # The folders at the top of the tree that the installed package carries inside itself.
    packages=[*find_packages(include=["onet", "onet.*"]), "onet.configs", "onet.assets"],
    package_dir={"onet.configs": "configs", "onet.assets": "data"},
    package_data={
        "onet": ["py.typed", "*.pyi", "report/*.js"],
        "onet.configs": ["*.yaml"],
        "onet.assets": ["**/*"],
    },
    ext_modules=[
        extension(
            "onet._C",
            [f"csrc/{name}.cpp" for name in [*OPERATIONS, "cube_table", "hilbert"]]
            + [f"csrc/bindings/{name}.cpp" for name in [*OPERATIONS, "module"]],
            depends=HEADERS,
        ),
        *([cuda_extension(NVCC)] if NVCC else []),
    ],
    cmdclass={"build_ext": Build},
    options={"bdist_wheel": {"py_limited_api": "cp312"}} if ABI3 else {},
)
