"""The tables of Occupancy Networks (Mescheder et al., CVPR 2019): protocol, categories, units.

What is fixed: the whole test split; 100,000 samples of each predicted surface against the 100,000
stored surface points, IoU at the 100,000 stored points of the volume, both of the watertight mesh;
Chamfer-L1 unsquared, in tenths of the longest edge; normal consistency with the absolute value; the
mean is the unweighted one over categories.

One difference stays: the published script leaves items without a mesh out of the mean distance,
here they count with its penalty of sqrt(3) longest edges.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onet._version import __version__
from onet.data.store import Store
from onet.errors import ConfigError, DataError
from onet.inference import generation_folder as folder
from onet.inference.evaluation import MEAN, EvaluationReport, evaluate_generation
from onet.inference.generation_folder import Row

NAME = "onet2019"
SAMPLES = 100_000
SPLIT = "test"
CHAMFER_UNITS = 10  # a tenth of the longest edge is 1

CATEGORIES = {
    "02691156": "airplane",
    "02828884": "bench",
    "02933112": "cabinet",
    "02958343": "car",
    "03001627": "chair",
    "03211117": "display",
    "03636649": "lamp",
    "03691459": "loudspeaker",
    "04090263": "rifle",
    "04256520": "sofa",
    "04379243": "table",
    "04401088": "telephone",
    "04530566": "vessel",
}
"""The 13 categories of ShapeNet that the publication uses, by the names in its tables."""

EXTRACTION: dict[str, Any] = {
    "resolution": 128,
    "threshold": 0.2,
    "refine": "none",
    "simplify": None,
    "sharp": False,
    "views": None,
}
"""How the released configurations extract meshes."""

UNITS = {
    "iou": "fraction",
    "chamfer_l1_x10": "longest edge / 10",
    "normal_consistency": "|cos|",
}


@dataclass(frozen=True)
class PublishedTable:
    """A table as in the publication.

    Attributes:
        rows: one a category, by name, then `mean`: `category`, `items`, `failed`, `iou`,
            `chamfer_l1_x10` (in tenths of the longest edge), `normal_consistency`.
        settings: how it was measured, and `differences` of the extraction from the released
            configurations; contents of eval_onet2019.json.
        report: all scores of the same measurement, in longest edges.
    """

    rows: list[Row]
    settings: dict[str, Any]
    report: EvaluationReport

    @property
    def title(self) -> str:
        """What the table shows, in which units, and what differs from the publication."""
        s = self.settings
        missing = len(CATEGORIES) - len(s["published_categories"])
        other = f"; {missing} of its 13 categories are not there" if missing else ""
        changes = ", ".join(
            f"{key} {made} (released: {published})"
            for key, (made, published) in s["differences"].items()
        )
        return (
            f"{self.report.folder}: protocol {NAME}, split {s['split']}, seed {s['seed']}. "
            "Chamfer-L1 in units of a tenth of the longest edge, as in the literature; the mean is "
            f"over categories{other}."
            + (f" Meshes were made with {changes}." if changes else "")
            + (
                " Failed items count with the published penalties; the published script leaves "
                "them out of Chamfer-L1."
                if self.rows[-1]["failed"]
                else ""
            )
        )


def evaluate_onet2019(
    generation_dir: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    workers: int | None = 1,
) -> PublishedTable:
    """The published table of a generation folder; writes eval_onet2019.csv and .json.

    Also writes what `evaluate_generation` writes, without noise floor.

    Args:
        generation_dir, data, seed, workers: see `evaluate_generation`. The published samples have
            no seed.
        samples: the protocol fixes it; another number is refused.

    Raises:
        ConfigError: another number of samples.
        DataError: a folder made from another split or from a part of it, stored points of another
            number; see also `evaluate_generation`.
    """
    if samples != SAMPLES:
        raise ConfigError(
            f"samples: {samples:,}; the protocol {NAME} takes {SAMPLES:,}. Leave out one of the two"
        )
    root = folder.locate(Path(generation_dir))
    made = folder.read_settings(root)
    if made.get("split") not in (None, SPLIT):
        raise DataError(
            f"{root}: was generated from the split {made['split']!r}; the protocol {NAME} measures "
            f"the split {SPLIT!r}. Generate that, or measure without the protocol"
        )
    if made.get("limit") is not None:
        raise DataError(
            f"{root}: was generated for {made['limit']} items only; the protocol {NAME} measures "
            "the whole split. Generate again without limit, or measure without the protocol"
        )
    report = evaluate_generation(
        root,
        data=data,
        samples=SAMPLES,
        seed=seed,
        workers=workers,
        noise_floor=False,
        stored=SAMPLES,
    )
    labels = Store(report.protocol["data"]).labels
    *categories, mean, _ = report.categories
    rows = [
        _published(row, CATEGORIES.get(row["category"], labels[row["category"]]))
        for row in categories
    ]
    rows = [*sorted(rows, key=lambda row: row["category"]), _published(mean, MEAN)]
    settings = {
        "protocol": NAME,
        "samples": SAMPLES,
        "stored_points": SAMPLES,
        "seed": seed,
        "split": SPLIT,
        "data": report.protocol["data"],
        "categories": [row["category"] for row in categories],
        "published_categories": [
            CATEGORIES[row["category"]] for row in categories if row["category"] in CATEGORIES
        ],
        "units": UNITS,
        "mean": {key: rows[-1][key] for key in UNITS},
        "differences": {
            key: [made.get(key), published]
            for key, published in EXTRACTION.items()
            if made.get(key) != published
        },
        "version": __version__,
    }
    titles = {key: f"{key} [{unit}]" for key, unit in UNITS.items()}
    named = [{titles.get(key, key): value for key, value in row.items()} for row in rows]
    folder.write_csv(root / folder.ONET2019, named[0], named)
    folder.write_json(root / folder.ONET2019_SETTINGS, settings)
    return PublishedTable(rows, settings, report)


def _published(row: Row, name: str) -> Row:
    return {
        "category": name,
        "items": row["items"],
        "failed": row["failed"],
        "iou": row["iou"],
        "chamfer_l1_x10": CHAMFER_UNITS * row["chamfer_l1"],
        "normal_consistency": row["normal_consistency"],
    }
