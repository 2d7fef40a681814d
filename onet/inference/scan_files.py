"""Meshes of many scans: `onet scan` as a function.

    OUT/NAME.FORMAT        mesh, in the frame of its scan
    OUT/NAME.report.json   what it measures, if asked for
    OUT/scans.csv          one row for each scan
    OUT/scans.json         network and options that the meshes were made with

A name is that of the scan; of one below a folder that was given it has the folders between.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onet._version import __version__
from onet.checkpoints.checkpoint import file_identity, resolve_checkpoint
from onet.cluster import kept
from onet.errors import ConfigError, DataError, WorkerDied
from onet.files import size_of
from onet.geometry.carried_colors import CloudColors
from onet.geometry.color.baked import BAKED_SUFFIXES
from onet.geometry.color.baking import bake, check_size
from onet.geometry.mesh_io import MESH_SUFFIXES
from onet.geometry.mesh_reading.formats import is_suffix
from onet.geometry.topology import Topology
from onet.geometry.written import save_and_examine
from onet.inference.generation_folder import read_csv, read_json, write_csv, write_json
from onet.inference.scan_estimate import announce
from onet.inference.scan_input import ScanInput, clean_scan
from onet.inference.scan_intervals import Intervals, read_intervals
from onet.inference.scan_measures import measures
from onet.inference.scan_output import check_trim
from onet.inference.scan_sources import RECORD, TABLE, ScanFile, find_scans, read_scan
from onet.locks import hold, writer, writing_file
from onet.names import checked_path, printable
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress
from onet.storage import refusal

if TYPE_CHECKING:
    import trimesh

    from onet.inference.scan_reconstructor import ScanReconstructor

logger = logging.getLogger(__name__)

NETWORK = "scan"
OK, FAILED = "ok", "failed"
WRITE_EVERY = 5.0  # seconds between writes of the table

_SHAPE = ("vertices", "faces", "components", "watertight", "manifold", "oriented", "outward")
_NUMBERS = ("bytes", "modified", "points", "vertices", "faces", "components", "removed")
COLUMNS = (
    *("mesh", "source", "bytes", "modified", "status", "points", *_SHAPE),
    *("seen", "removed", "seconds", "reason", "notes"),
)
"""Of the table. `modified` is in nanoseconds, `seen` a part of the vertices, `removed` faces."""

Row = dict[str, Any]


@dataclass(frozen=True)
class ScanOptions:
    """How scans are reconstructed.

    Attributes:
        resolution: cells along the longest side; None follows the spacing of the points.
        trim: remove surface farther than that from every point, in units of the file.
        closed: keep surface that was completed.
        seed: of everything random.
        sensor: where the sensor was, in place of what files say.
        texture: texels along the edge of a texture with the colours of the scan; None gives the
            vertices colours.

    Raises:
        ConfigError: a number out of range.
    """

    resolution: int | None = None
    trim: float | None = None
    closed: bool = True
    seed: int = 0
    sensor: tuple[float, float, float] | None = None
    texture: int | None = None

    def __post_init__(self) -> None:
        check_trim(self.trim)
        if self.texture is not None:
            check_size(self.texture)
        if self.resolution is not None and self.resolution < 2:
            raise ConfigError(f"resolution: {self.resolution}; give at least 2 cells")


@dataclass(frozen=True)
class ScanReport:
    """What a call of `scan_files` left behind.

    Attributes:
        out: the folder or file of the results.
        rows: one for each scan, keys as in `COLUMNS`.
        skipped: how many of them an earlier call had made.
    """

    out: Path
    rows: list[Row]
    skipped: int

    @property
    def failures(self) -> list[Row]:
        """Rows of the scans without a mesh."""
        return [row for row in self.rows if row["status"] != OK]

    @property
    def ok(self) -> bool:
        """Every scan has a mesh."""
        return not self.failures

    def summary(self) -> str:
        """What is there, in a few words."""
        meshes = len(self.rows) - len(self.failures)
        again = f" ({self.skipped} from before)" if self.skipped else ""
        return f"{self.out}: {meshes} of {len(self.rows)} scans have a mesh{again}"


@reports_progress
@writer
def scan_files(
    files: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    options: ScanOptions | None = None,
    *,
    network: str | os.PathLike[str] = NETWORK,
    format: str = "ply",
    report: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    scheduler: str | None = None,
    told: Callable[[Row], object] = lambda row: None,
    progress: Progress | None = None,
) -> ScanReport:
    """Reconstruct a mesh of each scan, in the frame of its file.

    A scan that fails becomes a row with its reason, and the next one is taken. Called again with
    the same options, it makes only what is missing, or what was made of a file that has changed.

    Args:
        files: see `onet.inference.scan_sources.find_scans`.
        out: folder of the results; or, of one scan, the mesh, by its suffix.
        options: see `ScanOptions`.
        network: name or file of a network for scans.
        format: of meshes in a folder, a suffix of `MESH_SUFFIXES` without dot.
        report: also write what each mesh measures, as JSON beside it.
        overwrite: make again what is there, and with other options.
        device: see `onet.load`.
        scheduler: address of a dask scheduler, whose workers load the network each; for a folder of
            results. See `onet.parallel.run_tasks`.
        told: hears of each row when its mesh is there, and of those from before.
        progress: see `onet.progress`.

    Raises:
        ConfigError: options out of range, or not those that the folder was made with.
        CheckpointError: no network for scans.
        DataError: no scans, or a mesh would replace one of them.
        FolderInUse: another command writes there.
    """
    options = options or ScanOptions()
    scans, out = find_scans(files), Path(out)
    suffix = out.suffix.lower()
    one = suffix in MESH_SUFFIXES and not out.is_dir()
    if one and len(scans) > 1:
        raise ConfigError(f"{out}: is one file, and there are {len(scans)} scans; name a folder")
    if out.suffix and not one and is_suffix(suffix) and not out.is_dir():
        raise ConfigError(
            f"{out}: no mesh is written as {suffix}; name a folder, or of one scan a file that "
            f"ends in {', '.join(MESH_SUFFIXES)}"
        )
    if f".{format}" not in MESH_SUFFIXES:
        raise ConfigError(f"format {format!r}: choose one of {', '.join(MESH_SUFFIXES)}")
    written = suffix if one else f".{format}"
    if options.texture is not None and written not in BAKED_SUFFIXES:
        raise ConfigError(f"a texture needs one of {', '.join(BAKED_SUFFIXES)}, not {written}")
    places = [out if one else out / f"{scan.name}.{format}" for scan in scans]
    _check_places(scans, places)
    work = _Work(options, network, device, report)
    if one and scheduler is not None:
        raise ConfigError(f"{out}: is one file, made here; leave out the scheduler")
    if one:
        with writing_file(out):
            row = work.row(scans[0], out, out.name)
        told(row)
        return ScanReport(out, [row], 0)
    hold(out)
    return _fill(work, scans, places, out, format, overwrite, told, scheduler)


def _check_places(scans: Sequence[ScanFile], places: Sequence[Path]) -> None:
    sources = {scan.path.resolve() for scan in scans}
    for scan, place in zip(scans, places, strict=True):
        if place.resolve() in sources:
            raise DataError(
                f"{place}: is a scan, which the mesh of {scan.path} would replace; choose another "
                "folder or format"
            )


class _Work:
    """Reconstructs scans, with a network that is loaded when the first one needs it."""

    def __init__(
        self,
        options: ScanOptions,
        network: str | os.PathLike[str],
        device: str,
        report: bool,
    ) -> None:
        self.options, self.device, self.report = options, device, report
        self.path = resolve_checkpoint(network)
        self._loaded: tuple[ScanReconstructor, Intervals | None] | None = None

    @property
    def loaded(self) -> tuple[ScanReconstructor, Intervals | None]:
        if self._loaded is None:
            self._loaded = load_network(self.path, self.device)
        return self._loaded

    def row(self, scan: ScanFile, place: Path, mesh: str) -> Row:
        """Reconstruct a scan and write its mesh; the reason where that fails."""
        start = time.perf_counter()
        row = dict.fromkeys(COLUMNS, "") | _source(scan.path) | {"mesh": mesh, "status": FAILED}
        self.loaded  # noqa: B018 -- what is wrong with the network is no fault of the scan
        try:
            row |= self._made(scan.path, place)
        except ConfigError:
            raise  # no other scan would do better
        except Exception as error:
            if refusal(error, place.parent):
                raise
            kind = "" if isinstance(error, DataError) else f"{type(error).__name__}: "
            row["reason"] = " ".join(f"{kind}{error}".split())
        return row | {"seconds": round(time.perf_counter() - start, 3)}

    def _made(self, path: Path, place: Path) -> Row:
        options, (model, intervals) = self.options, self.loaded
        scan = clean_scan(read_scan(path, options.sensor), name=str(path))
        announce(scan, options.resolution)
        mesh = model.reconstruct(
            scan,
            resolution=options.resolution,
            trim=options.trim,
            closed=options.closed,
            seed=options.seed,
        )
        told = mesh.metadata["scan"]
        row = {"points": len(scan), "notes": "; ".join(told["notes"]), "removed": told["removed"]}
        if len(mesh.faces) == 0:
            why = "all of it was trimmed" if told["removed"] else "the network sees no inside"
            return row | {"reason": f"no surface: {why}"}
        shape = self._saved(mesh, scan, place).as_dict()
        if self.report:
            field = model.field(scan) if intervals else None
            measured = measures(mesh, field, intervals)
            write_json(report_path(place), {**_source(path), **measured})
        shown = {key: shape[key] for key in _SHAPE}
        return row | {"status": OK, "seen": round(told["seen"], 4)} | shown

    def _saved(self, mesh: trimesh.Trimesh, scan: ScanInput, place: Path) -> Topology:
        """Write a mesh, with a texture if that was asked for, and say what the file is like."""
        size = self.options.texture
        if size is None:
            return save_and_examine(mesh, place)
        if scan.colors is None:
            raise DataError(f"{scan.name}: has no colours; leave out the texture")
        return bake(mesh, CloudColors(scan.points, scan.colors), size).save_and_examine(place)


@dataclass(frozen=True)
class _Task:
    scan: ScanFile
    place: Path
    mesh: str


def _row_there(task: _Task, work: tuple[Any, ...], state: tuple[int, int]) -> Row:
    """Reconstruct a scan on a worker of a cluster, which keeps the network for the next one."""

    def make() -> _Work:
        made = _Work(*work)
        made.loaded  # noqa: B018 -- by one thread, as the others wait
        return made

    return kept((work, state), make).row(task.scan, task.place, task.mesh)


def report_path(mesh: Path) -> Path:
    """Return the file that says what a mesh measures."""
    return mesh.with_name(f"{mesh.stem}.report.json")


def load_network(path: Path, device: str) -> tuple[ScanReconstructor, Intervals | None]:
    """Return the network for scans in a file, and the intervals of what it measures, if known.

    Raises:
        CheckpointError: it holds another network, or none, or damaged intervals.
    """
    from onet.checkpoints.checkpoint import read_safetensors
    from onet.checkpoints.scan_weights import scan_options
    from onet.inference.scan_reconstructor import ScanReconstructor

    header = read_safetensors(path).header
    scan_options(header, path)
    return ScanReconstructor.load(path, device), read_intervals(header, str(path))


def _fill(
    work: _Work,
    scans: Sequence[ScanFile],
    places: Sequence[Path],
    out: Path,
    format: str,
    overwrite: bool,
    told: Callable[[Row], object],
    scheduler: str | None,
) -> ScanReport:
    """Make the meshes of a folder that are not there yet."""
    settings = _settings(work, format)
    rows = {} if overwrite else _finished(out, settings)
    write_json(out / RECORD, settings)
    names = [place.relative_to(out).as_posix() for place in places]
    asked = dict(zip(names, scans, strict=True))
    ready = [
        name
        for name, scan in asked.items()
        if _is_ready(rows.get(name), scan, out)
        and (not work.report or report_path(out / name).is_file())
    ]
    for name in ready:
        told(rows[name])
    todo = [_Task(asked[name], out / name, name) for name in names if name not in ready]
    written = time.monotonic()
    try:
        for task, row in _made(work, todo, scheduler):
            rows[task.mesh] = row
            told(row)
            if time.monotonic() - written > WRITE_EVERY:
                _write(out, rows)
                written = time.monotonic()
    finally:
        _write(out, rows)
    return ScanReport(out, [rows[name] for name in names], len(ready))


def _made(
    work: _Work, todo: list[_Task], scheduler: str | None
) -> Generator[tuple[_Task, Row], None, None]:
    """Reconstruct scans, here or on the workers of a cluster; yields their rows."""

    def here(task: _Task) -> Row:
        return work.row(task.scan, task.place, task.mesh)

    one: Callable[[_Task], Row] = here
    if scheduler is not None:
        state = (work.path.stat().st_size, work.path.stat().st_mtime_ns)
        told = (work.options, work.path.absolute(), work.device, work.report)
        one = partial(_row_there, work=told, state=state)
    tasks = run_tasks(
        one, todo, 1, scheduler, lambda task: printable(task.mesh), "reconstructing",
        size=lambda task: size_of(task.scan.path),
    )  # fmt: skip
    with closing(tasks):
        for task, row in tasks:
            if isinstance(row, WorkerDied):
                lost = dict.fromkeys(COLUMNS, "") | _source(task.scan.path)
                yield task, lost | {"mesh": task.mesh, "status": FAILED, "reason": str(row)}
            elif isinstance(row, BaseException):
                raise row
            else:
                yield task, row


def _settings(work: _Work, format: str) -> dict[str, Any]:
    options = {key: getattr(work.options, key) for key in work.options.__dataclass_fields__}
    return {
        "network": file_identity(work.path),
        **json.loads(json.dumps(options)),
        "format": format,
        "version": __version__,
    }


def _finished(out: Path, settings: dict[str, Any]) -> dict[str, Row]:
    """Rows of the table of a folder that was made with the same settings.

    Raises:
        ConfigError: it was made with others.
        DataError: its files are damaged.
    """
    if not (out / RECORD).is_file():
        return {}
    before = read_json(out / RECORD, {"network": dict})
    same = {"network": lambda value: value.get("sha256"), "version": lambda value: None}
    differing = sorted(
        key
        for key in before.keys() | settings.keys()
        if same.get(key, lambda value: value)(before.get(key))
        != same.get(key, lambda value: value)(settings.get(key))
    )
    if differing:
        raise ConfigError(
            f"{out}: was made with other options ({', '.join(differing)}); choose another folder, "
            "or overwrite it"
        )
    if not (out / TABLE).is_file():
        return {}
    return {row["mesh"]: _parsed(row, where) for where, row in read_csv(out / TABLE, COLUMNS)}


def _parsed(cells: dict[str, str], where: str) -> Row:
    """A row of the table with numbers in it."""
    row: Row = dict(cells)
    checked_path(row["mesh"], where)
    try:
        row |= {key: int(row[key]) for key in _NUMBERS if row[key]}
        row |= {key: float(row[key]) for key in ("seen", "seconds") if row[key]}
    except ValueError as error:
        raise DataError(f"{where}: is damaged ({error}); delete the table") from None
    return row | {key: row[key] == "True" for key in _SHAPE if row[key] in ("True", "False")}


def _is_ready(row: Row | None, scan: ScanFile, out: Path) -> bool:
    """Whether the mesh of a row is there and was made of the file as it is now."""
    if row is None or row["status"] != OK or not (out / row["mesh"]).is_file():
        return False
    return all(row[key] == value for key, value in _source(scan.path).items())


def _source(path: Path) -> Row:
    """Which file a mesh is of, and in which state; a missing file has none."""
    told: Row = {"source": printable(str(path.absolute())), "bytes": "", "modified": ""}
    if path.is_file():
        state = path.stat()
        told |= {"bytes": state.st_size, "modified": state.st_mtime_ns}
    return told


def _write(out: Path, rows: dict[str, Row]) -> None:
    write_csv(out / TABLE, COLUMNS, [rows[name] for name in sorted(rows)])
