"""Scores of moving meshes on held-out sequences: made ones, true ones that stand still or are
carried along by a learned motion, and the mean of the training set."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._training import Row
from onet.data.sequence_folder import PCL_SEQ, Sequence, read_sequence_record
from onet.data.store import Item, Store
from onet.evaluation.motion import QUERIES, evaluate_motion, over_time, score_motion
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.geometry.sequences.reading import is_sequence, read_sequence
from onet.inference.generate_motion import generate_motion
from onet.inference.generation_folder import RESULTS
from onet.inference.motion import MotionReconstructor
from onet.inference.read_motion import read_motion
from onet.records import read_csv

CELLS = 24  # of the grid of mean occupancies, along an edge of
EDGE = 1.5  # the cube that it fills
LEVELS = np.linspace(0.1, 0.6, 11)


def made(run: Path, split: str, resolution: int, samples: int) -> list[Row]:
    """Scores of what a run makes of the sequences of a split; IoU 0 where it makes nothing."""
    out = run / split
    generate_motion(run, split=split, out=out, resolution=resolution, format="ply", device="cpu")
    report = evaluate_motion(out, samples=samples)
    return [
        {"sequence": f"{row['category']}/{row['model']}", "failed": int(row["status"] != "ok")}
        | row
        | ({} if row["status"] == "ok" else {"iou": 0.0})
        for row in report.items
    ]


def read_made(out: Path, item: Item) -> MovingMesh | None:
    """What a run made of a sequence, if anything."""
    for _, row in read_csv(out / RESULTS, ("category", "model", "mesh")):
        if (row["category"], row["model"]) == (item.category, item.model) and row["mesh"]:
            return read_motion(out, row["mesh"])
    return None


class TrueMotions:
    """The source meshes of a split of a store."""

    def __init__(self, store: Path, meshes: Path | None, split: str, samples: int) -> None:
        self.meshes, self.samples = meshes, samples
        self.sequences = [Sequence.of(item) for item in Store(store).items(split)]

    @cached_property
    def moving(self) -> list[MovingMesh]:
        """Meshes at the times of the prepared frames, their faces outward.

        Raises:
            SystemExit: a sequence has no source below the folder.
        """
        paths: dict[tuple[str, str], Path] = {}
        assert self.meshes is not None
        for path in self.meshes.rglob("*"):
            if is_sequence(path):
                category, *rest = path.relative_to(self.meshes).with_suffix("").parts
                paths[category, "__".join(rest)] = path
        result = []
        for sequence in self.sequences:
            key = (sequence.item.category, sequence.item.model)
            if key not in paths:
                raise SystemExit(f"--meshes {self.meshes}: has no {'/'.join(key)}")
            mesh = read_sequence(paths[key]).at(sequence.times)
            if read_sequence_record(sequence.item.path).get("turned_outward"):
                mesh = MovingMesh(
                    mesh.vertices, [f[:, ::-1] for f in mesh.faces], mesh.times, mesh.source
                )
            result.append(mesh)
        return result

    def still(self) -> list[Row]:
        """Scores of true first frames that stand still."""
        return [
            self._row(s, MovingMesh([m.vertices[0]] * len(m), m.faces, m.times, m.source))
            for s, m in zip(self.sequences, self.moving, strict=True)
        ]

    def carried(self, run: Path) -> list[Row]:
        """Scores of true first frames carried along by the motion that a run observes.

        None for models without velocities.
        """
        import trimesh

        model = MotionReconstructor.load(run, "cpu")
        if not hasattr(model.model, "flow"):
            return []
        rows = []
        for sequence, mesh in zip(self.sequences, self.moving, strict=True):
            frame, times = sequence.frame(0, PCL_SEQ), sequence.times
            unit = (times - times[0]) / (times[-1] - times[0])
            rng = np.random.default_rng(zlib.crc32(sequence.item.model.encode()))
            seen = model.input.of_sequence(
                sequence, list(range(len(times))), frame, rng, training=False
            )
            start = trimesh.Trimesh(frame.to_unit(mesh.vertices[0]), mesh.faces[0], process=False)
            motion = model.animate(model.encode(seen, unit), unit, start)
            rows.append(self._row(sequence, motion.in_frame(frame, times, mesh.source)))
        return rows

    def _row(self, sequence: Sequence, mesh: MovingMesh) -> Row:
        scores = over_time(score_motion(mesh, sequence, self.samples))
        return {"sequence": sequence.item.name} | scores


def mean_occupancy(store: Path, training: str, validation: str, split: str) -> list[Row]:
    """IoU of the mean occupancy of training sequences at each place and time.

    The share of sequences from which a place counts as inside is the best one on the validation
    sequences.
    """
    sums, counts = 0.0, 0.0
    for cells, inside in _labels(store, training):
        shape = (len(cells), CELLS**3)
        flat = (cells + np.arange(len(cells))[:, None] * CELLS**3).ravel()
        sums += np.bincount(flat, inside.ravel(), shape[0] * shape[1]).reshape(shape)
        counts += np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)
    mean = np.divide(sums, counts, out=np.zeros_like(counts), where=np.asarray(counts) > 0)
    scores = {level: np.mean([*_overlaps(store, validation, mean, level)]) for level in LEVELS}
    best = max(scores, key=lambda level: float(scores[level]))
    names = [item.name for item in Store(store).items(split)]
    return [
        {"sequence": name, "iou": float(iou)}
        for name, iou in zip(names, _overlaps(store, split, mean, best), strict=True)
    ]


def _labels(store: Path, split: str) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Cells (T, N) of query points of each frame in the unit frame of the first, and labels."""
    for item in Store(store).items(split):
        sequence, rng = Sequence.of(item), np.random.default_rng(0)
        frame = sequence.frame(0, PCL_SEQ)
        pairs = [sequence.labelled(k, QUERIES, rng, frame) for k in range(len(sequence))]
        places = np.floor((np.stack([p for p, _ in pairs]) / EDGE + 0.5) * CELLS).astype(np.int64)
        x, y, z = np.moveaxis(places.clip(0, CELLS - 1), -1, 0)
        yield (x * CELLS + y) * CELLS + z, np.stack([inside for _, inside in pairs])


def _overlaps(store: Path, split: str, mean: NDArray[np.float64], level: float) -> Iterator[float]:
    for cells, inside in _labels(store, split):
        guess = np.take_along_axis(mean, cells, 1) > level
        true = inside > 0.5
        yield float(np.mean((guess & true).sum(1) / np.maximum((guess | true).sum(1), 1)))
