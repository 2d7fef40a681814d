"""Builds the fuzzing driver with sanitizers and runs it on random cases.

    python tests/native/fuzz.py --cases 10000

A finding is a failed check or a report of a sanitizer. It is printed as soon as it is there, with
the command that runs its case again alone; a table at the end says of every operation of the driver
(fuzz.cpp) how many cases ran and how many findings they had. Needs g++ or clang++ (or $CXX) with
its sanitizers.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
SANITIZERS = {
    # Conversions of NaN or of too large numbers to integers are undefined, but not in "undefined".
    "address": "-fsanitize=address,undefined,float-cast-overflow",
    "thread": "-fsanitize=thread",
}
FLAGS = ["-std=c++17", "-O1", "-g1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"]
FLAGS += ["-ffp-contract=off", "-pthread"]
CHUNK = 250  # cases a process


class NoSanitizer(RuntimeError):
    """There is no compiler with this sanitizer, or what it builds does not run here."""


@dataclass
class Outcome:
    """What became of the cases of one operation."""

    operation: str
    cases: int = 0
    seconds: float = 0.0  # summed over processes
    findings: list[tuple[int, str]] = field(default_factory=list)  # (case, report)


def build(folder: Path, sanitizer: str) -> Path:
    """Path of the driver, compiled with a sanitizer; NoSanitizer where that is impossible."""
    flags = [*FLAGS, SANITIZERS[sanitizer]]
    compiler = _compiler(folder, flags)
    sources = [Path(__file__).with_name("fuzz.cpp"), *(ROOT / "csrc").glob("*.cpp")]
    sources = [path for path in sources if path.stem != "nanobind_runtime"]

    def compile_one(source: Path) -> str:
        target = folder / f"{sanitizer}-{source.stem}.o"
        subprocess.run([*compiler, *flags, "-c", str(source), "-o", str(target)], check=True)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sources))
    driver = folder / f"fuzz-{sanitizer}"
    subprocess.run([*compiler, *flags, *objects, "-o", str(driver)], check=True)
    return driver


def _compiler(folder: Path, flags: list[str]) -> list[str]:
    """The first compiler that builds a program with these flags that runs."""
    probe = folder / "probe.cpp"
    probe.write_text("int main() { return 0; }\n")
    candidates = [shlex.split(os.environ.get("CXX", "")), ["g++"], ["clang++"]]
    for command in candidates:
        if not command or shutil.which(command[0]) is None:
            continue
        done = subprocess.run(
            [*command, *flags, str(probe), "-o", str(folder / "probe")], capture_output=True
        )
        if done.returncode == 0:
            done = subprocess.run([str(folder / "probe")], capture_output=True)
        if done.returncode == 0:
            return command
    raise NoSanitizer(f"no C++ compiler here builds and runs programs with {flags[-1]}")


def operations(driver: Path) -> list[str]:
    """Names of the operations that the driver knows."""
    done = subprocess.run([str(driver), "--list"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def run(
    driver: Path,
    names: list[str],
    cases: int,
    threads: int = 1,
    tell: Callable[[Outcome], None] = lambda part: None,
) -> list[Outcome]:
    """Run cases 0 to `cases` - 1 of every operation, a process a core.

    `tell` is called with every part of an outcome as soon as it is there.
    """
    outcomes = {name: Outcome(name) for name in names}
    tasks = [(name, first) for name in names for first in range(0, cases, CHUNK)]
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // threads)) as pool:
        running = [
            pool.submit(_run_chunk, driver, name, first, min(cases, first + CHUNK), threads)
            for name, first in tasks
        ]
        for done in as_completed(running):
            part = done.result()
            tell(part)
            whole = outcomes[part.operation]
            whole.cases += part.cases
            whole.seconds += part.seconds
            whole.findings += part.findings
    for outcome in outcomes.values():
        outcome.findings.sort()
    return list(outcomes.values())


def _run_chunk(driver: Path, name: str, first: int, end: int, threads: int) -> Outcome:
    outcome = Outcome(name, cases=end - first)
    start = time.perf_counter()
    while first < end:  # a finding ends the process: go on behind it
        command = [str(driver), name, str(first), str(end - first), str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode == 0:
            break
        case = re.findall(rf"^case (\d+) of {name}$", done.stderr, re.MULTILINE)
        outcome.findings.append((int(case[-1]) if case else first, done.stderr.strip()))
        first = int(case[-1]) + 1 if case else end
    outcome.seconds = time.perf_counter() - start
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000, help="of each operation")
    parser.add_argument("--operations", nargs="+", help="all of them unless told otherwise")
    parser.add_argument("--sanitizer", choices=SANITIZERS, default="address")
    parser.add_argument("--threads", type=int, default=1, help="of each operation")
    parser.add_argument("--keep", type=Path, help="folder for the driver, which then stays there")
    arguments = parser.parse_args()

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
    from rich.table import Table

    console = Console()
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        driver = build(folder, arguments.sanitizer)
        names = arguments.operations or operations(driver)
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("cases", total=len(names) * arguments.cases)

            def tell(part: Outcome) -> None:
                progress.update(bar, advance=part.cases)
                for case, report in part.findings:
                    console.rule(f"{driver.name} {part.operation} {case} 1 {arguments.threads}")
                    console.print(report, markup=False, highlight=False)

            outcomes = run(driver, names, arguments.cases, arguments.threads, tell)
    table = Table(title=f"{arguments.sanitizer} sanitizer, {arguments.threads} thread(s)")
    for header in ("operation", "cases", "findings", "seconds"):
        table.add_column(header, justify="left" if header == "operation" else "right")
    for outcome in outcomes:
        count = f"{len(outcome.findings):,}"
        table.add_row(outcome.operation, f"{outcome.cases:,}", count, f"{outcome.seconds:.1f}")
    console.print(table)
    return int(any(outcome.findings for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
