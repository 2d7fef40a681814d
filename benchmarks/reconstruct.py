"""From an observation to a closed mesh with trained networks: seconds, points asked, memory.

Each run folder or checkpoint meshes the same items of a store, observed as it was trained. "encode"
makes the code, "mesh" is extraction from the folded decoder, without refinement or simplification.
Shown are medians over the items, after one mesh to warm up; seconds are those of the processor,
summed over threads, or with `--clock wall` those of the wall. "points" says at how many the field
was evaluated, which depends on the shape that a network makes; "points/s" is of extraction as a
whole, where `decode` has the decoder alone. "ratio" is of encode and mesh together, to the first
run at the same resolution. Every line is a process of its own, and peak memory is the growth of
ru_maxrss since the network was loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks._memory import peak_mib


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", nargs="+", required=True, help="run folders or checkpoints")
    parser.add_argument("--data", type=Path, help="prepared data; default that of each run")
    parser.add_argument("--split", default="test")
    parser.add_argument("--items", type=int, default=8, help="taken evenly from the split")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--mode", choices=("exact", "fast"), default="exact")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="cpu")
    parser.add_argument("--seed", type=int, default=0, help="of the observations")
    parser.add_argument("--single", nargs=2, help=argparse.SUPPRESS)  # one line, in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        source, resolution = arguments.single
        print(json.dumps(_measure(source, int(resolution), arguments)))
        return
    from onet.report.tables import print_table

    rows: list[dict[str, Any]] = []
    for resolution in arguments.resolutions:
        group = []
        for source in arguments.runs:
            command = [sys.executable, "-m", "benchmarks", *sys.argv[1:]]
            command += ["--single", source, str(resolution)]
            environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
            done = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, text=True, check=True
            )
            group.append(json.loads(done.stdout.splitlines()[-1]))
        first = group[0]["encode"] + group[0]["mesh"]
        for row in group:
            row["ratio"] = f"{(row['encode'] + row['mesh']) / first:.2f}x"
        rows += group
    print_table(
        rows,
        f"Medians of {arguments.items} items of {arguments.split}, {arguments.clock} seconds, "
        f"{arguments.threads} thread(s), mode {arguments.mode}, {arguments.precision}; load now "
        f"{os.getloadavg()[0]:.1f}",
    )


def _measure(source: str, resolution: int, arguments: argparse.Namespace) -> dict[str, Any]:
    import numpy as np
    import torch

    from onet.data.store import Store
    from onet.inference.reconstructor import load

    torch.set_num_threads(arguments.threads)
    model = load(source, device="cpu")
    items = Store(arguments.data or model.config.data.path).items(
        arguments.split, model.config.data.categories
    )
    chosen = np.linspace(0, len(items) - 1, min(arguments.items, len(items))).round().astype(int)
    rngs = [np.random.default_rng([arguments.seed, i]) for i in chosen]
    observed = [
        model.input.sample(items[i], rng, training=False)
        for i, rng in zip(chosen, rngs, strict=True)
    ]
    now = time.process_time if arguments.clock == "cpu" else time.perf_counter
    options: dict[str, Any] = {"mode": arguments.mode, "precision": arguments.precision}
    options |= {"refine": "none", "simplify": 0, "sharp": False, "normals": False}
    encode, seconds, points, faces = [], [], [], []
    before = peak_mib()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no surface")  # the table shows 0 faces
        model.extract(observed[0], resolution=32, **options)
        for observation in observed:
            start = now()
            code = model.encode(observation)
            middle = now()
            mesh = model.surface(code, resolution=resolution, **options)
            encode.append(middle - start)
            seconds.append(now() - middle)
            points.append(mesh.metadata["extraction"]["evaluations"])
            faces.append(len(mesh.faces))
    median = statistics.median
    return {
        "run": "/".join(Path(source).parts[-2:]),
        "decoder": model.config.model["decoder"]["type"],
        "resolution": resolution,
        "encode": median(encode),
        "mesh": median(seconds),
        "points": int(median(points)),
        "faces": int(median(faces)),
        "points/s": int(median(n / s for n, s in zip(points, seconds, strict=True))),
        "no surface": faces.count(0),
        "peak MiB": int(peak_mib() - before),
    }
