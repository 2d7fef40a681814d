"""`onet solid` as a function: many meshes, from files to files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from onet.checkpoints.kinds_of_files import no_mesh
from onet.data.integrity import sha256
from onet.data.prepare import memory_needed
from onet.errors import ConfigError, DataError, StorageError
from onet.files import matching, replacing, size_of
from onet.geometry.color.baking import MOST_FACES, bake, check_size
from onet.geometry.color.textured import SurfaceColors
from onet.geometry.color.textured_files import load_textured
from onet.geometry.lengths import METRES, UNITS_OF_FORMATS, relative_length, split_length
from onet.geometry.mesh_io import MESH_SUFFIXES, load_mesh, readable_suffixes, save_mesh
from onet.geometry.solid.colours import seen_from_outside
from onet.geometry.solid.make import THICKEST, Cavities, make_solid
from onet.geometry.solid.report import solid_report
from onet.locks import hold, writer
from onet.names import printable, told_apart
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress
from onet.storage import explain, refusal

FORMAT = 2
"""Counts changes of the code that make solids differ; part of the settings compared."""

LAYER = 0.5
"""Cells further out that a texture looks for the outermost of layers."""

MeshSuffix = Literal["ply", "glb", "obj", "off", "stl"]


@dataclass(frozen=True, kw_only=True)
class SolidSettings:
    """How solids are made, see `onet.make_solid`; lengths as `onet.geometry.lengths` reads them.

    Attributes:
        resolution, cavities, faces: as there.
        wall: thickness of sheets' walls: part of the longest edge, or with a unit.
        holes: the widest holes that are closed, likewise; None as there.
        units: of the files' coordinates, where they do not say.
        format: of the files that are written.
        texture: texels along the edge of a texture that shows the materials, textures and colours
            of the file; None gives faces one colour each.
    """

    resolution: int = 256
    wall: str = "0.004"
    holes: str | None = None
    cavities: Cavities = "fill"
    faces: int | None = None
    units: str | None = None
    format: MeshSuffix = "ply"
    texture: int | None = None

    def __post_init__(self) -> None:
        """Check the words; numbers are checked where they are used.

        Raises:
            DataError: a length that cannot be read, or an unknown unit.
            ConfigError: a texture of such a size, or in such a format, that cannot be.
        """
        if self.texture is not None:
            check_size(self.texture)
            if self.format not in ("glb", "obj"):
                raise ConfigError(f"a texture needs the format glb or obj, not {self.format}")
        thickness, unit = split_length(self.wall, "--wall")
        if unit is None and not 0 < thickness <= THICKEST:
            raise DataError(
                f"--wall {self.wall}: is a part of the longest edge, more than 0 and at most "
                f"{THICKEST:g}; of a length write the unit, too, such as {self.wall}mm"
            )
        if self.holes is not None:
            split_length(self.holes, "--holes")
        if self.units is not None and self.units not in METRES:
            raise DataError(f"--units {self.units}: choose one of {', '.join(METRES)}")


@dataclass(frozen=True)
class _Task:
    path: Path
    out: Path
    settings: SolidSettings

    @property
    def record(self) -> Path:
        return self.out.with_suffix(".json")


@dataclass
class SolidsReport:
    """What `make_solids` did.

    Attributes:
        out: the folder.
        solids: the content of each record, those of earlier runs too, by the name of the mesh.
        made, kept: how many were made now, and how many an earlier run had finished.
        failures: why others could not be made, by their files.
        seconds: wall time.
    """

    out: Path
    solids: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: int = 0
    kept: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@reports_progress
@writer
def make_solids(
    files: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    settings: SolidSettings | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> SolidsReport:
    """Make a solid of every mesh, in a folder of its own, with a record as JSON beside it.

    Solids keep the frame of their files. What an earlier run finished of the same file with the
    same settings is kept. A mesh that fails costs only itself.

    Args:
        files: meshes, patterns such as `*.stl`, and folders of meshes at any depth.
        out: the folder to write to.
        settings: None means the defaults.
        workers, scheduler: see `onet.parallel.run_tasks`.
        progress: see `onet.progress`.

    Raises:
        DataError: no meshes, or settings that cannot be used.
        FolderInUse: another process writes to the folder.
        StorageError: the disk is full, or the folder cannot be written; finished solids are kept.
    """
    start = time.monotonic()
    settings = settings or SolidSettings()
    folder = Path(out)
    if folder.suffix.lower() in MESH_SUFFIXES and not folder.is_dir():
        raise ConfigError(
            f"{folder}: looks like a file, and results are a folder; name a folder, such as "
            f"{folder.stem}, and the format {folder.suffix[1:].lower()}"
        )
    sources = find_meshes(files, folder)
    hold(folder)
    tasks = [_Task(path, folder / name, settings) for path, name in _names(sources, settings)]
    report = SolidsReport(folder)
    waiting = []
    for task in tasks:
        if (known := _finished(task)) is None:
            waiting.append(task)
        else:
            report.solids[task.out.name] = known
            report.kept += 1
    memory = memory_needed(settings.resolution)
    outcomes = run_tasks(
        _make_one, waiting, workers, scheduler, lambda task: task.path.name, "solid", memory,
        size=lambda task: size_of(task.path),
    )  # fmt: skip
    with closing(outcomes):
        for task, outcome in outcomes:
            if isinstance(outcome, StorageError):
                raise outcome
            if isinstance(outcome, Exception):
                report.failures[printable(str(task.path))] = _reason(outcome, task.path)
            else:
                report.solids[task.out.name] = outcome
                report.made += 1
    report.seconds = time.monotonic() - start
    return report


def find_meshes(
    given: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str] | None = None
) -> list[Path]:
    """Return the mesh files that paths mean, each once: files, patterns, and those in folders.

    Args:
        given: a file that is missing stays in the list; reading it says so.
        out: folder of the results; what lies in it is left out.

    Raises:
        DataError: none of them is there, a pattern that nothing fits, or no meshes.
    """
    suffixes = readable_suffixes()
    found: dict[str, Path] = {}
    own = None if out is None else os.path.realpath(out)
    paths = [path for one in given for path in matching(one)]
    if paths and not any(path.exists() for path in paths):
        raise DataError(f"{paths[0]}: no such file or folder; check the path")
    for path in paths:
        inside = (
            sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
            if path.is_dir()
            else [path]
        )
        for file in inside:
            real = os.path.realpath(file)
            hidden = path.is_dir() and any(
                part.startswith(".") for part in file.relative_to(path).parts
            )
            if hidden or (own is not None and real.startswith(own + os.sep)):
                continue
            found.setdefault(real, file)
    if not found:
        raise DataError(f"{', '.join(map(str, given))}: no meshes; see docs/data.md for formats")
    problems = [no_mesh(path) for path in found.values()]
    if problems[0] and all(problems):
        raise DataError(problems[0])
    return list(found.values())


def _names(sources: list[Path], settings: SolidSettings) -> list[tuple[Path, str]]:
    """Return a file name for each mesh, different on every file system."""
    stems = [path.stem for path in sources]
    longer = [f"{path.parent.name}__{path.stem}" for path in sources]
    names = told_apart(stems, longer, [os.path.realpath(path) for path in sources])
    return [(path, f"{name}.{settings.format}") for path, name in zip(sources, names, strict=True)]


def _settings_of(task: _Task) -> dict[str, Any]:
    return {**asdict(task.settings), "version": FORMAT}


def _finished(task: _Task) -> dict[str, Any] | None:
    """Return the record of a solid that is there as it was written."""
    try:
        record: dict[str, Any] = json.loads(task.record.read_text(encoding="utf-8"))
        if record["settings"] != _settings_of(task):
            return None
        if record["sha256"] != sha256(task.out) or record["source_sha256"] != sha256(task.path):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no record, or none of this kind
    return record


def _make_one(task: _Task) -> dict[str, Any]:
    """Make one solid; returns its record, which is written last."""
    try:
        return _made(task)
    except Exception as error:
        if (cause := refusal(error, task.out.parent)) is None:
            raise
        raise StorageError(f"{task.out}: {explain(cause)}; then run the same again") from error


def _made(task: _Task) -> dict[str, Any]:
    start = time.process_time()
    settings, path = task.settings, task.path
    textured = None if settings.texture is None else load_textured(path)
    mesh = load_mesh(path, colors=True) if textured is None else textured.mesh
    longest = float((mesh.vertices.max(axis=0) - mesh.vertices.min(axis=0)).max())
    units = settings.units or UNITS_OF_FORMATS.get(path.suffix.lower())
    holes = settings.holes
    solid = make_solid(
        mesh,
        settings.resolution,
        wall=relative_length(settings.wall, "--wall", longest, units),
        holes=None if holes is None else relative_length(holes, "--holes", longest, units),
        cavities=settings.cavities,
        faces=settings.faces or (None if textured is None else MOST_FACES),
        name=str(path),
    )
    report = solid_report(mesh, solid)
    task.record.unlink(missing_ok=True)
    if textured is None or settings.texture is None:
        save_mesh(solid, task.out)
    else:
        step = LAYER * longest / settings.resolution
        colors = seen_from_outside(solid, SurfaceColors(textured), step)
        # All faces: simplified once more they might cross.
        bake(solid, colors, settings.texture, max_faces=len(solid.faces)).save(task.out)
    record = {
        "source": str(path),
        "source_sha256": sha256(path),
        "sha256": sha256(task.out),
        "settings": _settings_of(task),
        "report": report.as_dict(),
        "row": report.row(),
        "seconds": round(time.process_time() - start, 3),
    }
    with replacing(task.record) as temporary:
        temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


def _reason(error: Exception, path: Path) -> str:
    text = " ".join(str(error).removeprefix(f"{path}: ").split())
    return text if isinstance(error, DataError) else f"{type(error).__name__}: {text}"
