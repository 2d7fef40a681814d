"""Outermost eigenvalues of a matrix that is known by its products, and how exactly they are known.

Every eigenvalue comes with the residual |J x - l x| of its unit eigenvector. A search that ends
before all of its eigenvalues have converged says so, and keeps those that have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Product = Callable[[Vector], Vector]
Which = Literal["LM", "LR", "LI"]

BASIS = 40  # vectors of a search, at least
RESTARTS = 150  # of a search, after which it is given up


@dataclass(frozen=True)
class Eigenpairs:
    """What a search found.

    Attributes:
        values: eigenvalues (k,), sorted by real part.
        residuals: (k,), |J x - l x| of the unit eigenvectors x.
        errors: (k,), what the eigenvalues may be off by: the residual times the eigenvalue's
            condition where that is known.
        converged: whether all that were asked for were found.
    """

    values: NDArray[np.complex128]
    residuals: Vector
    errors: Vector
    converged: bool

    def at(self, chosen: NDArray[Any]) -> Eigenpairs:
        """Those at some places, sorted."""
        order = np.asarray(chosen)[np.lexsort((self.values.imag[chosen], self.values.real[chosen]))]
        return Eigenpairs(
            self.values[order], self.residuals[order], self.errors[order], self.converged
        )


def whole_spectrum(
    matrix: NDArray[np.float64],
    eps: float = float(np.finfo(np.float64).eps),  # of the numbers that the matrix was made of
) -> Eigenpairs:
    """All eigenvalues of a matrix (n, n) that is written down.

    Their errors are those of rounding: eps |J| / |y^H x| with left and right eigenvectors, which is
    large where eigenvalues nearly coincide without eigenvectors of their own.
    """
    from scipy.linalg import eig

    values, left, right = eig(matrix, left=True, right=True)
    residuals = np.linalg.norm(matrix @ right - right * values, axis=0)
    angles = np.abs(np.sum(left.conj() * right, axis=0))
    rounding = 100 * eps * np.linalg.norm(matrix, 2)
    tiny = np.finfo(np.float64).tiny
    errors = np.maximum(10 * residuals, rounding) / np.maximum(angles, tiny)
    found = Eigenpairs(values.astype(np.complex128), residuals, errors, True)
    return found.at(np.arange(len(values)))


def outermost(values: NDArray[Any], count: int, which: Which) -> NDArray[np.intp]:
    """Places of the `count` outermost of some eigenvalues."""
    sizes = {"LM": np.abs(values), "LR": values.real, "LI": np.abs(values.imag)}[which]
    return np.argsort(-sizes, kind="stable")[:count]


def search(
    product: Product,
    size: int,
    count: int,
    which: Which,
    *,
    shift: float = 0.0,
    tolerance: float = 0.0,
    restarts: int = RESTARTS,
    seed: int = 0,
) -> Eigenpairs:
    """Arnoldi's method with restarts on J + shift, whose eigenvalues are those of J and the shift.

    ARPACK stops where residuals are a part of the eigenvalue found, which is never for one near 0.
    With a shift of the size of J they are a part of that.

    Args:
        product: x (n,) -> J x (n,).
        size: n, above count + 1.
        count: eigenvalues.
        which: of J + shift: of the largest modulus (LM), real part (LR), imaginary part (LI).
        shift: real; LR and LI are the same with any.
        tolerance: of residuals, as part of the eigenvalues of J + shift; 0 for rounding.
        restarts: at most.
        seed: of the vector that the search starts from.
    """
    from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigs

    def shifted(x: Vector) -> Vector:
        return product(x) + shift * np.ravel(x)

    operator = LinearOperator((size, size), matvec=shifted, dtype=np.float64)
    start = np.random.default_rng(seed).standard_normal(size)
    basis = min(size, max(2 * count + 2, BASIS))
    converged = True
    try:
        values, vectors = eigs(
            operator, count, which=which, v0=start, ncv=basis, maxiter=restarts, tol=tolerance
        )
    except ArpackNoConvergence as error:
        values, vectors, converged = error.eigenvalues, error.eigenvectors, False
    except ArpackError:  # such as a start that J maps to 0, or shifts that change nothing
        values, vectors, converged = np.empty(0), np.empty((size, 0)), False
    values = np.asarray(values, dtype=np.complex128) - shift
    residuals = _residuals(product, values, vectors)
    found = Eigenpairs(values, residuals, 10 * residuals, converged and len(values) == count)
    return found.at(np.arange(len(values)))


def _residuals(product: Product, values: NDArray[Any], vectors: NDArray[Any]) -> Vector:
    """|J x - l x| (k,) of vectors (n, k); the conjugate of a pair has the same."""
    found: list[float] = []
    for place, (value, x) in enumerate(zip(values, vectors.T, strict=True)):
        pairs = [
            before
            for before in range(place)
            if value.imag and values[before] == np.conj(value)
            if np.array_equal(vectors[:, before], np.conj(x))
        ]
        if pairs:
            found.append(found[pairs[0]])
            continue
        image = product(np.ascontiguousarray(x.real)).astype(np.complex128)
        if np.any(x.imag):
            image += 1j * product(np.ascontiguousarray(x.imag))
        found.append(float(np.linalg.norm(image - value * x) / np.linalg.norm(x)))
    return np.array(found, dtype=np.float64)
