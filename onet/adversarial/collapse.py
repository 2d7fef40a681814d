"""Signs that adversarial training has gone wrong, and the way back to where it had not.

A collapse is invisible in any single loss value. Two things tell during training: a discriminator
that is sure of everything and a generator without gradient (saturation, [M] 8.2.4); and a
discriminator's loss that stays at a value that belongs to collapsed generators (a basin of [S]).
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.adversarial.losses import AdversarialLoss, find_loss
from onet.adversarial.plateaus import resting_levels
from onet.errors import ConfigError

WATCHED = ("loss_d", "d_accuracy", "d_real", "d_fake", "gradient_g")
BLOCKS = 10  # of a window, whose means are compared
STILL = 0.003  # part of the equilibrium's value: blocks that differ less have not moved at all
MARGIN = 0.05  # of the accuracy, over that of a collapse
NOISE = 2.5  # most that means of blocks may vary, in variances of means of as many unrelated steps


@dataclass(frozen=True)
class Alarm:
    """What was seen, at which iteration, and what to do about it."""

    kind: str
    iteration: int
    message: str


class CollapseWatch:
    """Reads what the trainer logs, and raises an alarm when a whole window of it looks wrong.

    It alarms once for each kind and iteration window: after an alarm the window starts anew. Its
    state is a few numbers, so that a resumed run goes on watching where it stopped.

    Args:
        loss: of the players; tells the value at the equilibrium.
        window: steps that have to look wrong.
        sure: mean logit beyond which the discriminator is saturated, for real and for fake.
        still: part of the generator's usual gradient norm below which it has none.
        flat: part of the equilibrium's value within which the means of all blocks of a plateau lie.
        near: part of the equilibrium's value within which the mean is that of a collapse.

    Raises:
        ConfigError: an empty window.
    """

    def __init__(
        self,
        loss: str | AdversarialLoss = "non_saturating",
        window: int = 500,
        sure: float = 8.0,
        still: float = 0.01,
        flat: float = 0.05,
        near: float = 0.004,
    ) -> None:
        if window < 2:
            raise ConfigError(f"collapse watch: window {window}; give at least 2 steps")
        self.loss = find_loss(loss)
        self.window, self.sure, self.still = window, sure, still
        self.flat, self.near = flat, near
        self.rows: deque[tuple[float, ...]] = deque(maxlen=window)
        self.usual = 0.0  # largest mean gradient norm of the generator over a window

    @property
    def healthy(self) -> bool:
        """Whether the window is full and nothing in it looks wrong."""
        return len(self.rows) == self.window and not self._saturated() and not self.plateau()

    def observe(self, report: Mapping[str, Any], iteration: int) -> list[Alarm]:
        """Take in what a step logs; alarms, mostly none."""
        self.rows.append(tuple(float(report[key]) for key in WATCHED))
        if len(self.rows) < self.window:
            return []
        alarms = [
            Alarm(kind, iteration, message)
            for kind, message in (("saturation", self._saturated()), ("plateau", self.plateau()))
            if message
        ]
        self.usual = max(self.usual, float(self._column("gradient_g").mean()))
        if alarms:
            self.rows.clear()
        return alarms

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [list(row) for row in self.rows], "usual": self.usual}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = deque((tuple(row) for row in state["rows"]), maxlen=self.window)
        self.usual = state["usual"]

    def _column(self, key: str) -> np.ndarray:
        column = WATCHED.index(key)
        return np.array([row[column] for row in self.rows])

    def _saturated(self) -> str:
        """The discriminator is never wrong and very sure, and the generator learns nothing."""
        gradient = float(self._column("gradient_g").mean())
        margin = min(float(self._column("d_real").mean()), -float(self._column("d_fake").mean()))
        accuracy = float(self._column("d_accuracy").mean())
        if accuracy < 0.999 or margin < self.sure or gradient > self.still * self.usual:
            return ""
        return (
            f"the discriminator is right on {accuracy:.1%} with logits beyond {margin:.1f}, and "
            f"the generator's gradient has shrunk to {gradient:.2g}; go back to a checkpoint, and "
            "raise gamma of the penalty"
        )

    def plateau(self) -> str:
        """Say that the loss of a full window rests at the value of a generator that makes a part of
        the data only; empty where it does not.
        """
        goal, losses = self.loss.equilibrium, self._column("loss_d")
        level = float(losses.mean())
        levels = resting_levels(self.loss)
        if not levels:
            return ""
        nearest = min(levels, key=lambda one: abs(level - one.level))
        unit = abs(goal) or goal - nearest.level
        if abs(level - nearest.level) > self.near * unit or not self._rests(losses, unit):
            return ""
        accuracy, hedge = float(self._column("d_accuracy").mean()), ""
        if nearest.accuracy is not None and accuracy > nearest.accuracy + MARGIN:
            hedge = (
                f". It is right on {accuracy:.0%}, where {nearest.accuracy:.0%} is the most there: "
                "the generator may as well make all of the data, not well"
            )
        return (
            f"the discriminator's loss rests at {level:.4g}; in the equilibrium it is {goal:.4g}, "
            f"and {nearest.level:.4g} where {nearest.state}; look at samples, and take "
            f"{'' if self.loss.paired else 'a relativistic loss or '}a larger batch{hedge}"
        )

    def _rests(self, losses: NDArray[np.float64], unit: float) -> bool:
        """Whether nothing but the noise of single steps moves the loss.

        A generator that still learns moves it from block to block by more than the mean of so many
        unrelated steps would vary, though it may stay within narrow bounds.
        """
        blocks = np.array_split(losses, min(BLOCKS, self.window))
        means = np.array([block.mean() for block in blocks])
        spread = float(np.ptp(means))
        if not spread <= self.flat * unit:
            return False
        noise = float(losses.var(ddof=1)) * len(blocks) / len(losses)
        return spread <= STILL * unit or float(means.var(ddof=1)) <= NOISE * noise


def mode_shares(
    samples: ArrayLike,  # (N, D)
    centres: ArrayLike,  # (M, D)
    radius: float,
) -> NDArray[np.float64]:  # (M,)
    """Share of the samples within a distance of each mode of the data; the rest lies elsewhere."""
    points, means = (np.asarray(array, dtype=np.float64) for array in (samples, centres))
    distances = np.linalg.norm(points[:, None] - means, axis=2)
    return (distances <= radius).mean(axis=0)


class Snapshot:
    """The last healthy weights and states of optimisers, in memory, to go back to.

    Nothing else goes back: training continues with the next batch and other random numbers, so
    that it does not meet the same fate again.

    Args:
        parts: modules and optimisers by name.
    """

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self.parts = dict(parts)
        self.iteration: int | None = None
        self.states: dict[str, Any] = {}

    def take(self, iteration: int) -> None:
        """Keep a copy of the present state."""
        self.states = {name: copy.deepcopy(part.state_dict()) for name, part in self.parts.items()}
        self.iteration = iteration

    def restore(self) -> bool:
        """Go back to it; False if none was taken."""
        if self.iteration is None:
            return False
        for name, part in self.parts.items():
            part.load_state_dict(copy.deepcopy(self.states[name]))
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"iteration": self.iteration, "states": self.states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.iteration, self.states = state["iteration"], state["states"]
