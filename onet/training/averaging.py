"""Exponential moving average of a model in training."""

from __future__ import annotations

import copy

import torch
from torch import nn


class AveragedModel:
    """A copy of a model that follows it: weights and buffers are moving averages of its own.

    Running statistics of normalisations are averaged like weights, since they belong to them;
    integers are copied. For the first steps the decay is (1 + n) / (10 + n) where that is less, so
    that the average soon forgets where training started. It is a function of n alone: a run that
    is resumed goes on as if it had not stopped.

    Attributes:
        model: the copy, in evaluation mode and without gradients.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, steps: int) -> None:
        """Take in `model` after `steps` steps of the optimiser."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        current = model.state_dict()
        averages, values = [], []
        for key, average in self.model.state_dict().items():
            if average.is_floating_point():
                averages.append(average)
                values.append(current[key])
            else:
                average.copy_(current[key])
        torch._foreach_lerp_(averages, values, 1 - decay)
