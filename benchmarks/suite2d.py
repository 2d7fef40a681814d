"""Six distributions in the plane and five ways to train a GAN on them (thesis, table 8.1).

Measured is W1, exactly, between as many generated as new real points, mean over the last fifth of
the training as published; the floor is that between two draws of the data. "average weights" are
moving averages of the generator's at the end. Published: 50,000 iterations, six architectures, two
optimisers with four learning rates each, three gammas, of which the best counts. Here by default
6,000 iterations with the largest of the published learning rates of RMSprop, one of the
architectures, gamma = 10 (as gamma/2 E||grad D||^2), and the same for all methods; with several
--optimizers, --rates or --gammas the best counts here too. The architectures are --width 8, 16, 32
with --activation LeakyReLU or Tanh, a folder each. Intervals over seeds are of differences between
means over the distributions. Batch size, latent codes and where the distributions
lie are not published, so only the order of the methods can be compared. All steps of the
discriminator in one iteration see the same real points.

The runs of all distributions and seeds are made side by side (`benchmarks._replicas`), for a
method at a time, and take one file of results together. A folder that holds finished runs is
completed.

Written to the folder: `runs/`, `suite2d.csv` (each seed and setting), `table.csv`, `samples.png`
(first seed: data blue, generated orange, over the length of the discriminator's gradient, as in
figure 8.2).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._runs import finished, keep, one_thread

Row = dict[str, Any]

# Loss, penalty, steps of the discriminator.
METHODS: dict[str, tuple[str, str | None, int]] = {
    "none": ("non_saturating", None, 1),
    "wgan_gp-1": ("wasserstein", "wgan_gp", 1),
    "wgan_gp-5": ("wasserstein", "wgan_gp", 5),
    "r1": ("non_saturating", "r1", 1),
    "r2": ("non_saturating", "r2", 1),
}
PUBLISHED = {  # thesis, table 8.1, in the order of METHODS
    "gaussian": (0.087, 0.479, 0.078, 0.049, 0.050),
    "line": (0.037, 0.350, 0.038, 0.030, 0.028),
    "circle": (0.059, 0.307, 0.067, 0.056, 0.059),
    "four lines": (0.180, 0.214, 0.121, 0.107, 0.099),
    "four squares": (0.232, 0.373, 0.159, 0.157, 0.151),
    "eight": (0.079, 0.390, 0.088, 0.080, 0.082),
}
OPTIMIZERS = ("rmsprop", "adam", "sgd")
Z_DIM = 16
LAYERS = 4
DECAY = 0.999
COMMON = (
    "distributions",
    "seeds",
    "iterations",
    "width",
    "activation",
    "batch",
    "points",
    "evaluations",
)
MEASURED = ("w1", "w1_average", "slope", "spread")
REACH, CELLS = 1.6, 80  # of the pictures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--distributions", nargs="+", choices=PUBLISHED, default=[*PUBLISHED])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    parser.add_argument("--iterations", type=int, default=6_000)
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=["rmsprop"])
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-4], help="of each optimizer")
    parser.add_argument("--gammas", type=float, nargs="+", default=[10.0])
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--activation", choices=["LeakyReLU", "Tanh"], default="LeakyReLU")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--points", type=int, default=1024, help="for W1, of each kind")
    parser.add_argument("--evaluations", type=int, default=5, help="in the last fifth")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out/suite2d"))


def run(arguments: argparse.Namespace) -> None:
    from onet.records import write_csv

    todo = [
        (method, gamma, rate, optimizer)
        for method in arguments.methods
        for gamma in (arguments.gammas if METHODS[method][1] else [0.0])
        for rate in arguments.rates
        for optimizer in arguments.optimizers
    ]
    common = {key: getattr(arguments, key) for key in COMMON}
    results = []
    for method, gamma, rate, optimizer in todo:
        settings = {"method": method, "gamma": gamma, "rate": rate, **common}
        name = f"{method}-gamma{gamma:g}-rate{rate:g}"
        if optimizer != "rmsprop":
            settings["optimizer"] = optimizer
            name += f"-{optimizer}"
        path = arguments.out / "runs" / f"{name}.json"
        found = finished(path, settings)
        result = found or keep(path, settings, _learn(settings, path.with_suffix(".npz")))
        results.append(result)
        print(
            f"{name}: W1 {np.mean(result['w1']):.4f}, {result['seconds']:.0f} s of the processor"
            f"{' before' if found else ''}",
            flush=True,
        )
    floors = {name: _floor(name, arguments.points) for name in arguments.distributions}
    rows = [
        {"distribution": name, "floor": floors[name], "seed": seed, "optimizer": "rmsprop"}
        | result["settings"]
        | {key: result[key][place][seed] for key in MEASURED}
        for result in results
        for place, name in enumerate(arguments.distributions)
        for seed in range(arguments.seeds)
    ]
    write_csv(arguments.out / "suite2d.csv", rows[0], rows)
    _show(results, floors, arguments)
    _draw(results, arguments)


@one_thread()
def _learn(settings: Row, pictures: Path) -> Row:
    """Train all seeds on all distributions, and measure them: nested lists, distribution by seed.

    Samples and discriminators of the first seed go to a file.
    """
    import torch
    from torch import nn

    from benchmarks._planar import PLANAR
    from benchmarks._replicas import Replicas
    from onet.adversarial.networks import ModulePair
    from onet.adversarial.penalties import input_gradients, named_penalty
    from onet.adversarial.trainer import AdversarialOptions, AdversarialTrainer
    from onet.files import replacing
    from onet.metrics.distribution_distances import wasserstein1
    from onet.training.averaging import AveragedModel

    width, batch, points = settings["width"], settings["batch"], settings["points"]
    iterations = settings["iterations"]
    names, seeds = settings["distributions"], settings["seeds"]
    replicas = [(name, seed) for name in names for seed in range(seeds)]
    count = len(replicas)
    loss, penalty, steps = METHODS[settings["method"]]

    def draws(size: int, *key: int) -> Any:  # (replicas, size, 2)
        return np.stack(
            [PLANAR[name](size, np.random.default_rng((seed, *key))) for name, seed in replicas]
        )

    def network(first: int, last: int) -> nn.Sequential:
        sizes = [first, *[width] * (LAYERS - 1), last]
        layers: list[nn.Module] = []
        for i in range(LAYERS):
            leaky = settings["activation"] == "LeakyReLU"
            layers += [nn.Linear(*sizes[i : i + 2]), nn.LeakyReLU(0.2) if leaky else nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    pairs = []
    for _, seed in replicas:
        torch.manual_seed(seed)
        pairs.append((network(Z_DIM, 2), network(2, 1)))
    generator, discriminator = (Replicas(networks) for networks in zip(*pairs, strict=True))
    of_g, of_d = (
        _optimizer(settings.get("optimizer", "rmsprop"), part, settings["rate"], count)
        for part in (generator, discriminator)
    )
    trainer = AdversarialTrainer(
        ModulePair(generator, discriminator, Z_DIM),
        of_g,
        of_d,
        AdversarialOptions(
            loss=loss,
            penalty=named_penalty(penalty, gamma=settings["gamma"]) if penalty else None,
            discriminator_steps=steps,
        ),
    )
    average = AveragedModel(generator, DECAY)
    torch.manual_seed(count)
    ahead = 100  # batches drawn at a time
    last = {
        round(iterations * (1 - k / (5 * settings["evaluations"])))
        for k in range(settings["evaluations"])
    }

    def samples(model: nn.Module) -> Any:  # (replicas, points, 2)
        with torch.no_grad():
            made = model(torch.randn(count * points, Z_DIM))
        return made.unflatten(0, (count, points)).double().numpy()

    def distances(model: nn.Module, step: int) -> Any:  # (replicas,)
        both = zip(samples(model), draws(points, 1, step), strict=True)
        return np.array([wasserstein1(made, real) for made, real in both])

    measured = []
    started, measuring = time.process_time(), 0.0
    for step in range(iterations):
        if step % ahead == 0:
            drawn = torch.from_numpy(draws(ahead * batch, 0, step).astype(np.float32))
            chunk = drawn.unflatten(1, (ahead, batch))
        trainer.step(chunk[:, step % ahead].flatten(0, 1), step)
        average.update(generator, step + 1)
        if step + 1 in last:
            before = time.process_time()
            measured.append(distances(generator, step))
            measuring += time.process_time() - before
    seconds = time.process_time() - started - measuring

    def logits_of(x: Any) -> Any:
        return discriminator(x).squeeze(1)

    def by_seed(values: Any) -> Any:  # lists (distributions, seeds)
        return np.asarray(values, dtype=float).reshape(len(names), seeds).tolist()

    real = draws(points, 2)
    gradients, logits = input_gradients(logits_of, torch.from_numpy(real).float().flatten(0, 1))
    squares = gradients.detach().square().sum(1).unflatten(0, (count, points))
    axis = torch.linspace(-REACH, REACH, CELLS)
    grid = torch.cartesian_prod(axis, axis)
    field, _ = input_gradients(logits_of, grid.repeat(count, 1))
    slopes = field.detach().norm(dim=1).reshape(count, CELLS, CELLS)[::seeds]
    with replacing(pictures) as temporary:
        np.savez_compressed(
            temporary, real=real[::seeds], fake=samples(generator)[::seeds], slope=slopes.numpy()
        )
    return {
        "seconds": seconds,  # without measuring
        "w1": by_seed(np.mean(measured, axis=0)),
        "w1_average": by_seed(distances(average.model, iterations)),
        # How far D is from 0 around the data: its slope there, and its spread over the data.
        "slope": by_seed(squares.mean(1).sqrt()),
        "spread": by_seed(logits.detach().unflatten(0, (count, points)).std(1)),
        "pictures": pictures.name,
    }


def _optimizer(name: str, part: Any, rate: float, count: int) -> Any:
    """Return an optimiser of so many networks side by side, each as it would be trained alone."""
    import torch

    if name == "sgd":
        return torch.optim.SGD(part.parameters(), lr=rate * count)
    if name == "adam":
        return torch.optim.Adam(part.parameters(), lr=rate, betas=(0.0, 0.99), eps=1e-8 / count)
    return torch.optim.RMSprop(part.parameters(), lr=rate, alpha=0.99, eps=1e-8 / count)


def _interval(differences: Any) -> str:
    """Return the mean of differences (seeds,) with its 95 % interval, by Student's t."""
    from scipy.stats import t

    mean, count = float(np.mean(differences)), len(differences)
    if count < 2:
        return f"{mean:+.4f} (one seed)"
    half = float(t.ppf(0.975, count - 1) * np.std(differences, ddof=1) / count**0.5)
    return f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})"


