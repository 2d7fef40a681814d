"""From what a user names to entries: files, folders, runs, and what commands left in folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from onet.checkpoints import run_folder
from onet.data.store import Item, Store
from onet.errors import DataError
from onet.inference import generation_folder as folder
from onet.inference import latent
from onet.inference.generate_motion import MOTION
from onet.inference.read_motion import read_motion
from onet.inference.scan_files import TABLE as SCANS
from onet.inference.scan_sources import RECORD
from onet.names import checked_path, printable
from onet.records import Row, check_names, read_csv, read_json
from onet.report.item_parts import truth_of
from onet.report.shape import Shape
from onet.viewer.entry import MADE, Entry, Panel
from onet.viewer.live import Live, Samples, has_field
from onet.viewer.live_scan import LiveScans
from onet.viewer.reading import GRIDS, SUFFIXES, moving_panel, read_panel, read_shape

BESIDE = 6
"""Files that are given are seen beside one another up to that number; more are a list."""

INPUTS = (".ply", ".png", *GRIDS)
WEIGHTS = ".safetensors"


def find_entries(paths: Sequence[Path]) -> list[Entry]:
    """Return what there is to see.

    A few files, or folders of files with the same names, are seen beside one another. Of a run all
    generations and walks in it are taken.

    Raises:
        DataError: nothing is there, or nothing that can be shown.
    """
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; check the path")
    if 1 < len(paths) <= BESIDE and all(path.is_file() for path in paths):
        titles = _titles(paths)
        return [Entry(" | ".join(titles), partial(_beside, list(zip(paths, titles, strict=True))))]
    if len(paths) > 1 and all(_is_plain(path) for path in paths):
        return _matched(paths)
    entries = [entry for path in paths for entry in _entries(path)]
    if not entries:
        raise DataError(f"{paths[0]}: holds nothing that can be shown")
    return entries


def _titles(paths: Sequence[Path]) -> list[str]:
    """Return the names of files, with the folder where names are equal."""
    names = [path.name for path in paths]
    return names if len({*names}) == len(names) else [str(path) for path in paths]


def _beside(files: Sequence[tuple[Path, str]]) -> list[Panel]:
    """Return panels of files; one that cannot be read says why."""
    panels = []
    for path, title in files:
        try:
            panels.append(read_panel(path, title))
        except DataError as error:
            panels.append(Panel(title, reason=str(error)))
    return panels


def _is_plain(path: Path) -> bool:
    """Whether a path is a folder that no command of the package has described."""
    known = (folder.SETTINGS, latent.SETTINGS, SCANS, run_folder.CHECKPOINTS)
    if not path.is_dir() or any((path / name).exists() for name in known):
        return False
    return not _results(path)


def _files(root: Path) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders that can be shown, by name."""
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in sorted(names):
            if name[0] != "." and Path(name).suffix.lower() in SUFFIXES:
                yield Path(directory, name)


def _matched(folders: Sequence[Path]) -> list[Entry]:
    """Return the files of several folders, those of one name beside one another."""
    titles = [path.name for path in folders]
    if len({*titles}) < len(titles):
        titles = [str(path) for path in folders]
    found: dict[str, list[tuple[Path, str]]] = {}
    for path, title in zip(folders, titles, strict=True):
        for file in _files(path):
            name = file.relative_to(path).with_suffix("").as_posix()
            found.setdefault(name, []).append((file, title))
    if not found:
        raise DataError(f"{folders[0]}: neither it nor the others hold files that can be shown")
    return [Entry(printable(name), partial(_beside, found[name])) for name in sorted(found)]


def _entries(path: Path) -> list[Entry]:
    if path.is_file():
        if path.suffix.lower() == WEIGHTS:
            return _samples(path)
        return [Entry(printable(path.name), lambda: [read_panel(path)])]
    if (path / folder.SETTINGS).is_file():
        return _generation(path)
    if (path / latent.SETTINGS).is_file():
        return _walk(path)
    if (path / SCANS).is_file():
        return _scans(path)
    if (path / run_folder.CHECKPOINTS).is_dir() or _results(path):
        return _run(path)
    files = list(_files(path))
    if not files:
        raise DataError(
            f"{path}: holds no file that can be shown, and is no run and no result of a command; "
            f"formats: {', '.join(sorted(SUFFIXES))}"
        )
    return [
        Entry(printable(file.relative_to(path).as_posix()), partial(_beside, [(file, file.name)]))
        for file in files
    ]


def _results(path: Path) -> list[Path]:
    """Return the generations and walks in a run folder."""
    return [
        place
        for place in sorted(path.iterdir())
        if (place / folder.SETTINGS).is_file() or (place / latent.SETTINGS).is_file()
    ]


def _run(path: Path) -> list[Entry]:
    """Return what the generations and walks in a run folder hold."""
    results = _results(path)
    if not results:
        return _samples(path)
    entries: list[Entry] = []
    for place in results:
        before = f"{place.name}/" if len(results) > 1 else ""
        entries += [
            Entry(before + entry.name, entry.load, entry.live, entry.key)
            for entry in _entries(place)
        ]
    return entries


