"""Tasks for test_parallel.py, in a module that a spawned process can import by its name."""

import os
import signal
import threading
import time


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


def mortal(task):
    """Die each time, only the first time, or never; tell from where the work was done."""
    number, folder = task
    first = folder / f"{number}.tried"
    again = first.exists()
    first.touch()
    if number == 2 or (number == 5 and not again):
        os.kill(os.getpid(), signal.SIGKILL)
    with open(f"{number}.txt", "w") as file:  # in the directory of the command
        file.write("done")
    return number


running, most = 0, 0
lock = threading.Lock()


def crowded(x):
    """Return how many ran at once, in one process, so far."""
    global running, most
    with lock:
        running += 1
        most = max(most, running)
    time.sleep(0.05)
    with lock:
        running -= 1
    return most


began = []


def note(x):
    """Say when it began, in one process."""
    began.append(x)
    return x
