"""The files of a store that are no item's: lists, metadata and others, copied or joined."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from onet.data.lists import read_list
from onet.data.packed.sources import loose_files
from onet.data.store_folder import METADATA, read_metadata, write_metadata
from onet.files import replacing

logger = logging.getLogger(__name__)

LIST = ".lst"


def copy_loose(
    roots: Sequence[Path],
    out: Path,
    own: Mapping[str, Collection[str]],
    chosen: Mapping[str, Collection[str]] | None = None,
    lists: Collection[str] | None = None,
) -> None:
    """Write the lists, metadata and other loose files of stores to another one.

    A model of one of the stores is in the lists where they have it, whatever `out` said of it; what
    else `out` lists stays. Of other files that differ the first store's is taken, with a warning.

    Args:
        roots: stores, in order.
        out: the store to write to.
        own: of each category the models that `roots` have.
        chosen: of each category the models to list; None means all.
        lists: names of the lists to take models from, without suffix; None means all. Others get
            none.
    """
    names = dict.fromkeys(name for root in roots for name in loose_files(root))
    listed = [name for name in loose_files(out) if name.endswith(LIST)] if out.is_dir() else []
    for name in dict.fromkeys([*names, *listed]):
        category, _, file = name.rpartition("/")
        if category and file.endswith(LIST):
            wanted = None if chosen is None else chosen.get(category, ())
            if wanted is None or wanted:  # a category that is taken has all lists, if empty ones
                taken = wanted if lists is None or file.removesuffix(LIST) in lists else ()
                _join_lists(roots, out, name, own.get(category, ()), taken)
        elif name == METADATA:
            _join_metadata(roots, out, chosen)
        elif category == "" or chosen is None or category in chosen:
            _copy_first(roots, out, name)


def _join_lists(
    roots: Sequence[Path],
    out: Path,
    name: str,
    own: Collection[str],
    chosen: Collection[str] | None,
) -> None:
    own = {*own}
    before = read_list(out / name) if (out / name).is_file() else []
    there = [root / name for root in roots if (root / name).is_file()]
    lines = [model for model in before if model not in own]
    new = [model for path in there for model in read_list(path)]
    if chosen is not None:
        kept = {*chosen}
        new = [model for model in new if model in kept]
    if len(there) == 1 and not lines and chosen is None:
        _write(out / name, there[0].read_bytes())
        return
    found = [*lines, *(dict.fromkeys(new) if len(there) > 1 else new)]
    content = "".join(f"{model}\n" for model in found)
    _write(out / name, content.encode("utf-8", "surrogateescape"))


def _join_metadata(
    roots: Sequence[Path], out: Path, chosen: Mapping[str, Collection[str]] | None
) -> None:
    before = read_metadata(out)
    found = {root: read_metadata(root) for root in roots}
    joined = dict(before)
    for entries in reversed(found.values()):
        joined |= entries
    if chosen is not None:
        joined = {name: entry for name, entry in joined.items() if name in chosen or name in before}
    same = [root for root, entries in found.items() if entries == joined]
    if same and (same[0] / METADATA).is_file():
        _write(out / METADATA, (same[0] / METADATA).read_bytes())
    else:
        write_metadata(out, joined)


def _copy_first(roots: Sequence[Path], out: Path, name: str) -> None:
    there = [root / name for root in roots if (root / name).is_file()]
    content = there[0].read_bytes()
    for other in there[1:]:
        if other.read_bytes() != content:
            logger.warning("%s: differs from %s, which is kept", other, there[0])
    _write(out / name, content)


def _write(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)
