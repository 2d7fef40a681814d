"""Which mesh of which method belongs to which true mesh: by names, or by a table.

By names: the path of a file inside its folder, without suffix. Where a method's folder has none
for a true mesh, its one file of that name in any other subfolder is taken, if no other true mesh
has that name. The category is the subfolder that the true mesh lies in.

A table (CSV) has a column `truth` and one for each method, called like it; their paths start from
the folders of truth and of the method. With one method the column may be called `mesh`. Columns
`item` and `category` are optional. An empty cell means that the method has no mesh.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from onet.errors import DataError
from onet.geometry.mesh_io import readable_suffixes
from onet.geometry.mesh_reading.formats import unread_format
from onet.inference.generation_folder import MESHES, SETTINGS
from onet.names import printable
from onet.records import read_csv

_SHOWN = 3  # names, in a message
_TRUTH, _ITEM, _CATEGORY, _MESH = "truth", "item", "category", "mesh"


@dataclass(frozen=True)
class Item:
    """A true mesh, and what the methods have for it.

    Attributes:
        name: unique among the items.
        category: empty where there is none.
        truth: file of the true mesh.
        meshes: file of each method, by its name; None where it has none.
    """

    name: str
    category: str
    truth: Path
    meshes: Mapping[str, Path | None]


@dataclass(frozen=True)
class Pairs:
    """What is to be compared with what.

    Attributes:
        items: sorted by name.
        notes: what a reader of the table should know of how they were found.
    """

    items: Sequence[Item]
    notes: Sequence[str] = field(default_factory=list)


def method_folders(given: Sequence[str | os.PathLike[str]]) -> dict[str, Path]:
    """Return the folder of each method, by its name.

    Args:
        given: folders, or `NAME=FOLDER`. A folder without name is called like itself, with the
            folder above where two would be called the same.

    Raises:
        DataError: no folders, something else, one named twice, or two names that are equal.
    """
    named = [_named(os.fspath(text)) for text in given]
    if not named:
        raise DataError("no folders of meshes given; name at least one")
    for _, folder in named:
        if not folder.is_dir():
            raise DataError(f"{folder}: is no folder; name a folder of meshes")
    last = Counter(name or folder.resolve().name for name, folder in named)
    found: dict[str, Path] = {}
    for name, folder in named:
        place = folder.resolve()
        short = name or place.name
        label = short if name or last[short] == 1 else f"{place.parent.name}/{place.name}"
        if label in found or label in (_TRUTH, _ITEM, _CATEGORY):
            raise DataError(
                f"{folder}: the name {printable(label)!r} is taken; name it otherwise: NAME=FOLDER"
            )
        found[label] = folder
    return found


def find_pairs(methods: Mapping[str, Path], truth: Path, table: Path | None = None) -> Pairs:
    """Return the items of a folder of true meshes, with the meshes of each method.

    Args:
        methods: folder of each, as `method_folders` returns them.
        truth: folder of the true meshes.
        table: which belongs to which; None goes by names.

    Raises:
        DataError: no true meshes, a folder with two meshes of one name, a method of which no mesh
            belongs to a true one, or a table that cannot be used.
    """
    if not truth.is_dir():
        raise DataError(f"{truth}: is no folder; give the folder of the true meshes")
    return _by_names(methods, truth) if table is None else _by_table(methods, truth, table)


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if equals and name and not Path(text).exists():
        return name, Path(folder)
    return "", Path(text)


def _by_names(methods: Mapping[str, Path], truth: Path) -> Pairs:
    true = _files(truth)
    if not true:
        raise DataError(
            f"{truth}: holds no meshes ({', '.join(sorted(readable_suffixes()))}); give the folder "
            "of the true meshes. For what `onet generate` made of a store: `onet eval RUN`"
        )
    notes: list[str] = []
    of_methods = {name: _belonging(name, at, true, notes) for name, at in methods.items()}
    items = [
        Item(
            key,
            str(PurePosixPath(key).parent) if "/" in key else "",
            path,
            {name: found.get(key) for name, found in of_methods.items()},
        )
        for key, path in sorted(true.items())
    ]
    return Pairs(items, notes)


def _belonging(
    method: str, folder: Path, true: Mapping[str, Path], notes: list[str]
) -> dict[str, Path]:
    """Return the files of a method that belong to true meshes, by the names of those."""
    generated = (folder / SETTINGS).is_file() and (folder / MESHES).is_dir()
    files = _files(folder / MESHES if generated else folder)
    found = {key: files[key] for key in true if key in files}
    rest = _by_stem(key for key in files if key not in true)
    wanted = _by_stem(true)
    moved = 0
    for key in true:
        stem = PurePosixPath(key).name
        if key not in found and len(rest[stem]) == 1 and len(wanted[stem]) == 1:
            found[key] = files[rest.pop(stem)[0]]
            moved += 1
    if not found:
        raise DataError(
            f"{folder}: none of its {len(files)} meshes ({_some(files)}) is called like one of the "
            f"{len(true)} true meshes ({_some(true)}); name them alike, or give a table of pairs "
            f"(CSV with the columns {_TRUTH}, {printable(method)})"
        )
    if moved:
        notes.append(f"{method}: {moved} meshes lie in other subfolders, and were paired by name")
    others = len(files) - len(found)
    if others:
        left = [key for key, path in files.items() if path not in set(found.values())]
        notes.append(f"{method}: {others} meshes belong to no true one: {_some(left)}")
    return found


def _by_stem(keys: Iterable[str]) -> defaultdict[str, list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for key in keys:
        groups[PurePosixPath(key).name].append(key)
    return groups


def _files(folder: Path) -> dict[str, Path]:
    """Return the meshes in a folder and below, by their path without suffix; no hidden ones.

    Those of formats that are not read count where there is none that is: they fail, and are told.
    """
    readable: dict[str, Path] = {}
    unread: dict[str, Path] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in sorted(name for name in names if name[0] != "."):
            path = Path(place, name)
            key = path.relative_to(folder).with_suffix("").as_posix()
            if path.suffix.lower() not in readable_suffixes():
                if unread_format(name) is not None:
                    unread.setdefault(key, path)
            elif key in readable:
                raise DataError(
                    f"{path}: is called like {readable[key].name}; remove one of them, or give a "
                    "table of pairs"
                )
            else:
                readable[key] = path
    return unread | readable


def _some(keys: Iterable[str]) -> str:
    names = [printable(key) for key in keys]
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "") or "none"


def _by_table(methods: Mapping[str, Path], truth: Path, table: Path) -> Pairs:
    if not table.is_file():
        raise DataError(f"{table}: no such file; check the path of the table of pairs")
    rows = list(read_csv(table, [_TRUTH]))
    if not rows:
        raise DataError(f"{table}: has no rows; give one for each true mesh")
    columns = {name: name for name in methods}
    if len(methods) == 1 and _MESH in rows[0][1]:
        columns = dict.fromkeys(methods, _MESH)
    for name, column in columns.items():
        if column not in rows[0][1]:
            raise DataError(
                f"{table}: has no column {printable(column)!r} for the meshes of {methods[name]}; "
                f"it has {', '.join(printable(str(key)) for key in rows[0][1])}"
            )
    items: dict[str, Item] = {}
    for where, row in rows:
        if not row[_TRUTH]:
            raise DataError(f"{where}: has no {_TRUTH}; name the file of the true mesh")
        name = row.get(_ITEM) or PurePosixPath(row[_TRUTH]).with_suffix("").as_posix()
        if name in items:
            raise DataError(
                f"{where}: the item {printable(name)!r} is there twice; give each another name in "
                f"a column {_ITEM!r}"
            )
        meshes = {
            method: methods[method] / row[column] if row[column] else None
            for method, column in columns.items()
        }
        items[name] = Item(name, row.get(_CATEGORY) or "", truth / row[_TRUTH], meshes)
    return Pairs([items[name] for name in sorted(items)])
