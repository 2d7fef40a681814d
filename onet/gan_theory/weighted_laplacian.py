"""The operator -(1/rho) d/dx (rho dw/dx) of a density on an interval, by finite volumes.

Its smallest eigenvalue above 0 is the Poincare constant of the density ([K] (12)-(15)); its modes
are those of a GAN in function space. Ends are closed: no flux through them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

from onet.errors import ConfigError

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]
Density = Callable[[Vector], Vector]


@dataclass(frozen=True, eq=False)
class WeightedLaplacian:
    """Of a density at the middles and inner faces of equal cells."""

    middles: Vector  # (N,)
    cells: Vector  # (N,) density at the middles
    faces: Vector  # (N-1,) density between two cells
    width: float

    @classmethod
    def of(cls, density: Density, low: float, high: float, cells: int = 4000) -> WeightedLaplacian:
        """Evaluate a density, which need not add up to 1, on [low, high].

        Raises:
            ConfigError: a density that is not positive, or fewer than two cells.
        """
        if cells < 2 or not low < high:
            raise ConfigError(f"an interval from {low:g} to {high:g} of {cells} cells has no modes")
        edges = np.linspace(low, high, cells + 1)
        middles = (edges[1:] + edges[:-1]) / 2
        values = density(middles), density(edges[1:-1])
        if not all((v > 0).all() for v in values):
            raise ConfigError("the density must be positive inside; take a shorter interval")
        return cls(middles, *values, width=(high - low) / cells)

    def spectrum(self, count: int) -> Vector:
        """Return the `count` smallest eigenvalues above that of the constant.

        Raises:
            ConfigError: more than there are.
        """
        return self.modes(count)[0]

    def modes(self, count: int) -> tuple[Vector, Matrix]:
        """Eigenvalues (k,), and functions at the middles (N, k) with mean square 1."""
        available = len(self.cells) - 1
        if not 1 <= count <= available:
            raise ConfigError(f"{count} eigenvalues asked for; there are {available}")
        flux = self.faces / self.width**2
        diagonal = np.append(flux, 0.0) + np.append(0.0, flux)
        scale = np.sqrt(self.cells)
        values, vectors = eigh_tridiagonal(
            diagonal / self.cells,
            -flux / (scale[1:] * scale[:-1]),
            select="i",
            select_range=(1, count),
        )
        return values, vectors / scale[:, None] * np.sqrt(self.cells.sum())

    def gradient(self) -> Matrix:
        """Difference quotients (N-1, N) from cells to faces."""
        n = len(self.cells)
        return (np.eye(n, k=1) - np.eye(n))[:-1] / self.width

    def divergence(self) -> Matrix:
        """(1/rho) div(rho v) from faces to cells (N, N-1): minus the adjoint of the gradient."""
        return -(self.gradient() * self.faces[:, None]).T / self.cells[:, None]