def _floor(distribution: str, points: int) -> float:
    """W1 between draws of the data, mean of ten."""
    from benchmarks._planar import PLANAR
    from onet.metrics.distribution_distances import wasserstein1

    rng = np.random.default_rng(0)
    draw = PLANAR[distribution]
    return float(np.mean([wasserstein1(draw(points, rng), draw(points, rng)) for _ in range(10)]))


def _best(results: list[Row], place: int, method: str) -> Row:
    """Of all settings of a method the one with the least mean W1 on a distribution."""
    own = [result for result in results if result["settings"]["method"] == method]
    return min(own, key=lambda result: np.mean(result["w1"][place]))


def _show(results: list[Row], floors: dict[str, float], arguments: argparse.Namespace) -> None:
    from scipy.stats import rankdata

    from onet.records import write_csv
    from onet.report.tables import print_table

    methods = arguments.methods
    order = [list(METHODS).index(method) for method in methods]
    chosen = [[_best(results, i, method) for method in methods] for i in range(len(floors))]

    def cells(key: str) -> Any:  # (distributions, methods, seeds)
        return np.array([[run[key][i] for run in row] for i, row in enumerate(chosen)])

    def line(name: str, values: Any, floor: float | None = None) -> Row:
        return {"W1": name, "floor": floor, **dict(zip(methods, map(float, values), strict=True))}

    def as_text(row: Any, spread: Any) -> list[str]:
        return [f"{a:.3f} ± {b:.3f}" for a, b in zip(row, spread, strict=True)]

    w1, published = cells("w1").mean(2), np.array([PUBLISHED[name] for name in floors])[:, order]
    table = [line(name, row, floors[name]) for name, row in zip(floors, w1, strict=True)]
    table += [
        line("mean", w1.mean(0), float(np.mean([*floors.values()]))),
        line("mean rank", rankdata(w1, axis=1).mean(0)),
        line("mean, average weights", cells("w1_average").mean((0, 2))),
        line("mean, published", published.mean(0)),
        line("mean rank, published", rankdata(published, axis=1).mean(0)),
        line("slope of D on data", cells("slope").mean((0, 2))),
        line("seconds", [sum(_seconds(results, method)) for method in methods]),
    ]
    write_csv(arguments.out / "table.csv", table[0], table)
    spread = np.ptp(cells("w1"), axis=2) / 2
    shown = [
        row | dict(zip(methods, as_text(values, half), strict=True))
        for row, values, half in zip(table, w1, spread, strict=False)
    ] + table[len(w1) :]
    total = sum(result["seconds"] for result in results)
    title = (
        f"{arguments.iterations:,} iterations, {arguments.seeds} seeds side by side (± half the "
        f"range), {LAYERS} layers of {arguments.width}, {arguments.activation}, batch "
        f"{arguments.batch}, rates {arguments.rates}, gammas {arguments.gammas}; {total:,.0f} s of "
        "the processor, 1 thread"
    )
    print_table(shown, title)
    if "r1" in methods:
        of_seeds = cells("w1").mean(0)  # (methods, seeds)
        of_r1 = of_seeds[methods.index("r1")]
        for method, values in zip(methods, of_seeds, strict=True):
            if method != "r1":
                print(f"r1 less {method}, 95 % over seeds: {_interval(of_r1 - values)}")
    for name, values in (("here", w1), ("published", published)):
        means = values.mean(0)
        print(f"{name}: " + " < ".join(f"{methods[i]} {means[i]:.3f}" for i in means.argsort()))


