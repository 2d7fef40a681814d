"""Folders of meshes, one a method, against a folder of true meshes: the table of all methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from onet._version import __version__
from onet.errors import DataError
from onet.evaluation.intervals import Mean, difference_of, mean_of, mean_over_groups
from onet.evaluation.pair_scores import (
    FAILED,
    MISSING,
    OK,
    ROUNDED,
    ItemScores,
    Measure,
    score_item,
)
from onet.evaluation.pairs import Item, Pairs
from onet.metrics.penalties import RULE, SCORES
from onet.names import printable
from onet.parallel import run_tasks
from onet.records import Row

MEAN_OF_CATEGORIES = "categories"
MEAN_OF_ITEMS = "items"
WITHOUT_FAILED = "without failed"
NOISE_FLOOR = "noise floor"

ALL, BOTH_MADE = "all items", "items that both made"
"""What paired comparisons are over."""

COUNTS = ("closed", "manifold", "uncrossed")

LENGTHS = ("chamfer_l1", "surface_chamfer_l1", "hausdorff95", "surface_hausdorff95")
"""Scores that are told in units of the files too, where these are known."""

_HIGHER_IS_BETTER = ("iou", "normal_consistency", "f_score")
_COARSELY = (
    "are rounded by single precision, far from the origin, to more than a thousandth of their "
    "size: export them in double precision, or nearer to it"
)
_MEMORY = 1.5e9  # bytes of a process that scores meshes of some 100,000 faces


@dataclass(frozen=True)
class FoldersReport:
    """Scores of methods on the same items.

    Attributes:
        methods: names, in the order that they were given.
        measure: how pairs were scored.
        settings: how it was measured, in words and numbers; contents of evaluation.json without the
            tables.
        items: one row an item and method: `item`, `category`, `method`, `status`, the scores,
            `iou_resolution`, what the mesh is like as a solid, `reason`, `notes`, `scale`.
        means: one row a method and scope (each category, where `category` is true; then
            MEAN_OF_CATEGORIES, MEAN_OF_ITEMS, and WITHOUT_FAILED where items failed): `items`,
            `missing`, `failed`, COUNTS, `thinnest_wall`, and of each score a `Mean`.
        paired: one row a pair of methods, what it is over (ALL, BOTH_MADE), and score: `first`,
            `second`, `over`, `score`, `items`, `difference` with `low` and `high`, `higher`,
            `lower`, `equal`, `better`, `noise_floor`.
        noise_floor: mean scores of the true meshes against themselves, by two samples of each.
        unusable: why items were left out for all methods, by their names.
        notes: what a reader of the tables should know.
    """

    methods: Sequence[str]
    measure: Measure
    settings: dict[str, Any]
    items: list[Row]
    means: list[Row]
    paired: list[Row]
    noise_floor: Row
    unusable: dict[str, str]
    notes: list[str]

    @property
    def shown(self) -> dict[str, float]:
        """Scores in the table on the screen, with the factors of their numbers there."""
        return shown_scores(self.measure)

    @property
    def front(self) -> str:
        """The scope of the row that stands for a method."""
        return MEAN_OF_CATEGORIES if self.measure.protocol.over_categories else MEAN_OF_ITEMS

    @property
    def title(self) -> str:
        """What the table shows, in which units, measured how."""
        s = self.settings
        return (
            f"{s['items']} items of {s['truth']}. {s['definition']}. {s['samples']:,} samples, "
            f"seed {s['seed']}; frames {s['frames']}; units: {s['units_told']}. Brackets: 95 % "
            f"interval of the mean over items. {s['failed_rule']} {s['open_rule']}"
        )

    def mean(self, method: str, scope: str | None = None) -> Row:
        """Return the row of a method; by default that in front."""
        wanted = scope or self.front
        return next(
            row
            for row in self.means
            if (row["method"], row["scope"], row["category"]) == (method, wanted, False)
        )

    def table(self) -> list[Row]:
        """Return the rows that fit on a screen, as text."""
        scopes = (self.front, WITHOUT_FAILED)
        rows = [
            self._on_screen(row)
            for row in self.means
            if row["scope"] in scopes and not row["category"]
        ]
        floor: Row = dict.fromkeys(rows[0]) | {"method": NOISE_FLOOR}
        for key, factor in self.shown.items():
            value = self.noise_floor.get(key)
            if value is not None:
                floor[named(key, factor)] = f"{value * factor:.4f}"
        return [*rows, floor]

    def by_category(self) -> list[Row]:
        """Return a row a category and method, as text; none where there are no categories."""
        rows = [row for row in self.means if row["category"]]
        return [self._on_screen(row) for row in sorted(rows, key=lambda row: row["scope"])]

    def solids(self) -> list[Row]:
        """Return what the meshes of each method are like as solids, if that was asked for."""
        if not self.measure.solids:
            return []
        rows = [self.mean(method, MEAN_OF_ITEMS) for method in self.methods]
        return [
            {
                "method": row["method"],
                "meshes": row["items"] - row["missing"] - row["failed"],
                **{key: row[key] for key in COUNTS},
                "thinnest_wall": row["thinnest_wall"],
            }
            for row in rows
        ]

    def differences(self) -> list[Row]:
        """Return the paired comparisons of the scores on the screen, as text."""
        return [
            {
                "first - second": f"{row['first']} - {row['second']}",
                "over": row["over"],
                "score": named(row["score"], factor),
                "items": row["items"],
                "difference [95 %]": _text(_mean_in(row), factor, signed=True),
                "first higher": row["higher"],
                "lower": row["lower"],
                "better": row["better"],
            }
            for row in self.paired
            if (factor := self.shown.get(row["score"]))
        ]

    def summary(self) -> str:
        """How many items each method failed on, in one line."""
        parts = []
        for method in self.methods:
            row = self.mean(method, MEAN_OF_ITEMS)
            parts.append(f"{method}: {row['missing']} missing, {row['failed']} failed")
        left = f"; {len(self.unusable)} items left out" if self.unusable else ""
        return f"{self.settings['items']} items; {'; '.join(parts)}{left}"

    def _on_screen(self, row: Row) -> Row:
        shown = {named(key, by): _text(row[key], by) for key, by in self.shown.items()}
        counts = {key: row[key] for key in ("items", "missing", "failed")}
        return {"method": row["method"], "mean of": row["scope"], **counts, **shown}


def evaluate_pairs(
    pairs: Pairs,
    methods: Mapping[str, Path],
    truth: Path,
    measure: Measure,
    *,
    units: str | None = None,
    workers: int | None = 1,
    scheduler: str | None = None,
    told: Callable[[ItemScores], object] = lambda scores: None,
) -> FoldersReport:
    """Score all pairs.

    Args:
        pairs: see `onet.evaluation.pairs.find_pairs`.
        methods, truth: the folders, for the record.
        measure: how.
        units: of the files' coordinates; adds lengths in them.
        workers: processes; None for one per core.
        scheduler: address of a dask scheduler in their place, see `onet.parallel.run_tasks`.
        told: hears of each item when it is scored.

    Raises:
        DataError: no true mesh can be used.
    """
    scored: list[ItemScores] = []
    unusable: dict[str, str] = {}
    outcomes = run_tasks(
        partial(score_item, measure=measure), pairs.items, workers, scheduler,
        _name, "scoring", _MEMORY,
    )  # fmt: skip
    with closing(outcomes):
        for item, outcome in outcomes:
            if isinstance(outcome, Exception):
                unusable[item.name] = f"could not be scored: {outcome}"
            elif outcome.problem:
                unusable[item.name] = outcome.problem
            else:
                scored.append(outcome)
                told(outcome)
    if not scored:
        name, reason = next(iter(unusable.items()))
        raise DataError(f"{truth}: none of the {len(unusable)} items can be used; {name}: {reason}")
    scored.sort(key=lambda scores: scores.item.name)
    rows = [_item_row(scores, row, units) for scores in scored for row in scores.rows]
    keys = [*measure.keys, *(_in_units(key, units) for key in LENGTHS if units)]
    means = [row for method in methods for row in _means_of(method, rows, keys)]
    floor = {
        key: mean_of([scores.floor.get(key) for scores in scored]).value for key in measure.keys
    }
    return FoldersReport(
        list(methods),
        measure,
        _settings(scored, rows, methods, truth, measure, units),
        rows,
        means,
        _paired(list(methods), rows, measure.keys, floor),
        floor,
        dict(sorted(unusable.items())),
        [*pairs.notes, *_notes(scored, list(methods), rows)],
    )


def shown_scores(measure: Measure) -> dict[str, float]:
    """Return the scores on the screen, with the factors of their numbers there."""
    shown = dict(measure.protocol.shown)
    if not set(shown) <= set(measure.keys):  # F-scores at thresholds of the user's
        first = next(key for key in measure.keys if key.startswith("f_score"))
        shown = {first if key.startswith("f_score") else key: by for key, by in shown.items()}
    return shown


def higher_is_better(key: str) -> bool:
    """Whether a higher score is a better one."""
    return key.startswith(_HIGHER_IS_BETTER)


def range_of(key: str) -> tuple[float, float]:
    """Return the least and the largest value of a score."""
    lowest = -1.0 if key.startswith("normal_consistency") else 0.0  # which protocols give failures
    return lowest, 1.0 if higher_is_better(key) else math.inf


def unit_of(key: str) -> str:
    """Return the unit of a score, as columns name it."""
    if key in SCORES:
        return SCORES[key].unit
    if key.startswith("f_score"):
        return "fraction"
    return "longest edge squared" if key.endswith("l2") else "longest edge"


def named(key: str, factor: float) -> str:
    """Return the name of a column of numbers times a factor."""
    return key if factor == 1 else f"{key}_x{factor:g}"


def _name(item: Item) -> str:
    return item.name


def _in_units(key: str, units: str | None) -> str:
    return f"{key} in {units}"


def _item_row(scores: ItemScores, row: Row, units: str | None) -> Row:
    whole = {"item": scores.item.name, "category": scores.item.category, **row}
    whole["scale"] = scores.scale
    if units and scores.scale is not None:
        whole |= {_in_units(key, units): row[key] * scores.scale for key in LENGTHS}
    return whole


def _means_of(method: str, rows: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    """Return the rows of one method: categories, then the means of all."""
    own = [row for row in rows if row["method"] == method]
    names = sorted({row["category"] for row in own})
    groups = {name: [row for row in own if row["category"] == name] for name in names}
    table = [
        _mean_row(method, name, group, keys) | {"category": True} for name, group in groups.items()
    ]
    over = {
        key: mean_over_groups(
            [[row[key] for row in group] for group in groups.values()], range_of(key)
        )
        for key in keys
    }
    whole = _mean_row(method, MEAN_OF_ITEMS, own, keys)
    if len(names) < 2:
        table = []
    table += [whole | over | {"scope": MEAN_OF_CATEGORIES}, whole]
    made = [row for row in own if row["status"] == OK]
    if made and len(made) < len(own):
        table.append(_mean_row(method, WITHOUT_FAILED, made, keys))
    return table


def _mean_row(method: str, scope: str, rows: Sequence[Row], keys: Sequence[str]) -> Row:
    walls = [row["thinnest_wall"] for row in rows if row.get("thinnest_wall") is not None]
    return {
        "method": method,
        "scope": scope,
        "category": False,
        "items": len(rows),
        "missing": sum(row["status"] == MISSING for row in rows),
        "failed": sum(row["status"] == FAILED for row in rows),
        **{key: mean_of([row[key] for row in rows], range_of(key)) for key in keys},
        "closed": sum(row.get("closed") is True for row in rows),
        "manifold": sum(row.get("manifold") is True for row in rows),
        "uncrossed": sum(row.get("crossings") == 0 for row in rows),
        "thinnest_wall": min(walls, default=None),
    }


def _paired(
    methods: Sequence[str], rows: Sequence[Row], keys: Sequence[str], floor: Row
) -> list[Row]:
    """Return the comparisons over all items, and where some failed over those both made."""
    of = {name: [row for row in rows if row["method"] == name] for name in methods}
    table = []
    for first, second in combinations(methods, 2):
        items = list(zip(of[first], of[second], strict=True))
        made = [pair for pair in items if all(row["status"] == OK for row in pair)]
        scopes = {ALL: items} | ({BOTH_MADE: made} if 0 < len(made) < len(items) else {})
        for scope, pairs in scopes.items():
            for key in keys:
                row = _difference_row(first, second, key, pairs)
                table.append({**row, "over": scope, "noise_floor": floor.get(key)})
    return table


def _difference_row(first: str, second: str, key: str, pairs: Sequence[tuple[Row, Row]]) -> Row:
    found = difference_of([one[key] for one, _ in pairs], [other[key] for _, other in pairs])
    value, better = found.mean.value, "undecided"
    if found.decided and value is not None:
        better = first if (value > 0) == higher_is_better(key) else second
    return {
        "first": first,
        "second": second,
        "score": key,
        "items": found.mean.items,
        "difference": value,
        "low": found.mean.low,
        "high": found.mean.high,
        "higher": found.higher,
        "lower": found.lower,
        "equal": found.equal,
        "better": better,
    }


def _mean_in(row: Row) -> Mean:
    return Mean(row["difference"], row["low"], row["high"], row["items"])


def _text(mean: Mean, factor: float, signed: bool = False) -> str | None:
    """Return a mean with its interval as text; n/a where nothing was measured."""
    if mean.value is None:
        return "n/a"
    sign = "+" if signed else ""
    value = format(mean.value * factor, f"{sign}.4f")
    if mean.low is None or mean.high is None:
        return value
    return f"{value} [{mean.low * factor:.3f}, {mean.high * factor:.3f}]"


def _settings(
    scored: Sequence[ItemScores],
    rows: Sequence[Row],
    methods: Mapping[str, Path],
    truth: Path,
    measure: Measure,
    units: str | None,
) -> dict[str, Any]:
    known = asdict(measure) | {"protocol": measure.protocol.name or None}
    frames = {"none": "as they are", "rigid": "aligned, rigid (ICP)"}
    return {
        "truth": str(truth),
        "methods": {name: str(folder) for name, folder in methods.items()},
        "items": len(scored),
        "definition": measure.protocol.definition,
        **known,
        "frames": frames.get(measure.align, "aligned by similarity (ICP and scale)"),
        "units": units,
        "units_told": f"1 is the longest edge of the truth's box; files are in {units}"
        if units
        else "1 is the longest edge of the truth's box; those of the files are not known",
        "failed_rule": _failed_rule(rows, measure),
        "open_rule": _open_rule(rows, measure),
        "interval": "Student's t, 95 %, over items",
        "version": __version__,
    }


def _failed_rule(rows: Sequence[Row], measure: Measure) -> str:
    """Return how many items are without a usable mesh, and what each of them counts as."""
    count = sum(row["status"] != OK for row in rows)
    changed = ", ".join(f"{key} {value:g}" for key, value in measure.protocol.failed.items())
    rule = RULE + (f"; by the protocol {changed}" if changed else "")
    if not count:
        return f"No mesh is missing and none failed; one that does counts as {rule}."
    return (
        f"{count} of {len(rows)} meshes are missing or failed; each counts as {rule}. "
        f"'{WITHOUT_FAILED}' leaves them out."
    )


def _open_rule(rows: Sequence[Row], measure: Measure) -> str:
    if measure.protocol.padding is not None:
        return "Inside of open meshes is what ray parity says."
    how = {
        "none": "have no IoU, and are left out of its mean",
        "zero": "have an IoU of 0",
        "winding": "have the IoU of what the winding number says is inside",
        "parity": "have the IoU of what ray parity says is inside",
    }[measure.open_meshes]
    without = sum(row["iou"] is None for row in rows)
    return f"Open meshes {how}" + (f" ({without} of {len(rows)})." if without else ".")


def _with(word: str, scored: Sequence[ItemScores]) -> list[str]:
    """Return the items whose true mesh has a note with these words."""
    return [scores.item.name for scores in scored if any(word in note for note in scores.notes)]


def _notes(scored: Sequence[ItemScores], methods: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Return what is to be known of true meshes and of frames, a line a kind."""
    notes = []
    opened = _with("is open", scored)
    if coarse := _with(ROUNDED, scored):
        notes.append(f"{len(coarse)} true meshes {_COARSELY}: {_some(coarse)}")
    if opened:
        notes.append(f"{len(opened)} true meshes are open, and have no inside: {_some(opened)}")
    for method in methods:
        for word, meaning in (
            ("units", "are far larger or smaller than the truth: other units? (align similarity)"),
            ("frame", "lie beside the truth: another frame? (align)"),
            (ROUNDED, _COARSELY),
            ("it is inside out", "are open and inside out, and were turned for the IoU"),
            ("the true mesh is inside out", "have a truth that was turned for the IoU"),
        ):
            found = [
                row["item"]
                for row in rows
                if row["method"] == method and any(word in note for note in row["notes"])
            ]
            if found:
                notes.append(f"{method}: {len(found)} meshes {meaning}: {_some(found)}")
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(printable(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
