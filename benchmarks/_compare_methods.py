"""What a method of the comparison makes of the test split, and how it is scored."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from onet.config import load_config
from onet.errors import DataError
from onet.evaluation.meshes import evaluate_generation
from onet.geometry.classical import reconstruct
from onet.geometry.open3d_io import load_open3d
from onet.geometry.point_cloud_io import load_points
from onet.geometry.written import save_and_examine
from onet.inference import generation_folder as generation
from onet.inference.generate import generate
from onet.inference.targets import Target
from onet.inference.writing import failed
from onet.records import Row
from onet.training.loop import train

SHOWN = ("iou", "chamfer_l1", "normal_consistency", "f_score_1pct")
"""Scores of the table."""


@dataclass(frozen=True)
class Scored:
    """A method's meshes and their scores.

    Attributes:
        made: the generation folder.
        rows: one per item: category, model, status, `closed`, and the scores `SHOWN`; no IoU where
            the mesh is open.
        trained: `parameters`, `iterations` and `minutes`, None of what is not trained.
    """

    made: Path
    rows: list[Row]
    trained: Row


def score_learned(own: Sequence[str], folder: Path, arguments: argparse.Namespace) -> Scored:
    """Train the configuration, with its changes, and score its meshes.

    Raises:
        SystemExit: training was interrupted; the same command goes on from there.
    """
    name, *changes = own
    config = load_config(
        name,
        [
            *(f"data.path={arguments.store}", f"training.max_minutes={arguments.minutes}"),
            *("training.threads=1", "training.device=cpu", *changes, *arguments.set),
        ],
    )
    result = train(config, folder, clock=time.process_time)
    if result.stopped == "interrupted":
        raise SystemExit(f"{folder}: interrupted; the same command goes on from here")
    trained = {
        "parameters": result.parameters,
        "iterations": result.iterations,
        "minutes": arguments.minutes,
    }
    made = generate(folder, device="cpu").out
    return Scored(made, _scores(made, arguments.samples), trained)


def score_classical(
    method: str, folder: Path, seen: Mapping[str, Scored], arguments: argparse.Namespace
) -> Scored:
    """Make meshes of the points that the first learned method saw, and score them.

    Raises:
        DataError: there is no learned method whose points could be taken.
        MissingDependency: Open3D is not installed.
    """
    load_open3d()
    if not seen:
        raise DataError(f"{method}: takes the points of a learned method; compare one first")
    source = next(iter(seen.values())).made
    settings = generation.read_settings(source)
    made = folder / "generation"
    kept = {key: settings[key] for key in ("data", "split", "categories", "limit")}
    nothing = {"path": "", "sha256": ""}  # no network made them
    generation.write_settings(made, {"method": method, "checkpoint": nothing, **kept})
    rows = [_classical(method, source, made, key) for key in generation.read_results(source)]
    generation.write_results(made, rows)
    trained = dict.fromkeys(("parameters", "iterations", "minutes"))
    return Scored(made, _scores(made, arguments.samples), trained)


def _classical(method: str, source: Path, made: Path, key: generation.Key) -> Row:
    """Make the mesh of an item; returns its row in the table of results."""
    category, model = key
    path = Path(generation.MESHES) / category / f"{model}.ply"
    row = failed(Target(category, model, None), "")
    try:
        points = load_points(source / generation.INPUTS / category / f"{model}.ply")
        shape = save_and_examine(reconstruct(method, points), made / path).as_dict()
    except DataError as error:
        return row | {"reason": " ".join(str(error).split())}
    measured = {name: shape[name] for name in generation.COLUMNS if name in shape}
    return row | {"status": generation.OK, "mesh": path.as_posix()} | measured


def _scores(made: Path, samples: int) -> list[Row]:
    """Return the rows of `Scored` of a generation folder."""
    report = evaluate_generation(made, samples=samples, noise_floor=False)
    closed = {key: row["watertight"] is True for key, row in generation.read_results(made).items()}
    scores = []
    for row in report.items:
        whole = closed.get((row["category"], row["model"]), False)
        shown = {key: row[key] for key in ("category", "model", "status", *SHOWN)}
        if row["status"] == generation.OK and not whole:
            shown["iou"] = None
        scores.append(shown | {"closed": whole})
    return scores
