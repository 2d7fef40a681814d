"""Names that come from files and become parts of paths.

A list, a listing, a table or a checkpoint may come from anybody. What it names stays in its folder:
`checked_path` refuses everything else. What this package names itself has to be different on every
file system, also on those that take `A` for `a`, or one way to write `é` for the other.
"""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from onet.errors import DataError

LONGEST = 255
"""Bytes of a file's name that file systems allow."""

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789¹²³"
}


def checked_path(name: object, where: str, windows: bool = os.name == "nt") -> str:
    """Return a relative path that stays in its folder, with `/` between its parts.

    Args:
        name: as it was read.
        where: file and line or field that it was read from.
        windows: by the rules of Windows, where `\\` separates, `C:` leads to a drive and `NUL` is a
            device.

    Raises:
        DataError: no text, empty, absolute, with `..` or a NUL character in it, or too long.
    """
    if not windows and isinstance(name, str) and _PLAIN.fullmatch(name):
        return name  # as nearly all are, and stores have a million
    problem = path_problem(name, windows)
    if problem:
        raise DataError(f"{where}: {printable(repr(name))} {problem}; correct it")
    return _pure(str(name), windows).as_posix()


def path_problem(name: object, windows: bool = os.name == "nt") -> str | None:
    """Why a name is no relative path that stays in its folder; None where it is one."""
    if not isinstance(name, str):
        return "is no name"
    if "\0" in name:
        return "has a NUL character in it"
    path = _pure(name, windows)
    if path.is_absolute() or path.anchor or (windows and ":" in name):
        return "is not relative to its folder"
    if ".." in path.parts:
        return "leads out of its folder"
    if not path.parts:
        return "is empty"
    if any(len(part.encode("utf-8", "surrogatepass")) > LONGEST for part in path.parts):
        return f"is longer than {LONGEST} bytes"
    if windows and any(is_device(part) for part in path.parts):
        return "is a device of Windows"
    return None


def name_problem(name: str) -> str | None:
    """Why a file's name cannot be a line of a list and the name of a folder; None where it can."""
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return "is not valid UTF-8"
    if "\n" in name or "\r" in name:
        return "has a line break in it"
    if name.startswith("\ufeff"):
        return "starts with a byte order mark"
    if len(name.encode()) > LONGEST:
        return f"is longer than {LONGEST} bytes"
    return path_problem(name)


def is_device(name: str) -> bool:
    """Return whether Windows takes a file of that name, with whatever suffix, for a device."""
    return name.partition(".")[0].rstrip(" ").lower() in _DEVICES


def printable(text: str) -> str:
    """Return the text on one line, with control characters and what is not UTF-8 as escapes."""
    escaped = (
        letter
        if letter.isprintable() or letter == " "
        else letter.encode("unicode_escape").decode()
        for letter in text
    )
    return "".join(escaped)


def portable_key(name: str) -> str:
    """Return the same for names that some file system takes for one.

    Those are names that differ in case, in Unicode normalisation, or in blanks and dots at the
    ends of their parts.
    """
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return "/".join(part.rstrip(" .") or part for part in text.split("/"))


def told_apart(
    names: Sequence[str],
    longer: Sequence[str],
    origins: Sequence[str],
    taken: Collection[str] = (),
    settled: Collection[str] = (),
) -> list[str]:
    """Return a different name for each of several things, on every file system.

    Equal names give way to the longer ones. Where some file system takes two names for one, those
    that were not made longer keep theirs if they are alone in that; the others get eight digits
    behind, which depend on their origin only.

    Args:
        names: as short as they can be.
        longer: what to take where short ones are equal, or taken.
        origins: where each comes from, a path for instance; all different.
        taken: names that nothing may have.
        settled: short names that are in use next to each other already; they stay.

    Raises:
        DataError: two of the results are still the same; it names both origins.
    """
    counts = Counter(names)
    reserved = {portable_key(name) for name in taken}
    short = [counts[name] == 1 and portable_key(name) not in reserved for name in names]
    chosen = [a if is_short else b for a, b, is_short in zip(names, longer, short, strict=True)]
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(chosen):
        groups.setdefault(portable_key(name), []).append(index)
    for key, members in groups.items():
        if len(members) == 1 and key not in reserved:
            continue
        natural = [index for index in members if short[index]]
        in_use = all(chosen[index] in settled for index in natural)
        for index in members:
            if not (short[index] and (len(natural) == 1 or in_use)):
                digits = zlib.crc32(origins[index].encode("utf-8", "surrogatepass"))
                chosen[index] = f"{chosen[index]}_{digits:08x}"
    _check_different(chosen, origins)
    return chosen


def _check_different(names: Sequence[str], origins: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for name, origin in zip(names, origins, strict=True):
        if name in first:
            raise DataError(
                f"{printable(origin)} and {printable(first[name])} would both be called "
                f"{printable(name)!r}; rename one of them"
            )
        first[name] = origin


def _pure(name: str, windows: bool) -> PurePath:
    return PureWindowsPath(name) if windows else PurePosixPath(name)
