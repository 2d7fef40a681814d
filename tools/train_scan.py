"""Train the network for scans of anything: `onet models` calls it `scan`.

    python tools/scan_shapes.py OBJECTS -o shapes.npz
    python tools/train_scan.py shapes.npz -o run --minutes 20

Everything is simulated while it trains, on the device of training; started again with the same
folder it goes on where it was. The folder gets `scan.safetensors` (the averaged network in half
precision, as it is packaged), `log.csv` and `state.pt`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file

from onet.config import load_config
from onet.data.scan_shapes import PackedShapes
from onet.data.scan_simulation import ScanSettings, sample_queries, simulate_scan
from onet.models.scan_networks import build_scan_network
from onet.training.scan_batches import (
    Changes,
    LabelledScan,
    ScanBatch,
    ScanPool,
    random_rotation,
)
from onet.training.scan_training import ScanTrainer, ScanTraining

QUERIES = 8192
PLAIN = ScanSettings(
    kinds=(1, 0, 0, 0), missing_floor=0, holes=0, uneven=0, noise_levels=((0.005, 1.0),),
    outliers=0, duplicates=0,
)  # fmt: skip


class Simulator:
    """Labelled scans of packed shapes, all of whose triangles are on the device."""

    def __init__(
        self, shapes: PackedShapes, device: torch.device, seed: int, settings: ScanSettings
    ) -> None:
        self.generator = torch.Generator(device).manual_seed(seed)
        self.host = torch.Generator().manual_seed(seed)
        train = shapes.of_split("train").tolist()
        self.train = [torch.from_numpy(shapes.triangles(i)).to(device) for i in train]
        held_out = shapes.of_split("val").tolist()
        self.held_out = [torch.from_numpy(shapes.triangles(i)).to(device) for i in held_out]
        self.settings = settings
        self.smallest, self.largest = 600, 24_000

    def fresh(self) -> LabelledScan:
        """Return a scan of a shape drawn at random."""
        share, pair, stretch = torch.rand(3, generator=self.host).tolist()
        triangles = self._any()
        if pair < 0.15:  # two that touch or overlap or not: winding numbers add up to their union
            small = 0.3 + 0.7 * float(torch.rand((), generator=self.host))
            turn = random_rotation(self.host) * small
            shift = torch.randn(3, generator=self.host) * 0.35
            other = self._any() @ turn.T.to(triangles.device) + shift.to(triangles.device)
            triangles = torch.cat([triangles, other])
        if stretch < 0.5:
            factors = 1.6 ** (2 * torch.rand(3, generator=self.host) - 1)
            triangles = triangles * factors.to(triangles.device)
        low, high = math.log(self.smallest), math.log(self.largest)
        count = round(math.exp(low + (high - low) * share))
        try:
            return self.scan(_unit(triangles), count)
        except ValueError as error:  # of one shape among thousands
            print(f"left out: {error}", flush=True)
            return self.fresh()

    def _any(self) -> torch.Tensor:
        return self.train[int(torch.randint(len(self.train), (), generator=self.host))]

    def scan(
        self, triangles: torch.Tensor, count: int, settings: ScanSettings | None = None
    ) -> LabelledScan:
        """Return a scan of given triangles."""
        seen = simulate_scan(triangles, count, self.generator, settings or self.settings)
        queries = sample_queries(triangles, seen.points, QUERIES, self.generator)
        order = torch.randperm(QUERIES, generator=self.generator, device=seen.points.device)
        return LabelledScan.of(
            seen.points, seen.normals, seen.sensors, queries.points[order], queries.occupancy[order]
        )

    def validation(self, count: int) -> list[LabelledScan]:
        """Return plain scans of held-out shapes, with uniform query points."""
        step = max(1, len(self.held_out) // count)
        return [self._plain(triangles) for triangles in self.held_out[::step][:count]]

    def _plain(self, triangles: torch.Tensor) -> LabelledScan:
        from onet.data.brute_force import winding_number

        seen = simulate_scan(triangles, 3000, self.generator, PLAIN)
        box = triangles.flatten(0, 1)
        low, high = box.min(0).values - 0.03, box.max(0).values + 0.03
        share = torch.rand(20_000, 3, generator=self.generator, device=box.device)
        points = low + (high - low) * share
        inside = winding_number(triangles, points) > 0.5
        return LabelledScan.of(seen.points, seen.normals, seen.sensors, points, inside)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--state", type=Path, help="file of what goes on; default OUT/state.pt")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--batch", type=int, default=32, help="scans in a step")
    parser.add_argument("--points", type=int, default=200_000, help="most points in a step")
    parser.add_argument("--fresh", type=int, default=4, help="scans in a step that are new")
    parser.add_argument("--pool", type=int, default=2000, help="scans that are shown again")
    parser.add_argument("--workers", type=int, default=0, help="processes that simulate scans")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--warmup", type=int, default=300, help="steps")
    parser.add_argument("--held-out", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--network", type=json.loads, default={}, help="options, as JSON")
    parser.add_argument(
        "--configuration", help="a dense network instead: the model of such a configuration"
    )
    parser.add_argument(
        "--plain", action="store_true", help="scans are whole and clean: noise .005"
    )
    parser.add_argument("--upright", action="store_true", help="scans are not turned at random")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="of the minutes")
    parser.add_argument("--weights", type=Path, help="start from those of an earlier training")
    parser.add_argument("--validate", type=float, default=60)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    if args.clock == "cpu" and args.workers:
        parser.error("--clock cpu does not see the time of --workers; leave them out")
    args.out.mkdir(parents=True, exist_ok=True)

    device = _device(args)
    torch.manual_seed(args.seed)
    begun = time.monotonic()
    simulator = Simulator(PackedShapes(args.shapes), device, args.seed, _settings(args))
    network = build_scan_network(_options(args)).to(device)
    if args.weights is not None:
        network.load_state_dict(load_file(args.weights, str(device)))
    validation = simulator.validation(args.held_out)
    print(
        f"{len(simulator.train)} shapes to train on, {len(validation)} scans of held-out ones, "
        f"{sum(p.numel() for p in network.parameters())} weights, "
        f"{time.monotonic() - begun:.1f} s to prepare",
        flush=True,
    )
    settings = ScanTraining(
        args.minutes,
        learning_rate=args.rate,
        warmup=args.warmup,
        validate_seconds=args.validate,
        clock=time.process_time if args.clock == "cpu" else time.monotonic,
    )
    if args.workers:
        next_batch = batches_of_workers(args, network.pad)
    else:
        next_batch = local_batches(args, network.pad, simulator.fresh, 0)
    trainer = ScanTrainer(network, settings, next_batch, validation)

    def report(row: dict[str, float]) -> None:
        write_network(trainer, args.out / "scan.safetensors")
        print(
            f"{row['seconds']:7.0f} s  step {row['steps']:6d}  loss {row['loss']:.4f}  "
            f"IoU {row['iou']:.4f}",
            flush=True,
        )

    trainer.run(args.state or args.out / "state.pt", args.out / "log.csv", report)


def work(args: argparse.Namespace, pad: int, number: int, batches: mp.Queue[ScanBatch]) -> None:
    """Simulate scans and make batches of them, in a process of its own, until it is ended."""
    torch.set_num_threads(1)
    seed = 1000 * args.seed + number + 1
    simulator = Simulator(PackedShapes(args.shapes), _device(args), seed, _settings(args))
    next_batch = local_batches(args, pad, lambda: simulator.fresh().to("cpu"), number + 1)
    while True:
        batches.put(next_batch())


def local_batches(
    args: argparse.Namespace, pad: int, fresh: Callable[[], LabelledScan], number: int
) -> Callable[[], ScanBatch]:
    """Return what makes batches of new scans and of those shown before."""
    seed = 1000 * args.seed + number
    changes = Changes(turned=not args.upright)
    return ScanPool(
        fresh, args.batch, args.points, args.fresh, args.pool, pad, changes, seed
    ).next_batch


def batches_of_workers(args: argparse.Namespace, pad: int) -> Callable[[], ScanBatch]:
    """Return what gives the batches of processes, in the order in which they are done."""
    context = mp.get_context("spawn")
    batches = context.Queue(maxsize=2 * args.workers)
    for number in range(args.workers):
        context.Process(target=work, args=(args, pad, number, batches), daemon=True).start()
    return lambda: batches.get(timeout=300)  # a dead process shall not be waited for


def _options(args: argparse.Namespace) -> dict[str, Any]:
    if args.configuration is None:
        return dict(args.network)
    return {"type": "dense", "model": load_config(args.configuration).model}


def _settings(args: argparse.Namespace) -> ScanSettings:
    return PLAIN if args.plain else ScanSettings()


def _device(args: argparse.Namespace) -> torch.device:
    return torch.empty(0, device=args.device).device  # with its number


def _unit(triangles: torch.Tensor) -> torch.Tensor:
    """Triangles with longest edge 1, centred."""
    corners = triangles.flatten(0, 1)
    low, high = corners.min(0).values, corners.max(0).values
    return (triangles - (low + high) / 2) / (high - low).max()


def write_network(trainer: ScanTrainer, path: Path) -> None:
    """Write the averaged network in half precision, with its options in the header."""
    state = {k: v.to(torch.float16).cpu().contiguous() for k, v in trainer.averaged.items()}
    metadata = {"options": json.dumps(trainer.network.options), "steps": str(trainer.steps)}
    temporary = path.with_suffix(".part")
    save_file(state, temporary, metadata)
    temporary.replace(path)


if __name__ == "__main__":
    main()
