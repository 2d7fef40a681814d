"""Lists of models: `train.lst` and its like, one name a line.

Only a line feed ends a line, as in other programs: names may hold what Python takes for the end of
a line besides, such as U+2028. A carriage return before it belongs to the line's end, blanks around
a name only where no folder is called so.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from onet.errors import DataError
from onet.files import replacing
from onet.names import checked_path


def read_list(path: Path) -> list[str]:
    """Return the names in a list, in its order.

    Bytes that are not UTF-8 stay what they are in the name of a file.

    Raises:
        FileNotFoundError: no such list.
        DataError: it is no text, or a name leads out of the list's folder; names the line.
    """
    return [checked_path(name, f"{path}: line {line}") for line, name in list_lines(path)]


def list_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers of lines, from 1, and the names there, unchecked; empty lines are left out.

    Raises:
        FileNotFoundError: no such list.
        DataError: it is no text.
    """
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    if b"\0" in content:
        raise DataError(f"{path}: is not UTF-8 text (a NUL character); save it as that")
    for number, line in enumerate(content.split(b"\n"), start=1):
        name = line.removesuffix(b"\r").decode("utf-8", "surrogateescape")
        if name != name.strip() and not _is_folder(path.parent / name):
            name = name.strip()
        if name:
            yield number, name


def write_list(path: Path, names: Iterable[str]) -> None:
    """Write a list atomically, sorted; names as `onet.names.name_problem` allows them."""
    content = "".join(f"{name}\n" for name in sorted(names))
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode())


def _is_folder(path: Path) -> bool:
    """Return whether there is a folder of that name, blanks included, which Windows leaves out."""
    return os.name != "nt" and path.is_dir()
