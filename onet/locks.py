"""One writer at a time in a folder: a run, a store, a generation folder.

While a command writes, the folder holds two hidden files: `LOCK`, which the operating system locks
for the process, and `NOTE`, which says who that is. Both go when the command ends. When its process
is killed, the system drops the lock: the next command takes the folder over and deletes unfinished
files. Reading needs no lock.

Locks are those of `flock` or, on Windows, `msvcrt`. Between machines they are as good as the file
system that the machines share: NFS passes them on unless it is mounted with `nolock` or
`local_lock`.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import shlex
import socket
import sys
import threading
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from filelock import BaseFileLock, FileLock, Timeout

from onet.errors import DataError, FolderInUse
from onet.files import confined, make_folder, remove_leftovers, remove_leftovers_of, replacing
from onet.names import printable
from onet.stopping import uninterrupted
from onet.storage import REMEDIES

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

LOCK = ".onet.lock"
NOTE = ".onet.writer.json"
OWN = (LOCK, NOTE)
"""Hidden files of this module in a folder; they belong to no run, store or result."""

_PATIENCE = 0.2  # seconds: another process may be just about to remove its lock
_COMMAND = 200  # characters of it that the note keeps


@dataclass(frozen=True)
class Writer:
    """Who writes to a folder.

    Attributes:
        pid: process.
        host: machine.
        command: with its arguments.
        since: local date and time.
    """

    pid: int
    host: str
    command: str
    since: str

    def __str__(self) -> str:
        return printable(f"process {self.pid} on {self.host}, since {self.since}: {self.command}")


_held: dict[Path, tuple[int, int]] = {}
"""Locks of this process: the process, as forked ones hold nothing, and the thread."""

_guard = threading.Lock()
_scope: ContextVar[ExitStack | None] = ContextVar("scope", default=None)


@contextmanager
def writing(folder: Path, *, below: Collection[str] | None = None) -> Iterator[None]:
    """Keep other writers out of a folder during the block; the same thread may enter again.

    The folder is made where it is missing, and removed if it is still empty at the end. What a
    killed writer left unfinished is deleted.

    Args:
        folder: the folder.
        below: look for such files only in these of the folders in it; None means all.

    Raises:
        FolderInUse: another process or thread writes there; the message says which.
        DataError: the folder cannot be written to.
    """
    with _alone(folder / LOCK, folder / NOTE, folder) as entered:
        if not entered:
            yield
            return
        removed = remove_leftovers(folder, skip=OWN, below=below)
        if removed:
            logger.info("%s: deleted %d files that were left unfinished", folder, len(removed))
        with confined(folder):
            yield


@contextmanager
def writing_file(path: Path) -> Iterator[None]:
    """Keep other commands from writing one file, in a folder that is nobody's, during the block.

    Raises:
        FolderInUse: another process or thread writes it; the message says which.
        DataError: the folder cannot be written to.
    """
    name = f".onet-{zlib.crc32(os.fsencode(path.name)):08x}"
    lock, note = (path.with_name(f"{name}{kind}") for kind in (".lock", ".writer.json"))
    with _alone(lock, note, path) as entered:
        if entered:
            remove_leftovers_of(path)
        yield


def writer(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that writes: what it takes by `hold` is given back when it returns."""

    @functools.wraps(function)
    def scoped(*args: P.args, **kwargs: P.kwargs) -> R:
        with ExitStack() as stack:
            token = _scope.set(stack)
            try:
                return function(*args, **kwargs)
            finally:
                _scope.reset(token)

    return scoped


def hold(folder: Path, *, below: Collection[str] | None = None) -> None:
    """Keep other writers out of a folder until the function marked as `writer` returns.

    See `writing` for the arguments and errors.
    """
    stack = _scope.get()
    if stack is None:
        raise RuntimeError("hold is for functions decorated with @writer")
    stack.enter_context(writing(folder, below=below))


def current_writer(folder: Path) -> Writer | None:
    """Who writes to a folder now, as its note says; None if nobody does."""
    if not (folder / LOCK).is_file():
        return None
    try:
        with FileLock(folder / LOCK, timeout=0):
            return None
    except OSError:  # it is locked, or in a folder that this user may only read
        return _read_note(folder / NOTE)


@contextmanager
def _alone(lock: Path, note: Path, what: Path) -> Iterator[bool]:
    """Hold a lock, making its folder if need be; False where this thread holds it already."""
    folder = lock.parent
    made = not folder.exists()
    try:
        make_folder(folder)
    except OSError as error:
        raise _unwritable(what, error) from error
    directory = folder.resolve()
    if _is_held(directory / lock.name, what):
        yield False
        return
    try:
        with _locked(directory / lock.name, directory / note.name, what):
            yield True
    finally:
        with _guard:
            del _held[directory / lock.name]
        if made and directory.is_dir() and not any(directory.iterdir()):
            with suppress(OSError):  # somebody else has just put something there
                directory.rmdir()


def _is_held(lock: Path, what: Path) -> bool:
    """Return whether this thread has a lock.

    If nobody in this process has, it is noted as its own.
    """
    with _guard:
        process, thread = _held.get(lock, (0, 0))
        if process != os.getpid():
            _held[lock] = (os.getpid(), threading.get_ident())
            return False
        if thread != threading.get_ident():
            raise FolderInUse(f"{what}: another thread of this process writes it; wait for that")
        return True


@contextmanager
def _locked(path: Path, note: Path, what: Path) -> Iterator[None]:
    lock = FileLock(path, timeout=_PATIENCE, thread_local=False)
    try:
        with uninterrupted():  # a signal meanwhile is met by the clean-up below
            _acquire(lock, note, what)
            before = _read_note(note)
            _write_note(note)
        if before:
            logger.info("%s: taken over from a command that did not end (%s)", what, before)
        yield
    finally:
        if lock.is_locked:
            with uninterrupted():
                note.unlink(missing_ok=True)
                if os.name != "nt":  # there the release deletes it
                    path.unlink(missing_ok=True)
                lock.release()


def _acquire(lock: BaseFileLock, note: Path, what: Path) -> None:
    try:
        lock.acquire(poll_interval=_PATIENCE / 10)
    except Timeout:
        who = _read_note(note) or "which has left no note"
        raise FolderInUse(
            f"{what}: another command is writing it ({who}); wait for that, end it, or choose "
            "another folder"
        ) from None
    except OSError as error:
        raise _unwritable(what, error) from error


def _write_note(path: Path) -> None:
    program, *arguments = sys.orig_argv or ["python"]
    command = shlex.join([Path(program).name, *arguments])
    since = datetime.now().isoformat(" ", "seconds")
    note = Writer(os.getpid(), socket.gethostname(), printable(command)[:_COMMAND], since)
    with confined(path.parent), replacing(path) as temporary:
        temporary.write_text(json.dumps(asdict(note)) + "\n", encoding="utf-8")


def _read_note(path: Path) -> Writer | None:
    try:
        return Writer(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # none, or another program's: it only informs


def _unwritable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"{folder}: cannot be written to ({error.strerror or error}); "
        f"{REMEDIES.get(error.errno or 0, 'choose another folder')}"
    )
