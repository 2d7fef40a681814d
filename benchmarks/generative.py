"""Generative models at equal training time: autoencoders and GANs on one dataset.

Runs are made and kept as by `python -m benchmarks train`. Of each, shapes are sampled from the
prior with the best checkpoint and compared with the held-out ones, as by `onet diversity`. A row
"training shapes" says what real shapes score.

Written to the folder: `runs/CONFIG/SEED`, `runs.csv`, `summary.csv`, `settings.json`, `curves.png`
(the energy score over minutes, of the models that measure it), `samples.png`.

Columns: closed is the number of samples with a closed mesh, the others have no surface; cov is
coverage, higher is better; mmd the minimum matching distance (Chamfer, squared, both directions
added, x 1000, longest edge 1; EMD x 100), lower is better; 1nna the accuracy of the nearest
neighbour, 0.5 is best; alarms those of the watch for collapse.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from benchmarks import _training
from benchmarks._runs import keep
from benchmarks._training import Row

DIVERSITY = {  # title and digits
    "coverage_chamfer": ("cov CD", 3),
    "mmd_chamfer": ("mmd CD", 2),
    "1nna_chamfer": ("1nna CD", 3),
    "coverage_emd": ("cov EMD", 3),
    "mmd_emd": ("mmd EMD", 2),
    "1nna_emd": ("1nna EMD", 3),
    "frechet": ("Fréchet", 2),
}
TRAINING = {
    "energy_score": ("energy score", 4),
    "sample_distance": ("sample distance", 3),
    "closed": ("closed", 1),
    "alarms": ("alarms", 1),
    "steps": ("steps", 0),
    "parameters": ("parameters", 0),
    "peak_mib": ("peak MiB", 0),
}
COLUMNS = (*DIVERSITY, *TRAINING)
FACTORS = {"mmd_chamfer": 1000.0, "mmd_emd": 100.0}
SETTINGS = ("samples", "features", "emd_points")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _training.add_arguments(parser)
    parser.add_argument("--samples", type=int, default=42, help="shapes of each run")
    parser.add_argument("--features", type=Path, help="run of a point network, for Fréchet")
    parser.add_argument("--emd-points", type=int, default=256)
    parser.add_argument("--pictures", type=int, default=8, help="samples in a row of the picture")


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
            _training.draw_curves(arguments, rows, "energy_score")
    real = next((row["real"] for row in rows if "real" in row), {}) | {"config": "training shapes"}
    _training.write_csv(
        out / "runs.csv", [{k: v for k, v in row.items() if k != "real"} for row in rows]
    )
    summary = [_training.summary_of(name, rows, COLUMNS) for name in names]
    blank = dict.fromkeys(COLUMNS)
    summary.append(_training.summary_of("training shapes", [blank | real], COLUMNS))
    _training.write_csv(out / "summary.csv", summary)
    _training.write_settings(arguments, SETTINGS)
    _draw_samples(arguments)
    _show(summary, arguments)


class _Alarms(logging.Handler):
    """Keeps what the watch for collapse says."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _train(arguments: argparse.Namespace) -> None:
    """One run in this process: training, samples, scores."""
    from onet.evaluation import diversity
    from onet.inference.generate import generate

    alarms = _Alarms()
    logging.getLogger("onet.training.adversarial_update").addHandler(alarms)
    folder, result, row = _training.train_single(arguments)
    made = generate(folder, samples=arguments.samples, seed=int(arguments.single[1]))
    best = result.best or {}
    row = dict.fromkeys(COLUMNS) | row
    row |= {
        "energy_score": best.get("energy_score"),
        "sample_distance": best.get("sample_distance"),
        "closed": made.count("watertight"),
        "alarms": len(alarms.messages),
        "alarm_messages": alarms.messages,
    }
    if len(made.rows) - len(made.failures) > 1:
        report = diversity.evaluate_diversity(
            made.out, features=arguments.features, emd_points=arguments.emd_points, workers=1
        )
        scores = {str(s["set"]): s for s in report.rows}
        row |= _scores(scores["generated"]) | {"real": _scores(scores[diversity.TRAINING])}
    keep(folder / _training.RESULT, _training.settings_of(arguments, SETTINGS), row)


def _scores(row: Row) -> Row:
    return {
        key: value * FACTORS.get(key, 1.0)
        for key in COLUMNS
        if isinstance(value := row.get(key), float)  # None is what was not measured
    }


def _draw_samples(arguments: argparse.Namespace) -> None:
    """The first samples of every configuration, with the first seed."""
    import trimesh

    from onet.geometry.mesh_io import load_mesh
    from onet.geometry.rendering import render_mesh
    from onet.inference import generation_folder
    from onet.inference.generate import SAMPLES
    from onet.report.contact_sheet import draw_grid

    size, count = 192, min(arguments.pictures, arguments.samples)
    pictures, labels = [], []
    for config in arguments.configs:
        run_dir = _training.folder_of(arguments, config, arguments.seeds[0])
        folder = generation_folder.default_folder(run_dir, Path(SAMPLES))
        rows = list(generation_folder.read_results(folder).values())[:count]
        meshes = [
            load_mesh(folder / row["mesh"]) if row["mesh"] else trimesh.Trimesh() for row in rows
        ]
        pictures.append([render_mesh(mesh, size) for mesh in meshes])
        labels.append([_training.name_of(config), f"seed {arguments.seeds[0]}"])
    titles = [str(number) for number in range(count)]
    draw_grid(pictures, labels, titles, size).save(Path(arguments.out) / "samples.png")


def _show(summary: list[Row], arguments: argparse.Namespace) -> None:
    title = (
        f"{arguments.minutes:g} minutes ({arguments.clock} clock) each on "
        f"{arguments.threads} thread(s), {len(arguments.seeds)} seed(s), "
        f"{arguments.samples} samples"
    )
    _training.show(summary, (DIVERSITY, TRAINING), (title, "Training, at the best checkpoint"))
