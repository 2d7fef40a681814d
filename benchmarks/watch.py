"""Alarms of the watch for collapse: on healthy runs, on collapsed ones, on simulated losses.

Healthy runs are trainings on the six distributions of `suite2d`, which nothing collapses on, with
its networks and rates and a penalty or none. Collapsed runs have a generator that is held where it
makes a part of the modes, while the discriminator is trained. Simulated are losses of healthy runs
that rest a little below the equilibrium, an imperfect generator, and wander there: the depth is
uniform in (0, 0.15) of the equilibrium's loss, the wandering an Ornstein-Uhlenbeck process of a
deviation of 0.005 or 0.015 and 200 steps of memory, single steps have noise of 0.015; the runs are
`--simulated` of 3,000 steps. These numbers are those of the healthy runs without penalty.

The runs of a kind are made side by side (`benchmarks._replicas`). Each watch is that of training,
with its window of 500, but looks every 25th step (`--every`). Written to the folder: `alarms.csv`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._runs import one_thread

Row = dict[str, Any]
Series = NDArray[np.float64]  # (runs, steps, 4): loss_d, d_accuracy, d_real, d_fake

HEALTHY = ("gaussian", "line", "circle", "four lines", "four squares", "eight")
# Of equal or unequal modes on a circle: shares of the data, and of what is generated.
COLLAPSED = {
    "1 of 2": ((1, 1), (1, 0)),
    "2 : 1": ((2, 1), (1, 0)),
    "3 : 1": ((3, 1), (1, 0)),
    "5 : 1": ((5, 1), (1, 0)),
    "2 : 1 : 0": ((1, 1, 1), (2, 1, 0)),
    "2 : 1 : 1 : 1 : 0": ((1,) * 5, (2, 1, 1, 1, 0)),
    "2 : 2 : 1 : 0 : 0": ((1,) * 5, (2, 2, 1, 0, 0)),
    "6 of 8": ((1,) * 8, (1,) * 6 + (0, 0)),
}
KINDS = ("healthy", "collapsed", "simulated")
LOSSES = ("non_saturating", "least_squares", "relativistic")
WINDOW, RATE, Z_DIM, WIDTH, BATCH = 500, 5e-4, 16, 32, 128
SIMULATED_STEPS, MEMORY, NOISE = 3000, 200, 0.015


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=["non_saturating"])
    parser.add_argument("--gammas", type=float, nargs="+", default=[0.0, 10.0], help="of R1")
    parser.add_argument("--iterations", type=int, default=1600)
    parser.add_argument("--seeds", type=int, default=3, help="of each distribution")
    parser.add_argument("--simulated", type=int, default=1000)
    parser.add_argument("--every", type=int, default=25, help="steps from look to look; training 1")
    parser.add_argument("--out", type=Path, default=Path("out/watch"))


def run(arguments: argparse.Namespace) -> None:
    from onet.records import write_csv
    from onet.report.tables import print_table

    learners, every = {"healthy": _healthy, "collapsed": _collapsed}, arguments.every
    rows = []
    for kind in arguments.kinds:
        if kind == "simulated":
            for wander in (0.005, 0.015):
                series = _simulated(arguments.simulated, wander)
                name = f"simulated, wandering {wander:g}"
                rows += _counted(name, "non_saturating", ["all"] * len(series), series, every)
            continue
        for loss in arguments.losses:
            for gamma in arguments.gammas:
                names, series = learners[kind](loss, gamma, arguments.iterations, arguments.seeds)
                name = f"{kind}, R1 {gamma:g}" if gamma else kind
                rows += _counted(name, loss, names, series, every)
                print(f"{kind}, {loss}, gamma {gamma:g}: {len(names)} runs", flush=True)
    write_csv(arguments.out / "alarms.csv", rows[0], rows)
    print_table(rows, f"Runs with an alarm, window {WINDOW}")


def _counted(kind: str, loss: str, names: list[str], series: Series, every: int) -> list[Row]:
    """Return for each kind of data how many of its runs had an alarm, and where losses ended."""
    found = [_alarms(loss, one, every) for one in series]
    rows = []
    for name in dict.fromkeys(names):
        places = [k for k, other in enumerate(names) if other == name]
        ends = [float(series[k, -WINDOW:, 0].mean()) for k in places]
        rows.append(
            {
                "kind": kind,
                "loss": loss,
                "data": name,
                "runs": len(places),
                "with an alarm": sum(bool(found[k]) for k in places),
                "hedged": sum(bool(found[k]) and "may as well" in found[k][0] for k in places),
                "loss of D": float(np.median(ends)),
            }
        )
    return rows


def _alarms(loss: str, series: NDArray[np.float64], every: int) -> list[str]:
    from onet.adversarial.collapse import CollapseWatch

    watch, messages, since = CollapseWatch(loss, WINDOW), [], 0
    for end in range(WINDOW, len(series) + 1, every):
        if end - since < WINDOW:
            continue
        watch.rows.clear()
        watch.rows.extend((*row, 1.0) for row in series[end - WINDOW : end].tolist())
        message = watch.plateau()
        if message:
            messages.append(message)
            since = end
    return messages


def _simulated(runs: int, wander: float) -> Series:
    from onet.adversarial.losses import find_loss

    rng = np.random.default_rng(0)
    goal = find_loss("non_saturating").equilibrium
    depth = rng.uniform(0, 0.15, runs)
    keep = np.exp(-1 / MEMORY)
    place = wander * rng.standard_normal(runs)
    losses = np.empty((runs, SIMULATED_STEPS))
    for step in range(SIMULATED_STEPS):
        place = keep * place + wander * np.sqrt(1 - keep**2) * rng.standard_normal(runs)
        losses[:, step] = goal * (1 - depth + place + NOISE * rng.standard_normal(runs))
    rest = np.broadcast_to([0.6, 0.0, 0.0], (runs, SIMULATED_STEPS, 3))
    return np.concatenate([losses[..., None], rest], axis=2)


def _healthy(loss: str, gamma: float, iterations: int, seeds: int) -> tuple[list[str], Series]:
    import torch

    from benchmarks._planar import PLANAR

    runs = [(name, seed) for name in HEALTHY for seed in range(seeds)]
    pairs = []
    for _, seed in runs:
        torch.manual_seed(seed)
        pairs.append((_network(Z_DIM, 2), _network(2, 1)))
    rngs = [np.random.default_rng((seed, 7)) for _, seed in runs]

    def real(_: int) -> Any:
        drawn = [PLANAR[n](BATCH, rng) for (n, _), rng in zip(runs, rngs, strict=True)]
        return torch.from_numpy(np.concatenate(drawn).astype(np.float32))

    return [name for name, _ in runs], _trained(pairs, real, None, RATE, loss, gamma, iterations)


def _collapsed(loss: str, gamma: float, iterations: int, seeds: int) -> tuple[list[str], Series]:
    """The generator is the identity and stays so; its codes are points on some of the modes."""
    import torch
    from torch import nn

    from benchmarks._planar import ring_centres

    names = [*COLLAPSED]
    rngs = [np.random.default_rng(k) for k in range(len(names))]

    def points(which: int) -> Any:
        drawn = []
        for name, rng in zip(names, rngs, strict=True):
            shares = np.array(COLLAPSED[name][which], dtype=float)
            chosen = rng.choice(len(shares), BATCH, p=shares / shares.sum())
            centres = ring_centres(len(shares))[chosen]
            drawn.append(centres + 0.05 * rng.standard_normal((BATCH, 2)))
        return torch.from_numpy(np.concatenate(drawn).astype(np.float32))

    pairs = []
    for seed in range(len(names)):
        torch.manual_seed(seed)
        identity = nn.Linear(2, 2)
        identity.weight.data, identity.bias.data = torch.eye(2), torch.zeros(2)
        pairs.append((nn.Sequential(identity), _network(2, 1)))
    series = _trained(pairs, lambda _: points(0), lambda _: points(1), 0.0, loss, gamma, iterations)
    return names, series


def _network(first: int, last: int) -> Any:
    from torch import nn

    sizes = [first, WIDTH, WIDTH, WIDTH, last]
    layers: list[nn.Module] = []
    for k in range(4):
        layers += [nn.Linear(sizes[k], sizes[k + 1]), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


@one_thread()
def _trained(
    pairs: list[Any],
    real: Callable[[int], Any],
    prior: Callable[[int], Any] | None,
    rate_g: float,
    loss: str,
    gamma: float,
    iterations: int,
) -> Series:
    """What each run's trainer would log."""
    import torch
    from torch import Tensor

    from benchmarks._replicas import Replicas
    from onet.adversarial.losses import find_loss
    from onet.adversarial.networks import ModulePair
    from onet.adversarial.penalties import named_penalty
    from onet.adversarial.trainer import AdversarialOptions, AdversarialTrainer

    count = len(pairs)
    generator, discriminator = (Replicas(networks) for networks in zip(*pairs, strict=True))
    logits: list[Tensor] = []

    class Watched(ModulePair):
        def discriminate(self, batch: Tensor, samples: Tensor) -> Tensor:
            found = super().discriminate(batch, samples)
            logits.append(found.detach().reshape(count, -1))
            return found

    options = {"alpha": 0.99, "eps": 1e-8 / count}
    trainer = AdversarialTrainer(
        Watched(generator, discriminator, Z_DIM, prior),
        torch.optim.RMSprop(generator.parameters(), lr=rate_g, **options),
        torch.optim.RMSprop(discriminator.parameters(), lr=RATE, **options),
        AdversarialOptions(loss=loss, penalty=named_penalty("r1", gamma=gamma) if gamma else None),
    )
    judge = find_loss(loss)
    first = 2 if judge.paired else 1  # what the generator's step has asked for
    torch.manual_seed(count)
    series = np.empty((count, iterations, 4))
    for step in range(iterations):
        logits.clear()
        trainer.step(real(step), step)
        of_real, of_fake = logits[first : first + 2]
        right = (of_real > 0).float().mean(1) + (of_fake < 0).float().mean(1)
        series[:, step, 0] = [
            float(judge.discriminator(r, f)) for r, f in zip(of_real, of_fake, strict=True)
        ]
        series[:, step, 1:] = torch.stack([right / 2, of_real.mean(1), of_fake.mean(1)], 1)
    return series
