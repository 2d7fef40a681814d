"""The probability on the surface that was applied to a run: an entry of RUN/threshold.json.

`onet threshold RUN` writes the file, `--apply` the entry `applied` in it, and loading the run
folder takes it in place of the configured one. It belongs to one checkpoint: when training
has replaced that, it is ignored, with a warning. It is kept with the scaling of the probabilities
that it is one of, so a later calibration does not move its surface. Deleting the file undoes it.
"""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from onet.checkpoints.checkpoint import Checkpoint, checksum
from onet.checkpoints.run_folder import THRESHOLD
from onet.config import with_changes
from onet.errors import DataError
from onet.inference.generation_folder import with_present_names
from onet.inference.scaling import UNCHANGED, Scaling
from onet.records import read_json

logger = logging.getLogger(__name__)

KEYS = {"probability", "sha256", "temperature"}  # and `offset`, if not 0
NUMBERS = ("probability", "temperature", "offset")


def read_applied(run: Path) -> dict[str, Any] | None:
    """Return the entry `applied` of a run: `probability`, its scaling, checkpoint's `sha256`.

    Raises:
        DataError: the file is damaged.
    """
    path = run / THRESHOLD
    if not path.is_file():
        return None
    applied = read_json(path).get("applied")
    if applied is None:
        return None
    if isinstance(applied, dict):
        applied = with_present_names(applied)
    damaged = not isinstance(applied, dict) or not applied.keys() >= KEYS
    if damaged or not (
        all(isinstance(applied.get(key, 0), int | float) for key in NUMBERS)
        and applied["temperature"] > 0
    ):
        raise DataError(f"{path}: the entry 'applied' is damaged; delete the file and search again")
    return applied


def restated(applied: dict[str, Any], scaling: Scaling) -> dict[str, Any]:
    """Return the entry `applied` as a probability of another scaling, at the same places."""
    found = Scaling(applied["temperature"], applied.get("offset", 0.0))
    if found == scaling:
        return applied
    probability = scaling.calibrated(found.own(applied["probability"]))
    return applied | asdict(scaling) | {"probability": probability}


def with_applied_threshold(source: str | os.PathLike[str], checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with the probability applied to the run folder `source`, if it is one.

    Where there is one, the metadata say so: `applied_threshold` has the number, the configured one,
    both of the network's own probability, and the file.

    Raises:
        DataError: the file is damaged.
        ConfigError: the probability in it is not between 0 and 1.
    """
    run = Path(source)
    applied = read_applied(run) if run.is_dir() else None
    if applied is None:
        return checkpoint
    path = run / THRESHOLD
    if applied["sha256"] != checksum(checkpoint.path):
        logger.warning(
            "%s: its probability belongs to another checkpoint than %s and is ignored; search "
            "again with `onet threshold`, or delete the file",
            path,
            checkpoint.path,
        )
        return checkpoint
    configured = checkpoint.config.generation
    changes = {"probability": restated(applied, UNCHANGED)["probability"]}
    generation = with_changes(configured, changes, f"{path}: applied")
    logger.info(
        "probability %g from %s, in place of the configured %g",
        generation.probability,
        path,
        configured.probability,
    )
    told = {
        "probability": generation.probability,
        "configured": configured.probability,
        "file": str(path),
    }
    return replace(
        checkpoint,
        config=checkpoint.config.model_copy(update={"generation": generation}),
        metadata=checkpoint.metadata | {"applied_threshold": told},
    )
