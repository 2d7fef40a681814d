"""Runs of several configurations at equal training time, one process after another.

What the benchmarks of training have in common: arguments, the runs with their result files, tables,
and curves over minutes and steps.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._runs import finished

if TYPE_CHECKING:
    from onet.training.result import TrainingResult

Row = dict[str, Any]

RESULT = "benchmark.json"
COMMON = ("minutes", "clock", "threads", "set")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--configs",
        nargs="+",
        required=True,
        metavar="'CONFIG KEY=VALUE ...'",
        help="YAML files or packaged names, each with changes of its own, quoted",
    )
    parser.add_argument("--data", type=Path, required=True, help="prepared store")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, each run")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="of the minutes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="changes to every configuration"
    )
    parser.add_argument("--single", nargs=2, help=argparse.SUPPRESS)  # one run, in a child process


def name_of(config: str) -> str:
    """How a configuration with its changes is called in tables and folders."""
    path, *changes = config.split()
    return " ".join([Path(path).stem, *changes]).replace(os.sep, "_")


def check_names(arguments: argparse.Namespace) -> list[str]:
    names = [name_of(config) for config in arguments.configs]
    if len({*names}) < len(names):
        raise SystemExit(f"--configs: names have to differ, found {', '.join(names)}")
    return names


def folder_of(arguments: argparse.Namespace, config: str, seed: int) -> Path:
    folder: Path = arguments.out / "runs" / name_of(config) / str(seed)
    return folder


def finished_run(
    arguments: argparse.Namespace, config: str, seed: int, keys: tuple[str, ...]
) -> Row:
    """The result of a run, made by this command with `--single` unless it is there.

    Args:
        arguments: of the command.
        config: one of `arguments.configs`.
        seed: one of `arguments.seeds`.
        keys: further arguments that the result depends on.
    """
    path, asked = folder_of(arguments, config, seed) / RESULT, settings_of(arguments, keys)
    row = finished(path, asked)
    if row is None:
        print(f"{config}, seed {seed}: {arguments.minutes:g} minutes", flush=True)
        command = [sys.executable, "-m", "benchmarks", *sys.argv[1:], "--single", config, str(seed)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
        environment.setdefault("OMP_WAIT_POLICY", "passive")
        subprocess.run(command, env=environment, check=True)
        row = finished(path, asked)
    return {key: value for key, value in row.items() if key != "settings"}


def train_single(arguments: argparse.Namespace) -> tuple[Path, TrainingResult, Row]:
    """Train the run that `--single` names, in this process: its folder, result and row so far."""
    from benchmarks._memory import peak_mib
    from onet.config import load_config
    from onet.training.loop import train

    config, seed = arguments.single
    threads = arguments.threads
    path, *changes = config.split()
    folder = folder_of(arguments, config, int(seed))
    changes = [
        *arguments.set,
        *changes,
        f"data.path={arguments.data.resolve()}",
        f"training.max_minutes={arguments.minutes}",
        "training.max_iterations=null",
        f"training.seed={seed}",
        f"training.threads={threads}",
    ]
    clock = time.monotonic if arguments.clock == "wall" else lambda: time.process_time() / threads
    result = train(load_config(path, changes), folder, clock=clock)
    if result.stopped == "interrupted":
        raise SystemExit(f"{folder}: interrupted; repeat the command to go on")
    row = {
        "config": name_of(config),
        "seed": int(seed),
        "parameters": result.parameters,
        "steps": result.iterations,
        "minutes": result.minutes,
        "steps_per_minute": result.iterations / result.minutes,
        "peak_mib": peak_mib(),
        "device": result.device,
        "precision": result.precision,
    }
    return folder, result, row


def settings_of(arguments: argparse.Namespace, keys: tuple[str, ...]) -> Row:
    """What all runs of a comparison have in common."""
    settings = {key: getattr(arguments, key) for key in (*COMMON, *keys)}
    return {
        key: str(value.resolve()) if isinstance(value, Path) else value
        for key, value in {"data": arguments.data, **settings}.items()
    }


def machine() -> Row:
    import torch

    names = [platform.processor() or platform.machine()]
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if "model name" in line] or names
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "processor": names[0],
        "cores": os.cpu_count(),
        "gpus": devices,
        "torch": torch.__version__,
    }


def write_settings(arguments: argparse.Namespace, keys: tuple[str, ...]) -> None:
    settings = settings_of(arguments, keys)
    settings |= {"configs": arguments.configs, "seeds": arguments.seeds, **machine()}
    (arguments.out / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")


def write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def curve(arguments: argparse.Namespace, row: Row, metric: str) -> list[tuple[float, int, float]]:
    """Minutes, steps and value of each validation of a run; none if it does not measure that."""
    from onet.checkpoints.run_folder import METRICS
    from onet.training.logs import read_metrics

    folder = arguments.out / "runs" / row["config"] / str(row["seed"])
    return [
        (float(r["minutes"]), int(r["iteration"]), float(r[metric]))
        for r in read_metrics(folder / METRICS)
        if r["split"] == "val" and r.get(metric) not in (None, "")
    ]


def summary_of(name: str, rows: list[Row], keys: tuple[str, ...]) -> Row:
    """Mean and half the range of each key over the runs of a configuration."""
    own = [row for row in rows if row["config"] == name]
    row: Row = {"config": name, "runs": len(own)}
    for key in keys:
        values = [r[key] for r in own if r[key] is not None]
        row[key] = sum(values) / len(values) if values else None
        row[f"{key}_spread"] = (max(values) - min(values)) / 2 if values else None
    return row


def cell(row: Row, key: str, digits: int) -> str | None:
    """Mean and half the range as text."""
    if row[key] is None:
        return None
    spread = row[f"{key}_spread"]
    return f"{row[key]:,.{digits}f}" + (f" ± {spread:.{digits}f}" if spread else "")


def show(
    summary: list[Row],
    tables: Sequence[Mapping[str, tuple[str, int]]],  # title and digits of each key
    titles: Sequence[str],
    text: Callable[[Row, str, int], str | None] = cell,
) -> None:
    """One table for each choice of columns: all of them are too wide for a screen."""
    from onet.report.tables import print_table

    for columns, title in zip(tables, titles, strict=True):
        table = [
            {"config": row["config"]}
            | {name: text(row, key, digits) for key, (name, digits) in columns.items()}
            for row in summary
        ]
        print_table(table, title)


def draw_curves(arguments: argparse.Namespace, rows: list[Row], metric: str) -> None:
    """Validation of all runs over minutes and over steps: OUT/curves.png."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    names = list(dict.fromkeys(row["config"] for row in rows))
    for row in rows:
        values = curve(arguments, row, metric)
        for axes, column in zip(panels, (0, 1), strict=True):
            axes.plot(
                [point[column] for point in values],
                [point[2] for point in values],
                color=colormaps["tab10"](names.index(row["config"]) % 10),
                label=row["config"] if values and row["seed"] == rows[0]["seed"] else None,
                marker=".",
                alpha=0.8,
            )
    for axes, unit in zip(panels, ("minutes", "steps"), strict=True):
        axes.set(xlabel=unit, ylabel=f"validation {metric}")
        axes.grid(alpha=0.3)
    if panels[0].get_legend_handles_labels()[0]:
        panels[0].legend()
    figure.savefig(arguments.out / "curves.png", dpi=110)
