"""Mutated files through every reader of meshes, clouds, grids and pictures.

    python tests/fuzzing/readers.py --cases 10000

A reader may return what it read, or raise DataError. Anything else is a finding: another exception,
a process that dies, a case of more than 10 seconds, or one that asks for more than 2 GB. A finding
is printed as soon as it is there, with the option that writes the file of its case.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzzing.mutations import mutate
from fuzzing.seeds import SEEDS

CHUNK = 500  # cases a process
SECONDS = 10.0  # allowed for one case
MEMORY = 2 << 30  # bytes allowed, beyond what an idle process has
KEPT = 5  # findings of one kind that are printed


@dataclass
class Outcome:
    """What became of the cases of one reader."""

    reader: str
    cases: int = 0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    findings: list[tuple[int, str]] = field(default_factory=list)  # (case, report)


def case_bytes(reader: str, case: int) -> bytes:
    """Content of a numbered case; the same on every machine."""
    rng = np.random.default_rng([case, *reader.encode()])
    return SEEDS[reader].wrap(mutate(SEEDS[reader].files(), rng))


def run(
    names: list[str], cases: int, tell: Callable[[Outcome], None] = lambda part: None
) -> list[Outcome]:
    """Run cases 0 to `cases` - 1 of every reader, a process a core; `tell` hears of each part."""
    outcomes = {name: Outcome(name) for name in names}
    tasks = [(name, first) for name in names for first in range(0, cases, CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = [
            pool.submit(_run_chunk, name, first, min(cases, first + CHUNK)) for name, first in tasks
        ]
        for done in as_completed(running):
            part = done.result()
            tell(part)
            whole = outcomes[part.reader]
            whole.cases += part.cases
            whole.read += part.read
            whole.refused += part.refused
            whole.slowest = max(whole.slowest, part.slowest)
            whole.findings += part.findings
    return list(outcomes.values())


def _run_chunk(reader: str, first: int, end: int) -> Outcome:
    outcome = Outcome(reader, cases=end - first)
    while first < end:  # a finding that ends the process: go on behind it
        command = [sys.executable, __file__, "--work", reader, str(first), str(end)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        for line in done.stdout.splitlines():
            kind, case, rest = [*line.split(" ", 2), "", ""][:3]
            if kind in ("read", "refused"):
                setattr(outcome, kind, getattr(outcome, kind) + 1)
                outcome.slowest = max(outcome.slowest, float(rest))
            elif kind == "finding":
                outcome.findings.append((int(case), rest.replace("\\n", "\n")))
            first = int(case) + (kind != "case")
        if done.returncode == 0:
            break
        report = f"process ended with {done.returncode}\n{done.stderr[-3000:].strip()}"
        outcome.findings.append((first, report))
        first += 1
    return outcome


def work(reader: str, first: int, end: int) -> None:
    """Run cases in this process and print a line for what became of each."""
    import faulthandler
    import resource

    from onet.errors import DataError

    warnings.simplefilter("ignore")
    seed = SEEDS[reader]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"case{seed.suffix}")
        path.write_bytes(seed.wrap(seed.files()[0]))
        seed.read(path)  # what the reader imports is not the fault of a case
        used = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) << 10
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for case in range(first, end):
            path.write_bytes(case_bytes(reader, case))
            print("case", case, flush=True)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            start = time.perf_counter()
            try:
                seed.read(path)
                result = "read"
            except DataError:
                result = "refused"
            except BaseException:
                report = traceback.format_exc().replace("\n", "\\n")
                print("finding", case, report, flush=True)
                continue
            finally:
                faulthandler.cancel_dump_traceback_later()
            print(result, case, f"{time.perf_counter() - start:.3f}", flush=True)


def kind_of(report: str) -> str:
    """Last line and innermost place of a report: what findings are told apart by."""
    places = re.findall(r'File "(.+?)", line (\d+)', report)
    return f"{report.strip().splitlines()[-1][:60]} {places[-1] if places else ''}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000, help="of each reader")
    parser.add_argument("--readers", nargs="+", choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--keep", nargs=2, metavar=("READER", "CASE"), help="write a case and stop")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work[0], int(arguments.work[1]), int(arguments.work[2]))
        return 0
    if arguments.keep:
        reader, case = arguments.keep
        path = Path(f"{reader}-{case}{SEEDS[reader].suffix}")
        path.write_bytes(case_bytes(reader, int(case)))
        print(path)
        return 0
    return _report(arguments.readers, arguments.cases)


def _report(names: list[str], cases: int) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
    from rich.table import Table

    console = Console()
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    seen: dict[str, int] = {}
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("cases", total=len(names) * cases)

        def tell(part: Outcome) -> None:
            progress.update(bar, advance=part.cases)
            for case, report in part.findings:
                kind = kind_of(report)
                seen[kind] = seen.get(kind, 0) + 1
                if seen[kind] <= KEPT:
                    console.rule(f"--keep {part.reader} {case}")
                    console.print(report, markup=False, highlight=False)

        outcomes = run(names, cases, tell)
    table = Table(title="mutated files")
    for header in ("reader", "cases", "read", "refused", "slowest s", "findings"):
        table.add_column(header, justify="left" if header == "reader" else "right")
    for outcome in outcomes:
        counts = (outcome.cases, outcome.read, outcome.refused)
        row = [f"{count:,}" for count in counts]
        table.add_row(outcome.reader, *row, f"{outcome.slowest:.2f}", str(len(outcome.findings)))
    console.print(table)
    for kind, count in sorted(seen.items(), key=lambda item: -item[1]):
        console.print(f"{count} x {kind}", markup=False, highlight=False)
    return int(any(outcome.findings for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
