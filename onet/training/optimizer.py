"""The optimiser that a configuration names."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from onet.config import TrainingConfig
from onet.errors import ConfigError

PLAIN = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}


def build_optimizer(
    parameters: Iterable[nn.Parameter], settings: TrainingConfig
) -> torch.optim.Optimizer:
    """Adam, RMSprop or plain gradient descent, all with torch's defaults, or AdamW.

    AdamW: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019. Its decay
    concerns matrices and kernels: biases, and factors of normalisations, are left out.

    Raises:
        ConfigError: weight decay with another optimiser.
    """
    parameters = list(parameters)
    if settings.optimizer in PLAIN:
        if settings.weight_decay:
            raise ConfigError(
                f"training.weight_decay: {settings.optimizer} has none; set "
                "training.optimizer=adamw, or 0"
            )
        return PLAIN[settings.optimizer](parameters, lr=settings.learning_rate)
    shrinking = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups = [
        {"params": shrinking, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)
