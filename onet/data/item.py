"""One item of a store: what an earlier run left of it, and making what is missing."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onet.data import integrity
from onet.data.closed_mesh import ClosedMesh, close_mesh
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.mesh_files import MeshFile
from onet.data.parts import PARTS, PARTS_KEY, Part, Shape
from onet.data.settings import PrepareSettings
from onet.data.store_folder import MESH, POINTCLOUD, POINTS, RECORD, read_record, write_record
from onet.errors import DataError, StorageError
from onet.geometry.inside import contains
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.geometry.sampling import sample_box, sample_surface
from onet.storage import explain, refusal

if TYPE_CHECKING:
    import trimesh

SIDE_FILES = "files"
"""Key of `item.json`, in its section `source`, of other files that the mesh file names."""


@dataclass(frozen=True)
class ItemPlan:
    """What is to be done for one item.

    Attributes:
        mesh_file: the mesh file.
        folder: of the item.
        settings: of points and mesh.
        wanted: the parts that are asked for besides.
        record: the `item.json` that an earlier run left; None if the item is to be made from the
            beginning.
        missing: the parts to make; with a record and without these the item is finished.
        damaged: files that are not as they were written, with what is wrong.
    """

    mesh_file: MeshFile
    folder: Path
    settings: PrepareSettings
    wanted: list[Part]
    record: dict[str, Any] | None = None
    missing: list[Part] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)

    def anew(self) -> ItemPlan:
        """Return the plan to make all of the item."""
        return replace(self, record=None, missing=self.wanted)


def plan_item(
    mesh_file: MeshFile, folder: Path, settings: PrepareSettings, wanted: list[Part]
) -> ItemPlan:
    """Return what is missing of an item; what an earlier run finished is hashed."""
    plan = ItemPlan(mesh_file, folder, settings, wanted)
    try:
        record = read_record(folder)
        if settings.overwrite or not _same_origin(mesh_file.path, settings, record):
            return plan.anew()
        if damaged := _damaged(folder, integrity.CORE, record):
            return replace(plan.anew(), damaged=damaged)
        present = [part.name for part in wanted if part.present(record)]
        damaged = _damaged(folder, present, record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return plan.anew()  # no record or half of one
    missing = [part for part in wanted if part.name not in present or part.name in damaged]
    return replace(plan, record=record, missing=missing, damaged=damaged)


def _same_origin(path: Path, settings: PrepareSettings, record: dict[str, Any]) -> bool:
    """Return whether an item was made of the same files with the same settings."""
    if record["settings"] != settings.of_item():
        return False
    hashes = _source_hashes(path, record)
    return all(integrity.sha256(path.parent / name) == digest for name, digest in hashes.items())


def _source_hashes(path: Path, record: dict[str, Any]) -> dict[str, str]:
    """Return the hashes of the files that an item was made of, by their names beside the mesh."""
    made_of = record["source"]
    return {path.name: made_of["sha256"]} | made_of.get(SIDE_FILES, {})


def _damaged(folder: Path, names: Iterable[str], record: dict[str, Any]) -> dict[str, str]:
    found = {name: integrity.damage(folder, name, record) for name in names}
    return {name: what for name, what in found.items() if what is not None}


def prepare_item(plan: ItemPlan) -> dict[str, Any]:
    """Make what is missing of one item; returns the content of its `item.json`.

    Raises:
        DataError: the mesh cannot be used.
        StorageError: nothing more can be written.
    """
    try:
        return _prepare_item(plan)
    except Exception as error:
        store = plan.folder.parent.parent
        if (cause := refusal(error, store)) is None:
            raise
        raise StorageError(
            f"{plan.folder}: {explain(cause)}; then run the same command again: finished items of "
            f"{store} are kept"
        ) from error


def _prepare_item(plan: ItemPlan) -> dict[str, Any]:
    """Read the mesh, close it, write what is missing, and at last the record."""
    start = time.monotonic()
    path, settings, missing = plan.mesh_file.path, plan.settings, plan.missing
    colors = any(part.needs_colors for part in missing)
    mesh = load_mesh(path, colors=colors, data=path.read_bytes())
    read = mesh.metadata["sources"]  # hashes of what was parsed, whatever the files hold by now
    if plan.record is not None and _changed(_source_hashes(path, plan.record), read):
        return _prepare_item(plan.anew())  # since it was planned
    closed = None
    if plan.record is None or any(part.needs_closed_mesh for part in missing):
        closed = close_mesh(
            mesh, str(path), settings.resolution, settings.thickness, settings.labels
        )
    shape = Shape(plan.mesh_file.name, mesh, closed, settings.padding, path)
    record = plan.record if plan.record is not None else _write_core(plan, shape)
    _write_parts(plan, shape, record)
    if side := {name: digest for name, digest in read.items() if name != path.name}:
        record["source"][SIDE_FILES] = record["source"].get(SIDE_FILES, {}) | side
    record["seconds"] = round(time.monotonic() - start, 3)
    return finish_record(plan, record)


def _changed(known: Mapping[str, str], read: Mapping[str, str]) -> bool:
    return any(known.get(name, digest) != digest for name, digest in read.items())


def _discard(folder: Path) -> None:
    """Delete the record of an item, and the parts that it says were made with it."""
    try:
        made = {*read_record(folder)[PARTS_KEY]}
    except (OSError, ValueError, KeyError, TypeError):
        made = set()
    (folder / RECORD).unlink(missing_ok=True)
    for part in PARTS:
        if part.name in made:
            part.remove(folder)


def _write_core(plan: ItemPlan, shape: Shape) -> dict[str, Any]:
    """Write points, surface points and mesh; returns the record, which has yet to be written."""
    closed, settings, folder = shape.require_closed(), plan.settings, plan.folder
    mesh, frame = closed.mesh, closed.frame
    _discard(folder)
    rng = np.random.default_rng([settings.seed, zlib.crc32(plan.mesh_file.name.encode())])
    points = sample_box(settings.points, settings.padding, rng).astype(np.float16)
    occupancies = contains(mesh, points.astype(np.float32))
    _check_both(occupancies, plan.mesh_file.path)
    surface, normals, _ = sample_surface(mesh, settings.surface, rng)
    stored, note = _simplified(mesh, settings.stored_faces)

    write_points(folder / POINTS, points, occupancies, frame)
    write_pointcloud(folder / POINTCLOUD, surface, normals, frame)
    save_mesh(stored, folder / MESH)
    return _new_record(plan, shape.mesh, closed) | {
        "occupied": float(occupancies.mean()),
        "mesh": {"faces": len(stored.faces), "note": note},
    }


def _new_record(plan: ItemPlan, original: trimesh.Trimesh, closed: ClosedMesh) -> dict[str, Any]:
    """Return the record of an item as far as mesh and settings decide it."""
    from onet.geometry.topology import topology

    return {
        "category": plan.mesh_file.category,
        "model": plan.mesh_file.model,
        "source": {
            "file": plan.mesh_file.file,
            "sha256": original.metadata["sources"][plan.mesh_file.path.name],
            "faces": len(original.faces),
            "vertices": len(original.vertices),
            "closed": topology(original).watertight,
        },
        "settings": plan.settings.of_item(),
        "frame": {"loc": closed.frame.loc.tolist(), "scale": closed.frame.scale},
        "watertight": topology(closed.mesh).as_dict() | closed.method,
        "thickness": closed.thickness,
    }


def _check_both(occupancies: np.ndarray[Any, np.dtype[np.bool_]], path: Path) -> None:
    if occupancies.all() or not occupancies.any():
        raise DataError(
            f"{path}: of {len(occupancies)} points {int(occupancies.sum())} are inside, "
            "nothing can be learned from it; increase the resolution or the number of points"
        )


def _simplified(mesh: trimesh.Trimesh, faces: int) -> tuple[trimesh.Trimesh, str]:
    """Return the mesh with at most `faces` faces, and what was done.

    Labels and surface points are taken from the full mesh; this one is for looking at and for
    evaluation.
    """
    from onet.geometry.simplification import simplify

    if len(mesh.faces) <= faces:
        return mesh, "full"
    return simplify(mesh, faces), (
        f"simplified from {len(mesh.faces)} faces; labels are those of the full mesh"
    )


def _write_parts(plan: ItemPlan, shape: Shape, record: dict[str, Any]) -> None:
    """Write the missing parts; the record on disk does not name them until all are there."""
    missing = {part.name: part.settings() for part in plan.missing}
    made = record.get(PARTS_KEY, {})
    kept = {name: settings for name, settings in made.items() if name not in missing}
    if kept != made:
        write_record(plan.folder, record | {PARTS_KEY: kept})
    for part in plan.missing:
        part.write(plan.folder, shape)
    if plan.wanted:
        record[PARTS_KEY] = kept | missing


def finish_record(plan: ItemPlan, record: dict[str, Any]) -> dict[str, Any]:
    """Write `item.json` with sizes and hashes: those of new files, and for the others known ones.

    Parts that were neither made nor verified, of versions that recorded no hashes, get none.
    """
    known, made = record.get(integrity.FILES, {}), {part.name for part in plan.missing}
    verified = {*integrity.CORE, *known, *(part.name for part in plan.wanted)}
    record[integrity.FILES] = {
        name: known[name]
        if name in known and name not in made
        else integrity.describe(plan.folder / name)
        for name in [*integrity.CORE, *record.get(PARTS_KEY, {})]
        if name in verified
    }
    write_record(plan.folder, record)
    return record
