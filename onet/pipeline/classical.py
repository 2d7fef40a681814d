"""`onet classical` as a function: meshes of scans by methods that learn nothing.

OUT/METHOD/NAME.ply    in the frame of its scan; folders that `onet eval --truth` takes
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from onet.errors import ConfigError, StorageError
from onet.files import size_of
from onet.geometry.classical import METHODS, ClassicalSettings, reconstruct
from onet.geometry.mesh_io import save_mesh
from onet.geometry.open3d_io import load_open3d
from onet.inference.scan_sources import ScanFile, find_scans, read_scan
from onet.locks import hold, writer
from onet.names import printable
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress
from onet.storage import check_writable

_Task = tuple[ScanFile, str]


@dataclass
class ClassicalReport:
    """What `reconstruct_scans` did.

    Attributes:
        out: the folder, with one for each method.
        meshes: how many were made.
        failures: why others could not be made, by method and scan.
    """

    out: Path
    meshes: int = 0
    failures: dict[str, str] = field(default_factory=dict)


@reports_progress
@writer
def reconstruct_scans(
    files: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    methods: Sequence[str] = tuple(METHODS),
    settings: ClassicalSettings | None = None,
    *,
    known_normals: bool = False,
    workers: int | None = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> ClassicalReport:
    """Make a mesh of every scan by every method. A scan that fails costs only itself.

    Args:
        files: of scans, see `onet.inference.scan_sources.find_scans`.
        out: the folder to write to; meshes that are there are replaced.
        methods: keys of `onet.geometry.classical.METHODS`.
        settings: None means the defaults.
        known_normals: take normals of files where they have some; else all are estimated.
        workers: processes; None for as many as there are cores and memory for.
        scheduler: address of a dask scheduler in their place, see `onet.parallel.run_tasks`.
        progress: see `onet.progress`.

    Raises:
        ConfigError: an unknown method.
        DataError: no scans.
        MissingDependency: Open3D is not installed, or does not load.
        FolderInUse, StorageError: the folder cannot be written.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown or not methods:
        raise ConfigError(
            f"methods: {', '.join(unknown) or 'none'}; choose of {', '.join(METHODS)}"
        )
    load_open3d()
    scans, place = find_scans(files), Path(out)
    check_writable(place)
    hold(place)
    report = ClassicalReport(place)
    make = partial(_make, out=place, settings=settings, known_normals=known_normals)
    outcomes = run_tasks(
        make, [(scan, method) for method in methods for scan in scans], workers,
        scheduler, _name, "reconstructing", size=lambda task: size_of(task[0].path),
    )  # fmt: skip
    with closing(outcomes):
        for task, outcome in outcomes:
            if isinstance(outcome, StorageError):
                raise outcome
            if isinstance(outcome, Exception):
                report.failures[_name(task)] = printable(str(outcome))
            else:
                report.meshes += 1
    return report


def _name(task: _Task) -> str:
    scan, method = task
    return f"{method}/{scan.name}"


def _make(task: _Task, out: Path, settings: ClassicalSettings | None, known_normals: bool) -> None:
    scan, method = task
    path = out / method / f"{scan.name}.ply"
    path.unlink(missing_ok=True)  # what an earlier run made is no mesh of a scan that fails now
    cloud = read_scan(scan.path)
    normals = cloud.normals if known_normals else None
    save_mesh(reconstruct(method, cloud.points, normals, settings), path)
