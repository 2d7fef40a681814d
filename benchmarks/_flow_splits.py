"""Sequences held out by individual and by motion.

Sequences are called INDIVIDUAL__MOTION, with a number behind where there are several of a kind
(`bear__attack_02`), and all of a kind stay together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from onet.data.lists import write_list
from onet.data.sequence_folder import SEQUENCE_RECORD
from onet.data.store_folder import list_file

TRAIN, VAL, MOTION, INDIVIDUAL = "flow_train", "flow_val", "flow_motion", "flow_individual"
SPLITS = (TRAIN, VAL, MOTION, INDIVIDUAL)


def parts_of(model: str) -> tuple[str, str]:
    """The individual and the kind of motion that the name of a sequence tells."""
    individual, _, motion = model.rpartition("__")
    return individual, re.sub(r"_?\d+$", "", motion)


def assign(models: Sequence[str], share: float = 1 / 6, seed: int = 0) -> dict[str, str]:
    """The split of each sequence of a category.

    A share of the individuals is held out. Of every other one that makes three kinds of motion or
    more, one kind is held out, and of the rest every 12th sequence is for validation.
    """
    rng = np.random.default_rng(seed)
    kinds: dict[str, dict[str, list[str]]] = {}
    for model in sorted(models):
        individual, motion = parts_of(model)
        kinds.setdefault(individual, {}).setdefault(motion, []).append(model)
    order = list(rng.permutation(sorted(kinds)))
    unseen = {*order[: round(share * len(order))]}
    result: dict[str, str] = {}
    for individual, motions in kinds.items():
        split = INDIVIDUAL if individual in unseen else TRAIN
        result |= {model: split for some in motions.values() for model in some}
        if split == TRAIN and len(motions) >= 3:
            result |= dict.fromkeys(motions[str(rng.choice(sorted(motions)))], MOTION)
    rest = [model for model, split in result.items() if split == TRAIN]
    return result | dict.fromkeys(rng.permutation(rest)[::12].tolist(), VAL)


def write_lists(store: Path, share: float) -> None:
    """Write the list of each split of every category of a store.

    Raises:
        SystemExit: the store has no sequences, or no name tells an individual.
    """
    records = [*store.glob(f"*/*/{SEQUENCE_RECORD}")]
    if not records:
        raise SystemExit(f"{store}: no sequences; make it with `onet prepare --sequences`")
    if not any(parts_of(record.parent.name)[0] for record in records):
        raise SystemExit(f"{store}: names have to be INDIVIDUAL__MOTION; see `benchmarks flow -h`")
    for category in {record.parent.parent for record in records}:
        models = [record.parent.name for record in records if record.parent.parent == category]
        splits = assign(models, share)
        for split in SPLITS:
            names = sorted(model for model, own in splits.items() if own == split)
            write_list(list_file(category, split), names)
