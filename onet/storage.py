"""What the system refuses to write or read, as one line that says what to do."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

_FILE_IN_THE_WAY = "a file is where a folder should be: move it, or choose another folder"
_PERMISSIONS = "change its permissions, or choose another folder"

REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of the quota",
    errno.EFBIG: "choose another file system, or raise the limit of file sizes",
    errno.EROFS: "choose another folder",
    errno.EACCES: _PERMISSIONS,
    errno.EPERM: _PERMISSIONS,
    errno.ENOTDIR: _FILE_IN_THE_WAY,
    errno.EEXIST: _FILE_IN_THE_WAY,
    errno.EISDIR: "a folder is where a file should be: move it, or choose another name",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "the disk or its connection fails: check it",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENOMEM: "use fewer workers, or a machine with more memory",
}

GENERAL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""What the next file would meet too."""


def refusal(error: BaseException | None, folder: Path) -> OSError | None:
    """Return the error, among `error` and what led to it, for which nothing more can be written.

    A full disk comes to light as whatever a library makes of it while it cleans up. Errors of other
    kinds count if they name `folder` or something in it.
    """
    while error is not None:
        if isinstance(error, OSError):
            name = error.filename
            inside = isinstance(name, str | os.PathLike) and Path(name).is_relative_to(folder)
            if error.errno in GENERAL or inside:
                return error
        error = error.__cause__ or error.__context__
    return None


def check_writable(folder: Path) -> None:
    """Find out before long work whether its results can be written; `folder` may not exist yet.

    Raises:
        OSError: they cannot.
    """
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(4096))
    except OSError as error:
        error.filename = str(folder)
        raise


def explain(error: OSError) -> str:
    """What the system refused, of which file, and the remedy."""
    reason = error.strerror or str(error) or type(error).__name__
    text = reason[:1].lower() + reason[1:]
    if error.filename is not None:
        text = f"{error.filename}: {text}"
    remedy = REMEDIES.get(error.errno or 0)
    return f"{text}; {remedy}" if remedy else text
