"""Solvers and seconds of a trained model of moving shapes.

First table: surface points of the first frames of some sequences, carried to times evenly over the
sequence, and to the end alone, by each solver. `error` is the mean distance, over points and times,
to a solve of dopri5 with tolerances of 1e-8 and 1e-10; `largest` the largest one; `cycle` the mean
distance after the way to the end, through all times, and back in one piece. These in double
precision; seconds (processor time) in single precision, of one sequence.

Second table: one sequence observed and written as an animated GLB of so many frames, from surfaces
of several resolutions; third: the exponents with which integration grows with frames and with
vertices, from least squares of logarithms over the sizes that were run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._runs import one_thread

if TYPE_CHECKING:
    from onet.inference.motion import MotionReconstructor

Row = dict[str, Any]
SOLVERS: tuple[Row, ...] = (
    *({"solver": "rk4", "steps": steps} for steps in (1, 2, 4, 8, 16, 32)),
    *({"solver": "dopri5", "rtol": r, "atol": r / 100} for r in (1e-3, 1e-4, 1e-5)),
)
EXACT = {"solver": "dopri5", "rtol": 1e-8, "atol": 1e-10}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="RUN", type=Path, help="trained run")
    parser.add_argument("--store", type=Path, help="default: that of the run")
    parser.add_argument("--split", help="default: the test split of the run")
    parser.add_argument("--only", choices=("solvers", "parts"), help="the first, or the others")
    parser.add_argument("--sequences", type=int, default=4, help="for the solvers")
    parser.add_argument("--points", type=int, default=1000, help="of each, for the solvers")
    parser.add_argument("--number", type=int, default=0, help="of these, for the parts")
    parser.add_argument("--frames", type=int, nargs="+", default=[5, 9, 17, 33])
    parser.add_argument("--resolutions", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--out", type=Path, default=Path("out/flow_cost"))


def run(arguments: argparse.Namespace) -> None:
    from onet.inference.motion import MotionReconstructor
    from onet.report.tables import print_table

    with one_thread():
        model = MotionReconstructor.load(arguments.network, "cpu")
        if not hasattr(model.model, "flow"):
            raise SystemExit(f"{arguments.network}: knows no velocities; give a model of type flow")
        targets = _observed(model, arguments)
        if arguments.only != "parts":
            for count in (17, 2):
                rows = _solvers(model, targets, count)
                what = "17 times" if count > 2 else "the end alone"
                print_table(
                    _shown(rows),
                    f"{what}; {len(targets)} sequences, {arguments.points} points of each",
                )
        if arguments.only != "solvers":
            parts = _parts(model, targets[arguments.number], arguments)
            print_table(_shown(parts), "seconds (processor) of one sequence, per part")
            print_table(_shown(_exponents(parts)), "growth of the seconds of integration")


def _shown(rows: list[Row]) -> list[Row]:
    return [{k: f"{v:.3g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows]


def _observed(model: MotionReconstructor, arguments: argparse.Namespace) -> list[Row]:
    """Code, first surface points and observation of sequences of a split."""
    from onet.config import load_config
    from onet.data.build import build_sequences
    from onet.data.sequence_folder import PCL_SEQ
    from onet.data.store import Store

    changes = {"data.path": str(arguments.store)} if arguments.store else {}
    config = load_config(model.config, changes)
    split = arguments.split or config.data.test_split
    dataset = build_sequences(config, split, training=False, store=Store(config.data.path))
    result = []
    chosen = np.linspace(0, len(dataset) - 1, min(arguments.sequences, len(dataset)))
    for index in chosen.round().astype(int):
        sequence, numbers, times = dataset.numbers(index)
        frame, rng = sequence.frame(numbers[0], PCL_SEQ), np.random.default_rng(0)
        seen = model.input.of_sequence(sequence, numbers, frame, rng, training=False)
        some = rng.choice(sequence.surface_count(0), arguments.points)
        points = sequence.surface(numbers[0], some, frame).astype(np.float64)
        result.append({"seen": seen, "times": times, "points": points, "frame": frame})
    return result


def _solvers(model: MotionReconstructor, targets: list[Row], count: int) -> list[Row]:
    import torch

    from onet.nn.integration import Integration, carry

    network = model.model
    at, start = torch.linspace(0, 1, count)[None, 1:], torch.zeros(1)
    back = torch.cat([at, torch.zeros(1, 1)], 1)

    def solved(how: Row, target: Row, times: Any, dtype: Any) -> tuple[Any, float]:
        network.to(dtype)
        with torch.no_grad():
            code = network.observe(
                {"frames": torch.as_tensor(target["seen"], dtype=dtype)[None],
                 "times": torch.as_tensor(target["times"], dtype=dtype)[None]}
            )  # fmt: skip
            points = torch.as_tensor(target["points"], dtype=dtype)[None]
            begin = time.process_time()
            places = carry(
                network.velocity(code), points, start.to(dtype), times.to(dtype), Integration(**how)
            )
        return places[0], time.process_time() - begin

    exact = [solved(EXACT, target, at, torch.float64)[0] for target in targets]
    rows = []
    for how in SOLVERS:
        errors, largest, cycles, seconds = [], [], [], []
        for target, true in zip(targets, exact, strict=True):
            places, _ = solved(how, target, back, torch.float64)
            distances = (places[:-1] - true).norm(dim=-1)
            cycles.append((places[-1] - torch.as_tensor(target["points"])).norm(dim=-1).mean())
            errors.append(distances.mean())
            largest.append(distances.max())
            seconds.append(min(solved(how, target, at, torch.float32)[1] for _ in range(2)))
        options = f"{how['steps']} steps" if "steps" in how else f"{how['rtol']:g}"
        rows.append(
            {"solver": f"{how['solver']}, {options}", "error": float(np.mean(errors)),
             "largest": float(np.max(largest)), "cycle": float(np.mean(cycles)),
             "seconds": float(np.mean(seconds))}
        )  # fmt: skip
    network.float()
    return rows


def _parts(model: MotionReconstructor, target: Row, arguments: argparse.Namespace) -> list[Row]:
    """Seconds of the parts for several resolutions and numbers of frames."""
    from onet.geometry.sequences.writing import save_animation

    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for resolution in arguments.resolutions:
        code, encode = _timed(lambda: model.encode(target["seen"], target["times"]))
        mesh, extract = _timed(lambda r=resolution, c=code: model.mesh(c, resolution=r))
        for frames in arguments.frames:
            times = np.linspace(0, 1, frames)
            motion, integrate = _timed(lambda c=code, t=times, m=mesh: model.animate(c, t, m))
            moving = motion.in_frame(target["frame"], times, "sequence")
            path = arguments.out / f"{resolution}_{frames}.glb"
            _, write = _timed(lambda m=moving, p=path: save_animation(m, p))
            rows.append(
                {"resolution": resolution, "frames": frames, "vertices": len(moving.vertices[0]),
                 "encode": encode, "extract": extract, "integrate": integrate, "write": write,
                 "sum": encode + extract + integrate + write, "KiB": path.stat().st_size / 1024}
            )  # fmt: skip
    return rows


def _timed(what: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.process_time()
    result = what()
    return result, time.process_time() - begin


def _exponents(rows: list[Row]) -> list[Row]:
    result: list[Row] = []
    for grows, fixed in (("frames", "resolution"), ("vertices", "frames")):
        for value in dict.fromkeys(row[fixed] for row in rows):
            own = [row for row in rows if row[fixed] == value]
            if len(own) > 1:
                x, y = (np.log([row[key] for row in own]) for key in (grows, "integrate"))
                result.append(
                    {
                        "with": grows,
                        "at": f"{fixed} {value}",
                        "exponent": float(np.polyfit(x, y, 1)[0]),
                    }
                )
    return result
