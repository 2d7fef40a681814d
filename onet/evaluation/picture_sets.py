"""How near a set of made pictures is to one of true ones: FID and KID.

Both are brought to the same size first, so that neither is told by its sharpness alone. Beside the
scores stand those of two halves of the true pictures, which is what a perfect generator would get
with half as many; FIDs of different numbers of pictures, or of different features, do not compare.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from onet.checkpoints.trained_config import trained_config
from onet.config import load_config
from onet.data.build import build_pictures
from onet.data.images import middle_square, open_image
from onet.data.picture_folder import find_pictures
from onet.errors import ConfigError, DataError
from onet.inference import generation_folder as generation
from onet.locks import hold, writer
from onet.metrics.feature_sets import FeatureSet, frechet_of_sets, kernel_distance
from onet.metrics.picture_features import EFFICIENTNET, PictureFeatures
from onet.progress import Progress, followed, reports_progress
from onet.provenance import Provenance
from onet.records import Row, write_csv, write_json

TABLE, PROTOCOL = generation.PICTURE_SCORES, generation.PICTURE_PROTOCOL
COLUMNS = ("pictures of", "number", "against", "fid", "kid x 1000", "+-")
_KEYS = (
    "made", "data", "split", "categories", "folder", "features", "size", "limit", "seed", "version",
    "failures", "rows",
)  # fmt: skip
_BATCH = 16


@dataclass
class PictureSetScores:
    """Scores of a set of pictures.

    Attributes:
        rows: keys as in `COLUMNS`; the first row is of the made pictures, the second of halves of
            the true ones.
        folder: of the table.
        features: the network that they are by.
        size: pixels along an edge that all pictures were brought to.
        failures: files that could not be read, and why.
    """

    rows: list[Row]
    folder: Path
    features: str
    size: int
    failures: dict[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Truth:
    """True pictures, and where they were found."""

    files: list[Path]
    root: Path
    split: str | None
    categories: Sequence[str] | None
    folder: str | None


@reports_progress
@writer
def compare_pictures(
    made: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    features: str | os.PathLike[str] = EFFICIENTNET,
    categories: Sequence[str] | None = None,
    folder: str | None = None,
    size: int | None = None,
    limit: int | None = None,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PictureSetScores:
    """Compare two sets of pictures; memory does not grow with their numbers.

    Args:
        made: folder of pictures, such as `onet generate` of a generator of pictures leaves.
        data: folder of the true ones; default those that the generator was trained on.
        features: `efficientnet-lite0`, or torchvision's weights of a ResNet-18.
        categories: folders in `data` to compare with; default all.
        folder: of `data` only pictures that lie in folders of this name.
        size: pixels along an edge that the middle squares of all pictures are brought to; default
            that of the first made one.
        limit: at most so many pictures of each set, drawn evenly.
        out: folder of the table; default `made`.
        seed: of draws and halves.
        progress: see `onet.progress`.

    Raises:
        ConfigError: weights that are not there, or nothing to compare with.
        DataError: a folder without pictures, or fewer than four that can be read.
        MissingDependency: the features are not installed.
        FolderInUse: another process writes to the folder of the table.
    """
    root = Path(made)
    place = root if out is None else Path(out)
    network = PictureFeatures(os.fspath(features))
    inside = root / generation.PICTURES
    ours = [file.path for file in find_pictures(inside if inside.is_dir() else root)]
    truth = _true_pictures(root, data, categories, folder)
    hold(place)
    edge = _first_edge(ours) if size is None else size
    rng = np.random.default_rng(seed)
    ours, true = (_drawn(paths, limit, rng) for paths in (ours, truth.files))
    failures: dict[Path, str] = {}

    def batches(paths: Sequence[Path], title: str) -> Iterator[tuple[int, np.ndarray]]:
        return _features(network, paths, edge, failures, title)

    generated, whole = FeatureSet(seed), FeatureSet(seed)
    halves = FeatureSet(seed), FeatureSet(seed)
    for _, found in batches(ours, "made"):
        generated.add(found)
    side = rng.permutation(len(true)) % 2
    for start, found in batches(true, "true"):
        whole.add(found)
        places = side[start : start + len(found)]
        for number, half in enumerate(halves):
            half.add(found[places == number])
    if min(generated.count, *(half.count for half in halves)) < 2:
        raise DataError(
            f"{root}: {generated.count} made and {whole.count} true pictures that can be read; "
            "give at least 2 and 4"
        )
    rows = [
        _row(root.resolve().name, generated, "data", whole, seed),
        _row("half of the data", halves[0], "the other half", halves[1], seed),
    ]
    write_csv(place / TABLE, COLUMNS, rows)
    shown = {str(path): reason for path, reason in failures.items()}
    settings = Provenance(data=truth.root, split=truth.split, seed=seed).as_dict(
        _KEYS, made=str(root.resolve()), categories=truth.categories, folder=truth.folder,
        features=network.name, size=edge, limit=limit, failures=shown, rows=rows,
    )  # fmt: skip
    write_json(place / PROTOCOL, settings)
    return PictureSetScores(rows, place, network.name, edge, failures)


def _first_edge(paths: Sequence[Path]) -> int:
    """Return the shorter edge of the first picture that can be read.

    Raises:
        DataError: none can.
    """
    for path in paths:
        try:
            return min(open_image(path).size)
        except DataError:  # told where it is counted
            continue
    raise DataError(f"{paths[0].parent}: none of its {len(paths)} pictures can be read")


def _true_pictures(
    root: Path,
    data: str | os.PathLike[str] | None,
    categories: Sequence[str] | None,
    folder: str | None,
) -> _Truth:
    """Return the pictures of a folder, or those that the generator of a folder was trained on."""
    if data is not None:
        found = find_pictures(Path(data), categories, folder)
        return _Truth([file.path for file in found], Path(data), None, categories, folder)
    if not (root / generation.SETTINGS).is_file():
        raise ConfigError(
            f"data: {root} does not say what its pictures were to be like; name the folder of the "
            "true ones"
        )
    checkpoint = generation.read_settings(root, pictures=True)["checkpoint"]["path"]
    config = trained_config(checkpoint)
    if config is None or config.data.pictures is None:
        raise ConfigError(
            f"data: {checkpoint}, which made the pictures, is gone or learned from no folder of "
            "pictures; name the folder of the true ones"
        )
    if categories:
        config = load_config(config, {"data.categories": [*categories], "model.classes": 0})
    if folder is not None:
        config = load_config(config, {"data.pictures.folder": folder})
    split = config.data.train_split
    dataset = build_pictures(config, split, training=True)
    return _Truth(
        [file.path for file in dataset.files],
        dataset.root,
        split,
        config.data.categories,
        dataset.settings.folder,
    )


def _drawn(paths: list[Path], limit: int | None, rng: np.random.Generator) -> list[Path]:
    if limit is None or len(paths) <= limit:
        return paths
    return [paths[place] for place in np.sort(rng.choice(len(paths), limit, replace=False))]


def _features(
    network: PictureFeatures,
    paths: Sequence[Path],
    size: int,
    failures: dict[Path, str],
    title: str,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield features batch by batch, each with the number of readable pictures before it."""
    before, batch = 0, []
    for path in followed(paths, len(paths), lambda path: path.name, title):
        try:
            batch.append(middle_square(open_image(path), size) / np.float32(255))
        except DataError as error:
            failures[path] = str(error)
        if len(batch) == _BATCH:
            yield before, network(batch)
            before, batch = before + len(batch), []
    if batch:
        yield before, network(batch)


def _row(name: str, one: FeatureSet, against: str, other: FeatureSet, seed: int) -> Row:
    kid, spread = kernel_distance(one.kept, other.kept, seed)
    values = (name, one.count, f"{against} ({other.count})", frechet_of_sets(one, other))
    return dict(zip(COLUMNS, (*values, 1000 * kid, 1000 * spread), strict=True))
