"""Values of separable losses when the discriminator is optimal ([S]).

n distinct real points x_i and n generated points y_j; D may be any function. A separable loss sees
real and fake apart,

    g(Y) = sup_f 1/(2n) sum_i [h1(f(x_i)) + h2(-f(y_i))],

and depends only on how many generated points lie on each real one; Y minimises it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log
from typing import Any

from onet.errors import ConfigError
from onet.registry import nearest


def _js(m: float) -> float:
    return m * log(m) - (m + 1) * log(m + 1) if m > 0 else 0.0


def _least_squares(m: float) -> float:
    return -m / (m + 1)


def _hinge(m: float) -> float:
    return -2.0 * min(m, 1)


# xi(m) = sup_t h1(t) + m h2(-t): what D can get on a real point with m generated points on it.
# js: h1 = h2 = -log(1 + exp(-t)); least_squares: -(1-t)^2 and -t^2; hinge: -max(0, 1-t). The hinge
# is flat from m = 1 on: there a collapse is a minimum, but not a strict one.
SEPARABLE = {"js": _js, "least_squares": _least_squares, "hinge": _hinge}


def separable_value(multiplicities: Sequence[int], n: int, loss: str = "js") -> float:
    """Return g(Y), given how many generated points lie on each real point; others lie elsewhere.

    Args:
        multiplicities: for each of the n real points; left out ones are 0.
        n: real points, and generated points.
        loss: a key of `SEPARABLE`.

    Raises:
        ConfigError: unknown loss, or numbers that do not fit n.
    """
    if min(multiplicities, default=0) < 0 or sum(multiplicities) > n or len(multiplicities) > n:
        raise ConfigError(f"multiplicities {multiplicities} do not fit n = {n}")
    xi = SEPARABLE[known_loss(loss, SEPARABLE)]
    return sum(xi(m) for m in multiplicities) / (2 * n)


def known_loss(loss: str, valid: dict[str, Any]) -> str:
    """Return `loss`, or raise a ConfigError that says what is valid."""
    if loss not in valid:
        raise ConfigError(f"unknown loss {loss!r}: {nearest(loss, list(valid))}")
    return loss


def partitions(n: int, largest: int | None = None) -> Iterator[tuple[int, ...]]:
    """Ways to write n as a sum of positive numbers, largest first."""
    if n == 0:
        yield ()
    for first in range(min(n, largest or n), 0, -1):
        for rest in partitions(n - first, first):
            yield (first, *rest)
