"""The learning rate over a run."""

from __future__ import annotations

import math

from onet.config import TrainingConfig
from onet.errors import ConfigError


class LearningRate:
    """Callable: iteration and minutes of the run -> learning rate of the next step.

    It rises linearly over `training.warmup` iterations. With `training.schedule: cosine` it falls
    on half a cosine to 0 at the run's end (Loshchilov and Hutter, SGDR, ICLR 2017, without
    restarts): the end is the limit, of iterations or minutes, of which the larger part is used up.

    Raises:
        ConfigError: a cosine without an end.
    """

    def __init__(self, settings: TrainingConfig) -> None:
        self.settings = settings
        if self.falls and settings.max_iterations is None and settings.max_minutes is None:
            raise ConfigError(
                "training.schedule: cosine falls until the end of the run, which has none; set "
                "training.max_iterations or training.max_minutes"
            )

    @property
    def falls(self) -> bool:
        return self.settings.schedule == "cosine"

    @property
    def varies(self) -> bool:
        return self.falls or self.settings.warmup > 0

    @property
    def timed(self) -> bool:
        """Whether it depends on the clock."""
        return self.falls and self.settings.max_minutes is not None

    def __call__(self, iteration: int, minutes: float) -> float:
        settings, rate = self.settings, self.settings.learning_rate
        if iteration < settings.warmup:
            rate *= (iteration + 1) / settings.warmup
        if self.falls:
            parts = [0.0]
            if settings.max_iterations is not None:
                parts.append(iteration / settings.max_iterations)
            if settings.max_minutes is not None:
                parts.append(minutes / settings.max_minutes)
            rate *= 0.5 * (1 + math.cos(math.pi * min(1.0, max(parts))))
        return rate
