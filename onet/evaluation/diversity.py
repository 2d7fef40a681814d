"""Quality and diversity of a set of generated shapes, against the shapes of a store.

A sample of an unconditional model is not meant to resemble any item, so sets are compared: see
`onet.metrics.set_metrics` for the scores, `onet.metrics.birthday` for the number of different
shapes. Every score depends on the sizes of the sets and on the points that stand for a shape, so
two more sets go through the same mill: shapes of the training split (what a perfect generator would
score) and the reference shapes themselves with other points (what copies would score).

A generated shape without a mesh that can be read has no distance to anything: it is left out of
every score and counted as failed.

    OUT/diversity.csv        one row a set
    OUT/diversity.json       how it was measured
    OUT/nearest.csv          for each generated shape the nearest training shape
    OUT/nearest.png          some of these pairs, once `onet.report.nearest_sheet` has drawn them
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.data.store import Item, Store
from onet.data.store_folder import POINTCLOUD
from onet.errors import ConfigError, DataError
from onet.evaluation.point_features import point_features, points_needed
from onet.geometry.mesh_io import load_mesh, readable_suffixes
from onet.geometry.normalization import UnitFrame
from onet.geometry.sampling import sample_surface
from onet.inference import generation_folder as folder
from onet.inference.reconstructor import Reconstructor, load
from onet.locks import hold, writer
from onet.metrics.birthday import birthday_test
from onet.metrics.distribution_distances import frechet_distance
from onet.metrics.scores import check_mesh
from onet.metrics.set_metrics import Distance, pairwise_distances, set_metrics
from onet.parallel import run_tasks
from onet.progress import Progress, reports_progress
from onet.provenance import Provenance
from onet.records import Row, write_csv, write_json

GENERATED, REFERENCE = "generated", "reference"
TRAINING, AGAIN = "training shapes", "reference again"

UNITS = {
    "coverage_chamfer": "fraction",
    "mmd_chamfer": "longest edge squared",
    "1nna_chamfer": "fraction",
    "coverage_emd": "fraction",
    "mmd_emd": "longest edge",
    "1nna_emd": "fraction",
    "frechet": "feature squared",
    "duplicates": "pairs",
    "support": "shapes",
    "support_low": "shapes",
    "support_high": "shapes",
}
"""Measured quantities and their units, which the columns of diversity.csv name."""

KEYS = (
    *("generated", "shapes", "failed", "unusable", "data", "split", "categories", "reference"),
    *("training", "compared", "points", "emd_points", "normalize", "features", "seed"),
    *("noise_floor", "duplicates_within", "median_distance_to_training", "version"),
)
"""Of diversity.json."""

NEAREST_COLUMNS = ("sample", "mesh", "category", "model", "chamfer [longest edge squared]")

Clouds = NDArray[np.float64]  # (S, P, 3)
Matrix = NDArray[np.float64]
Outcomes = list[NDArray[np.float64] | Exception]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DiversityReport:
    """Scores of a set of generated shapes.

    Attributes:
        out: where the files are.
        protocol: contents of diversity.json.
        rows: one a set: `generated`, `training shapes` (left out where there are fewer than were
            compared), `reference again`. The keys are `set`, `shapes` and those of `UNITS`; None is
            what was not measured.
        nearest: one row a generated shape, keys as `NEAREST_COLUMNS`.
    """

    out: Path
    protocol: dict[str, Any]
    rows: list[Row]
    nearest: list[Row]

    @property
    def title(self) -> str:
        """What the table shows, in which units, measured how."""
        p = self.protocol
        return (
            f"{p['generated']}: {p['compared']} of {p['shapes']} shapes ({p['failed']} more "
            "without a usable mesh failed and are left out of every score) against as many of the "
            f"{p['reference']} of split {p['split']}; "
            f"{p['points']:,} points a shape ({p['emd_points']:,} for EMD), seed {p['seed']}. "
            "cov: coverage, higher is better; mmd: minimum matching distance, lower is better "
            "(Chamfer: squared, both directions added, x 1000; EMD: x 100; longest edge 1); 1nna: "
            "accuracy of the nearest neighbour, 0.5 is best; frechet: lower is better; duplicates: "
            "pairs as close as two samples of one shape; support: at least so many different "
            f"shapes (95 %). '{TRAINING}': what other real shapes score; '{AGAIN}': what copies "
            "would."
        )

    def table(self) -> list[Row]:
        """Return the scores as they fit on a screen."""
        return [
            {
                "set": row["set"],
                "shapes": row["shapes"],
                "cov_cd": row["coverage_chamfer"],
                "mmd_cd_x1000": 1e3 * row["mmd_chamfer"],
                "1nna_cd": row["1nna_chamfer"],
                "cov_emd": row["coverage_emd"],
                "mmd_emd_x100": None if row["mmd_emd"] is None else 1e2 * row["mmd_emd"],
                "1nna_emd": row["1nna_emd"],
                "frechet": row["frechet"],
                "duplicates": row["duplicates"],
                "support": round(row["support_low"]),
            }
            for row in self.rows
        ]

    def summary(self) -> str:
        """How far the generated shapes are from the training shapes, in one line."""
        medians = self.protocol["median_distance_to_training"]
        return (
            f"median distance to the nearest training shape (Chamfer x 1000): generated "
            f"{1e3 * medians[GENERATED]:.2f}, reference {1e3 * medians[REFERENCE]:.2f}, one "
            f"shape sampled twice {1e3 * self.protocol['noise_floor']:.2f}"
        )


@reports_progress
@writer
def evaluate_diversity(
    generated: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    categories: Sequence[str] | None = None,
    features: str | os.PathLike[str] | None = None,
    points: int = 2048,
    emd_points: int = 512,
    normalize: bool = False,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    workers: int | None = None,
    scheduler: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> DiversityReport:
    """Compare generated shapes with the shapes of a split; writes the files of the module.

    As many generated as reference shapes are compared, random ones of the larger set. The nearest
    training shape is found for all generated ones. Time is that of five times the square of that
    number of distances; an EMD of 512 points takes 25 ms.

    Args:
        generated: a folder that `generate` made with `samples`, or a folder with any meshes in the
            unit frame.
        data: root of the store with the reference; default that of the model's configuration.
        split: of the reference; default the model's test split, else `test`.
        categories: of the store; default those that the model was trained with, else all.
        features: run folder or checkpoint of a point cloud network, for the Fréchet distance.
        points: that stand for a shape in Chamfer distances.
        emd_points: how many of them in EMD; 0 leaves it out.
        normalize: bring each mesh to the unit frame by its own bounding box.
        out: folder of the results; default that of the generated shapes.
        seed: of the points and of the choice of shapes.
        workers: processes; None for one a core.
        scheduler: address of a dask scheduler, whose workers sample the shapes; distances are
            computed here. See `onet.parallel.run_tasks`.
        device: of the point cloud network.
        progress: see `onet.progress`.

    Raises:
        ConfigError: settings that cannot be used; a store that is not given.
        DataError: no meshes, meshes in another frame, fewer than two usable shapes to compare, or
            damaged data.
    """
    if points < 1 or not 0 <= emd_points <= points:
        raise ConfigError(f"points {points}, emd_points {emd_points}: give at least 1, and no more")
    root = Path(generated)
    meshes, failed, configured = _find_meshes(root, normalize)
    results = root if out is None else Path(out)
    hold(results)
    real = _find_shapes(root, len(meshes), configured, data, split, categories)
    network = None if features is None else load(features, device)
    drawn = points if network is None else max(points, points_needed(network))
    sampler = _Sampler(drawn, seed, normalize, workers, scheduler)
    clouds, unusable = _sample_all(root, meshes, real, sampler)
    sets = _equal_sets(clouds, real.reference, sampler)
    rows, floor = _score(sets, {"chamfer": points, "emd": emd_points}, workers)
    if network is not None:
        _add_frechet(rows, sets, network, seed)
    near = _distances_to_training(clouds, points, workers)
    protocol = Provenance(data=real.store.root, split=real.split, seed=seed).as_dict(
        KEYS,
        generated=str(root.resolve()),
        failed=failed + len(unusable),
        unusable=unusable,
        points=points,
        emd_points=emd_points,
        normalize=normalize,
        features=None if network is None else network.source,
        **_counts(real, clouds, sets),
        **_typical_distances(floor, near),
    )
    paths = {name: meshes[name].relative_to(root) for name in meshes if name not in unusable}
    nearest = _nearest(paths, real.training, near[GENERATED])
    report = DiversityReport(results, protocol, list(rows.values()), nearest)
    _write(report)
    return report


@dataclass(frozen=True)
class _RealShapes:
    """The shapes that generated ones are compared with."""

    store: Store
    split: str
    categories: list[str]
    reference: list[Item]
    training: list[Item]


@dataclass(frozen=True)
class _Sampler:
    """Draws `count` points on each shape."""

    count: int
    seed: int
    normalize: bool
    workers: int | None
    scheduler: str | None

    def draw(self, shapes: Sequence[Path | Item], stream: str) -> Outcomes:
        """Return the points (count, 3) of each shape, or why there are none; see `_sample`."""
        function = partial(
            _sample, count=self.count, stream=stream, seed=self.seed, normalize=self.normalize
        )
        outcomes = run_tasks(
            function, shapes, self.workers, self.scheduler, _path, "sampling shapes"
        )
        made = {_path(shape): outcome for shape, outcome in outcomes}
        return [made[_path(shape)] for shape in shapes]


def _find_shapes(
    root: Path,
    meshes: int,
    configured: dict[str, Any],
    data: str | os.PathLike[str] | None,
    split: str | None,
    categories: Sequence[str] | None,
) -> _RealShapes:
    """Return the shapes of a store, chosen by the arguments or else by the configuration.

    Args:
        root: of the generated shapes.
        meshes: how many there are.
        configured: the section `data` of the model's configuration, or nothing.
        data, split, categories: see `evaluate_diversity`.
    """
    data = data or configured.get("path")
    if data is None:
        raise ConfigError(f"data: {root} does not say which store to compare with; name one")
    store = Store(data)
    split = split or configured.get("test_split", "test")
    chosen = list(categories or configured.get("categories") or store.categories)
    reference = store.items(split, chosen)
    train_split = configured.get("train_split", "train")
    training = store.items(train_split, chosen)
    if min(meshes, len(reference)) < 2 or not training:
        raise DataError(
            f"{root}: {meshes} meshes; {store.root}: {len(reference)} shapes in split "
            f"{split!r}, {len(training)} in {train_split!r}; each set needs two, and training one"
        )
    return _RealShapes(store, split, chosen, reference, training)


def _sample_all(
    root: Path, meshes: dict[str, Path], real: _RealShapes, sampler: _Sampler
) -> tuple[dict[str, Clouds], dict[str, str]]:
    """Return the points of all shapes, and why some meshes, by name, have none."""
    outcomes = dict(zip(meshes, sampler.draw(list(meshes.values()), GENERATED), strict=True))
    unusable = {name: str(made) for name, made in outcomes.items() if isinstance(made, DataError)}
    left = len(meshes) - len(unusable)
    if left < 2:
        raise DataError(
            f"{root}: {left} usable mesh, two are needed; {'; '.join(unusable.values())}"
        )
    for reason in unusable.values():
        logger.warning("left out: %s", reason)
    usable = [made for name, made in outcomes.items() if name not in unusable]
    clouds = {
        GENERATED: _stacked(usable),
        REFERENCE: _stacked(sampler.draw(real.reference, REFERENCE)),
        TRAINING: _stacked(sampler.draw(real.training, TRAINING)),
    }
    return clouds, unusable


def _equal_sets(
    clouds: dict[str, Clouds], reference: Sequence[Item], sampler: _Sampler
) -> dict[str, Clouds]:
    """Return as many shapes of each set, and the chosen reference shapes with other points.

    Training shapes are left out where there are fewer.
    """
    count = min(len(clouds[GENERATED]), len(reference))
    chosen = {
        name: np.sort(np.random.default_rng(sampler.seed).permutation(len(of_set))[:count])
        for name, of_set in clouds.items()
    }
    sets = {name: of_set[chosen[name]] for name, of_set in clouds.items()}
    if len(sets[TRAINING]) < count:
        del sets[TRAINING]
    again = sampler.draw([reference[index] for index in chosen[REFERENCE]], AGAIN)
    return sets | {AGAIN: _stacked(again)}


def _add_frechet(
    rows: dict[str, Row], sets: dict[str, Clouds], network: Reconstructor, seed: int
) -> None:
    """Add the Fréchet distance of each set from the reference to its row."""
    codes = {name: point_features(network, of_set, seed) for name, of_set in sets.items()}
    for name, row in rows.items():
        row["frechet"] = frechet_distance(codes[name], codes[REFERENCE])


def _distances_to_training(
    clouds: dict[str, Clouds], points: int, workers: int | None
) -> dict[str, Matrix]:
    """Return the distances of all shapes of the other sets from all training shapes."""
    return {
        name: pairwise_distances(of_set[:, :points], clouds[TRAINING][:, :points], workers=workers)
        for name, of_set in clouds.items()
        if name != TRAINING
    }


def _counts(
    real: _RealShapes, clouds: dict[str, Clouds], sets: dict[str, Clouds]
) -> dict[str, Any]:
    """Return of what diversity.json holds the numbers of shapes, and their categories."""
    return {
        "categories": real.categories,
        "shapes": len(clouds[GENERATED]),
        "reference": len(real.reference),
        "training": len(real.training),
        "compared": len(sets[REFERENCE]),
    }


def _typical_distances(floor: Matrix, near: dict[str, Matrix]) -> dict[str, Any]:
    """Return of what diversity.json holds the distances.

    Args:
        floor: between two samples of the same shape.
        near: from training shapes, of each set.
    """
    return {
        "noise_floor": float(np.median(floor)),
        "duplicates_within": float(floor.max()),
        "median_distance_to_training": {
            name: float(np.median(matrix.min(axis=1))) for name, matrix in near.items()
        },
    }


def _nearest(paths: dict[str, Path], training: Sequence[Item], distances: Matrix) -> list[Row]:
    """Return a row of nearest.csv for each generated shape, of which the paths are by name."""
    rows = []
    for (name, path), row in zip(paths.items(), distances, strict=True):
        item = training[row.argmin()]
        values = (name, path.as_posix(), item.category, item.model, row.min())
        rows.append(dict(zip(NEAREST_COLUMNS, values, strict=True)))
    return rows


def _score(
    sets: dict[str, Clouds], numbers: dict[Distance, int], workers: int | None
) -> tuple[dict[str, Row], Matrix]:
    """Return the row of each set but the reference, and the distances of shapes sampled twice.

    Args:
        sets: of equal size, among them `REFERENCE` and `AGAIN`, the same shapes in the same order.
        numbers: of the points in each kind of distance; chamfer first, which tells duplicates.
    """
    rows: dict[str, Row] = {}
    for name, clouds in sets.items():
        if name != REFERENCE:
            rows[name] = {"set": name, "shapes": len(clouds), **dict.fromkeys(UNITS)}
    floor = np.empty(0)
    for distance, number in numbers.items():
        if number == 0:
            continue
        few = {name: np.ascontiguousarray(clouds[:, :number]) for name, clouds in sets.items()}
        within = {name: pairwise_distances(c, c, distance, workers) for name, c in few.items()}
        across = {
            name: pairwise_distances(few[name], few[REFERENCE], distance, workers) for name in rows
        }
        if distance == "chamfer":
            floor = across[AGAIN].diagonal()
        for name, row in rows.items():
            scores = set_metrics(within[name], across[name], within[REFERENCE])
            row[f"coverage_{distance}"] = scores.coverage
            row[f"mmd_{distance}"] = scores.minimum_matching_distance
            row[f"1nna_{distance}"] = scores.nearest_neighbor_accuracy
            if distance == "chamfer":
                test = asdict(birthday_test(within[name], float(floor.max())))
                row |= {key: value for key, value in test.items() if key in UNITS}
    return rows, floor


def _find_meshes(root: Path, normalize: bool) -> tuple[dict[str, Path], int, dict[str, Any]]:
    """Meshes by name, how many items failed, and `data` of the model's configuration."""
    if (root / folder.SETTINGS).is_file():
        settings = folder.read_settings(root)
        if "split" in settings and not normalize:
            raise DataError(
                f"{root}: holds reconstructions in the frames of their sources; bring them to the "
                "unit frame with normalize, or name a folder of samples"
            )
        results = folder.read_results(root).values()
        made = [row for row in results if row["status"] == folder.OK]
        meshes = {f"{row['category']}/{row['model']}".lstrip("/"): row["mesh"] for row in made}
        paths = {name: root / path for name, path in sorted(meshes.items())}
        return paths, len(results) - len(made), settings.get("config", {}).get("data", {})
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; make one with `onet generate RUN --samples N`")
    suffixes = readable_suffixes()
    files = sorted(file for file in root.rglob("*") if _is_mesh(file, suffixes))
    return {file.relative_to(root).as_posix(): file for file in files}, 0, {}


