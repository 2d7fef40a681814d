"""Cores and memory that this process may use: those of the machine, its affinity and its cgroups.

Containers and batch systems give a process a part of the machine by control groups, which neither
`os.cpu_count` nor `psutil` look at. Each group above the process's own may set a limit too, so all
are asked, up to the one that is mounted (inside a container this is its own).
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

logger = logging.getLogger(__name__)

ROOT = Path("/")


def cores() -> int:
    """Cores that this process may use, at least 1; a part of a core counts as one."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    limit = quota()
    return allowed if limit is None else min(allowed, limit)


def quota() -> int | None:
    """Cores' worth of time that the strictest group allows, rounded up; None without a limit."""
    quotas = []
    for group in _groups("cpu"):
        text = _read(group / "cpu.max")  # version 2: "quota period" or "max period"
        if text is None:
            values = [_read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
            text = " ".join(value or "" for value in values)
        fields = text.split()
        if len(fields) == 2 and fields[0].isdecimal() and fields[1].isdecimal() and int(fields[1]):
            quotas.append(int(fields[0]) / int(fields[1]))
    return max(1, math.ceil(min(quotas))) if quotas else None


def threads(processes: int = 1) -> int:
    """Threads for one of `processes` that compute side by side: OMP_NUM_THREADS, or its cores."""
    given = openmp_threads()
    return max(1, cores() // processes) if given is None else given


def openmp_threads() -> int | None:
    """What OMP_NUM_THREADS says of the outermost level (`4` or `4,2`); None without it."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def limit_threads(count: int) -> None:
    """Compute with so many threads from now on: torch, NumPy and the compiled operations.

    What NumPy was linked with reads its number when it is imported, so this belongs before that.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(count)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)


def available_memory() -> int:
    """Bytes that can be taken now without swapping and without exceeding a limit."""
    import psutil

    free: int = psutil.virtual_memory().available
    return max(0, min([free, *_memory_left()]))


def workers_for(memory: float, wanted: int | None = None) -> int:
    """How many processes to start: as many as there are cores and memory for, at least 1.

    Args:
        memory: bytes that a process takes at its peak.
        wanted: so many, whatever there is; a warning says where memory may not suffice.
    """
    left = available_memory()
    fitting = max(1, int(left // memory))
    if wanted is not None:
        if wanted > fitting:
            logger.warning(
                "%d workers may take %.1f GB each, and %.1f GB are free: with more than %d the "
                "system may end them",
                *(wanted, memory / 1e9, left / 1e9, fitting),
            )
        return wanted
    count = cores()
    if fitting < count:
        logger.info(
            "%d workers on %d cores: each may take %.1f GB, and %.1f GB are free",
            *(fitting, count, memory / 1e9, left / 1e9),
        )
    return min(fitting, count)


# -- control groups, of both versions -------------------------------------------------------------


def _memory_left() -> Iterator[int]:
    """Of each group that has a limit: bytes below it, counting the file cache as free."""
    names = (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.high", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for group in _groups("memory"):
        for limit_name, usage_name, cache_name in names:
            limit, usage = _read(group / limit_name), _read(group / usage_name)
            if limit is None or usage is None or not (limit.isdecimal() and usage.isdecimal()):
                continue  # "max", or a file of the other version
            statistics = (_read(group / "memory.stat") or "").splitlines()
            pairs = dict(line.split(maxsplit=1) for line in statistics if " " in line)
            yield int(limit) - int(usage) + int(pairs.get(cache_name, 0))


def _groups(controller: str) -> Iterator[Path]:
    """Folders of the groups that this process is in, from its own to the mounted one."""
    paths = _own_groups()
    for line in (_read(ROOT / "proc/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, *rest) = left.split(), right.split() or [""]
        if kind not in ("cgroup", "cgroup2") or len(fields) < 5:
            continue
        name = "" if kind == "cgroup2" else controller
        if name not in paths or (name and name not in rest[-1].split(",")):
            continue
        top = ROOT / fields[4].lstrip("/")
        try:
            below = PurePosixPath(paths[name]).relative_to(fields[3])
        except ValueError:  # the group is outside what is mounted here
            below = PurePosixPath()
        folder = top / below
        while folder != top:
            yield folder
            folder = folder.parent
        yield top


def _own_groups() -> dict[str, str]:
    """Path of this process's group by controller; that of version 2 has no name."""
    paths = {}
    for line in (_read(ROOT / "proc/self/cgroup") or "").splitlines():
        _, names, path = (*line.split(":", 2), "", "")[:3]
        if ".." not in path:
            paths.update(dict.fromkeys(names.split(","), path))
    return paths


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # not Linux, another version, or hidden from this process
        return None
