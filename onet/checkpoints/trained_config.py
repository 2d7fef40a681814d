"""What a trained network is, without its weights."""

from __future__ import annotations

import os

from onet.checkpoints.checkpoint import read_safetensors, resolve_checkpoint
from onet.checkpoints.pickled import is_pickled
from onet.checkpoints.published_weights import read_checkpoint
from onet.config import Config, parse_config
from onet.errors import OnetError


def trained_config(path: str | os.PathLike[str]) -> Config | None:
    """Return the configuration of a run or a checkpoint; None for what cannot be read.

    Whoever reads it next says what is wrong.
    """
    try:
        file = resolve_checkpoint(path)
        if is_pickled(file):
            return read_checkpoint(file).config
        header = read_safetensors(file).header
        return parse_config(header["config"], str(file)) if "config" in header else None
    except (OnetError, OSError):
        return None
