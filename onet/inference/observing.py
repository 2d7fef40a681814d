"""From a target to what the model observes of it, and from there to a mesh."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from onet.checkpoints.kinds_of_files import not_observed
from onet.data.inputs import Collected, Input
from onet.data.inputs.views import evenly
from onet.data.store import Item
from onet.errors import DataError
from onet.geometry.normalization import UnitFrame
from onet.inference.reconstructor import Reconstructor
from onet.inference.surface import SurfaceOptions
from onet.inference.targets import Target


@dataclass(frozen=True)
class Observed:
    """What a model observes of an object.

    Attributes:
        observations: one, or several that make one code, as the model's input
            prepares them.
        frame: from the unit frame to that of the object.
        multiview: whether several make one code, be it of a single one.
    """

    observations: list[Any]
    frame: UnitFrame
    multiview: bool


def observe(
    input: Input, target: Target, rng: np.random.Generator, views: int | None = None
) -> Observed:
    """Return what a model with this input observes of a target.

    Args:
        input: of the model.
        target: what is observed.
        rng: of the choice of points, and of noise on items of a store.
        views: so many observations at most, which make one code; None for one.

    Raises:
        DataError: it cannot be read, or observations of one object do not agree.
    """
    origin, multiview = target.origin, views is not None
    if isinstance(origin, Item):
        if views is None:
            return Observed([input.sample(origin, rng, training=False)], origin.frame(), multiview)
        return Observed(input.sample_views(origin, rng, views), origin.frame(), multiview)
    raws, name = _read(input, origin, views)
    frame = input.common_frame(raws, name)
    return Observed([input.observe(raw, rng, frame) for raw in raws], frame, multiview)


def reconstruct(
    model: Reconstructor,
    observed: Observed,
    rng: np.random.Generator,
    options: SurfaceOptions,
    sampled: bool = False,
) -> trimesh.Trimesh:
    """Return the mesh, in the unit frame, of what was observed; empty if there is no surface.

    Args:
        model: that observes.
        observed: by `observe`.
        rng: of the latent code.
        options: see `SurfaceOptions`.
        sampled: draw the latent code of a model that observes something, too.
    """
    observations = observed.observations
    code = (
        model.encode_multiview(observations)
        if observed.multiview
        else model.encode(observations[0])
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no surface")  # the caller says so
        seed = int(rng.integers(2**63))
        latent = model.latent(seed, sampled=True) if sampled else None
        return model.surface(code, latent=latent, seed=seed, **options)


def _read(
    input: Input, origin: tuple[Path, ...] | Collected | None, views: int | None
) -> tuple[list[Any], str]:
    """What the input reads of the observations of one object, and what to call them."""
    if origin is None:
        return [input.take(None)], "nothing"
    if isinstance(origin, Collected):
        return [origin.read()], origin.origin
    chosen = origin if views is None else evenly(origin, min(views, len(origin)))
    name = str(origin[0] if views is None else origin[0].parent)
    for path in chosen:
        if problem := not_observed(path, input):
            raise DataError(problem)
    return [input.read(path) for path in chosen], name
