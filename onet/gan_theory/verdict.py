"""Whether gradient descent converges on a game, decided by all of its spectrum or by none.

The outermost eigenvalues by modulus say nothing of a small one to the right of 0, and the rightmost
ones nothing of a fast rotation. So a verdict looks for both, and for those farthest from -1/h,
which a step of h makes the largest; where a search did not converge there is no all-clear. What it
looks for does not depend on what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onet.errors import ConfigError
from onet.gan_theory.eigenpairs import Eigenpairs, Product, Vector, search, whole_spectrum
from onet.gan_theory.rates import largest_step
from onet.gan_theory.spectrum import GameField

WRITTEN = 400  # parameters up to which the Jacobian is written down
WRITTEN_IF_NEEDED = 2000  # and where a search did not converge
COUNT = 4  # eigenvalues of a search
TOLERANCE = 1e-7  # of residuals, as part of the largest modulus
RESOLUTION = 1e-6  # of the largest modulus: what is nearer to 0 cannot be told from it
ROUNDS = 6  # of lowering the largest step


@dataclass(frozen=True)
class Verdict:
    """What the whole spectrum says about simultaneous gradient descent.

    Attributes:
        found: the eigenvalues that decide, all of them where `whole`.
        whole: whether no others exist.
        step: of the generator, that was asked about.
        resolution: parts of eigenvalues below it cannot be told from 0.
        growing: places in `found` of eigenvalues with a real part above 0 by more than its error.
        circling: of those with an imaginary part alone, as far as can be told.
        limit: steps below it converge; 0 if none do.
        doubts: why there is no all-clear though nothing found forbids one.
    """

    found: Eigenpairs
    whole: bool
    step: float
    resolution: float
    growing: NDArray[np.intp]
    circling: NDArray[np.intp]
    limit: float
    doubts: tuple[str, ...]

    @property
    def clear(self) -> bool:
        """Whether a step of this size converges, with nothing left that could prevent it."""
        return not self.doubts and 0 < self.step < self.limit

    @property
    def factor(self) -> float:
        """Largest modulus after a step, of the eigenvalues that can be told from 0."""
        moving = self.found.values[_moving(self.found)]
        return float(np.abs(1 + self.step * moving).max(initial=0.0))

    @property
    def text(self) -> str:
        """The verdict, in a sentence."""
        if len(self.growing):
            return f"{self._named(self.growing)}: no step size converges; {CURE}"
        if len(self.circling):
            return f"{self._named(self.circling)}, undamped: no step size converges; {CURE}"
        if 0 < self.limit <= self.step:
            return (
                f"a step of {self.step:.3g} is too long: take less than {self.limit:.3g}"
                f"{' at most' if self.doubts else ''}, or raise gamma"
            )
        if self.doubts:
            return f"no all-clear: {'; '.join(self.doubts)}"
        if not self.limit:
            return "nothing moves: all eigenvalues are 0 as far as can be told"
        return (
            f"a step of {self.step:.3g} converges, by a factor of {self.factor:.6g}; the limit is "
            f"{self.limit:.3g}. Eigenvalues below {self.resolution:.1g} cannot be told from 0"
        )

    def _named(self, places: NDArray[np.intp]) -> str:
        worst = places[np.argmax(self.found.values.real[places])]
        value = self.found.values[worst]
        turn = f" ± {abs(value.imag):.3g}i" if abs(value.imag) > self.found.errors[worst] else ""
        return (
            f"there is an eigenvalue {value.real:.3g}{turn} (residual "
            f"{self.found.residuals[worst]:.1g})"
        )


CURE = "add a zero-centred penalty, or raise its gamma"


def game_verdict(
    field: GameField,
    step: float,
    ratio: float = 1.0,
    *,
    seed: int = 0,
    written: int = WRITTEN,
) -> Verdict:
    """Of simultaneous descent near an equilibrium with steps h of G and ratio h of D.

    Args:
        field: of the game.
        step: h.
        ratio: of the discriminator's step to the generator's. Eigenvalues are those of the Jacobian
            with the discriminator's rows times this.
        seed: of the vectors that searches start from.
        written: parameters up to which the Jacobian is written down and nothing is searched for;
            also done, up to `WRITTEN_IF_NEEDED`, where a search does not converge.

    Raises:
        ConfigError: steps that are not positive.
    """
    if not (step > 0 and ratio > 0):
        raise ConfigError(f"step = {step:g}, ratio = {ratio:g}: they must be positive")
    sizes = np.ones(field.size)
    sizes[field.generator :] = ratio

    def product(x: Vector) -> Vector:
        return sizes * field.product(x)

    slack = max(1.0, 1e9 * field.eps)
    if field.size > max(written, 2 * COUNT):
        verdict = _searched(product, field.size, step, slack, seed)
        if not verdict.doubts or field.size > WRITTEN_IF_NEEDED:
            return verdict
    every = whole_spectrum(sizes[:, None] * field.jacobian(), field.eps)
    # Degenerate eigenvalues may have any angle between left and right vectors: bounded.
    most = RESOLUTION * slack * float(np.abs(every.values).max(initial=0.0))
    return _judged(replace(every, errors=np.minimum(every.errors, most)), step, True)


def _searched(product: Product, size: int, step: float, slack: float, seed: int) -> Verdict:
    """By Arnoldi's method: outermost by modulus, rightmost, farthest from -1/h, and then from
    -1/limit until the limit stays.
    """
    doubts: list[str] = []
    tolerance, resolution = TOLERANCE * slack, RESOLUTION * slack
    first = search(product, size, COUNT, "LM", tolerance=tolerance, seed=seed)
    scale = float(np.abs(first.values).max(initial=0.0)) or _norm(product, size, seed)
    if scale == 0:
        return _judged(first, step, True)
    parts = [first]

    def look(shift: float, what: str, of_right: bool) -> None:
        found = search(
            product,
            size,
            COUNT,
            "LR" if of_right else "LM",
            shift=shift,
            tolerance=tolerance * scale / max(shift, scale),
            seed=seed,
        )
        parts.append(found)
        if not found.converged:
            doubts.append(f"of the {COUNT} eigenvalues {what} {len(found.values)} converged")

    if not first.converged:
        doubts.append(
            f"of the {COUNT} eigenvalues of the largest modulus {len(first.values)} converged"
        )
    look(scale, "with the largest real part", True)
    so_far = _judged(_merged(parts, resolution * scale), step, False, resolution * scale)
    if len(so_far.growing):
        return so_far
    look(1 / step, f"that a step of {step:.3g} makes the largest", False)
    for _ in range(ROUNDS):
        limit = _judged(_merged(parts, resolution * scale), step, False).limit
        if limit == 0 or doubts:
            break
        look(1 / limit, f"that a step of {limit:.3g} makes the largest", False)
        lower = _judged(_merged(parts, resolution * scale), step, False).limit
        if lower >= limit * (1 - 1e-6):
            break
    return _judged(
        _merged(parts, resolution * scale), step, False, resolution * scale, tuple(doubts)
    )


def _merged(parts: list[Eigenpairs], floor: float) -> Eigenpairs:
    """Those of several searches, each once; errors are `floor` or more."""
    values = np.concatenate([p.values for p in parts])
    residuals = np.concatenate([p.residuals for p in parts])
    errors = np.concatenate([p.errors for p in parts])
    kept: list[int] = []
    for k in np.argsort(residuals):
        if not any(abs(values[k] - values[other]) <= errors[k] + errors[other] for other in kept):
            kept.append(int(k))
    every = Eigenpairs(
        values, residuals, np.maximum(errors, floor), all(p.converged for p in parts)
    )
    return every.at(np.array(kept, dtype=np.intp))


def _moving(found: Eigenpairs) -> NDArray[np.bool_]:
    moving: NDArray[np.bool_] = np.abs(found.values) > found.errors
    return moving


def _judged(
    found: Eigenpairs,
    step: float,
    whole: bool,
    resolution: float | None = None,
    doubts: tuple[str, ...] = (),
) -> Verdict:
    real, moving = found.values.real, _moving(found)
    growing = np.flatnonzero(moving & (real > found.errors))
    circling = np.flatnonzero(moving & (np.abs(real) <= found.errors))
    limit = 0.0
    if moving.any() and not len(growing) and not len(circling):
        limit = largest_step(found.values[moving])
    if resolution is None:
        resolution = float(found.errors.max(initial=0.0))
    return Verdict(found, whole, step, resolution, growing, circling, limit, doubts)


def _norm(product: Product, size: int, seed: int) -> float:
    """Size of J x for a unit vector x at random."""
    x = np.random.default_rng(seed).standard_normal(size)
    return float(np.linalg.norm(product(x / np.linalg.norm(x))))
