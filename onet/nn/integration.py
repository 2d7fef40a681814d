"""Points carried along by a velocity field, from one time to others.

Every item of a batch is integrated as if it were alone: its steps depend neither on the other items
nor on how many there are. Codes are no part of the state, so a solver's tolerance concerns points
alone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from onet.errors import ConfigError, MissingDependency

logger = logging.getLogger(__name__)

Velocity = Callable[[Tensor, Tensor, int | None], Tensor]
"""Velocities (B, T, 3) of points (B, T, 3) at times (B,); with the number of an item, of that one
alone: points (1, T, 3) and a time (1,)."""

Solver = Literal["rk4", "dopri5"]
MOST_EVALUATIONS = 10_000  # of the velocity between two times, by a solver that chooses its steps


@dataclass(frozen=True)
class Integration:
    """How velocities are integrated.

    Attributes:
        solver: rk4 takes `steps` steps of equal length for a unit of time; dopri5 chooses its steps
            for the tolerances, item by item, as published (torchdiffeq, the extra `flow`).
        steps: of rk4; also those that are taken where dopri5 cannot reach its tolerances.
        rtol, atol: tolerances of dopri5, of a step.
        adjoint: gradients of dopri5 by the adjoint equation, in constant memory.
    """

    solver: Solver = "rk4"
    steps: int = 8
    rtol: float = 1e-3
    atol: float = 1e-5
    adjoint: bool = True

    def __post_init__(self) -> None:
        """Refuse values with which nothing can be integrated.

        Raises:
            ConfigError: it names the option.
        """
        if not 1 <= self.steps <= 10_000:
            raise ConfigError(f"model.solver.steps: {self.steps}; give 1 to 10,000")
        for name, value in (("rtol", self.rtol), ("atol", self.atol)):
            if not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"model.solver.{name}: {value}; give more than 0")


def carry(
    velocity: Velocity,
    points: Tensor,  # (B, T, 3) at `start`
    start: Tensor,  # (B,)
    times: Tensor,  # (B, K) in the order in which they are passed
    how: Integration,
    parameters: tuple[Tensor, ...] = (),
) -> Tensor:  # (B, K, T, 3)
    """Return where points are at some times.

    Args:
        velocity: of points, at times.
        points: where they are at the beginning.
        start: when that is, for each item.
        times: for each item; they may go backward in time.
        how: the solver.
        parameters: tensors that the velocity depends on and gradients are wanted of; for the
            adjoint equation alone.
    """
    if how.solver == "rk4":
        return _fixed_steps(velocity, points, start, times, how.steps)
    items = range(len(points))
    return torch.stack(
        [_adaptive(velocity, i, points[i], start[i], times[i], how, parameters) for i in items]
    )


def _fixed_steps(
    velocity: Velocity, points: Tensor, start: Tensor, times: Tensor, steps: int
) -> Tensor:
    """Runge-Kutta of fourth order; an item that needs fewer steps than others waits for them."""
    now, places = start, []
    for goal in times.unbind(1):
        way = goal - now
        counts = torch.ceil(way.detach().abs() * steps - 1e-4).clamp(min=1)
        moves = way.detach().abs() > 0
        for step in range(int((counts * moves).max())):
            active = (step < counts) & moves
            time = now + way * (step / counts)
            length = torch.where(active, way / counts, 0.0)
            points = _rk4_step(velocity, points, time, length)
        now = goal
        places.append(points)
    return torch.stack(places, 1)


def _rk4_step(velocity: Velocity, points: Tensor, time: Tensor, length: Tensor) -> Tensor:
    half, h = length / 2, length.view(-1, 1, 1).to(points.dtype)
    k1 = velocity(points, time, None)
    k2 = velocity(points + h / 2 * k1, time + half, None)
    k3 = velocity(points + h / 2 * k2, time + half, None)
    k4 = velocity(points + h * k3, time + length, None)
    return points + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


class _OfOneItem(torch.nn.Module):
    """What torchdiffeq integrates: the velocity of one item's points, counted."""

    def __init__(self, velocity: Velocity, item: int) -> None:
        super().__init__()
        self.velocity, self.item, self.calls = velocity, item, 0

    def forward(self, time: Tensor, points: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > MOST_EVALUATIONS:
            raise _TooFine(f"more than {MOST_EVALUATIONS} evaluations")
        return self.velocity(points[None], time[None], self.item)[0]


class _TooFine(Exception):
    """A solver does not get on."""


def _adaptive(
    velocity: Velocity,
    item: int,
    points: Tensor,  # (T, 3)
    start: Tensor,  # ()
    times: Tensor,  # (K,)
    how: Integration,
    parameters: tuple[Tensor, ...],
) -> Tensor:  # (K, T, 3)
    """Solve for one item; by fixed steps where the solver cannot reach its tolerance, and say so.

    Times are passed one after the other, so they may turn around.
    """
    try:
        now, places = start, []
        for goal in times:
            if float(goal) != float(now):
                points = _solve(_OfOneItem(velocity, item), points, now, goal, how, parameters)
            places.append(points)
            now = goal
        return torch.stack(places)
    except (_TooFine, AssertionError) as error:  # torchdiffeq asserts that steps do not vanish
        logger.warning(
            "item %d: dopri5 cannot reach rtol %g, atol %g (%s); it is integrated with %d fixed "
            "steps of rk4 instead; raise model.solver.rtol, or model.solver.steps",
            item, how.rtol, how.atol, error, how.steps,
        )  # fmt: skip
        first = torch.as_tensor(start)
        begin = points if not places else places[0]
        if places:
            first, times = times[len(places) - 1], times[len(places) :]
            begin = places[-1]

        def alone(p: Tensor, t: Tensor, _: int | None) -> Tensor:
            return velocity(p, t, item)

        rest = _fixed_steps(alone, begin[None], first[None], times[None], how.steps)[0]
        return torch.cat([torch.stack(places), rest]) if places else rest


def _solve(
    function: _OfOneItem,
    points: Tensor,
    now: Tensor,
    goal: Tensor,
    how: Integration,
    parameters: tuple[Tensor, ...],
) -> Tensor:
    try:
        import torchdiffeq
    except ImportError:
        raise MissingDependency(
            "model.solver: dopri5 needs the package torchdiffeq; install it with "
            "pip install 'onet[flow]', or set model.solver.type=rk4"
        ) from None
    between = torch.stack([now, goal]).to(points.dtype)
    options: dict[str, Any] = {"rtol": how.rtol, "atol": how.atol, "method": "dopri5"}
    if how.adjoint and torch.is_grad_enabled():
        wanted = tuple(p for p in parameters if p.requires_grad)
        way = torchdiffeq.odeint_adjoint(
            function, points, between, adjoint_params=wanted, adjoint_options={"norm": "seminorm"},
            **options,
        )  # fmt: skip
    else:
        way = torchdiffeq.odeint(function, points, between, **options)
    end: Tensor = way[-1]
    return end
