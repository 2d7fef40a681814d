"""Moving meshes against the truth, at every time; the table of Occupancy Flow.

Lengths are in units of the longest edge of the first frame. `iou` is over the query points of each
frame. `chamfer` is the mean of accuracy and completeness, mean distances from made to true surface
points and back, as Occupancy Networks have it; `chamfer_squared` the sum of both with squared
distances, which the published code of Occupancy Flow calls Chamfer. `correspondence` is the mean
distance between a vertex and the true point that is nearest to it at the first time, when both have
moved on; `still` what that would be if nothing moved. `normals` is the mean absolute cosine between
normals of nearest points.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from onet.data.sequence_folder import PCL_SEQ, POINTS_SEQ, Sequence
from onet.data.store import Store
from onet.errors import ConfigError, DataError
from onet.geometry.nearest import NearestNeighbors
from onet.geometry.normalization import UnitFrame
from onet.geometry.sampling import sample_surface
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.geometry.winding import WindingTree
from onet.inference import generation_folder as folder
from onet.inference.generate_motion import MOTION
from onet.inference.generation_folder import EVAL
from onet.inference.read_motion import read_motion
from onet.locks import hold, writer
from onet.records import Row, read_csv, write_csv, write_json

NAME = "oflow"
SCORES = ("iou", "chamfer", "chamfer_squared", "accuracy", "completeness", "normals",
          "correspondence", "still")  # fmt: skip
PUBLISHED = ("iou", "chamfer", "chamfer_squared", "correspondence")
IN_TIME = "eval_times.csv"
ITEMS = ("category", "model", "status", *SCORES, "cycle")
QUERIES = 20_000  # query points of a frame that IoU is taken over, at most


@dataclass(frozen=True)
class MotionScores:
    """Scores of moving meshes.

    Attributes:
        folder: that was evaluated.
        items: one row per sequence, means over time.
        times: one row per sequence and frame.
        published: show the published scores alone.
    """

    folder: Path
    items: list[Row]
    times: list[Row] = field(repr=False)
    published: bool = False
    shown = EVAL

    @property
    def title(self) -> str:
        """What the table shows."""
        return f"{self.folder}: means over time; lengths in units of the first frame's longest edge"

    def mean(self) -> dict[str, float]:
        """Means over sequences that have a mesh; scores that none has are left out."""
        made = [row for row in self.items if row["status"] == folder.OK]
        keys = PUBLISHED if self.published else (*SCORES, "cycle")
        values = {key: [row[key] for row in made if row[key] != ""] for key in keys}
        return {key: float(np.mean(some)) for key, some in values.items() if some}

    def table(self) -> list[Row]:
        """Rows for people: each sequence, and the mean."""
        mean = self.mean()
        rows = [
            {"sequence": f"{row['category']}/{row['model']}"}
            | {key: _shown(row[key]) for key in mean}
            for row in self.items
        ]
        return [*rows, {"sequence": "mean"} | {key: _shown(v) for key, v in mean.items()}]

    def summary(self) -> str:
        """What was measured, in a few words."""
        made = sum(row["status"] == folder.OK for row in self.items)
        return f"{made} of {len(self.items)} sequences measured"


def _shown(value: Any) -> str:
    return "" if value == "" else f"{value:.4g}"


def is_motion(results: str | os.PathLike[str]) -> bool:
    """Whether a generation folder, or that of a run, holds moving meshes.

    Raises:
        DataError: no generation folder.
    """
    return bool(folder.read_settings(folder.locate(Path(results))).get(MOTION))


@writer
def evaluate_motion(
    results: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    samples: int = 100_000,
    seed: int = 0,
    protocol: str | None = None,
) -> MotionScores:
    """Measure moving meshes of a split against the truth.

    Writes eval_times.csv, eval_items.csv, eval.csv and evaluation.json into the folder.

    Args:
        results: a generation folder, or its run.
        data: prepared sequences; default what was generated from.
        samples: surface points of each frame, at most.
        seed: of them.
        protocol: `oflow` shows the published scores.

    Raises:
        ConfigError: another protocol.
        DataError: no truth, or another number of frames than the truth has.
    """
    if protocol not in (None, NAME):
        raise ConfigError(f"protocol: {protocol!r}; of moving meshes the one there is is {NAME!r}")
    out = folder.locate(Path(results))
    settings = folder.read_settings(out)
    root = data or settings.get("data")
    if root is None:
        raise DataError(f"{out}: was not made from prepared sequences, so there is no truth")
    if settings.get("frames") or settings.get("fps"):
        raise DataError(
            f"{out}: was resampled in time (frames, fps), and the truth is known at the times of "
            "the data; generate without"
        )
    hold(out)
    truth = {s.name: s for s in Store(root).items(settings["split"])}
    items: list[Row] = []
    times: list[Row] = []
    for _, row in read_csv(out / folder.RESULTS, ("category", "model", "status", "mesh")):
        key = {"category": row["category"], "model": row["model"], "status": row["status"]}
        if row["status"] != folder.OK:
            items.append(key | dict.fromkeys((*SCORES, "cycle"), ""))
            continue
        name = f"{row['category']}/{row['model']}"
        if name not in truth:
            raise DataError(f"{root}: has no sequence {name}; give the data that it was made from")
        mesh = read_motion(out, row["mesh"])
        scores = score_motion(mesh, Sequence.of(truth[name]), samples, seed)
        times += [key | {"frame": number} | score for number, score in enumerate(scores)]
        items.append(key | over_time(scores) | {"cycle": _number(row.get("cycle", ""))})
    report = MotionScores(out, items, times, protocol == NAME)
    write_csv(out / IN_TIME, ("category", "model", "frame", *SCORES), times)
    write_csv(out / folder.EVAL_ITEMS, ITEMS, items)
    mean = report.mean()
    write_csv(out / folder.EVAL, ("category", *mean), [{"category": "mean"} | mean])
    write_json(out / folder.PROTOCOL, {"samples": samples, "seed": seed, "protocol": protocol,
                                       "data": str(root)})  # fmt: skip
    return report


def _number(text: str) -> float | str:
    return float(text) if text else ""


def over_time(scores: list[Row]) -> Row:
    """Return the mean of each score over frames, empty where none has it."""
    result: Row = {}
    for key in SCORES:
        values = [score[key] for score in scores if score[key] != ""]
        result[key] = float(np.mean(values)) if values else ""
    return result


def score_motion(mesh: MovingMesh, truth: Sequence, samples: int, seed: int = 0) -> list[Row]:
    """Return a row of `SCORES` for each frame of a moving mesh.

    Args:
        mesh: in the source frame; its frames are the first ones of the truth.
        truth: the prepared sequence.
        samples: surface points of each frame, at most.
        seed: of them.

    Raises:
        DataError: the truth has fewer frames.
    """
    if len(mesh) > len(truth):
        raise DataError(
            f"{truth.item.path}: has {len(truth)} frames and {mesh.source} {len(mesh)}; generate "
            "it again"
        )
    frame = truth.frame(0, PCL_SEQ)
    rng = np.random.default_rng(seed)
    count = truth.surface_count(0)
    chosen = rng.choice(count, min(samples, count), replace=False)
    result: list[Row] = []
    start = frame.to_unit(mesh.vertices[0])
    pairs = NearestNeighbors(truth.surface(0, chosen, frame)).query(start)[1]
    for number in range(len(mesh)):
        vertices = frame.to_unit(mesh.vertices[number])
        surface = truth.surface(number, chosen, frame).astype(np.float64)
        row: Row = dict.fromkeys(SCORES, "")
        row |= _surface(vertices, mesh.faces[number], surface, _normals(truth, number, chosen), rng)
        if len(mesh.faces[number]):
            row["iou"] = _iou(vertices, mesh.faces[number], truth, number, frame, rng)
        if truth.corresponding and mesh.corresponding:
            for key, places in (("correspondence", vertices), ("still", start)):
                row[key] = float(np.linalg.norm(places - surface[pairs], axis=1).mean())
        result.append(row)
    return result


def _normals(truth: Sequence, number: int, chosen: NDArray[np.int64]) -> NDArray[np.float64] | None:
    try:
        normals = truth.item.array(f"{PCL_SEQ}/{truth.frames[number]}", "normals")
    except DataError:
        return None  # the published download has none
    return normals[chosen].astype(np.float64)


def _surface(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int64],
    surface: NDArray[np.float64],
    normals: NDArray[np.float64] | None,
    rng: np.random.Generator,
) -> Row:
    """Distances between the surfaces of a frame, and normals of nearest points."""
    made, directions = vertices, None
    if len(faces):
        shape = trimesh.Trimesh(vertices, faces, process=False)
        made, directions, _ = sample_surface(shape, len(surface), rng)
    there, to_true = NearestNeighbors(surface).query(made)
    back, to_made = NearestNeighbors(made).query(surface)
    row: Row = {
        "accuracy": float(there.mean()), "completeness": float(back.mean()),
        "chamfer": float((there.mean() + back.mean()) / 2),
        "chamfer_squared": float((there**2).mean() + (back**2).mean()),
    }  # fmt: skip
    if directions is not None and normals is not None:
        there_cos = np.abs((directions * normals[to_true]).sum(1)).mean()
        back_cos = np.abs((normals * directions[to_made]).sum(1)).mean()
        row["normals"] = float((there_cos + back_cos) / 2)
    return row


def _iou(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int64],
    truth: Sequence,
    number: int,
    frame: UnitFrame,
    rng: np.random.Generator,
) -> float | str:
    if not (truth.item.path / POINTS_SEQ).is_dir():
        return ""
    stored = len(truth.item.array(f"{POINTS_SEQ}/{truth.frames[number]}", "points"))
    points, inside = truth.labelled(number, QUERIES if stored > QUERIES else None, rng, frame)
    tree = WindingTree(trimesh.Trimesh(vertices, faces, process=False))
    made = tree.winding_number(points.astype(np.float64), threads=1) > 0.5
    either = (made | (inside > 0.5)).sum()
    return float((made & (inside > 0.5)).sum() / either) if either else 1.0
