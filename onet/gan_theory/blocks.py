"""Blocks of a game's Jacobian: what damps the discriminator, and what couples the players.

At an equilibrium the Jacobian is [[0, K_DG^T], [-K_DG, -(K_DD + L_DD)]] ([M] Lemmas 5.2 and 6.3).
For small networks the blocks are written down from the gradients of single samples; for any other
their largest eigenvalues and singular values come from products with the Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onet.adversarial.factors import require_non_negative
from onet.adversarial.networks import AdversarialNetworks, Batch
from onet.errors import ConfigError, TrainingError
from onet.gan_theory.games.game import block_jacobian
from onet.gan_theory.spectrum import GameField, flat_gradient, require_small

Vector = NDArray[np.float64]
Product = Callable[[Vector], Vector]

TOLERANCE = 1e-4  # relative, of residuals: eigenvalues of symmetric matrices have its square


@dataclass(frozen=True)
class Blocks:
    """Blocks of the Jacobian at an equilibrium, for m parameters of D and n of G.

    Attributes:
        k_dd: (m, m), rho2 E[grad D grad D^T] on real samples: the damping of the loss.
        k_dg: (m, n), rho1 times the derivative of E_fake[grad D] by the generator.
        l_dd: (m, m), gamma E[grad_x grad D (grad_x grad D)^T]: the damping of R1.
    """

    k_dd: NDArray[np.float64]
    k_dg: NDArray[np.float64]
    l_dd: NDArray[np.float64]

    def jacobian(self) -> NDArray[np.float64]:
        """(n + m, n + m), the generator first. Exact at equilibria where D = 0 and real = fake."""
        return block_jacobian(self.k_dg, self.k_dd + self.l_dd)


def game_blocks(
    networks: AdversarialNetworks,
    batch: Batch,
    latent: Tensor,
    *,
    rho1: float = 0.5,
    rho2: float = 0.5,
    gamma: float = 0.0,
) -> Blocks:
    """Return the blocks, from gradients of single samples.

    Args:
        networks: small networks; the work is that of m + (numbers of the real samples) gradients.
        batch, latent: what expectations are taken over.
        rho1, rho2: of the loss's `ActivationPair`; by default of the cross-entropy.
        gamma: of the zero-centred penalty on real samples, `norm="sum"`.

    Raises:
        ConfigError: blocks too large to write down, or a negative gamma.
    """
    require_non_negative("gamma", gamma)
    of_g = [p for p in networks.generator_parameters() if p.requires_grad]
    of_d = [p for p in networks.discriminator_module().parameters() if p.requires_grad]
    m, n = (sum(p.numel() for p in part) for part in (of_d, of_g))
    require_small(m, max(m, n))

    real = networks.real(batch).detach().requires_grad_(True)
    logits = networks.discriminate(batch, real)
    rows = [flat_gradient(logit, of_d, retain_graph=True).detach() for logit in logits]
    k_dd = rho2 * _gram(rows) / len(rows)

    l_dd = np.zeros((m, m))
    if gamma:
        (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        mixed = [
            flat_gradient(entry, of_d, retain_graph=True).detach() for entry in slope.flatten()
        ]
        l_dd = gamma * _gram(mixed) / len(logits)

    fake_logits = networks.discriminate(batch, networks.fake(batch, latent))
    mean = flat_gradient(fake_logits.mean(), of_d, create_graph=True)
    coupling = [flat_gradient(entry, of_g, retain_graph=True).detach() for entry in mean]
    return Blocks(k_dd, rho1 * torch.stack(coupling).double().cpu().numpy(), l_dd)


def _gram(rows: list[Tensor]) -> NDArray[np.float64]:
    """Sum of the outer products (m, m) of rows (m,)."""
    stacked = torch.stack(rows).double()
    values: NDArray[np.float64] = (stacked.T @ stacked).cpu().numpy()
    return values


@dataclass(frozen=True)
class BlockValues:
    """The `count` outermost values of each block at the present parameters, largest modulus first.

    Away from an equilibrium the blocks are still those of the Jacobian: minus the derivative of the
    discriminator's direction by its own parameters, and by the generator's. Its loss need not be
    convex there, so damping may be negative.

    Attributes:
        k_dd: eigenvalues of the loss's part of the damping.
        l_dd: of the penalty's part; zeros without one.
        damping: of both together.
        k_dg: singular values of the coupling.
    """

    k_dd: NDArray[np.float64]
    l_dd: NDArray[np.float64]
    damping: NDArray[np.float64]
    k_dg: NDArray[np.float64]


def block_values(field: GameField, free: GameField | None = None, count: int = 5) -> BlockValues:
    """Of a game of any size, by Lanczos' method on products with its Jacobian.

    Args:
        field: of the game.
        free: of the same game without its penalty, if it has one: the same batch, codes and noise.
        count: how many of each.

    Raises:
        ConfigError: more than the smaller player has parameters, or games of other sizes.
        TrainingError: the search did not converge.
    """
    n, m = field.generator, field.size - field.generator
    if not 1 <= count <= min(m, n):
        raise ConfigError(
            f"count: {count} values of each block asked for, and the smaller player has "
            f"{min(m, n)} parameters"
        )
    if free is not None and (free.generator, free.size) != (n, field.size):
        raise ConfigError("free: its players have other parameters than those of the field")

    whole, loss = field.damping_product, (free or field).damping_product
    of_both = of_loss = _outermost(whole, m, count)
    of_penalty = np.zeros(count)
    if free is not None:
        of_loss = _outermost(loss, m, count)
        of_penalty = _outermost(lambda y: whole(y) - loss(y), m, count)
    squares = _outermost(field.coupling_gram_product, n, count)
    return BlockValues(of_loss, of_penalty, of_both, np.sqrt(np.maximum(squares, 0)))


def _outermost(product: Product, size: int, count: int) -> Vector:
    """Eigenvalues (count,) of a symmetric matrix, those of the largest modulus first."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    if count == size:  # more than Lanczos' method can find
        require_small(size, size)
        values = np.linalg.eigvalsh(np.stack([product(unit) for unit in np.eye(size)]))
    else:
        operator = LinearOperator(
            (size,) * 2, matvec=lambda x: product(np.ravel(x)), dtype=np.float64
        )
        start = np.random.default_rng(0).standard_normal(size)
        try:
            values = eigsh(operator, k=count, v0=start, tol=TOLERANCE, return_eigenvectors=False)
        except ArpackNoConvergence as error:
            raise TrainingError(
                f"Lanczos' method found {len(error.eigenvalues)} of {count} values of a block; ask "
                "for fewer, or put the networks into double precision"
            ) from None
    ordered: Vector = values[np.argsort(-np.abs(values))]
    return ordered
