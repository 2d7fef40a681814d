"""An occupancy GAN of spheres of random radius: do the generated radii follow those of the data?

The whole distribution is one number, so it can be looked at. Losses and penalties get equal
processor time; radii come from the volumes of samples at common points. "W1" is the first
Wasserstein distance between generated and true radii; "ratio" is W1 over that of the best generator
without diversity, which makes the median radius alone; "floor" is that of a second draw of the
data. Below 1 a generator has learned more than the mean; near the floor it has learned all.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from benchmarks._memory import peak_mib

# No heavy import up here: a child process of another benchmark starts with this memory.
RADII = (0.2, 0.5)
SECTION: dict[str, Any] = {
    "type": "occupancy_gan",
    "z_dim": 8,
    "softness": 0.05,
}
R1 = {"type": "r1", "gamma": 0.1, "norm": "field"}
METHODS: dict[str, dict[str, Any]] = {
    "none": {"penalty": None},
    "r1": {"penalty": R1},
    "r1-paired": {"penalty": R1, "loss": "relativistic"},
    "wgan_gp": {"penalty": {**R1, "type": "wgan_gp"}, "loss": "wasserstein"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["none", "r1"])
    parser.add_argument("--seconds", type=float, default=60, help="processor time of each")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--points", type=int, default=128, help="query points of a shape")
    parser.add_argument("--hidden", type=int, default=32, help="width of both networks")
    parser.add_argument("--gamma", type=float, default=R1["gamma"], help="of the penalty")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of RMSprop")
    parser.add_argument("--softness", type=float, default=SECTION["softness"])
    parser.add_argument("--pooling", choices=["max", "mean"], default="mean")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> None:
    import numpy as np

    from onet.report.tables import print_table

    rng = np.random.default_rng(options.seed)
    draws = rng.uniform(*RADII, (2, 1000))
    alone, floor = wasserstein(np.median(draws[0]), draws[0]), wasserstein(draws[1], draws[0])
    rows = []
    for method in options.methods:
        radii, row = learn(method, options)
        w1 = wasserstein(radii, draws[0])
        low, middle, high = np.quantile(radii, [0.05, 0.5, 0.95])
        rows.append(
            {
                "method": method,
                **row,
                "5 %": low,
                "median": middle,
                "95 %": high,
                "W1": w1,
                "ratio": w1 / alone,
                "floor": floor / alone,
                "peak MiB": peak_mib(),
            }
        )
    print_table(rows, f"radii uniform in {RADII}, {options.seconds:g} s of processor time each")


def wasserstein(a: Any, b: Any) -> float:
    """W1 of two samples on the line, from their quantiles."""
    import numpy as np

    levels = (np.arange(1000) + 0.5) / 1000
    return float(np.abs(np.quantile(a, levels) - np.quantile(b, levels)).mean())


def learn(method: str, options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Radii of 1000 samples after training, and what there is to say about it."""
    import torch

    from onet.adversarial.trainer import AdversarialTrainer
    from onet.config import AdversarialSettings
    from onet.models import build_model
    from onet.training.adversarial_update import options_of
    from onet.training.averaging import AveragedModel

    torch.manual_seed(options.seed)
    section = {**SECTION, "softness": options.softness}
    section["decoder"] = {"type": "simple", "hidden_size": options.hidden}
    section["discriminator"] = {
        "type": "occupancy_set",
        "hidden_dim": options.hidden,
        "pooling": options.pooling,
    }
    model: Any = build_model(section)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=options.rate)
    choice = dict(METHODS[method])
    if choice["penalty"]:
        choice["penalty"] = {**choice["penalty"], "gamma": options.gamma}
    options = options_of(AdversarialSettings(**choice))
    trainer = AdversarialTrainer(model, optimizer, options=options)
    average = AveragedModel(model, 0.995)
    started, steps = time.process_time(), 0
    while time.process_time() - started < options.seconds:
        points = 1.1 * (torch.rand(options.batch, options.points, 3) - 0.5)
        low, high = RADII
        depth = low + (high - low) * torch.rand(options.batch, 1) - points.norm(dim=2)
        batch = {
            "points": points,
            "occupancies": (depth > 0).float(),
            "distances": depth.abs(),
        }
        report = trainer.step(batch, steps)
        steps += 1
        average.update(model, steps)
    seconds = time.process_time() - started
    radii = sampled_radii(average.model)
    names = ("loss_d", "d_accuracy")
    return radii, {"steps": steps, "ms/step": 1000 * seconds / steps} | {
        name: float(report[name]) for name in names
    }


def sampled_radii(model: Any) -> Any:
    """Radii (1000,) of balls as large as the samples, cut by the box where they are larger."""
    import torch

    generator = torch.Generator().manual_seed(1)
    points = 1.1 * (torch.rand(1000, 3, generator=generator) - 0.5)
    z = torch.randn(1000, SECTION["z_dim"], generator=generator)
    with torch.no_grad():
        logits = torch.cat(
            [
                model.decode(points.expand(len(some), -1, -1), some.new_empty(len(some), 0), some)
                for some in z.split(100)
            ]
        )
    volumes = (logits > 0).double().mean(1)
    order = points.norm(dim=1).double().sort().values
    return torch.quantile(order, volumes).numpy()
