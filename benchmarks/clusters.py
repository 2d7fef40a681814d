"""Collapse and escape from it: separable against paired loss on data of a few modes (Sun et al.).

"Two clusters" are 100 numbers near 0 and 4 with fixed codes, all in one batch; "five Gaussians" lie
on a circle. A generator has escaped when first every mode has at least 0.4 of the samples that are
its due, and for good from when that holds to the end; it has collapsed if it does not hold then.
"js" is the non-saturating logistic loss, "paired" its relativistic form. Networks, optimisers and
numbers of steps are those of the published code, but the discriminator is the same for both losses
(there its last layer is normalised for the paired loss on five Gaussians) and always has biases;
five Gaussians get half of the published 20,000 iterations. All seeds are trained side by side;
data, codes and initial weights of a seed are the same for both losses. A run ends early when all
seeds have covered all modes for a fifth of the iterations.

With `--augment`, what the discriminator sees of real and generated samples is augmented; what is
recorded is not.

The discriminator's loss is halved for js, so that both rest at log 2 = 0.6931 in the equilibrium.
"lowest" is the least running median over 11 records, median over seeds, and of all seeds the least;
"predicted" what the loss is for the best discriminator while all samples lie on the largest mode;
"faster" counts the seeds that escape earlier than with the other loss.

Written to the folder: `runs/`, `clusters.csv` (each seed), `table.csv`, `clusters.png`. A folder
that holds finished runs is completed.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._runs import finished, keep, one_thread

Row = dict[str, Any]
Array = NDArray[np.floating]

LOSSES = {"js": "non_saturating", "paired": "relativistic"}
DUE = 0.4  # part of a mode's samples that counts as covering it
WINDOW = 11  # records


@dataclass(frozen=True)
class Experiment:
    """Data and training.

    Attributes:
        published: what the paper says.
        shares: of the data on the modes.
        hidden_g, hidden_d: width of the two hidden layers.
        iterations: at most.
        steps: of each player in an iteration.
        every: iterations from one record to the next.
    """

    published: str
    shares: tuple[float, ...]
    hidden_g: int
    hidden_d: int
    iterations: int
    steps: int = 1
    every: int = 50

    @property
    def two(self) -> bool:
        return len(self.shares) == 2


HALVES, THIRDS, FIFTHS = (0.5, 0.5), (0.67, 0.33), (0.2,) * 5
TWO: Row = {"iterations": 5000, "steps": 10, "every": 5}
EXPERIMENTS = {
    "two clusters": Experiment(
        "paired escapes after 800, 2 to 4 times as fast", HALVES, 5, 10, **TWO
    ),
    "two clusters 2:1": Experiment("js collapses at 0.56, paired does not", THIRDS, 5, 10, **TWO),
    "two clusters, narrow": Experiment(
        "js collapses in 2 of 5, paired in 0 of 5", HALVES, 3, 5, **TWO
    ),
    "two clusters, wide": Experiment("both faster, paired mostly first", HALVES, 10, 20, **TWO),
    "five Gaussians": Experiment(
        "either may collapse; js much worse from a bad start", FIFTHS, 128, 128, 10_000
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--experiments", nargs="+", choices=EXPERIMENTS, default=[*EXPERIMENTS])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--augment", metavar="NAME=STRENGTH", help="of real and generated samples; default none"
    )
    parser.add_argument("--part", type=float, default=1.0, help="of the iterations")
    parser.add_argument("--out", type=Path, default=Path("out/clusters"))


def run(arguments: argparse.Namespace) -> None:
    results: dict[tuple[str, str], Row] = {}
    for name in arguments.experiments:
        for loss in LOSSES:
            settings = {
                "experiment": name,
                "loss": loss,
                "seeds": arguments.seeds,
                "iterations": round(arguments.part * EXPERIMENTS[name].iterations),
                "augment": arguments.augment,
            }
            file = f"{name.replace(' ', '_').replace(',', '').replace(':', '')}-{loss}.json"
            path = arguments.out / "runs" / file
            found = finished(path, settings)
            result = found or keep(path, settings, _learn(settings, path.with_suffix(".npz")))
            with np.load(path.with_suffix(".npz")) as curves:
                results[name, loss] = result | dict(curves)
            print(
                f"{name}, {loss}: {result['seconds']:.0f} s of the processor"
                f"{' before' if found else ''}",
                flush=True,
            )
    _show(results, arguments)
    _draw(results, arguments)


def _data(experiment: Experiment, rng: np.random.Generator) -> Array:
    """Points (N, D)."""
    from benchmarks._planar import ring

    if not experiment.two:
        return ring(10_000, rng)
    count = 100
    far = np.arange(count) >= round(count * experiment.shares[0])
    # Mixed, since the paired loss compares what has the same place in the batch.
    return rng.permutation(4.0 * far + rng.uniform(0, 0.3, count))[:, None]


def _centres(experiment: Experiment) -> tuple[Array, float]:
    """Centres (M, D) and radius of the modes."""
    from benchmarks._planar import ring_centres

    if experiment.two:
        return np.array([[0.15], [4.15]]), 0.5
    return ring_centres(len(experiment.shares)), 0.2


class _OfEach:
    """An augmentation of the samples of each of several runs by themselves."""

    def __init__(self, word: str, runs: int) -> None:
        from onet.adversarial.augmentation import Augmentation

        name, _, strength = word.partition("=")
        self.change = Augmentation(name, float(strength)) if strength else Augmentation(name)
        self.runs = runs

    def __call__(self, samples: Any, real: Any) -> Any:
        import torch

        parts = zip(samples.chunk(self.runs), real.chunk(self.runs), strict=True)
        return torch.cat([self.change(one, known) for one, known in parts])


@one_thread()
def _learn(settings: Row, curves: Path) -> Row:
    """Train all seeds; losses (S, T) and shares of modes (S, T, M) go to a file."""
    import torch
    from torch import Tensor, nn

    from benchmarks._replicas import Replicas
    from onet.adversarial.collapse import mode_shares
    from onet.adversarial.losses import find_loss
    from onet.adversarial.networks import ModulePair
    from onet.adversarial.trainer import AdversarialOptions, AdversarialTrainer
    from onet.files import replacing

    experiment = EXPERIMENTS[settings["experiment"]]
    seeds, two = settings["seeds"], experiment.two
    rngs = [np.random.default_rng(seed) for seed in range(seeds)]
    data = np.stack([_data(experiment, rng) for rng in rngs]).astype(np.float32)  # (S, N, D)
    dim = data.shape[-1]

    def network(
        first: int, width: int, last: int, activation: Callable[[], nn.Module]
    ) -> nn.Sequential:
        sizes = (first, width, width, last)
        layers = [(nn.Linear(*sizes[i : i + 2]), activation()) for i in range(3)]
        return nn.Sequential(*[module for pair in layers for module in pair][:-1])

    pairs = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        generator = network(dim, experiment.hidden_g, dim, nn.Tanh if two else nn.ReLU)
        leaky = (lambda: nn.LeakyReLU(0.2)) if not two else nn.Sigmoid
        pairs.append((generator, network(dim, experiment.hidden_d, 1, leaky)))
    generators, discriminators = (Replicas(networks) for networks in zip(*pairs, strict=True))

    loss = find_loss(LOSSES[settings["loss"]])
    half = 1.0 if loss.paired else 0.5
    if two:
        # Full batch with fixed codes; the published code halves the discriminator's loss.
        codes = torch.from_numpy(np.stack([rng.uniform(-5, 5, (100, 1)) for rng in rngs]))
        fixed = codes.float().flatten(0, 1)
        watched, prior = (torch.from_numpy(data).flatten(0, 1), fixed), lambda _: fixed
        optimisers = [
            torch.optim.SGD(player.parameters(), lr=rate * seeds, momentum=0.9)
            for player, rate in ((generators, 1e-2), (discriminators, 1e-2 * half))
        ]
    else:
        fixed = torch.from_numpy(np.stack([rng.standard_normal((512, dim)) for rng in rngs]))
        fixed = fixed.float().flatten(0, 1)
        watched, prior = (torch.from_numpy(data[:, :512]).flatten(0, 1), fixed), None
        optimisers = [
            torch.optim.Adam(player.parameters(), lr=1e-4, betas=(0.0, 0.9), eps=1e-8 / seeds)
            for player in (generators, discriminators)
        ]
    networks = ModulePair(generators, discriminators, dim, prior)
    steps = experiment.steps
    augment = settings.get("augment")
    options = AdversarialOptions(
        loss=loss,
        generator_steps=steps,
        discriminator_steps=steps,
        augmentation=_OfEach(augment, seeds) if augment else None,
    )
    trainer = AdversarialTrainer(networks, *optimisers, options)
    torch.manual_seed(seeds)
    centres, radius = _centres(experiment)
    wanted = DUE * np.array(experiment.shares)
    batch = 128

    def record() -> tuple[list[float], Array]:
        real, latent = watched
        with torch.no_grad():
            made = generators(latent)
            logits: list[Tensor] = [discriminators(x).reshape(seeds, -1) for x in (real, made)]
        losses = [half * float(loss.discriminator(*pair)) for pair in zip(*logits, strict=True)]
        samples = made.reshape(seeds, -1, dim).numpy()
        return losses, np.stack([mode_shares(one, centres, radius) for one in samples])

    at, losses, shares = [], [], []
    started = time.process_time()
    for step in range(settings["iterations"]):
        if step % experiment.every == 0:
            found = record()
            at.append(step)
            losses.append(found[0])
            shares.append(found[1])
            since = settings["iterations"] // (5 * experiment.every)
            if len(shares) > since and (np.array(shares[-since:]) >= wanted).all():
                break
        if two:
            real = watched[0]
        else:
            rows = np.stack(
                [rng.integers(len(d), size=batch) for rng, d in zip(rngs, data, strict=True)]
            )
            real = torch.from_numpy(np.take_along_axis(data, rows[..., None], 1)).flatten(0, 1)
        trainer.step(real, step)
    seconds = time.process_time() - started
    with replacing(curves) as temporary:
        np.savez_compressed(
            temporary,
            iterations=np.array(at),
            losses=np.array(losses).T,
            shares=np.stack(shares, axis=1).astype(np.float32),
        )
    return {"seconds": seconds, "stopped_at": at[-1]}


def _seed_rows(name: str, loss: str, result: Row) -> list[Row]:
    """What became of each seed."""
    covered = result["shares"] >= DUE * np.array(EXPERIMENTS[name].shares)  # (S, T, M)
    rows = []
    for seed, (has, losses) in enumerate(zip(covered, result["losses"], strict=True)):
        all_modes = has.all(1)
        when, missed = np.flatnonzero(all_modes), np.flatnonzero(~all_modes)
        stays = missed[-1] + 1 if len(missed) else 0
        width = min(WINDOW, len(losses))
        medians = np.median(np.lib.stride_tricks.sliding_window_view(losses, width), axis=1)
        rows.append(
            {
                "experiment": name,
                "loss": loss,
                "seed": seed,
                "escaped": int(result["iterations"][when[0]]) if len(when) else None,
                "for_good": int(result["iterations"][stays]) if all_modes[-1] else None,
                "modes_in_the_end": int(has[-1].sum()),
                "collapsed": not all_modes[-1],
                "lowest": float(medians.min()),
                "final": float(np.mean(losses[-max(1, len(losses) // 20) :])),
            }
        )
    return rows


def _time(iterations: int | None) -> float:
    return math.inf if iterations is None else float(iterations)


def _number(iterations: float) -> str:
    return f"{iterations:,.0f}" if math.isfinite(iterations) else "never"


def predicted(shares: tuple[float, ...], loss: str) -> float:
    """Loss of the best discriminator while all samples lie on the largest mode."""
    from onet.gan_theory.landscape import imbalanced_value

    if loss == "paired":
        # Only pairs with a real sample of the same mode cannot be told apart.
        return max(shares) * math.log(2)
    largest = int(np.argmax(shares))
    return -imbalanced_value(shares, [float(k == largest) for k in range(len(shares))])


def _show(results: dict[tuple[str, str], Row], arguments: argparse.Namespace) -> None:
    from onet.records import write_csv
    from onet.report.tables import print_table

    table, every = [], []
    for name in arguments.experiments:
        by_loss = {loss: _seed_rows(name, loss, results[name, loss]) for loss in LOSSES}
        when = {loss: [_time(row["escaped"]) for row in rows] for loss, rows in by_loss.items()}
        for (loss, rows), other in zip(by_loss.items(), reversed(when), strict=True):
            every += rows
            times = sorted(when[loss])
            faster = sum(a < b for a, b in zip(when[loss], when[other], strict=True))
            lowest = np.array([row["lowest"] for row in rows])
            stuck = [row["final"] for row in rows if row["collapsed"]]
            table.append(
                {
                    "data": name,
                    "loss": loss,
                    "escaped": f"{sum(map(math.isfinite, times))} of {len(rows)}",
                    "median": _number(float(np.median(times))),
                    "range": f"{_number(times[0])} to {_number(times[-1])}",
                    "for good": _number(float(np.median([_time(r["for_good"]) for r in rows]))),
                    "collapsed": f"{len(stuck)} of {len(rows)}",
                    "lowest": f"{np.median(lowest):.4f} ({lowest.min():.4f})",
                    "predicted": predicted(EXPERIMENTS[name].shares, loss),
                    "stuck at": f"{np.median(stuck):.4f}" if stuck else None,
                    "faster": f"{faster} of {len(rows)}",
                    "seconds": round(results[name, loss]["seconds"]),
                }
            )
    write_csv(arguments.out / "clusters.csv", every[0], every)
    write_csv(arguments.out / "table.csv", table[0], table)
    print_table(table, f"{arguments.seeds} seeds; iterations to escape; lowest: median (least)")
    for name in arguments.experiments:
        print(f"published, {name}: {EXPERIMENTS[name].published}")


def _draw(results: dict[tuple[str, str], Row], arguments: argparse.Namespace) -> None:
    from matplotlib.figure import Figure

    from onet.files import replacing

    names = arguments.experiments
    figure = Figure(figsize=(11, 2.3 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 3, squeeze=False)
    for name, row in zip(names, panels, strict=True):
        experiment = EXPERIMENTS[name]
        for loss, axes, color in zip(LOSSES, row, ("C0", "C1"), strict=False):
            result = results[name, loss]
            axes.plot(
                result["iterations"], result["losses"].T, color=color, linewidth=0.6, alpha=0.7
            )
            axes.axhline(math.log(2), color="0.3", linewidth=0.8)
            axes.axhline(
                predicted(experiment.shares, loss), color="C3", linewidth=0.8, linestyle="--"
            )
            axes.set(title=f"{name}: {loss}", ylim=(0.1, 0.9), ylabel="loss of D")
            has = (result["shares"] >= DUE * np.array(experiment.shares)).all(2).mean(0)
            row[2].plot(result["iterations"], has, color=color, label=loss)
        for axes in row:
            axes.set_xlim(0, round(arguments.part * experiment.iterations))
        row[2].set(ylim=(-0.02, 1.02), title="part of seeds with all modes")
        row[2].legend(loc="lower right")
    for axes in panels[-1]:
        axes.set_xlabel("iterations")
    with replacing(arguments.out / "clusters.png") as temporary:
        figure.savefig(temporary, dpi=110)
