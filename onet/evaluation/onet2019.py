"""The tables of Occupancy Networks (Mescheder et al., CVPR 2019): protocol, categories, units.

What is fixed: the whole test split; 100,000 samples of each predicted surface against the 100,000
stored surface points, IoU at the 100,000 stored points of the volume, both of the watertight mesh;
Chamfer-L1 unsquared, in tenths of the longest edge; normal consistency with the absolute value; the
mean is the unweighted one over categories.

An item without a mesh counts as an empty mesh does in the published script: IoU 0, normal
consistency -1. One difference stays: that script leaves it out of the mean of Chamfer-L1, here it
counts with its penalty of sqrt(3) longest edges. Where items failed, a row more leaves them out
everywhere, as the script does with items that have no file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from onet.data.store import Store
from onet.errors import ConfigError, DataError
from onet.evaluation.meshes import (
    MEAN,
    WITHOUT_FAILED,
    EvaluationReport,
    evaluate_generation,
)
from onet.inference import generation_folder as folder
from onet.locks import hold, writer
from onet.progress import Progress, reports_progress
from onet.provenance import Provenance
from onet.records import Row, write_csv, write_json

NAME = "onet2019"
SAMPLES = 100_000
SPLIT = "test"
CHAMFER_UNITS = 10  # a tenth of the longest edge is 1

FAILED_NORMALS = -1.0
"""Normal consistency of an empty mesh in the published script, in a column of |cos|."""

KEYS = (
    *("protocol", "samples", "stored_points", "seed", "split", "data", "categories"),
    *("published_categories", "units", "mean", "failed", "failed_rule", "differences", "version"),
)
"""Of eval_onet2019.json."""

FAILED_RULE = (
    "each counts with IoU 0, normal consistency -1, as an empty mesh in the published script, and "
    "Chamfer-L1 17.321, which that leaves out"
)

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
    "probability": 0.2,
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
            `chamfer_l1_x10` (in tenths of the longest edge), `normal_consistency`. Where items
            failed, last a row `mean (without failed)`: the mean over categories of the items that
            have a mesh, if there are any.
        settings: how it was measured, and `differences` of the extraction from the released
            configurations; contents of eval_onet2019.json.
        report: all scores of the same measurement, in longest edges.
    """

    rows: list[Row]
    settings: dict[str, Any]
    report: EvaluationReport

    shown = folder.REPORT

    @property
    def folder(self) -> Path:
        """The generation folder."""
        return self.report.folder

    @property
    def mean(self) -> Row:
        """The row of the mean over categories."""
        return next(row for row in self.rows if row["category"] == MEAN)

    def table(self) -> list[Row]:
        """Return the rows as they fit on a screen."""
        return self.rows

    def summary(self) -> str:
        """How many items were scored, failed and are solid, in one line."""
        return self.report.summary()

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
                f" Failed items: {s['failed']}; {FAILED_RULE}. '{WITHOUT_FAILED}' leaves them out."
                if s["failed"]
                else ""
            )
        )


@reports_progress
@writer
def evaluate_onet2019(
    generation_dir: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    workers: int | None = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> PublishedTable:
    """Return the published table of a generation folder; writes eval_onet2019.csv and .json.

    Also writes what `evaluate_generation` writes, without noise floor.

    Args:
        generation_dir, data, seed, workers, scheduler: see `evaluate_generation`. The published
            samples have no seed.
        samples: the protocol fixes it; another number is refused.
        progress: see `onet.progress`.

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
    hold(root)
    _check_generated(root, made)
    report = evaluate_generation(
        root,
        data=data,
        samples=SAMPLES,
        seed=seed,
        workers=workers,
        scheduler=scheduler,
        noise_floor=False,
        stored=SAMPLES,
    )
    store = Store(report.protocol["data"])
    rows = _published_rows(report.items, store.labels)
    provenance = Provenance(data=store.root, split=SPLIT, seed=seed)
    settings = _settings(report, rows, made, provenance)
    titles = {key: f"{key} [{unit}]" for key, unit in UNITS.items()}
    named = [{titles.get(key, key): value for key, value in row.items()} for row in rows]
    write_csv(root / folder.ONET2019, named[0], named)
    write_json(root / folder.ONET2019_SETTINGS, settings)
    return PublishedTable(rows, settings, report)


def _check_generated(root: Path, made: dict[str, Any]) -> None:
    """Refuse a folder that holds something else than reconstructions of the whole split."""
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


def _settings(
    report: EvaluationReport, rows: list[Row], made: dict[str, Any], provenance: Provenance
) -> dict[str, Any]:
    """Return the contents of eval_onet2019.json; `made` says how the meshes were generated."""
    categories = [row["category"] for row in report.categories[:-2]]
    mean = next(row for row in rows if row["category"] == MEAN)
    return provenance.as_dict(
        KEYS,
        protocol=NAME,
        samples=SAMPLES,
        stored_points=SAMPLES,
        categories=categories,
        published_categories=[CATEGORIES[name] for name in categories if name in CATEGORIES],
        units=UNITS,
        mean={key: mean[key] for key in UNITS},
        failed=mean["failed"],
        failed_rule=FAILED_RULE,
        differences={
            key: [made.get(key), published]
            for key, published in EXTRACTION.items()
            if made.get(key) != published
        },
    )


def _published_rows(items: list[Row], labels: dict[str, str]) -> list[Row]:
    """Return a row a category, by name, then the means over categories."""
    members: dict[str, list[Row]] = {}
    for item in items:
        members.setdefault(item["category"], []).append(item)
    rows = [
        _of_category(CATEGORIES.get(category, labels[category]), of_category)
        for category, of_category in members.items()
    ]
    rows.sort(key=lambda row: row["category"])
    made = {
        category: [item for item in of_category if item["status"] == folder.OK]
        for category, of_category in members.items()
    }
    rows.append(_mean(MEAN, rows))
    scored = [_of_category(category, found) for category, found in made.items() if found]
    if rows[-1]["failed"] and scored:
        rows.append(_mean(WITHOUT_FAILED, scored))
    return rows


def _of_category(name: str, items: list[Row]) -> Row:
    failed = [item["status"] != folder.OK for item in items]
    normals = [
        FAILED_NORMALS if without else item["normal_consistency"]
        for item, without in zip(items, failed, strict=True)
    ]
    return {
        "category": name,
        "items": len(items),
        "failed": sum(failed),
        "iou": fmean(item["iou"] for item in items),
        "chamfer_l1_x10": CHAMFER_UNITS * fmean(item["chamfer_l1"] for item in items),
        "normal_consistency": fmean(normals),
    }


def _mean(name: str, rows: list[Row]) -> Row:
    counts = {key: sum(row[key] for row in rows) for key in ("items", "failed")}
    return {"category": name, **counts, **{key: fmean(row[key] for row in rows) for key in UNITS}}
