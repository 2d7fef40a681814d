"""What lies there in place of a file: pointers, web pages, archives, nothing."""

from __future__ import annotations

import stat
from pathlib import Path

_BEGINNING = 512
_STARTS: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs.github.com/spec/",
        "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`",
    ),
    (
        b"/annex/objects/",
        "is a git-annex pointer, not the file itself; fetch it with `git annex get`",
    ),
    (b"\x1f\x8b", "is a gzip archive; unpack it first (`gunzip`, or `tar xzf`)"),
    (b"BZh", "is a bzip2 archive; unpack it first (`bunzip2`, or `tar xjf`)"),
    (b"\xfd7zXZ\x00", "is an xz archive; unpack it first (`unxz`, or `tar xJf`)"),
    (b"\x28\xb5\x2f\xfd", "is a zstd archive; unpack it first (`unzstd`)"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive; unpack it first"),
    (b"Rar!\x1a\x07", "is a RAR archive; unpack it first"),
    (b"%PDF-", "is a PDF document"),
)
_PAGE = "is a web page, not the file that it leads to; download the file itself, signed in if asked"
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
_UNFINISHED = (".part", ".crdownload", ".download", ".partial")


def mistaken_for(path: Path) -> str | None:
    """What the file is instead of data, as the rest of a sentence about it; None if nothing known.

    Git LFS and git-annex pointers, web pages and error messages of servers, compressed files, empty
    files, files of zeros only, and what is no file at all. Nothing but the beginning is read, and
    of devices and pipes nothing. A reader asks where it cannot make sense of a file, or before it
    tries; a format that itself begins like one of these asks after it has tried.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return "is a folder, not a file"
        if not stat.S_ISREG(mode):
            return "is a device or a pipe, not a file"
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError as error:
        return f"cannot be opened ({error.strerror or error})"
    return mistaken_content(beginning, path.suffix)


def mistaken_content(content: bytes, suffix: str = "") -> str | None:
    """What a content is instead of data, as `mistaken_for` says it; only its beginning matters."""
    beginning = content[:_BEGINNING]
    if not beginning:
        return "is empty; it was not copied or downloaded: get it again"
    for start, what in _STARTS:
        if beginning.startswith(start):
            return what
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PAGES) or (text.startswith((b"<?xml", b"<!--")) and b"<html" in text):
        return _PAGE
    if text.startswith((b"<?xml", b"<error")) and b"<error>" in text:
        return "is an error message of a server, not the file; download it again"
    if suffix.lower() in _UNFINISHED:
        return f"is an unfinished download ({suffix}); wait for its end, or start it again"
    if not beginning.strip(b"\x00") and len(beginning) >= 8:
        return "begins with zeros only, as files do whose copying was cut off; copy it again"
    return None