def _is_mesh(file: Path, suffixes: Collection[str]) -> bool:
    return file.suffix.lower() in suffixes and file.name[0] != "."


def _sample(
    shape: Path | Item, count: int, stream: str, seed: int, normalize: bool
) -> NDArray[np.float64]:  # (count, 3)
    """Points of the surface in the unit frame, which depend on the stream and the shape's name."""
    name = shape.name if isinstance(shape, Item) else f"{shape.parent.name}/{shape.stem}"
    rng = np.random.default_rng(
        [seed, zlib.crc32(f"{stream}/{name}".encode("utf-8", "surrogatepass"))]
    )
    if isinstance(shape, Item):
        stored = shape.points(POINTCLOUD)
        return stored.take(rng.integers(len(stored), size=count), axis=0).astype(np.float64)
    mesh = load_mesh(shape)
    if normalize:
        mesh = UnitFrame.of_mesh(mesh, str(shape)).mesh_to_unit(mesh)
    try:
        check_mesh(mesh, "mesh")
        return sample_surface(mesh, count, rng)[0]
    except DataError as error:
        raise DataError(f"{shape}: {error}") from None


def _stacked(outcomes: Outcomes) -> Clouds:
    """Return the clouds; the first exception is raised."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return np.stack([outcome for outcome in outcomes if not isinstance(outcome, Exception)])


def _path(shape: Path | Item) -> str:
    return str(shape.path if isinstance(shape, Item) else shape)


def _write(report: DiversityReport) -> None:
    titles = {key: f"{key} [{unit}]" for key, unit in UNITS.items()}
    named = [{titles.get(key, key): value for key, value in row.items()} for row in report.rows]
    write_csv(report.out / folder.DIVERSITY, ["set", "shapes", *titles.values()], named)
    write_csv(report.out / folder.NEAREST, NEAREST_COLUMNS, report.nearest)
    write_json(report.out / folder.DIVERSITY_PROTOCOL, report.protocol)
