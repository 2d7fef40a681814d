"""How far a trained model's probabilities can be trusted, and for which observations.

Probabilities are those of scaled logits, fitted on validation: see `onet.inference.scaling`. The
surface stays where it is.

Familiarity: how far the code of an observation is from those of training, as the root mean square
of its deviations in units of the standard deviation of each number (a Mahalanobis distance with a
diagonal covariance). Of local features and sets of codes the mean over places is taken.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from onet.checkpoints.checkpoint import checksum
from onet.checkpoints.run_folder import CALIBRATION, CHECKPOINTS
from onet.errors import CheckpointError
from onet.files import replacing
from onet.inference.scaling import Scaling
from onet.nn.code import Code

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Familiarity:
    """Summary of the codes of training observations.

    Attributes:
        mean, deviation: of each number of a code.
        limit: distance that `quantile` of the validation items stay below.
        quantile: a part, in (0, 1).
    """

    mean: Sequence[float]
    deviation: Sequence[float]
    limit: float
    quantile: float

    def distance(self, code: Code) -> float:
        """Distance of an observation's code (no batch dimension) from those of training."""
        return distance(code_numbers(code), self.mean, self.deviation)


@dataclass(frozen=True)
class Calibration:
    """What `onet calibrate` found out about a checkpoint; calibration.json in the run folder.

    Attributes:
        checkpoint: file name and SHA-256 of it.
        temperature, offset: of the scaling of logits.
        familiarity: of observations.
        errors: before and after, for each kind of held-out points: rows for a table.
        protocol: splits, numbers of items and points, seed, version.
    """

    checkpoint: dict[str, str]
    temperature: float
    familiarity: Familiarity
    errors: list[dict[str, Any]] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)
    offset: float = 0.0

    @property
    def scaling(self) -> Scaling:
        """From the network's logits to calibrated ones."""
        return Scaling(self.temperature, self.offset)

    def write(self, run_dir: Path) -> None:
        """Write calibration.json to a run folder."""
        with replacing(run_dir / CALIBRATION) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def distance(numbers: ArrayLike, mean: ArrayLike, deviation: ArrayLike) -> float:
    """Root mean square of the deviations of (C,) numbers from a mean, in standard deviations."""
    apart = (np.asarray(numbers) - np.asarray(mean)) / np.asarray(deviation)
    return float(np.sqrt(np.mean(apart**2)))


def identity(checkpoint: Path) -> dict[str, str]:
    """File name and SHA-256 of a checkpoint."""
    return {"file": checkpoint.name, "sha256": checksum(checkpoint)}


def read_calibration(checkpoint: Path) -> Calibration | None:
    """Return the calibration of a checkpoint in a run folder; None where there is none.

    That of another state of the run is left alone, with a warning.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = checkpoint.parent.parent / CALIBRATION
    if checkpoint.parent.name != CHECKPOINTS or not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        familiarity = Familiarity(**content.pop("familiarity"))
        calibration = Calibration(**content, familiarity=familiarity)
        temperature, offset = float(calibration.temperature), float(calibration.offset)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: is damaged ({error}); delete it, or make it anew with `onet calibrate`"
        ) from None
    if not (0 < temperature < np.inf and np.isfinite(offset)):
        raise CheckpointError(
            f"{path}: temperature {temperature} is not above 0, or offset {offset} not finite; "
            "calibrate anew"
        )
    if calibration.checkpoint != identity(checkpoint):
        logger.warning(
            "%s: is of another checkpoint than %s and not used; run `onet calibrate` again",
            path,
            checkpoint.name,
        )
        return None
    return calibration


def code_numbers(code: Code) -> NDArray[np.float64]:
    """Return a code as one row of numbers: of local features and of sets the mean over places."""
    if isinstance(code, Tensor):
        numbers = code.double().cpu().numpy()
        return numbers if numbers.ndim == 1 else numbers.mean(axis=0)
    maps = [code[key].double().cpu().numpy() for key in sorted(code)]
    return np.concatenate([features.reshape(len(features), -1).mean(axis=1) for features in maps])
