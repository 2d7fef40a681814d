"""Processes that write to a folder, for tests: some hold it until told, some are killed."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import onet.files
from onet.files import replacing
from onet.locks import writing


def say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def hold(folder: Path) -> None:
    """Say `ready` with the folder locked; end when standard input closes."""
    with writing(folder):
        say_ready()
        sys.stdin.read()


def leave(folder: Path) -> None:
    """Say `ready` with the folder locked and a file half written, then wait to be killed."""
    with writing(folder), replacing(folder / "file.ply") as temporary:
        temporary.write_bytes(b"half")
        say_ready()
        time.sleep(600)


def die(folder: Path, stage: str) -> None:
    """Kill this process at a stage of replacing `file.ply`."""

    def kill(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with writing(folder):
        if stage == "rename":
            os.replace = kill
        elif stage == "after":
            onet.files._flush_folder = kill
        elif stage == "flush":
            os.fsync = kill
        with replacing(folder / "file.ply") as temporary, temporary.open("wb") as file:
            file.write(b"new " * 10_000)
            if stage == "write":
                file.flush()
                kill()


if __name__ == "__main__":
    {"hold": hold, "leave": leave, "die": die}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
