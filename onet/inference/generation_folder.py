"""A generation folder on disk: its tables and settings, read and written.

    OUT/generation.json                        checkpoint, settings and data that it was made with
    OUT/meshes/CATEGORY/MODEL.FORMAT           in the source frame
    OUT/inputs/CATEGORY/MODEL.*                what the network observed: points (ply) or voxels
                                               (binvox) in the source frame, or a picture (png);
                                               of several observations the others too, as
                                               MODEL.view1.* and so on
    OUT/results.csv                            one row per item
    OUT/failures.csv                           category, model, reason

    OUT/eval.csv, OUT/eval_items.csv           scores per category and per item, once evaluated
    OUT/evaluation.json                        how they were measured
    OUT/eval_onet2019.{csv,json}               the table of the publication, if asked for
    OUT/report.html, OUT/contact_sheet.png     for people
    OUT/pictures/, OUT/samples.png             of a generator of pictures, instead of meshes: see
                                               `onet.inference.sample_pictures`
    OUT/picture_scores.*                       these against true ones, once compared: see
                                               `onet.evaluation.picture_sets`
    OUT/diversity.*, OUT/nearest.*             the set of shapes against that of a store, once
                                               compared: see `onet.evaluation.diversity`

The category of a scan is the folder that it lies in, seen from the input folder; empty at the top.
"""

from __future__ import annotations

import csv
import io
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from onet.errors import ConfigError, DataError
from onet.files import remove
from onet.records import (
    MAKE_IT_AGAIN,
    Row,
    check_kinds,
    check_names,
    read_csv,
    read_json,
    write_csv,
    write_json,
)

logger = logging.getLogger(__name__)

SETTINGS = "generation.json"
RESULTS = "results.csv"
FAILURES = "failures.csv"
MESHES = "meshes"
INPUTS = "inputs"
PICTURES = "pictures"
SAMPLE_SHEET = "samples.png"
EVAL = "eval.csv"
EVAL_ITEMS = "eval_items.csv"
PROTOCOL = "evaluation.json"
ONET2019, ONET2019_SETTINGS = "eval_onet2019.csv", "eval_onet2019.json"
REPORT = "report.html"
CONTACT_SHEET = "contact_sheet.png"
DIVERSITY = "diversity.csv"
DIVERSITY_PROTOCOL = "diversity.json"
NEAREST = "nearest.csv"
NEAREST_SHEET = "nearest.png"
PICTURE_SCORES, PICTURE_PROTOCOL = "picture_scores.csv", "picture_scores.json"
OF_SETS = (DIVERSITY, DIVERSITY_PROTOCOL, NEAREST, NEAREST_SHEET, PICTURE_SCORES, PICTURE_PROTOCOL)

IOU = "iou [fraction]"  # column of both tables of scores

OK, FAILED = "ok", "failed"

Key = tuple[str, str]  # category and model
T = TypeVar("T")


def _bool(text: str) -> bool:
    return text == "True"


COLUMNS: dict[str, Callable[[str], Any]] = {
    "category": str,
    "model": str,
    "status": str,  # OK or FAILED
    "mesh": str,  # relative to the generation folder
    "vertices": int,
    "faces": int,
    "components": int,
    "evaluations": int,
    "box_contacts": int,
    "watertight": _bool,
    "manifold": _bool,
    "oriented": _bool,
    "outward": _bool,
    "seconds": float,
    "reason": str,  # of a failure
}
"""Columns of results.csv with their types; a cell of a failed item may be empty."""

_CHECKPOINT_KINDS = {"path": str, "sha256": str}
_KINDS = {
    "checkpoint": dict,
    "config": dict | None,
    "data": str | None,
    "input": str | list | None,
    "limit": int | None,
    "categories": list | None,
}
"""Kinds of the entries of generation.json that are read again; they may come from anybody."""

_NOT_COMPARED = {"applied_threshold", "config", "limit", "version"}


def default_folder(base: Path, input: Path | None) -> Path:
    """Where `generate` writes by default: `generation`, for scans `generation-NAME`, in `base`."""
    return base / ("generation" if input is None else f"generation-{input.resolve().stem}")


def locate(path: Path) -> Path:
    """Return the generation folder meant by `path`: itself, or the default one of a run folder."""
    default = default_folder(path, None)
    return default if (default / SETTINGS).is_file() and not (path / SETTINGS).is_file() else path


def read_settings(folder: Path, *, pictures: bool = False) -> dict[str, Any]:
    """Contents of generation.json.

    Args:
        folder: of the generation.
        pictures: whether it may be one of pictures, without meshes.

    Raises:
        DataError: it is missing or damaged, or of pictures.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise DataError(f"{path}: no such file; name a folder written by `onet generate`")
    settings = with_present_names(read_json(path, _KINDS))
    if settings.get(PICTURES) and not pictures:
        raise DataError(
            f"{folder}: holds pictures, not meshes; compare them by `onet picture-eval`"
        )
    for part, kinds in (("checkpoint", _CHECKPOINT_KINDS), ("config", {"data": dict | None})):
        check_kinds(settings.get(part) or {}, kinds, f"{path}: {part}")
    if "split" in settings:
        check_kinds(settings, {"data": str, "split": str, "categories": list}, str(path))
    if not all(isinstance(name, str) for name in settings.get("categories") or []):
        raise DataError(f"{path}: 'categories' holds what is no name; {MAKE_IT_AGAIN}")
    return settings


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write generation.json."""
    write_json(folder / SETTINGS, settings)