def _samples(path: Path) -> list[Entry]:
    """Return samples of an unconditional model, which are made when they are looked at."""
    samples = Samples(path)
    return [Entry(f"sample {name}", partial(samples.panels, name), samples, name)
            for name in samples.names]  # fmt: skip


def _generation(root: Path) -> list[Entry]:
    settings = folder.read_settings(root)
    if settings.get(MOTION):
        return _motion(root)
    store = Store(settings["data"]) if "split" in settings else None
    live = Live(root, settings)
    return [
        Entry(
            printable("/".join(filter(None, key))),
            partial(_item, root, row, store),
            live if row["status"] == folder.OK and has_field(settings) else None,
            "/".join(filter(None, key)),
        )
        for key, row in folder.read_results(root).items()
    ]


def _item(root: Path, row: Row, store: Store | None) -> list[Panel]:
    """Return what was observed, made and is true of an item of a generation."""
    place = root / folder.INPUTS / row["category"]
    panels = [
        _or_reason(partial(read_panel, file, "observation"), "observation")
        for file in (place / f"{row['model']}{suffix}" for suffix in INPUTS)
        if file.is_file()
    ][:1]
    if row["status"] == folder.OK:
        mesh = root / checked_path(row["mesh"], f"{root / folder.RESULTS}: mesh")
        read = partial(read_panel, mesh, MADE)
        panels.append(_or_reason(read, MADE))
    else:
        panels.append(Panel(MADE, reason=f"failed: {row['reason']}"))
    if store is not None:
        category, model = row["category"], row["model"]
        item = Item(category, model, store.root / category / model)
        panels.append(_or_reason(partial(_truth, item), "truth"))
    return panels


def _truth(item: Item) -> Panel:
    truth = truth_of(item)
    shape = Shape.of_points(truth) if isinstance(truth, np.ndarray) else Shape.of_mesh(truth)
    return Panel("truth", [shape])


def _or_reason(read: Callable[[], Panel], title: str) -> Panel:
    try:
        return read()
    except DataError as error:
        return Panel(title, reason=str(error))


def _motion(root: Path) -> list[Entry]:
    """Return the moving meshes of a generation folder."""
    rows = [row for _, row in read_csv(root / folder.RESULTS, ("category", "model", "mesh"))]
    return [
        Entry(
            printable("/".join(filter(None, (row["category"], row["model"])))),
            partial(_moving, root, row["mesh"]),
        )
        for row in rows
        if row["mesh"]
    ]


def _moving(root: Path, mesh: str) -> list[Panel]:
    return [moving_panel(read_motion(root, mesh), MADE)]


def _walk(root: Path) -> list[Entry]:
    """Return the rows of a walk through codes, with a slider along each."""
    settings = read_json(root / latent.SETTINGS, {"labels": list, "titles": list})
    rows: dict[int, list[Row]] = {}
    for where, row in read_csv(root / latent.TABLE, ("mesh",), ("row", "column")):
        check_names(row, where)
        if row["mesh"]:
            rows.setdefault(int(row["row"]), []).append(row)
    if not rows:
        raise DataError(f"{root}: none of its meshes has a surface; make the walk again")
    labels, titles = settings["labels"], settings["titles"]
    return [
        Entry(
            printable(" ".join(map(str, labels[number])) if number < len(labels) else str(number)),
            partial(_along, root, places, titles),
        )
        for number, places in sorted(rows.items())
    ]


def _along(root: Path, rows: Sequence[Row], titles: Sequence[str]) -> list[Panel]:
    shapes = [read_shape(root / row["mesh"]) for row in rows]
    columns = [int(row["column"]) for row in rows]
    named = [str(titles[k]) if k < len(titles) and titles[k] else str(k) for k in columns]
    return [Panel("walk", shapes, named, "interpolation")]


def _scans(root: Path) -> list[Entry]:
    """Return scans and their meshes, which `onet scan` made."""
    entries, record = [], root / RECORD
    live = LiveScans(read_json(record, {"network": dict})) if record.is_file() else None
    for where, row in read_csv(root / SCANS, ("mesh", "source", "status", "reason")):
        if row["status"] != folder.OK:
            panels: Callable[[], list[Panel]] = partial(
                lambda reason: [Panel(MADE, reason=f"failed: {reason}")], row["reason"]
            )
            entries.append(Entry(printable(row["source"]), panels))
            continue
        mesh = root / checked_path(row["mesh"], f"{where}: mesh")
        source = Path(row["source"])
        there = source.is_file()
        files = [*([(source, "scan")] if there else []), (mesh, MADE)]
        name, made = printable(row["mesh"]), live if there else None
        entries.append(Entry(name, partial(_beside, files), made, str(source)))
    return entries
