"""Ways of playing a game: gradient descent, integrators, look-ahead; and where they lead.

A scheme makes a step function of a game and two step sizes, h_g of the generator and h_d of the
discriminator. The integrators take both players together. Integrating each player while the other
is held still, as some published code does, is Euler's method on a bilinear game.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from onet.errors import ConfigError
from onet.gan_theory.games.game import Game, Matrix, Vector
from onet.registry import nearest

UpdateOperator = Callable[[Vector], Vector]
Scheme = Callable[[Game, Vector], UpdateOperator]  # game and step sizes (n,) -> update operator

DIVERGED = 1e12  # a state beyond this ends a trajectory


def euler(game: Game, sizes: Vector) -> UpdateOperator:
    """Simultaneous gradient descent ([M] Algorithm 1)."""
    return lambda x: x + sizes * game.field(x)


def heun(game: Game, sizes: Vector) -> UpdateOperator:
    """Return the mean of the slopes at both ends of an Euler step; second order."""

    def step(x: Vector) -> Vector:
        first = game.field(x)
        return x + sizes * (first + game.field(x + sizes * first)) / 2

    return step


def rk4(game: Game, sizes: Vector) -> UpdateOperator:
    """Return the classical Runge-Kutta method of fourth order."""

    def step(x: Vector) -> Vector:
        a = game.field(x)
        b = game.field(x + sizes * a / 2)
        c = game.field(x + sizes * b / 2)
        d = game.field(x + sizes * c)
        return x + sizes * (a + 2 * b + 2 * c + d) / 6

    return step


def extragradient(game: Game, sizes: Vector) -> UpdateOperator:
    """Return a step from x with the slope at the end of an Euler step."""
    return lambda x: x + sizes * game.field(x + sizes * game.field(x))


def optimistic(game: Game, sizes: Vector) -> UpdateOperator:
    """Optimistic mirror descent: 2 v_k - v_(k-1) instead of v_k, and v_0 in the first step."""
    before: list[Vector] = []

    def step(x: Vector) -> Vector:
        now = game.field(x)
        last = before.pop() if before else now
        before.append(now)
        return x + sizes * (2 * now - last)

    return step


def alternating(game: Game, sizes: Vector, n_g: int = 1, n_d: int = 1) -> UpdateOperator:
    """First n_g steps of the generator, then n_d of the discriminator ([M] Algorithm 2)."""
    n = game.generator

    def step(x: Vector) -> Vector:
        x = np.array(x)
        for _ in range(n_g):
            x[:n] += sizes[:n] * game.field(x)[:n]
        for _ in range(n_d):
            x[n:] += sizes[n:] * game.field(x)[n:]
            x = game.project(x)
        return x

    return step


SCHEMES: dict[str, Scheme] = {
    "simultaneous": euler,
    "alternating": alternating,
    "heun": heun,
    "rk4": rk4,
    "extragradient": extragradient,
    "optimistic": optimistic,
}


def step_sizes(game: Game, h_g: float, h_d: float | None = None) -> Vector:
    """One step size for each parameter (n,), by the player it belongs to."""
    sizes = np.full(len(game.equilibrium), h_g if h_d is None else h_d, dtype=np.float64)
    sizes[: game.generator] = h_g
    return sizes


def find_scheme(name: str, n_g: int = 1, n_d: int = 1) -> Scheme:
    """Return a scheme by its name.

    Raises:
        ConfigError: an unknown name, or repeated steps of a scheme that takes both players at once.
    """
    if name not in SCHEMES:
        raise ConfigError(f"unknown scheme {name!r}: {nearest(name, list(SCHEMES))}")
    if min(n_g, n_d) < 1:
        raise ConfigError(f"n_g = {n_g}, n_d = {n_d}: each player takes at least one step")
    if name == "alternating":
        return partial(alternating, n_g=n_g, n_d=n_d)
    if (n_g, n_d) != (1, 1):
        raise ConfigError(f"n_g and n_d belong to the scheme 'alternating', not to {name!r}")
    return SCHEMES[name]


def trajectory(
    game: Game,
    start: Vector,  # (n,)
    steps: int,
    scheme: str = "simultaneous",
    *,
    h_g: float = 0.2,
    h_d: float | None = None,
    n_g: int = 1,
    n_d: int = 1,
    annealing: tuple[float, float] = (0.0, 0.0),
) -> Matrix:
    """States (k+1, n), the first being `start`; shorter where the state leaves all bounds.

    Args:
        game, start, steps, scheme, h_g, h_d, n_g, n_d, annealing: see `states`.

    Raises:
        ConfigError: see `states`.
    """
    return np.stack(
        [
            *states(
                game,
                start,
                steps,
                scheme,
                h_g=h_g,
                h_d=h_d,
                n_g=n_g,
                n_d=n_d,
                annealing=annealing,
            )
        ]
    )


def states(
    game: Game,
    start: Vector,  # (n,)
    steps: int,
    scheme: str = "simultaneous",
    *,
    h_g: float = 0.2,
    h_d: float | None = None,
    n_g: int = 1,
    n_d: int = 1,
    annealing: tuple[float, float] = (0.0, 0.0),
) -> Iterator[Vector]:
    """Yield `start` and the state after each step, until one leaves all bounds; none is kept.

    Args:
        game: that is played.
        start: state (n,).
        steps: number of them.
        scheme: a key of `SCHEMES`.
        h_g, h_d: step sizes; h_d defaults to h_g.
        n_g, n_d: steps of each player, for `alternating`.
        annealing: powers a of the generator and the discriminator: at step k = 0, 1, ... their
            sizes are h / (1 + k)^a.

    Raises:
        ConfigError: unknown scheme, a start of the wrong length, or a negative power.
    """
    if not min(annealing) >= 0:
        raise ConfigError(f"annealing = {annealing}: powers must be 0 or more")
    x = np.array(start, dtype=np.float64)
    if x.shape != game.equilibrium.shape:
        raise ConfigError(f"start has {x.size} numbers, the game has {game.equilibrium.size}")
    sizes = step_sizes(game, h_g, h_d)
    first, powers = sizes.copy(), step_sizes(game, *annealing)
    step = find_scheme(scheme, n_g, n_d)(game, sizes)  # which looks at the sizes in each step
    yield x
    for k in range(steps):
        sizes[:] = first / (1 + k) ** powers
        with np.errstate(over="ignore", invalid="ignore"):  # of a diverging step, which is the last
            x = game.project(step(x))
            if not (np.abs(x) < DIVERGED).all():
                return
        yield x


def distances(states: Matrix, equilibrium: Vector) -> Vector:
    """Distance (k,) of each state (k, n) from an equilibrium."""
    return np.linalg.norm(states - equilibrium, axis=1)


def update_jacobian(
    jacobian: Matrix,
    sizes: Vector,
    generator: int,
    scheme: str = "simultaneous",
    n_g: int = 1,
    n_d: int = 1,
) -> Matrix:
    """Derivative of one step at an equilibrium, from the Jacobian J of the field there.

    Convergence is linear if all its eigenvalues are inside the unit circle, and their largest
    modulus is the rate ([M] Theorem B.2, (2.16)). For `optimistic` the matrix (2n, 2n) acts on a
    state and the one before.

    Raises:
        ConfigError: unknown scheme.
    """
    find_scheme(scheme, n_g, n_d)
    eye = np.eye(len(jacobian))
    a = sizes[:, None] * jacobian
    if scheme == "alternating":
        first, second = np.copy(eye), np.copy(eye)
        first[:generator] += a[:generator]
        second[generator:] += a[generator:]
        return np.linalg.matrix_power(second, n_d) @ np.linalg.matrix_power(first, n_g)
    if scheme == "optimistic":
        return np.block([[eye + 2 * a, -a], [eye, np.zeros_like(a)]])
    powers = {
        "simultaneous": (1, 1),
        "heun": (1, 1, 1 / 2),
        "rk4": (1, 1, 1 / 2, 1 / 6, 1 / 24),
        "extragradient": (1, 1, 1),
    }[scheme]
    result = np.zeros_like(a)
    for factor in reversed(powers):
        result = result @ a + factor * eye
    return result


def spectral_radius(matrix: Matrix) -> float:
    """Largest modulus of the eigenvalues."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())