def with_present_names(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of an extraction with the present names of their keys.

    What earlier versions wrote calls the probability on the surface `threshold`.
    """
    if "threshold" not in settings or "probability" in settings:
        return settings
    return {"probability" if key == "threshold" else key: v for key, v in settings.items()}


def read_results(folder: Path) -> dict[Key, Row]:
    """Rows of results.csv by (category, model); none where there is no file.

    Raises:
        DataError: it has other columns than `COLUMNS`, cells of another type, or a row that was
            cut.
    """
    rows, damaged = _read_rows(folder / RESULTS)
    if damaged:
        raise DataError(
            f"{folder / RESULTS}: line {damaged[0]} was cut or damaged; run the same "
            "`onet generate` again, which makes what is missing"
        )
    return rows


def _read_rows(path: Path) -> tuple[dict[Key, Row], list[int]]:
    """Whole rows of a results.csv, and the numbers of lines that are not whole.

    A last line without its end may have lost digits.
    """
    if not path.is_file():
        return {}, []
    text = path.read_bytes().decode("utf-8", "replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if text and not set(COLUMNS) <= {*(reader.fieldnames or [])}:
        raise DataError(f"{path}: has another heading; generate again with overwrite")
    rows: dict[Key, Row] = {}
    damaged, end = [], reader.line_num
    for row in reader:
        end = reader.line_num
        try:
            if None in row.values() or None in row:
                raise ValueError("too few or too many cells")
            parsed = {key: kind(row[key]) if row[key] else "" for key, kind in COLUMNS.items()}
        except ValueError:
            damaged.append(end)
            continue
        check_names(parsed, f"{path}: line {end}")
        rows[parsed["category"], parsed["model"]] = parsed
    if rows and not text.endswith("\n") and end not in damaged:
        rows.popitem()
        damaged.append(end)
    return rows, damaged


def write_results(folder: Path, rows: Iterable[Row]) -> None:
    """Write results.csv and failures.csv atomically, sorted by category and model."""
    ordered = sorted(rows, key=lambda row: (row["category"], row["model"]))
    failed = [row for row in ordered if row["status"] != OK]
    write_csv(folder / RESULTS, COLUMNS, ordered)
    write_csv(folder / FAILURES, ("category", "model", "reason"), failed)


def read_outcomes(folder: Path) -> list[Row]:
    """Return the rows of `read_results`; a mesh that an evaluation could not use is a failure.

    Raises:
        DataError: see `read_results`.
    """
    rows = read_results(folder)
    path = folder / EVAL_ITEMS
    if path.is_file():
        for _, scored in read_csv(path, ("category", "model", "status", "reason")):
            row = rows.get((scored["category"], scored["model"]))
            if row and row["status"] == OK and scored["status"] == FAILED:
                row |= {"status": FAILED, "reason": scored["reason"]}
    return list(rows.values())


def finished(folder: Path, settings: dict[str, Any]) -> dict[Key, Row]:
    """Rows of the items whose meshes are there, made with the same settings.

    Raises:
        ConfigError: the folder was generated with other settings.
        DataError: its tables are damaged.
    """
    if not goes_on(folder, settings):
        return {}
    rows, damaged = _read_rows(folder / RESULTS)
    if damaged:
        logger.warning(
            "%s: line %s was cut or damaged; the item is made again",
            *(folder / RESULTS, ", ".join(map(str, damaged))),
        )
    return {
        key: row
        for key, row in rows.items()
        if row["status"] == OK and (folder / row["mesh"]).is_file()
    }


def goes_on(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether there is something in the folder that was begun with the same settings.

    Raises:
        ConfigError: the folder was generated with other settings.
        DataError: its settings are damaged.
    """
    if not (folder / SETTINGS).is_file():
        return False
    before = read_settings(folder, pictures=True)
    differing = sorted(
        key
        for key in (before.keys() | settings.keys()) - _NOT_COMPARED
        if _identity(before.get(key)) != _identity(settings.get(key))
    )
    if differing:
        raise ConfigError(
            f"{folder}: was generated with other settings ({', '.join(differing)}); choose another "
            "folder, or overwrite it"
        )
    return True


def _identity(value: Any) -> Any:
    """A checkpoint is the same wherever it lies."""
    return value.get("sha256") if isinstance(value, dict) else value


def clear(folder: Path) -> None:
    """Delete what an earlier generation left in a folder; other folders are not touched."""
    if not (folder / SETTINGS).is_file():
        return
    for name in (MESHES, INPUTS, PICTURES):
        remove(folder / name)
    scores = (EVAL, EVAL_ITEMS, PROTOCOL, ONET2019, ONET2019_SETTINGS, *OF_SETS)
    for name in (RESULTS, FAILURES, *scores, REPORT, CONTACT_SHEET, SAMPLE_SHEET, SETTINGS):
        (folder / name).unlink(missing_ok=True)


def take_in_turn(things: Sequence[T], limit: int | None, group: Callable[[T], str]) -> list[T]:
    """At most `limit` things, each group giving one in turn; their order stays."""
    if limit is None:
        return list(things)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, thing in enumerate(things):
        groups[group(thing)].append(index)
    turns = zip_longest(*groups.values())
    chosen = [index for turn in turns for index in turn if index is not None][:limit]
    return [things[index] for index in sorted(chosen)]
