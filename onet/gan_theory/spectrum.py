"""The Jacobian of the game that two networks play, without ever writing it down.

Close to an equilibrium its eigenvalues decide over convergence: real parts below 0 attract, a large
imaginary part for a small real one makes the players circle and allows small steps only ([M] 2.3).
Products with the Jacobian cost about three gradients, so Arnoldi's method finds its outermost
eigenvalues for any network; `onet.gan_theory.blocks` looks at its blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onet.adversarial.networks import Batch
from onet.adversarial.trainer import AdversarialTrainer
from onet.errors import ConfigError, TrainingError
from onet.gan_theory.eigenpairs import Eigenpairs, Which, outermost, search, whole_spectrum
from onet.gan_theory.rates import largest_step

NULL = 1e-6  # eigenvalues below this part of the largest are directions in which nothing happens
COLUMNS = 32  # of the Jacobian at a time
LARGEST_BLOCK = 20_000_000  # numbers of a matrix that is written down


class GameField:
    """v = (-grad_g L_g, -grad_d L_d) at the present parameters, and products with its Jacobian.

    The graph of both losses stays in memory as long as this object.

    Args:
        loss_g, loss_d: scalars, functions of both players' parameters; twice differentiable.
        parameters_g, parameters_d: of the players. Take them in double precision where small
            eigenvalues matter.

    Raises:
        TrainingError: the field is not finite.
    """

    def __init__(
        self,
        loss_g: Tensor,
        loss_d: Tensor,
        parameters_g: Sequence[nn.Parameter],
        parameters_d: Sequence[nn.Parameter],
    ) -> None:
        self.parameters = [*parameters_g, *parameters_d]
        self._players = len(parameters_g)
        self.generator = sum(p.numel() for p in parameters_g)
        self.size = sum(p.numel() for p in self.parameters)
        of_g = flat_gradient(loss_g, parameters_g, create_graph=True)
        of_d = flat_gradient(loss_d, parameters_d, create_graph=True)
        self._take(-torch.cat([of_g, of_d]))

    def _take(self, field: Tensor) -> None:
        """Make a field, a function of the parameters, that of the game."""
        self._field = field
        if not bool(torch.isfinite(self._field).all()):
            raise TrainingError("the field of the game is NaN or infinite at these parameters")
        # J^T u is linear in u, so its derivative by u in the direction x is J x.
        self._dual = torch.zeros_like(self._field, requires_grad=True)
        self._pulled = flat_gradient(
            (self._field * self._dual).sum(), self.parameters, create_graph=True
        )

    @classmethod
    def of_trainer(
        cls, trainer: AdversarialTrainer, batch: Batch, latent: Tensor, iteration: int = 0
    ) -> GameField:
        """Of the losses and penalty that a trainer uses, on one batch; without what is added to
        gradients (consensus optimisation, Nagarajan and Kolter's penalty).
        """
        loss_g, loss_d, _ = trainer.losses(batch, latent, iteration)
        return cls(loss_g, loss_d, trainer.parameters_g, trainer.parameters_d)

    def regularised(self, gamma: float) -> GameField:
        """Return the field of consensus optimisation, v - gamma grad |v|^2 / 2 ([M] 2.4).

        Products with its Jacobian hold third derivatives of the losses, so they take longer.
        """
        cost = self._field.square().sum() / 2
        slope = flat_gradient(cost, self.parameters, create_graph=True)
        field = copy(self)
        field._take(self._field - gamma * slope)
        return field

    def value(self) -> NDArray[np.float64]:
        """v (n,)."""
        values: NDArray[np.float64] = self._field.detach().double().cpu().numpy()
        return values

    def product(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """J x (n,) for x (n,)."""
        direction = torch.as_tensor(np.ravel(x), dtype=self._field.dtype).to(self._field.device)
        result = torch.zeros_like(direction)
        if self._pulled.requires_grad:
            (found,) = torch.autograd.grad(
                self._pulled, self._dual, direction, retain_graph=True, allow_unused=True
            )
            result = result if found is None else found
        values: NDArray[np.float64] = result.double().cpu().numpy()
        return values

    def damping_product(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """Q y (m,) for y (m,): the Hessian of the discriminator's loss, minus its block of J."""
        return self._pull(y, self.parameters[self._players :])

    def coupling_gram_product(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """P^T P x (n,) for x (n,): P is what the discriminator's block of J has from theta."""
        onto = self.product(np.append(x, np.zeros(self.size - self.generator)))
        return -self._pull(onto[self.generator :], self.parameters[: self._players])

    def _pull(self, y: NDArray[Any], onto: Sequence[nn.Parameter]) -> NDArray[np.float64]:
        """Minus the derivative of y . v_d by some parameters."""
        direction = torch.as_tensor(np.ravel(y), dtype=self._field.dtype).to(self._field.device)
        slope = -(self._field[self.generator :] * direction).sum()
        values = flat_gradient(slope, onto, retain_graph=True)
        result: NDArray[np.float64] = values.double().cpu().numpy()
        return result

    def jacobian(self) -> NDArray[np.float64]:
        """J (n, n), for small games.

        Raises:
            ConfigError: it would be too large.
        """
        require_small(self.size, self.size)
        if not self._pulled.requires_grad:
            return np.zeros((self.size, self.size))
        eye = torch.eye(self.size, dtype=self._field.dtype, device=self._field.device)
        columns = []
        for units in eye.split(COLUMNS):
            (found,) = torch.autograd.grad(
                self._pulled,
                self._dual,
                units,
                retain_graph=True,
                allow_unused=True,
                is_grads_batched=True,
            )
            columns.append(torch.zeros_like(units) if found is None else found)
        matrix: NDArray[np.float64] = torch.cat(columns).T.double().cpu().numpy()
        return matrix

    def spectrum(
        self,
        count: int = 20,
        which: Which = "LM",
        seed: int = 0,
        tolerance: float = 0.0,
    ) -> NDArray[np.complex128]:
        """Return the `count` outermost eigenvalues, sorted by real part.

        Args:
            count: how many.
            which: of the largest modulus (LM), real part (LR) or imaginary part (LI).
            seed: of the vector that the search starts from.
            tolerance: relative one at which the search may stop; 0 for rounding.

        Raises:
            ConfigError: more eigenvalues than there are.
            TrainingError: the search did not converge.
        """
        if not 1 <= count <= self.size:
            raise ConfigError(
                f"count: {count} eigenvalues asked for, and the game has {self.size} (one for each "
                "parameter)"
            )
        found = self.eigenpairs(count, which, seed, tolerance)
        if not found.converged:
            raise TrainingError(
                f"Arnoldi's method found {len(found.values)} of {count} eigenvalues; ask for "
                "fewer, or put the networks into double precision"
            )
        return np.sort_complex(found.values)

    def eigenpairs(
        self,
        count: int = 20,
        which: Which = "LM",
        seed: int = 0,
        tolerance: float = 0.0,
    ) -> Eigenpairs:
        """As `spectrum`, with residuals; of a search that did not converge, what it found.

        Raises:
            ConfigError: more eigenvalues than there are.
        """
        if not 1 <= count <= self.size:
            raise ConfigError(
                f"count: {count} eigenvalues asked for, and the game has {self.size} (one for each "
                "parameter)"
            )
        if count >= self.size - 1:  # more than Arnoldi's method can find
            every = whole_spectrum(self.jacobian(), self.eps)
            return every.at(outermost(every.values, count, which))
        scale = 0.0
        if which != "LM":
            first = search(self.product, self.size, 1, "LM", tolerance=0.1, seed=seed)
            scale = float(np.abs(first.values).max(initial=0.0))
        return search(
            self.product, self.size, count, which, shift=scale, tolerance=tolerance, seed=seed
        )

    @property
    def eps(self) -> float:
        """Of the parameters' numbers."""
        return float(torch.finfo(self._field.dtype).eps)


@dataclass(frozen=True)
class StabilityReport:
    """What eigenvalues say about training with plain gradient descent, if there are no others.

    Of a part of the spectrum that is no all-clear; `onet.gan_theory.verdict` gives one.

    Attributes:
        eigenvalues: those that were given.
        largest_real: above 0 the equilibrium repels, at 0 it is circled.
        rotation: largest |Im / Re| of eigenvalues that are not null.
        largest_step: simultaneous steps below it converge, as far as these eigenvalues tell; 0 if
            none do.
    """

    eigenvalues: NDArray[np.complex128]
    largest_real: float
    rotation: float
    largest_step: float

    def radius(self, step: float) -> float:
        """Spectral radius of a simultaneous step: the error's factor where it is below 1."""
        return float(np.abs(1 + step * self.eigenvalues).max())

    def advice(self, step: float) -> str:
        """What to do about a step size, in a sentence."""
        if self.largest_step == 0:
            return (
                f"an eigenvalue has real part {self.largest_real:.3g}: no step size converges; add "
                "a zero-centred penalty, or raise its gamma"
            )
        if step >= self.largest_step:
            return (
                f"a step of {step:.3g} is too long: take less than {self.largest_step:.3g}, or "
                f"raise gamma (the fastest rotation has |Im/Re| = {self.rotation:.3g})"
            )
        known = len(self.eigenvalues)
        return (
            f"a step of {step:.3g} converges by a factor of {self.radius(step):.6g} as far as "
            f"{'this eigenvalue tells' if known == 1 else f'these {known} eigenvalues tell'}; the "
            f"limit is {self.largest_step:.3g}"
        )


def stability_report(eigenvalues: NDArray[Any]) -> StabilityReport:
    """Of eigenvalues of the Jacobian at, or near, an equilibrium.

    Those below `NULL` times the largest are left out: along them nothing happens, as the players
    have parameters to spare.

    Raises:
        ConfigError: no eigenvalues.
    """
    values = np.asarray(eigenvalues, dtype=np.complex128)
    if values.size == 0:
        raise ConfigError("eigenvalues: there are none; ask for at least one")
    moving = values[np.abs(values) > NULL * np.abs(values).max()]
    if moving.size == 0:
        return StabilityReport(values, 0.0, 0.0, 0.0)
    real, imaginary = moving.real, np.abs(moving.imag)
    still = np.abs(real) < NULL * np.abs(moving)
    rotation = np.divide(imaginary, np.abs(real), where=~still, out=np.full(len(real), np.inf))
    limit = 0.0 if still.any() else largest_step(moving)
    return StabilityReport(values, float(real.max()), float(rotation.max()), limit)


def flat_gradient(loss: Tensor, parameters: Sequence[nn.Parameter], **options: Any) -> Tensor:
    """Gradient (n,) by all parameters one after the other; 0 where there is none."""
    found: Sequence[Tensor | None] = [None] * len(parameters)
    if loss.requires_grad:
        found = torch.autograd.grad(loss, parameters, allow_unused=True, **options)
    parts = [
        torch.zeros_like(p).flatten() if g is None else g.flatten()
        for p, g in zip(parameters, found, strict=True)
    ]
    return torch.cat(parts)


def require_small(rows: int, columns: int) -> None:
    if rows * columns > LARGEST_BLOCK:
        raise ConfigError(
            f"a matrix of {rows} x {columns} numbers is too large to write down; use "
            "GameField.spectrum, which needs none, or smaller networks"
        )
