"""Training at equal time: any set of configurations on one dataset, over several seeds.

Every run is a process of its own with the same number of threads, one after another: all
configurations with the first seed, then all with the next. Training stops after the same minutes,
validation included; limits of iterations are lifted. `--clock cpu` counts the processor's minutes
(of all threads, divided by their number), for a machine that does other work meanwhile. Then the
probability on the surface is chosen on the validation split, as by `onet threshold --apply`, and
some items of the test split are reconstructed and scored by the published protocol. A folder that
holds finished runs is completed: they are not made again, and a run that was interrupted goes on.

Written to the folder: `runs/CONFIG/SEED` with all that `onet train`, `generate` and `eval` write,
`runs.csv`, `summary.csv`, `settings.json`, `curves.png` (validation over minutes and over steps),
`shapes.png` (the same test items by every configuration).

Columns: "val" is the final value of the metric that selects the checkpoint, at the configured
probability; "tau" the one chosen; "test IoU", Chamfer-L1 (longest edge) and normal consistency
those of the best checkpoint's meshes; peak memory is that of the process until training ended. "to
reach" are the minutes and steps after which validation was first as good as the first
configuration's final value with the same seed, and in how many of the runs it was. Of several seeds
the mean and half the range are shown.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import _training
from benchmarks._runs import keep
from benchmarks._training import Row
from onet.metrics.penalties import RULE

QUALITY = {  # title and digits
    "val": ("val", 4),
    "probability": ("tau", 2),
    "iou": ("test IoU", 4),
    "chamfer_l1": ("Chamfer-L1", 4),
    "normal_consistency": ("NC", 4),
    "failed": ("failed", 1),
}
COST = {
    "minutes_to_reach": ("minutes to reach", 1),
    "steps_to_reach": ("steps to reach", 0),
    "steps": ("steps", 0),
    "parameters": ("parameters", 0),
    "peak_mib": ("peak MiB", 0),
}
SETTINGS = ("items", "resolution")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _training.add_arguments(parser)
    parser.add_argument("--items", type=int, default=24, help="test items to reconstruct")
    parser.add_argument("--pictures", type=int, default=6, help="of them in the picture")
    parser.add_argument("--resolution", type=int, help="of the meshes; default as configured")


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        _train(arguments)
        return
    names = _training.check_names(arguments)
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for seed in arguments.seeds:
        for config in arguments.configs:
            rows.append(_training.finished_run(arguments, config, seed, SETTINGS))
            _reached(arguments, rows, names[0])
            _training.write_csv(out / "runs.csv", rows)
            _training.draw_curves(arguments, rows, rows[0]["metric"])
    summary = [_training.summary_of(name, rows, (*QUALITY, *COST)) for name in names]
    for row in summary:
        own = [r for r in rows if r["config"] == row["config"]]
        row["reached"] = sum(r["minutes_to_reach"] is not None for r in own)
    _training.write_csv(out / "summary.csv", summary)
    _draw_shapes(arguments)
    _training.write_settings(arguments, SETTINGS)
    _show(summary, arguments)


def _train(arguments: argparse.Namespace) -> None:
    """One run in this process: training, threshold, meshes, scores."""
    from onet.checkpoints.run_folder import CONFIG
    from onet.config import load_config
    from onet.evaluation.meshes import evaluate_generation
    from onet.evaluation.threshold_search import search_threshold
    from onet.inference.generate import generate

    folder, result, row = _training.train_single(arguments)
    probability = search_threshold(folder, apply=True).best
    report = generate(folder, limit=arguments.items, resolution=arguments.resolution)
    scores = evaluate_generation(report.out, noise_floor=False).mean
    metric = load_config(folder / CONFIG).training.selection_metric
    row |= {
        "metric": metric,
        "val": (result.last or {}).get(metric),
        "best": (result.best or {}).get(metric),
        "probability": probability,
        "iou": scores["iou"],
        "chamfer_l1": scores["chamfer_l1"],
        "normal_consistency": scores["normal_consistency"],
        "failed": scores["failed"],
    }
    keep(folder / _training.RESULT, _training.settings_of(arguments, SETTINGS), row)


def _reached(arguments: argparse.Namespace, rows: list[Row], first: str) -> None:
    """Note in each row when it was as good as the first configuration in the end, by its metric."""
    goals = {row["seed"]: row for row in rows if row["config"] == first}
    for row in rows:
        goal = goals[row["seed"]]
        sign = 1 if _mode(arguments, goal) == "max" else -1
        values = _training.curve(arguments, row, goal["metric"])
        when = [
            (minutes, steps)
            for minutes, steps, value in values
            if goal["val"] is not None and sign * value >= sign * goal["val"]
        ]
        row["minutes_to_reach"], row["steps_to_reach"] = when[0] if when else (None, None)


def _mode(arguments: argparse.Namespace, row: Row) -> str:
    """Whether more (`max`) or less (`min`) of the metric that selects checkpoints is better."""
    from onet.checkpoints.run_folder import CONFIG
    from onet.config import load_config

    folder = arguments.out / "runs" / row["config"] / str(row["seed"])
    return load_config(folder / CONFIG).training.selection_mode


def _draw_shapes(arguments: argparse.Namespace) -> None:
    """The first test items by every configuration, with the first seed, beside the truth."""
    import trimesh

    from onet.data.store import Item
    from onet.geometry.mesh_io import load_mesh
    from onet.geometry.rendering import render_mesh
    from onet.inference import generation_folder
    from onet.report.contact_sheet import draw_grid

    size, seed = 224, arguments.seeds[0]
    folders = [
        _training.folder_of(arguments, config, seed) / "generation" for config in arguments.configs
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
    names = map(_training.name_of, arguments.configs)
    draw_grid(pictures, labels, [*names, "truth"], size).save(Path(arguments.out) / "shapes.png")


def _show(summary: list[Row], arguments: argparse.Namespace) -> None:
    def text(row: Row, key: str, digits: int) -> str | None:
        shown = _training.cell(row, key, digits)
        if key.endswith("to_reach") and shown and row["reached"] < row["runs"]:
            return f"{shown} ({row['reached']} of {row['runs']})"
        return shown

    title = (
        f"{arguments.minutes:g} minutes ({arguments.clock} clock) each on "
        f"{arguments.threads} thread(s), {len(arguments.seeds)} seed(s), "
        f"{arguments.items} test items; one that failed counts as {RULE}"
    )
    reach = f"to reach: the final validation of {summary[0]['config']}"
    _training.show(summary, (QUALITY, COST), (title, reach), text)
