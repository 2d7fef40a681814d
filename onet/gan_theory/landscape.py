"""Exact values of GAN losses as functions of the generated points, D being optimal ([S]).

n distinct real points x_i and n generated points y_j; D may be any function. A *separable* loss
sees real and fake apart,

    g(Y) = sup_f 1/(2n) sum_i [h1(f(x_i)) + h2(-f(y_i))],

and depends only on how many generated points lie on each real one. A *relativistic pairing* loss
sees pairs,

    g(Y) = sup_f 1/n sum_i h(f(x_i) - f(y_i)),

and depends only on the cycles of the graph x_i -> y_i. Y minimises both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial, log, prod

from onet.adversarial.separable import SEPARABLE, known_loss, partitions, separable_value
from onet.errors import ConfigError

# h(0). rs: -log(1 + exp(-t)); rp_hinge: -max(0, 1-t); rp_least_squares: -(1-t)^2.
RELATIVISTIC = {"rs": -log(2), "rp_hinge": -1.0, "rp_least_squares": -1.0}


def relativistic_value(targets: Sequence[int | None], loss: str = "rs") -> float:
    """g(Y), given on which real point each generated point lies, or None if on none.

    Raises:
        ConfigError: unknown loss, or a target that is no index.
    """
    n = len(targets)
    if any(t is not None and not 0 <= t < n for t in targets):
        raise ConfigError(f"targets {targets}: indices below {n}, or None")
    at_zero = RELATIVISTIC[known_loss(loss, RELATIVISTIC)]
    return at_zero * sum(_on_cycle(targets, i) for i in range(n)) / n + 0.0


def _on_cycle(targets: Sequence[int | None], start: int) -> bool:
    at: int | None = start
    for _ in range(len(targets)):
        at = targets[at] if at is not None else None
        if at == start:
            return True
    return False


@dataclass(frozen=True)
class Plateau:
    """All ways to put the n generated points onto real points that share a value.

    Attributes:
        count: of such Y, out of n^n.
        value: g(Y).
        modes: real points that have a generated one on them, (fewest, most).
        minimum: `global`, `strict local`, `flat local` (a minimum, though not a strict one), or
            `none`: from here a path leads to the global minimum without ever rising.
    """

    count: int
    value: float
    modes: tuple[int, int]
    minimum: str


def separable_census(n: int, loss: str = "js") -> list[Plateau]:
    """Return all n^n configurations by multiplicities, lowest value first ([S] Theorem 1).

    All but n! of them are local minima: n^n - n! bad basins.
    """
    kind = "flat local" if loss == "hinge" else "strict local"
    found = []
    for parts in partitions(n):
        modes = len(parts)
        places = factorial(n) // factorial(n - modes)
        places //= prod(factorial(c) for c in Counter(parts).values())
        count = places * factorial(n) // prod(factorial(m) for m in parts)
        value = separable_value(parts, n, loss)
        found.append(Plateau(count, value, (modes, modes), "global" if modes == n else kind))
    return sorted(found, key=lambda plateau: plateau.value)


def relativistic_census(n: int, loss: str = "rs") -> list[Plateau]:
    """All n^n configurations by the number of points on cycles, lowest value first ([S] Theorem 2).

    Of the maps of n points into themselves, n!/(n-k)! k n^(n-k-1) have k points on cycles.
    """
    at_zero = RELATIVISTIC[known_loss(loss, RELATIVISTIC)]
    found = []
    for k in range(n, 0, -1):
        count = factorial(n) if k == n else factorial(n) // factorial(n - k) * k * n ** (n - k - 1)
        modes = (k, n if k == n else n - 1)
        minimum = "global" if k == n else "none"
        found.append(Plateau(count, at_zero * k / n, modes, minimum))
    return found


def bad_basins(n: int) -> int:
    """Strict local minima of a separable loss that are not global: n^n - n! ([S] Theorem 1)."""
    return n**n - factorial(n)


TWO_POINT_STATES = {
    "both modes": (0, 1),
    "both modes, crossed": (1, 0),
    "collapsed on one mode": (0, 0),
    "one mode, one elsewhere": (0, None),
    "one mode crossed, one elsewhere": (1, None),
    "both elsewhere": (None, None),
}


def two_point_table() -> list[dict[str, float | str]]:
    """Values of every loss in the states of two points ([S] Claims 3.1 and 3.2)."""
    rows: list[dict[str, float | str]] = []
    for name, targets in TWO_POINT_STATES.items():
        multiplicities = [targets.count(i) for i in range(2)]
        rows.append(
            {"state": name}
            | {loss: separable_value(multiplicities, 2, loss) for loss in SEPARABLE}
            | {loss: relativistic_value(targets, loss) for loss in RELATIVISTIC}
        )
    return rows


def imbalanced_value(real: Sequence[float], fake: Sequence[float]) -> float:
    """JS value for shares of data and of generated points on a few modes ([S] Claim C.1).

    1/2 sum_k [a log a + k log k - (a + k) log(a + k)]; minimal, -log 2, for equal shares.

    Raises:
        ConfigError: shares of different length, negative ones, or more than 1 in all.
    """
    if len(real) != len(fake) or min(*real, *fake) < 0 or max(sum(real), sum(fake)) > 1 + 1e-9:
        raise ConfigError(f"shares {real} and {fake}: as many of both, adding up to at most 1")

    return sum(a * SEPARABLE["js"](k / a) for a, k in zip(real, fake, strict=True) if a > 0) / 2
