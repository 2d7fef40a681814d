"""Is the run in a folder the one that is asked for?"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from onet.checkpoints.checkpoint import Checkpoint, load_checkpoint
from onet.checkpoints.run_folder import BEST, CONFIG
from onet.config import Config
from onet.errors import CheckpointError, ConfigError

logger = logging.getLogger(__name__)

LIMITS = {"max_iterations", "max_minutes"}
FREE = LIMITS | {"print_every", "checkpoint_every", "workers", "cache"}
"""Keys that may change between the parts of a run without changing its course; the limits do where
the learning rate falls towards them."""


def _readable(path: Path) -> bool:
    try:
        load_checkpoint(path)
    except (CheckpointError, ConfigError):
        return False
    return True


def checkpoint_to_resume(
    path: Path,
    config: Config,
    fingerprint: Any,
) -> Checkpoint:
    """Return the last checkpoint of a run, with warnings of what changed since the run started.

    Args:
        path: of the checkpoint, in the run folder's folder of checkpoints.
        config: that the run shall go on with.
        fingerprint: of the training data that it shall go on with.

    Raises:
        ConfigError: it is of another model.
        CheckpointError: it cannot be read.
    """
    run_dir = path.parent.parent
    try:
        checkpoint = load_checkpoint(path)
    except CheckpointError as error:
        best = path.with_name(BEST)
        use = f"; {best} can still be used" if _readable(best) else ""
        raise CheckpointError(
            f"{error}; the run cannot go on from it: give another run folder to start anew{use}"
        ) from None
    if checkpoint.config.model != config.model:
        raise ConfigError(
            f"{run_dir}: was trained with another section `model`; choose another run folder, or "
            f"resume with {run_dir / CONFIG}"
        )
    free = FREE - LIMITS if config.training.schedule == "cosine" else FREE
    for section in ("data", "training"):
        old, new = (
            getattr(part, section).model_dump(mode="json") for part in (checkpoint.config, config)
        )
        for key in (k for k in new if new[k] != old.get(k) and k not in free):
            logger.warning(
                "%s.%s changed from %s to %s since the run started",
                section,
                key,
                old[key],
                new[key],
            )
    if checkpoint.metadata["data_fingerprint"] != fingerprint:
        logger.warning("%s: the training data has changed since the run started", run_dir)
    return checkpoint
