"""Training at equal time: any set of configurations on one dataset, over several seeds.

Every run is a process of its own with the same number of threads, one after another: all
configurations with the first seed, then all with the next. Training stops after the same minutes,
validation included; limits of iterations are lifted. `--clock cpu` counts the processor's minutes
(of all threads, divided by their number), for a machine that does other work meanwhile. Then the
threshold is chosen on the validation split, as by `onet threshold --apply`, and some items of the
test split are reconstructed and scored by the published protocol. A folder that holds finished runs
is completed: they are not made again, and a run that was interrupted goes on.

Written to the folder: `runs/CONFIG/SEED` with all that `onet train`, `generate` and `eval` write,
`runs.csv`, `summary.csv`, `settings.json`, `curves.png` (validation over minutes and over steps),
`shapes.png` (the same test items by every configuration).

Columns: "val" is the final value of the metric that selects the checkpoint, at the configured
threshold; "tau" the threshold chosen; "test IoU", Chamfer-L1
(longest edge) and normal consistency those of the best checkpoint's meshes; peak memory is that of
the process until training ended. "to reach" are the minutes and steps after which validation was
first as good as the first configuration's final value with the same seed, and in how many of the
runs it was. Of several seeds the mean and half the range are shown.
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
from pathlib import Path
from typing import Any

from benchmarks._memory import peak_mib

Row = dict[str, Any]

RESULT = "benchmark.json"
COLUMNS = {
    "val": "val",
    "threshold": "tau",
    "iou": "test IoU",
    "chamfer_l1": "Chamfer-L1",
    "normal_consistency": "NC",
    "failed": "failed",
    "parameters": "parameters",
    "steps": "steps",
    "steps_per_minute": "steps/min",
    "peak_mib": "peak MiB",
    "minutes_to_reach": "minutes to reach",
    "steps_to_reach": "steps to reach",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--configs", nargs="+", required=True, help="YAML files or packaged names")
    parser.add_argument("--data", type=Path, required=True, help="prepared store")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, each run")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="of the minutes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--items", type=int, default=24, help="test items to reconstruct")
    parser.add_argument("--pictures", type=int, default=6, help="of them in the picture")
    parser.add_argument("--resolution", type=int, help="of the meshes; default as configured")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="changes to every configuration"
    )
    parser.add_argument("--single", nargs=3, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        config, seed, folder = arguments.single
        _train(config, int(seed), Path(folder), arguments)
        return
    names = [Path(config).stem for config in arguments.configs]
    if len({*names}) < len(names):
        raise SystemExit(f"--configs: names have to differ, found {', '.join(names)}")
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for seed in arguments.seeds:
        for config, name in zip(arguments.configs, names, strict=True):
            rows.append(_finished_run(config, seed, out / "runs" / name / str(seed), arguments))
            _reached(rows, names[0], out)
            _write_csv(out / "runs.csv", rows)
            _draw_curves(rows, out)
    summary = [_summary(name, rows) for name in names]
    _write_csv(out / "summary.csv", summary)
    _draw_shapes(names, arguments)
    settings = _settings(arguments) | {"configs": arguments.configs, "seeds": arguments.seeds}
    (out / "settings.json").write_text(json.dumps(settings | _machine(), indent=2) + "\n")
    _show(summary, arguments)


def _settings(arguments: argparse.Namespace) -> Row:
    """What all runs of a comparison have in common."""
    keys = ("minutes", "clock", "threads", "items", "resolution", "set")
    return {"data": str(arguments.data.resolve()), **{key: getattr(arguments, key) for key in keys}}


def _machine() -> Row:
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


def _finished_run(config: str, seed: int, folder: Path, arguments: argparse.Namespace) -> Row:
    result = folder / RESULT
    if not result.is_file():
        print(f"{config}, seed {seed}: {arguments.minutes:g} minutes", flush=True)
        command = [sys.executable, "-m", "benchmarks", "train", "--single", config, str(seed)]
        command += [str(folder), "--configs", config, "--out", str(arguments.out)]
        for key, value in _settings(arguments).items():
            if value:
                values = value if isinstance(value, list) else [value]
                command += [f"--{key}", *map(str, values)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
        environment.setdefault("OMP_WAIT_POLICY", "passive")
        subprocess.run(command, env=environment, check=True)
    row: Row = json.loads(result.read_text())
    made, asked = row.pop("settings"), _settings(arguments)
    changed = [key for key in asked if made[key] != asked[key]]
    if changed:
        raise SystemExit(
            f"{folder}: was made with other {', '.join(changed)}; choose another --out"
        )
    return row


def _train(config: str, seed: int, folder: Path, arguments: argparse.Namespace) -> None:
    """One run in this process: training, meshes, scores, and RESULT last."""
    from onet.config import load_config
    from onet.inference.evaluation import evaluate_generation
    from onet.inference.generate import generate
    from onet.inference.threshold import search_threshold
    from onet.training.loop import train

    changes = [
        *arguments.set,
        f"data.path={arguments.data.resolve()}",
        f"training.max_minutes={arguments.minutes}",
        "training.max_iterations=null",
        f"training.seed={seed}",
        f"training.threads={arguments.threads}",
    ]
    settings = load_config(config, changes)
    threads = arguments.threads
    clock = time.monotonic if arguments.clock == "wall" else lambda: time.process_time() / threads
    result = train(settings, folder, clock=clock)
    if result.stopped == "interrupted":
        raise SystemExit(f"{folder}: interrupted; repeat the command to go on")
    peak = peak_mib()
    threshold = search_threshold(folder, apply=True).best
    report = generate(folder, limit=arguments.items, resolution=arguments.resolution)
    scores = evaluate_generation(report.out, noise_floor=False).mean
    metric = settings.training.selection_metric
    row = {
        "config": Path(config).stem,
        "seed": seed,
        "metric": metric,
        "val": (result.last or {}).get(metric),
        "threshold": threshold,
        "best": (result.best or {}).get(metric),
        "iou": scores["iou"],
        "chamfer_l1": scores["chamfer_l1"],
        "normal_consistency": scores["normal_consistency"],
        "failed": len(report.failures),
        "parameters": result.parameters,
        "steps": result.iterations,
        "minutes": result.minutes,
        "steps_per_minute": result.iterations / result.minutes,
        "peak_mib": peak,
        "device": result.device,
        "precision": result.precision,
        "settings": _settings(arguments),
    }
    (folder / RESULT).write_text(json.dumps(row, indent=2) + "\n")


def _curve(row: Row, out: Path) -> list[tuple[float, int, float]]:
    """Minutes, steps and value of each validation of a run."""
    from onet.training.logs import read_metrics

    rows = read_metrics(out / "runs" / row["config"] / str(row["seed"]) / "metrics.csv")
    return [
        (float(r["minutes"]), int(r["iteration"]), float(r[row["metric"]]))
        for r in rows
        if r["split"] == "val"
    ]


def _reached(rows: list[Row], first: str, out: Path) -> None:
    """Note in each row when it was as good as the first configuration in the end."""
    goals = {row["seed"]: row["val"] for row in rows if row["config"] == first}
    for row in rows:
        goal = goals[row["seed"]]
        when = [(m, s) for m, s, value in _curve(row, out) if value >= goal]
        row["minutes_to_reach"], row["steps_to_reach"] = when[0] if when else (None, None)


def _summary(name: str, rows: list[Row]) -> Row:
    own = [row for row in rows if row["config"] == name]
    row: Row = {"config": name, "runs": len(own)}
    for key in COLUMNS:
        values = [r[key] for r in own if r[key] is not None]
        row[key] = sum(values) / len(values) if values else None
        row[f"{key}_spread"] = (max(values) - min(values)) / 2 if values else None
    row["reached"] = sum(r["minutes_to_reach"] is not None for r in own)
    return row


def _write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _draw_curves(rows: list[Row], out: Path) -> None:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    names = list(dict.fromkeys(row["config"] for row in rows))
    for row in rows:
        number = names.index(row["config"])
        curve = _curve(row, out)
        for axes, column in zip(panels, (0, 1), strict=True):
            axes.plot(
                [point[column] for point in curve],
                [point[2] for point in curve],
                color=colormaps["tab10"](number % 10),
                label=row["config"] if row["seed"] == rows[0]["seed"] else None,
                marker=".",
                alpha=0.8,
            )
    for axes, unit in zip(panels, ("minutes", "steps"), strict=True):
        axes.set(xlabel=unit, ylabel=f"validation {rows[0]['metric']}")
        axes.grid(alpha=0.3)
    panels[0].legend()
    figure.savefig(out / "curves.png", dpi=110)


def _draw_shapes(names: list[str], arguments: argparse.Namespace) -> None:
    """The first test items by every configuration, with the first seed, beside the truth."""
    import trimesh

    from onet.data.store import Item
    from onet.geometry.mesh_io import load_mesh
    from onet.geometry.rendering import render_mesh
    from onet.inference import generation_folder
    from onet.report.contact_sheet import draw_grid

    size = 224
    folders = [
        arguments.out / "runs" / name / str(arguments.seeds[0]) / "generation" for name in names
    ]
    results = [generation_folder.read_results(folder) for folder in folders]
    chosen = generation_folder.take_in_turn(
        list(results[0]), arguments.pictures, lambda key: key[0]
    )
    pictures, labels = [], []
    for category, model in chosen:
        item = Item(category, model, arguments.data / category / model)
        truth = item.frame().mesh_to_source(load_mesh(item.mesh_path))
        row = []
        for folder, rows in zip(folders, results, strict=True):
            made = rows[category, model]
            mesh = load_mesh(folder / made["mesh"]) if made["mesh"] else trimesh.Trimesh()
            row.append(render_mesh(mesh, size, bounds=truth.bounds))
        pictures.append([*row, render_mesh(truth, size, bounds=truth.bounds)])
        labels.append([category, model])
    draw_grid(pictures, labels, [*names, "truth"], size).save(arguments.out / "shapes.png")


def _show(summary: list[Row], arguments: argparse.Namespace) -> None:
    from onet.report.tables import print_table

    def cell(row: Row, key: str) -> str | None:
        if row[key] is None:
            return None
        digits = 4 if abs(row[key]) < 10 and key not in ("failed", "minutes_to_reach") else 1
        text = f"{row[key]:,.{digits}f}" if key != "parameters" else f"{row[key]:,.0f}"
        spread = row[f"{key}_spread"]
        text += f" ± {spread:.{digits}f}" if spread else ""
        reached = key.endswith("to_reach") and row["reached"] < row["runs"]
        return f"{text} ({row['reached']} of {row['runs']})" if reached else text

    table = [
        {"config": row["config"], **{title: cell(row, key) for key, title in COLUMNS.items()}}
        for row in summary
    ]
    title = (
        f"{arguments.minutes:g} minutes ({arguments.clock} clock) each on "
        f"{arguments.threads} thread(s), "
        f"{len(arguments.seeds)} seed(s), {arguments.items} test items; to reach: the final "
        f"validation of {summary[0]['config']}"
    )
    print_table(table, title)
