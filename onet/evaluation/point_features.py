"""A trained point cloud network as an extractor of features, to compare sets of shapes by."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from onet.data.inputs import INPUTS
from onet.errors import ConfigError
from onet.inference.reconstructor import Reconstructor
from onet.parallel import run_tasks


def point_features(
    model: Reconstructor,
    clouds: ArrayLike,  # (S, P, 3) in the unit frame
    seed: int = 0,
) -> NDArray[np.float64]:  # (S, C)
    """Return the codes that a point cloud network gives to clouds.

    Each cloud is cut to as many points as the network was trained with, by `seed`; no noise is
    added.

    Raises:
        ConfigError: the model observes no point clouds, or its code has local features.
    """
    _check(model)

    def one(number: int) -> Tensor:
        rng = np.random.default_rng([seed, number])
        code = model.encode(model.input.observe(shapes[number], rng))
        if not isinstance(code, Tensor) or code.ndim != 1:
            raise ConfigError(
                f"{model.source}: the code has local features; name a network with one global code "
                "a shape, such as one of the configuration pointcloud"
            )
        return code

    shapes = np.asarray(clouds)
    features = []
    for _, outcome in run_tasks(one, range(len(shapes)), 1, title="encoding clouds"):
        if isinstance(outcome, Exception):
            raise outcome
        features.append(outcome.double().cpu().numpy())
    return np.stack(features)


def points_needed(model: Reconstructor) -> int:
    """How many points of a cloud the network observes.

    Raises:
        ConfigError: it observes no point clouds.
    """
    _check(model)
    return model.input.shape[0]


def _check(model: Reconstructor) -> None:
    if model.input.kind != "points":
        raise ConfigError(
            f"{model.source}: observes {INPUTS.name_of(model.input)!r}; features need a network "
            "that observes point clouds"
        )