def _seconds(results: list[Row], method: str) -> list[float]:
    return [r["seconds"] for r in results if r["settings"]["method"] == method]


def _draw(results: list[Row], arguments: argparse.Namespace) -> None:
    from matplotlib.figure import Figure

    from onet.files import replacing

    names, methods = arguments.distributions, arguments.methods
    size = (2.2 * len(methods), 2.25 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(names), len(methods), squeeze=False)
    for i, (name, row) in enumerate(zip(names, panels, strict=True)):
        for method, axes in zip(methods, row, strict=True):
            result = _best(results, i, method)
            with np.load(arguments.out / "runs" / result["pictures"]) as found:
                real, fake, slope = (found[key][i] for key in ("real", "fake", "slope"))
            extent = (-REACH, REACH, -REACH, REACH)
            axes.imshow(slope.T, origin="lower", extent=extent, cmap="Greys", vmin=0)
            axes.scatter(*real[:400].T, s=2, color="tab:blue", linewidths=0)
            axes.scatter(*fake[:400].T, s=2, color="tab:orange", linewidths=0)
            axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), xticks=[], yticks=[])
            gamma = result["settings"]["gamma"]
            given = f", gamma {gamma:g}" if len(arguments.gammas) > 1 and gamma else ""
            axes.set_title(f"{method}{given}: {result['w1'][i][0]:.3f}", fontsize=8)
        row[0].set_ylabel(name)
    with replacing(arguments.out / "samples.png") as temporary:
        figure.savefig(temporary, dpi=130)
