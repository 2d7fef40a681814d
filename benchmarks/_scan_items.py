"""Which objects and scans a benchmark of scans is about."""

from __future__ import annotations

import csv
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onet.errors import DataError

OBJECTS, SCANS = "objects", "scans"
TRAINED_LICENCE = "CC0-1.0"  # the packaged networks learn from objects of this licence alone
GOOD_QUALITIES = ("A", "B")  # of a manifest: winding numbers are right on these
MESHES = (".ply", ".off", ".obj", ".stl", ".glb")
COLUMNS = ("category", "file", "source", "licence", "quality")


@dataclass(frozen=True)
class ScanItem:
    """A true mesh.

    Attributes:
        group: "objects" or "scans".
        category: of an object; "scan" for scans.
        name: unique within its group.
        source: where the file comes from, as its manifest says.
        path: the mesh file.
    """

    group: str
    category: str
    name: str
    source: str
    path: Path

    @property
    def key(self) -> str:
        return f"{self.group}/{self.name}"

    def generator(self, seed: int, *words: object) -> np.random.Generator:
        """Return a generator of this item, the same whichever other items there are."""
        text = "|".join([self.key, *map(str, words)])
        return np.random.default_rng([seed, zlib.crc32(text.encode())])


def held_out_objects(
    folder: Path, per_category: int, categories: int | Sequence[str], seed: int
) -> list[ScanItem]:
    """Draw objects that the packaged networks were not trained on.

    Those are the rows of `manifest.csv` of another licence than CC0-1.0 and of quality A or B.

    Args:
        folder: with `manifest.csv`, whose column `file` is relative to it.
        per_category: so many of each category.
        categories: their names, or how many: the ones with most such objects.
        seed: of the draw; the objects of a smaller draw are among those of a larger one.

    Raises:
        DataError: no manifest, or one without a column that is needed; too few objects.
    """
    table = folder / "manifest.csv"
    if not table.is_file():
        raise DataError(f"{table}: no such file; give a folder of meshes with a manifest.csv")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise DataError(f"{table}: has no column {', '.join(missing)}; add it")
    found = defaultdict(list)
    for row in rows:
        if row["licence"] != TRAINED_LICENCE and row["quality"] in GOOD_QUALITIES:
            found[row["category"]].append(row)
    if isinstance(categories, int):
        most = sorted(found, key=lambda name: (-len(found[name]), name))
        chosen = sorted(most[:categories])
        if len(chosen) < categories:
            raise DataError(f"{table}: {len(chosen)} categories are held out, not {categories}")
    else:
        chosen = list(categories)
    items = []
    for category in chosen:
        these = sorted(found[category], key=lambda row: row["file"])
        if len(these) < per_category:
            raise DataError(
                f"{table}: {len(these)} held-out objects of {category!r}; give a smaller "
                "--per-category or other --categories"
            )
        order = np.random.default_rng([seed, zlib.crc32(category.encode())]).permutation(len(these))
        for index in order[:per_category]:
            row = these[index]
            items.append(
                ScanItem(OBJECTS, category, row["file"], row["source"], folder / row["file"])
            )
    return items


def scans(folder: Path, limit: int | None, seed: int) -> list[ScanItem]:
    """Return the meshes of a folder, or `limit` of them drawn with a seed.

    Raises:
        DataError: the folder has no meshes.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in MESHES)
    if not files:
        raise DataError(f"{folder}: no meshes ({', '.join(MESHES)}); give another folder")
    if limit is not None:
        drawn = np.random.default_rng(seed).permutation(len(files))[:limit]
        files = [files[index] for index in sorted(drawn)]
    return [ScanItem(SCANS, "scan", path.stem, path.parent.name, path) for path in files]
