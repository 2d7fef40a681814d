"""A limit to the memory of this process and of the files that the system caches for it (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


@contextmanager
def memory_limit(mib: int) -> Iterator[Path]:
    """Give this process `mib` MiB, in a control group of its own below the one that it is in.

    Pages of files count, also of mapped ones, from when the group exists; there is no swapping.
    Yields the folder of the group.

    Raises:
        SystemExit: no control groups, or no permission.
    """
    above, limit = _own_group()
    group = above / f"onet-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(mib << 20))
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        raise SystemExit(f"--memory: {group}: {error.strerror}; run it as root") from error
    try:
        yield group
    finally:
        (above / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def _own_group() -> tuple[Path, str]:
    """Return the folder of this process's memory group, and the name of the file of its limit."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return CGROUPS / "memory" / path.lstrip("/"), "memory.limit_in_bytes"
    if (CGROUPS / "cgroup.controllers").is_file():
        return CGROUPS / path.lstrip("/"), "memory.max"
    raise SystemExit("--memory: this system has no control groups for memory")
