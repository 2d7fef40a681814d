"""Peak memory of this process."""

import ctypes
import re
import resource
import sys
from pathlib import Path
from types import TracebackType

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def own_peak_mib() -> float:
    """Largest resident size of this program so far, in MiB; `peak_mib` has that of who started it.

    Where the system does not say, as `peak_mib`.
    """
    try:
        told = _STATUS.read_text()
    except OSError:
        return peak_mib()
    found = re.search(r"VmHWM:\s+(\d+) kB", told)
    return int(found[1]) / 2**10 if found else peak_mib()


def peak_mib() -> float:
    """Largest resident size so far, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class PeakMemory:
    """By how much the resident size grows within a block, at its peak: Linux alone knows.

    Attributes:
        mib: the growth in MiB, after the block; None where the system does not tell.
    """

    mib: float | None = None

    def __enter__(self) -> "PeakMemory":
        self._before = None
        if _CLEAR.exists():
            libc = ctypes.CDLL(None)
            if hasattr(libc, "malloc_trim"):  # what others left would be used without growth
                libc.malloc_trim(0)
            _CLEAR.write_text("5")  # the peak becomes what is resident now
            self._before = _resident("VmRSS")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._before is not None:
            self.mib = max(0.0, _resident("VmHWM") - self._before)


def _resident(key: str) -> float:
    """A size of /proc/self/status, in MiB."""
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 2**10
    raise OSError(f"{_STATUS}: has no {key}")
