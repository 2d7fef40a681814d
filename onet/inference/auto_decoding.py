"""The code of a shape under a trained decoder, found by descent.

As an auto-decoder does it (Park et al., DeepSDF, CVPR 2019, section 4.2): the decoder is frozen,
and the numbers of the code descend the loss of the shape's labelled points.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from onet.errors import ConfigError
from onet.inference.reconstructor import Reconstructor
from onet.nn.code import kind_made
from onet.nn.encoders import IndexEncoder
from onet.progress import listener

logger = logging.getLogger(__name__)

STEPS = 800
STEP_POINTS = 2048
STEP_SIZE = 0.02
PENALTY = 1e-4
"""Of the squared norm of a code, beside the mean cross-entropy of a point, as in DeepSDF."""


def find_code(
    model: Reconstructor,
    points: NDArray[np.float32],
    occupancies: NDArray[np.bool_],
    steps: int,
    learning_rate: float,
    penalty: float,
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    """Return the code under which the frozen decoder says best which points are inside.

    Adam from the mean of learned codes, the mean of the prior of latent codes, or else zero, on
    2,048 points a step; the second half of the steps is ten times smaller. Both codes are found
    where the model has both.

    The points should be spread as they were in the training of the decoder, which is anywhere in
    the padded cube: with half of them near the surface the IoU of an ellipsoid under a small
    decoder was 0.56 in place of 0.92.

    Args:
        model: its code must be global, one vector of `c_dim` numbers.
        points: (N, 3) in the unit frame.
        occupancies: (N,) of these points.
        steps, learning_rate: of Adam.
        penalty: of the squared norm of the code, beside the mean cross-entropy of a point.
        rng: of the choice of points.

    Returns:
        `c` (C,), `z` (Z,), whichever the model has.

    Raises:
        ConfigError: the model has no code, or none of this kind; or it became infinite.
    """
    code = initial_code(model)
    for part in code.values():
        part.requires_grad_()
    optimizer = torch.optim.Adam(code.values(), lr=learning_rate)
    where = torch.from_numpy(points).to(model.device)
    inside = torch.from_numpy(occupancies).float().to(model.device)
    heard = listener()
    if heard is not None:
        heard(0, steps, "fitting a code")
    for step in range(steps):
        if step == steps // 2:
            optimizer.param_groups[0]["lr"] = learning_rate / 10
        chosen = torch.from_numpy(rng.integers(len(points), size=STEP_POINTS)).to(model.device)
        logits = _decode(model, where[chosen], code)
        entropy = F.binary_cross_entropy_with_logits(logits, inside[chosen])
        loss = entropy + penalty * sum(part.square().sum() for part in code.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if heard is not None:
            heard(step + 1, steps, "fitting a code")
        if (step + 1) % 100 == 0:
            logger.info("step %d of %d: cross-entropy %.4f", step + 1, steps, entropy.item())
    found = {key: part.detach() for key, part in code.items()}
    if not all(torch.isfinite(part).all() for part in found.values()):
        raise ConfigError(
            f"learning_rate: {learning_rate} made the code infinite; give a smaller one"
        )
    return found


def initial_code(model: Reconstructor) -> dict[str, Tensor]:
    """Return the mean of learned codes, the mean of the prior of latent codes, else zero.

    Raises:
        ConfigError: there is no code, or it is not global.
    """
    network, encoder = model.model, getattr(model.model, "encoder", None)
    if (kind := kind_made(encoder)) != "global":
        raise ConfigError(
            f"{model.source}: its codes are of the kind {kind!r}; only a model with a global code, "
            "one vector a shape, can be given one by descent"
        )
    sizes = {key: getattr(network, f"{key}_dim", 0) for key in ("c", "z")}
    code = {key: torch.zeros(size, device=model.device) for key, size in sizes.items() if size}
    if not code:
        raise ConfigError(f"{model.source}: the model has no code that a shape could be given")
    if isinstance(encoder, IndexEncoder):
        code["c"] = encoder.weight.detach().mean(0)
    return code


def _decode(
    model: Reconstructor,
    points: Tensor,  # (N, 3) in the unit frame
    code: dict[str, Tensor],
) -> Tensor:  # (N,) logits
    c, z = code.get("c", points.new_zeros(0)), code.get("z")
    logits: Tensor = model.model.decode(points[None], c[None], None if z is None else z[None])[0]
    return logits
