"""Writing files so that nobody ever sees half of one, not even after a power failure.

What is written goes to a temporary name beside its place, is flushed to the disk and then renamed.
Temporary names cannot be guessed and are opened exclusively. They have a pattern of their own, so
that `remove_leftovers` can tell what killed processes left from the files of others.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from onet.errors import DataError

TEMPORARY = re.compile(r"\..*\.onet-[0-9a-f]{16}\.tmp(\..*)?", re.DOTALL)
"""Names of unfinished files and folders."""

KEPT_OF_STEM = 24  # characters of a name that its temporary name shows
LONGEST_SUFFIX = 32  # bytes; with this a temporary name fits wherever a name does

_NO_SUCH_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EPERM}
"""What file systems answer that cannot flush a folder, or not for this user."""

_confined: list[Path] = []
"""Folders, resolved, that links inside do not lead out of; see `confined`."""


def matching(text: str | os.PathLike[str]) -> list[Path]:
    """Return the paths that a path means, which may be a pattern such as `scans/*.ply`.

    What exists under that very name is meant itself; what does not, and is no pattern, too.

    Raises:
        DataError: a pattern that nothing fits.
    """
    name = os.fspath(text)
    if os.path.lexists(name) or not glob.has_magic(name):
        return [Path(name)]
    found = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
    if not found:
        raise DataError(f"{name}: no file fits this pattern; check it")
    return found


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 where there is none, which whoever opens it says."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Make a temporary file beside `path` to write to; renamed to `path` when the block succeeds.

    Readers never see half a file, and a failed block leaves what was there before. The suffix is
    that of `path`; permissions are those of the file replaced, or as the umask says. If `path` is a
    link, the file that it names is replaced and the link stays; but see `confined`.

    Raises:
        DataError: there is a folder or device in that place.
    """
    make_folder(path.parent)
    target = _target(path)
    temporary = _create(target)
    try:
        yield temporary
        _keep_permissions(target, temporary)
        _flush_path(temporary)
        os.replace(temporary, target)
    except OSError as error:
        if error.filename is None:  # as of a full disk
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(target.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Make a folder beside `path` to write into; it takes the place of `path` at the block's end.

    A failed block leaves what was there before. Two renames are needed where there was a folder: a
    process killed between them leaves neither, so a record of the folder has to be written after.
    """
    make_folder(path.parent)
    temporary, old = _temporary_name(path), _temporary_name(path)
    os.mkdir(temporary)
    try:
        yield temporary
        _flush_tree(temporary)
        if os.path.lexists(path):
            os.rename(path, old)
        try:
            os.rename(temporary, path)
        except OSError:
            if os.path.lexists(old):
                os.rename(old, path)
            raise
    finally:
        for leftover in (temporary, old):
            remove(leftover)
    _flush_folder(path.parent)


def flush(file: IO[str] | IO[bytes]) -> None:
    """Write what an open file still buffers to the disk."""
    file.flush()
    os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder and those above it, each flushed to the disk."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        if path == path.parent:
            break
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)


def remove(path: Path) -> None:
    """Delete a file, a link or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def files_below(root: Path, without: Path | None = None) -> list[Path]:
    """Return all files below a folder, hidden ones and those in hidden folders left out.

    Links to folders are followed, each folder once.

    Args:
        root: the folder.
        without: a folder that may be in it, and is left out.
    """
    visited = set() if without is None else {os.path.realpath(without)}
    paths = []
    for folder, children, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:  # a link to a folder above
            children.clear()
            continue
        visited.add(real)
        children[:] = sorted(name for name in children if not name.startswith("."))
        paths += [Path(folder, name) for name in files if not name.startswith(".")]
    return paths


def remove_leftovers(
    folder: Path, skip: Collection[str] = (), below: Collection[str] | None = None
) -> list[Path]:
    """Delete unfinished files in a folder; what was deleted.

    Args:
        folder: that nobody else writes to.
        skip: folders below that hold a file of one of these names are left alone.
        below: search only these of the folders in it; None means all.
    """
    removed = []
    for directory, folders, files in os.walk(folder):
        if Path(directory) != folder and any(name in skip for name in files):
            folders.clear()
            continue
        found = [name for name in (*folders, *files) if TEMPORARY.fullmatch(name)]
        searched = folders if below is None or Path(directory) != folder else below
        folders[:] = [name for name in folders if name in searched and name not in found]
        for name in found:
            remove(Path(directory, name))
            removed.append(Path(directory, name))
    return removed


def remove_leftovers_of(path: Path) -> None:
    """Delete what was left unfinished of one file that nobody else writes."""
    if len(path.stem) > KEPT_OF_STEM:  # its temporary names could be those of another file
        return
    for other in path.parent.iterdir():
        mine = other.name.startswith(f".{path.stem}.onet-") and other.suffix == path.suffix
        if mine and TEMPORARY.fullmatch(other.name):
            remove(other)


@contextmanager
def confined(folder: Path) -> Iterator[None]:
    """Within the block `replacing` follows no link in `folder` that leads out of it.

    Such a link is replaced itself. A folder from somewhere else may hold links to files of the user
    under the names that this package writes.
    """
    resolved = folder.resolve()
    _confined.append(resolved)
    try:
        yield
    finally:
        _confined.remove(resolved)


def _target(path: Path) -> Path:
    """Return the file to replace: `path`, or what it is a link to."""
    target = path
    if path.is_symlink():
        followed = Path(os.path.realpath(path))
        directory = path.parent.resolve() / path.name
        leads_out = any(
            directory.is_relative_to(folder) and not followed.is_relative_to(folder)
            for folder in _confined
        )
        target = path if leads_out else followed
    if not target.is_symlink() and target.exists() and not target.is_file():
        raise DataError(f"{path}: is a folder or a device, not a file; choose another name")
    return target


def _temporary_name(target: Path) -> Path:
    suffix = target.suffix if len(os.fsencode(target.suffix)) <= LONGEST_SUFFIX else ""
    name = f".{target.stem[:KEPT_OF_STEM]}.onet-{secrets.token_hex(8)}.tmp{suffix}"
    return target.with_name(name)


def _create(target: Path) -> Path:
    """Return an empty file that was not there before, with the permissions of any new file."""
    while True:
        temporary = _temporary_name(target)
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            continue
        return temporary


def _keep_permissions(target: Path, temporary: Path) -> None:
    try:
        before = target.lstat().st_mode & 0o777
    except FileNotFoundError:
        return
    if not target.is_symlink() and temporary.stat().st_mode & 0o777 != before:
        os.chmod(temporary, before)


def _flush_path(path: Path) -> None:
    # Windows flushes only what is open for writing; elsewhere a file may be read only by now.
    file = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _flush_folder(path: Path) -> None:
    if os.name == "nt":  # folders cannot be opened; NTFS keeps a log of renames
        return
    try:
        _flush_path(path)
    except OSError as error:
        if error.errno not in _NO_SUCH_FLUSH:
            raise


def _flush_tree(folder: Path) -> None:
    for directory, _, files in os.walk(folder):
        for name in files:
            _flush_path(Path(directory, name))
        _flush_folder(Path(directory))
