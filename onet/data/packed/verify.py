"""Whether a packed store holds what was packed."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from onet.data.check import Problem
from onet.data.lists import read_list
from onet.data.packed.arrays import arrays_of
from onet.data.packed.index import AGAIN, DIGEST, INDEX, SHARDS, Entry, FilePlace
from onet.data.packed.reading import Pack, is_packed, shard_file
from onet.errors import DataError
from onet.files import TEMPORARY
from onet.locks import current_writer
from onet.names import path_problem, printable
from onet.progress import Progress, followed, reports_progress

COPY = "copy the shard again, or delete it and pack its items again with `onet data pack`"


@reports_progress
def verify(packed: str | os.PathLike[str], *, progress: Progress | None = None) -> list[Problem]:
    """Read all of a packed store and compare it with its index.

    Found are: shards that are missing, of another size or unknown; files whose SHA-256 is another
    one; arrays that do not lie where the index says; items that overlap the end of their shard;
    lists that name what is not there; unfinished shards.

    Args:
        packed: the store.
        progress: see `onet.progress`.

    Returns:
        The problems, an empty list for a good store.

    Raises:
        DataError: no packed store, or its index cannot be read at all.
    """
    root = Path(packed)
    if not is_packed(root):
        raise DataError(f"{root}: is no packed store; make one with `onet data pack`")
    pack = Pack(root)
    problems = [*_shards(pack)]
    bad = {problem.file for problem in problems}
    names: dict[str, set[str]] = {}

    def examined() -> Iterator[list[Problem]]:
        for category, model, entry in pack.index.entries():
            names.setdefault(category, set()).add(model)
            if str(shard_file(root, entry.shard)) in bad:  # said once, not for each item
                yield []
            else:
                yield [*_item(pack, f"{category}/{model}", entry)]

    for found in followed(examined(), pack.index.count(), lambda _: "", "verify"):
        problems += found
    return [*problems, *_lists(root, names)]


def _shards(pack: Pack) -> Iterator[Problem]:
    for number, size in pack.sizes.items():
        path = shard_file(pack.root, number)
        if not path.is_file():
            yield Problem(str(path), "", "is missing, the index tells of items in it", COPY)
        elif (there := path.stat().st_size) != size:
            yield Problem(str(path), "", f"has {there} bytes, but {size} were written", COPY)
    known = {shard_file(pack.root, number).name for number in pack.sizes}
    for path in sorted((pack.root / SHARDS).glob("*")):
        if TEMPORARY.fullmatch(path.name):
            if current_writer(pack.root) is None:
                yield Problem(str(path), "", "unfinished shard of an interrupted command",
                              "repeat the command, or delete it")  # fmt: skip
        elif path.suffix == ".tar" and path.name not in known:
            yield Problem(str(path), "", "is in no index", "delete it, or copy the index again")


def _item(pack: Pack, item: str, entry: Entry) -> Iterator[Problem]:
    shard = str(shard_file(pack.root, entry.shard))
    if len(entry.hashes) != DIGEST * len(entry.files):
        yield Problem(
            str(pack.root / INDEX), item, "has another number of hashes than files", AGAIN
        )
        return
    for number, (name, place) in enumerate(entry.files.items()):
        where = f"{item}/{name}"
        if problem := path_problem(where):
            yield Problem(str(pack.root / INDEX), printable(where), problem, AGAIN)
            continue
        try:
            content = bytes(pack.view(entry, name, item))
        except DataError as error:
            yield Problem(shard, where, str(error), AGAIN)
            continue
        if hashlib.sha256(content).digest() != entry.hashes[DIGEST * number :][:DIGEST]:
            yield Problem(shard, where, "is not what was packed: its hash is another one", COPY)
        elif place.arrays:
            yield from _arrays(pack, item, name, place, content)


def _arrays(
    pack: Pack, item: str, name: str, place: FilePlace, content: bytes
) -> Iterator[Problem]:
    """Compare where arrays lie with the file itself, and unpacked ones with what they are of."""
    category, model = item.split("/", 1)
    for key, true, numbers in arrays_of(content):
        told = place.arrays.get(key)
        good = told is not None and (told.dtype, told.shape, told.fortran) == (
            true.dtype, true.shape, true.fortran,
        )  # fmt: skip
        if good and numbers is None:
            good = told is not None and told.offset == place.offset + true.offset
        elif good and numbers is not None:
            found = pack.array(category, model, name, key)
            size = true.dtype.itemsize * (found.size if found is not None else 0)
            good = found is not None and (
                found.tobytes("F" if true.fortran else "C")
                == numbers[true.offset : true.offset + size]
            )
        if not good:
            message = f"the array {key!r} is not where and what the index says"
            yield Problem(str(pack.root / INDEX), f"{item}/{name}", message, AGAIN)


def _lists(root: Path, names: dict[str, set[str]]) -> Iterator[Problem]:
    listed: Counter[str] = Counter()
    for path in sorted(root.glob("*/*.lst")):
        category = path.parent.name
        try:
            models = read_list(path)
        except DataError as error:
            yield Problem(str(path), "", str(error), "save it as UTF-8 text")
            continue
        for model in models:
            if model not in names.get(category, ()):
                yield Problem(str(path), model, "names a model that is not in the index",
                              "take the line out, or pack the model again")  # fmt: skip
            listed[f"{category}/{model}"] += 1
    for name, count in sorted(listed.items()):
        if count > 1:
            yield Problem(str(root), printable(name), f"is listed {count} times",
                          "keep one of the lines, so that no test item is trained on")  # fmt: skip
