"""The threshold that was applied to a run: an entry of RUN/threshold.json.

`onet threshold RUN` writes the file, `--apply` the entry `applied` in it, and loading the run
folder takes it in place of the configured threshold. It belongs to one checkpoint and to
its probabilities: when training has replaced that, or calibration has changed these, it is ignored,
with a warning. Deleting the file undoes it.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from onet.config import with_changes
from onet.errors import DataError
from onet.inference.generation_folder import read_json
from onet.training.checkpoints import Checkpoint, checksum

logger = logging.getLogger(__name__)

FILE = "threshold.json"
KEYS = {"threshold", "sha256", "temperature"}


def read_applied(run: Path) -> dict[str, Any] | None:
    """The entry `applied` of a run folder: `threshold`, `temperature`, checkpoint's `sha256`.

    Raises:
        DataError: the file is damaged.
    """
    path = run / FILE
    if not path.is_file():
        return None
    applied = read_json(path).get("applied")
    if applied is None:
        return None
    if not isinstance(applied, dict) or applied.keys() != KEYS:
        raise DataError(f"{path}: the entry 'applied' is damaged; delete the file and search again")
    return applied


def with_applied_threshold(
    source: str | os.PathLike[str], checkpoint: Checkpoint, temperature: float
) -> Checkpoint:
    """The checkpoint with the threshold applied to the run folder `source`, if it is one.

    Where there is one, the metadata say so: `applied_threshold` has the number, the configured one
    and the file.

    Args:
        temperature: that the model's logits will be divided by; see `onet.inference.calibration`.

    Raises:
        DataError: the file is damaged.
        ConfigError: the threshold in it is not between 0 and 1.
    """
    run = Path(source)
    applied = read_applied(run) if run.is_dir() else None
    if applied is None:
        return checkpoint
    path = run / FILE
    same_model = applied["sha256"] == checksum(checkpoint.path)
    if not same_model or applied["temperature"] != temperature:
        logger.warning(
            "%s: its threshold belongs to %s than %s and is ignored; search again with "
            "`onet threshold`, or delete the file",
            path,
            "another calibration" if same_model else "another checkpoint",
            checkpoint.path,
        )
        return checkpoint
    configured = checkpoint.config.generation
    changes = {"threshold": applied["threshold"]}
    generation = with_changes(configured, changes, f"{path}: applied")
    logger.info(
        "threshold %g from %s, in place of the configured %g",
        generation.threshold,
        path,
        configured.threshold,
    )
    told = {
        "threshold": generation.threshold,
        "configured": configured.threshold,
        "file": str(path),
    }
    return replace(
        checkpoint,
        config=checkpoint.config.model_copy(update={"generation": generation}),
        metadata=checkpoint.metadata | {"applied_threshold": told},
    )
