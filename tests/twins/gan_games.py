"""The analytic games as losses in torch, for derivatives by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap


@dataclass
class Description:
    """Generator, discriminator features and weights of equally many real and fake points."""

    generate: Callable[[Tensor], Tensor]  # (n,) -> (N, d)
    real: Tensor  # (N, d)
    weights: Tensor  # (N,)
    features: Callable[[Tensor], Tensor]  # one point (d,) -> (m,)


def describe(name: str, equilibrium: Tensor) -> Description:
    """Of a game with its standard options."""

    def squares(x: Tensor) -> Tensor:
        return x**2

    def square_and_line(x: Tensor) -> Tensor:
        return torch.cat([x**2, x])

    def line_and_square(x: Tensor) -> Tensor:
        return torch.cat([x, x**2])

    def equal(count: int) -> Tensor:
        return torch.full((count,), 1 / count, dtype=torch.float64)

    if name == "ellipse":
        z = 2 * torch.pi * torch.arange(64, dtype=torch.float64) / 64
        circle = torch.stack([z.cos(), z.sin()], dim=1)
        return Description(lambda t: circle * t, circle * equilibrium[:2], equal(64), squares)
    if name == "four_points":
        signs = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
        return Description(lambda t: signs * t, signs * equilibrium[:2], equal(4), squares)
    if name == "nagarajan_kolter":
        nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(24))
        return Description(lambda t: nodes[:, None] * t, nodes[:, None], weights / 2, squares)
    if name == "linear_quadratic":
        nodes, weights = map(torch.from_numpy, np.polynomial.hermite_e.hermegauss(40))
        a, b = equilibrium[:2]
        return Description(
            lambda t: (t[0] * nodes + t[1])[:, None],
            (a * nodes + b)[:, None],
            weights / weights.sum(),
            line_and_square,
        )
    real = torch.zeros((1, 1), dtype=torch.float64)
    features = {"energy": square_and_line, "square_dirac": squares}[name]
    return Description(lambda t: t[:, None], real, equal(1), features)


def field(description, pair, gamma, measure, non_saturating, n: int) -> Callable[[Tensor], Tensor]:
    """Minus the gradient of the generator's loss, and that of the discriminator's gain."""
    d = description

    def logit(psi: Tensor, x: Tensor) -> Tensor:
        return d.features(x) @ psi

    def logits(psi: Tensor, points: Tensor) -> Tensor:
        return vmap(logit, in_dims=(None, 0))(psi, points)

    def generator_gain(theta: Tensor, psi: Tensor) -> Tensor:
        fake = logits(psi, d.generate(theta))
        kept = pair.phi2.value(fake, torch) if non_saturating else -pair.phi1.value(-fake, torch)
        return d.weights @ kept

    def discriminator_gain(psi: Tensor, theta: Tensor) -> Tensor:
        fake = d.generate(theta)
        gain = d.weights @ pair.phi1.value(-logits(psi, fake), torch)
        gain = gain + d.weights @ pair.phi2.value(logits(psi, d.real), torch)
        if measure == "midpoint":
            points = ((d.real[:, None] + fake[None]) / 2).reshape(-1, fake.shape[1])
            weights = torch.outer(d.weights, d.weights).ravel()
        else:
            points, weights = (d.real if measure == "real" else fake), d.weights
        slopes = vmap(grad(logit, argnums=1), in_dims=(None, 0))(psi, points)
        return gain - gamma / 2 * (weights @ (slopes**2).sum(dim=1))

    def both(state: Tensor) -> Tensor:
        theta, psi = state[:n], state[n:]
        return torch.cat([grad(generator_gain)(theta, psi), grad(discriminator_gain)(psi, theta)])

    return both


def jacobian(function: Callable[[Tensor], Tensor], state: Tensor) -> Tensor:
    return jacrev(function)(state)
