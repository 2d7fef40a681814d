"""Runs a benchmark: every module of this package that has `add_arguments` and `run` is one."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="NAME")
    folder = str(Path(__file__).parent)
    names = [found.name for found in pkgutil.iter_modules([folder]) if found.name[0] != "_"]
    # What is not asked for is not imported: children begin with little memory, and at once.
    asked = [name for name in names if name in sys.argv[1:2]]
    for name in asked or names:
        module = importlib.import_module(f"benchmarks.{name}")
        summary = (module.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
