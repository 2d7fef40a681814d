"""`python -m onet`; and `python onet` in a clone, as `torchrun onet ...` starts it."""

import sys
from pathlib import Path

if not __package__:  # run as a folder, which then hides modules of the same names as its own
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from onet.cli import main

main()
