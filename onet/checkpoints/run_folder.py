"""A run folder on disk: what training leaves in it, and what is found out about the run later.

RUN/config.yaml                            the complete configuration
RUN/checkpoints/best.safetensors           weights with the best validation
RUN/checkpoints/last.safetensors           the last ones, and what resuming needs beside them:
                                           see `onet.checkpoints.checkpoint`
RUN/metrics.csv, RUN/logs/                 what was measured, as a table and for tensorboard
RUN/training.json, RUN/curves.png          how it ended, once it has

RUN/threshold.{json,csv,png}               of `onet threshold`, with what it applied
RUN/calibration.{json,png}                 of `onet calibrate`
RUN/generation*/                           of `onet generate`: see
                                           `onet.inference.generation_folder`
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onet.config import Config
from onet.files import replacing
from onet.records import write_json

CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"
BEST = "best.safetensors"
LAST = "last.safetensors"
METRICS = "metrics.csv"
LOGS = "logs"
TRAINING = "training.json"
CURVES = "curves.png"

THRESHOLD = "threshold.json"
THRESHOLD_TABLE = "threshold.csv"
THRESHOLD_PICTURE = "threshold.png"
CALIBRATION = "calibration.json"
CALIBRATION_PICTURE = "calibration.png"


def best_checkpoint(run: Path) -> Path:
    """Return the file of the weights with the best validation."""
    return run / CHECKPOINTS / BEST


def last_checkpoint(run: Path) -> Path:
    """Return the file of the last weights."""
    return run / CHECKPOINTS / LAST


def write_config(run: Path, config: Config) -> None:
    """Write config.yaml."""
    with replacing(run / CONFIG) as temporary:
        temporary.write_text(config.to_yaml(), encoding="utf-8")


def write_training(run: Path, result: dict[str, Any]) -> None:
    """Write training.json: how training ended."""
    write_json(run / TRAINING, result)
