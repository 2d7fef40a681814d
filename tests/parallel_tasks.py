"""Tasks for test_parallel.py, in a module that a spawned process can import by its name."""

import os
import signal


def square(x):
    if x == 3:
        raise ValueError("three")
    return x * x


def fragile(x):
    if x == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    if x == 4:
        raise ValueError("four")
    return x, os.getpid(), os.environ["OMP_NUM_THREADS"]
