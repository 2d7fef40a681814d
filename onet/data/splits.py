"""Splits of a category into training, validation and test sets, by item or by group.

Kits share parts and one author's models look alike, so a random split by item flatters a method.
Splitting by group keeps all models of one source in one set.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from onet.data.lists import write_list
from onet.data.store_folder import SPLITS, list_file
from onet.errors import DataError

Fractions = tuple[float, float, float]
"""Shares of train, val and test; they are divided by their sum."""


def check_fractions(fractions: Sequence[float]) -> Fractions:
    """Three shares of which the first is positive.

    Raises:
        DataError: another number of them, a negative one, or nothing to train with.
    """
    if len(fractions) != 3 or not all(f >= 0 for f in fractions) or not fractions[0] > 0:
        raise DataError(
            f"split: {tuple(fractions)} are no shares of train, val and test; "
            "give three numbers such as 0.7, 0.1, 0.2, none negative and the first above 0"
        )
    total = sum(fractions)
    return fractions[0] / total, fractions[1] / total, fractions[2] / total


def assign_splits(
    groups: Mapping[str, str],
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    category: str = "",
) -> dict[str, str]:
    """Return a split for each model of one category; all models of a group get the same.

    Groups are taken from the largest to the smallest, equal ones in random order, each to the split
    that lacks most models at that moment. With a group for each model this meets the fractions to
    within one model; with few large groups the shares are what the sizes allow.

    Args:
        groups: the group of each model; give each model its own name to split by item.
        fractions: shares of train, val and test.
        seed: of the random order, together with `category`.
        category: makes categories with equal names of models differ.

    Returns:
        `train`, `val` or `test` for each model.
    """
    shares = check_fractions(fractions)
    members: dict[str, list[str]] = {}
    for model in sorted(groups):
        members.setdefault(groups[model], []).append(model)
    names = sorted(members)
    np.random.default_rng([seed, zlib.crc32(category.encode())]).shuffle(names)
    names.sort(key=lambda name: -len(members[name]))  # stable: ties stay shuffled
    missing = [share * len(groups) for share in shares]
    result: dict[str, str] = {}
    for name in names:
        # Of splits that lack equally much, the test set comes first: a category without it cannot
        # be reported.
        chosen = max((k for k in (2, 1, 0) if shares[k] > 0), key=lambda k: round(missing[k], 9))
        missing[chosen] -= len(members[name])
        result |= dict.fromkeys(members[name], SPLITS[chosen])
    return result


def write_splits(folder: Path, splits: Mapping[str, str]) -> None:
    """Write `train.lst`, `val.lst` and `test.lst` of one category, sorted, each atomically."""
    for split in SPLITS:
        names = [name for name, assigned in splits.items() if assigned == split]
        write_list(list_file(folder, split), names)
