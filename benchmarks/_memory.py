"""Peak memory of this process."""

import resource
import sys


def peak_mib() -> float:
    """Largest resident size so far, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
