"""Peak memory of this process."""

import re
import resource
import sys
from pathlib import Path


def own_peak_mib() -> float:
    """Largest resident size of this program so far, in MiB; `peak_mib` has that of who started it.

    Where the system does not say, as `peak_mib`.
    """
    try:
        told = Path("/proc/self/status").read_text()
    except OSError:
        return peak_mib()
    found = re.search(r"VmHWM:\s+(\d+) kB", told)
    return int(found[1]) / 2**10 if found else peak_mib()


def peak_mib() -> float:
    """Largest resident size so far, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
