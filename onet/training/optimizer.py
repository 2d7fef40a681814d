"""The optimiser that a configuration names."""

from __future__ import annotations

import torch
from torch import nn

from onet.config import TrainingConfig
from onet.errors import ConfigError


def build_optimizer(model: nn.Module, settings: TrainingConfig) -> torch.optim.Optimizer:
    """Adam, or AdamW (Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019).

    Weight decay concerns matrices and kernels: biases, and factors of normalisations, are left out.

    Raises:
        ConfigError: weight decay with Adam.
    """
    if settings.optimizer == "adam":
        if settings.weight_decay:
            raise ConfigError(
                "training.weight_decay: adam has none; set training.optimizer=adamw, or 0"
            )
        return torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    shrinking = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": shrinking, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)
