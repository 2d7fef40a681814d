"""Mesh from a trained network: this package against the published pipeline, same weights.

"published" is the plain re-implementation in `benchmarks/_published.py`; the other contenders are
`onet.extract_mesh` on the decoder folded for its code; "exact mixed" asks the bfloat16 decoder for
signs and the float32 one near the surface, as `onet.reconstruct` does where it pays. "chair" is a
decoder of the published size (5 x 256 features, a fixed code of 512) fitted to an analytic chair;
`--fit MINUTES` does that, longer if need be until the network is good, and keeps it in the file
given by `--checkpoint`. "demo" is the embedded network on one embedded scan.

Every run is a process of its own; contenders take turns, and the median of the runs is shown.
"field" is the time in the decoder, "rest" all other time. "GFLOP/s" is what products of a tile with
the decoder's square weights reach in the same process, in the precision of most evaluations;
"bound" is the share of the total that the products of all evaluations would take at that rate, each
in its precision. Peak memory is the growth of ru_maxrss over its value with everything loaded and
the field evaluated at a few points. "apart" is the largest distance from a vertex of one mesh to
the nearest vertex of the published pipeline's mesh, in either direction, in a box of edge 1.1.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._memory import peak_mib

if TYPE_CHECKING:
    import numpy as np

# Contenders: type of the folded decoder and how `extract_mesh` is called. No heavy import up here:
# a child process starts with the peak memory of its parent.
PUBLISHED = "published"
CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    PUBLISHED: ("float32", {}),
    "exact": ("float32", {"mode": "exact"}),
    "fast": ("float32", {"mode": "fast"}),
    "exact mixed": ("float32", {"mode": "exact"}),
    "exact bf16": ("bfloat16", {"mode": "exact"}),
    "fast bf16": ("bfloat16", {"mode": "fast"}),
}
MIXED = "exact mixed"
NETWORKS = ("chair", "demo")
LEVEL = 0.0
# Of the fit: IoU near the surface from which on it is good, points it is judged by, how many times
# the minutes given it may take until then, and the learning rate of that time.
GOOD_IOU, JUDGED, MOST_TIMES, SLOW_RATE = 0.7, 20_000, 4.0, 1e-4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=5, help="runs of each contender")
    parser.add_argument("--checkpoint", type=Path, default=Path("out/benchmark_chair.safetensors"))
    parser.add_argument("--fit", type=float, metavar="MINUTES", help="write --checkpoint and end")
    parser.add_argument("--single", nargs=4, help=argparse.SUPPRESS)  # one run, in a child process


def run(arguments: argparse.Namespace) -> None:
    if arguments.single:
        contender, network, resolution, saved = arguments.single
        measured = _measure(contender, network, int(resolution), saved)
        print(json.dumps(measured))
        return
    if arguments.fit:
        _fit(arguments.checkpoint, arguments.fit)
        return
    if "chair" in arguments.networks and not arguments.checkpoint.exists():
        sys.exit(f"{arguments.checkpoint} is not there: `--fit 5` trains it in five minutes")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = {"chair": str(arguments.checkpoint), "demo": f"{folder}/demo.safetensors"}
        if "demo" in arguments.networks:
            code = f"from benchmarks.mesh import save_demo; save_demo({paths['demo']!r})"
            subprocess.run([sys.executable, "-c", code], check=True)
        for network in arguments.networks:
            for resolution in arguments.resolutions:
                for threads in arguments.threads:
                    rows += _compare(arguments, network, paths[network], resolution, threads)
    _show(rows, arguments.runs)


def _compare(
    arguments: argparse.Namespace, network: str, path: str, resolution: int, threads: int
) -> list[dict[str, Any]]:
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in arguments.contenders}
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder:
        saved = {name: f"{folder}/{name}.npz" for name in results}
        for number in range(arguments.runs):
            for name in results:
                command = [sys.executable, "-m", "benchmarks", "mesh", "--single", name, path]
                command += [str(resolution), saved[name] if number == 0 else ""]
                done = subprocess.run(
                    command, env=environment, stdout=subprocess.PIPE, text=True, check=True
                )
                results[name].append(json.loads(done.stdout))
                if results[name][-1]["faces"] == 0:
                    sys.exit(f"{path}: {name} finds no surface of {network}; fit it anew by --fit")
        apart = {
            name: _apart(saved[PUBLISHED], saved[name])
            for name in results
            if name != PUBLISHED and PUBLISHED in results
        }
    return [
        {"network": network, "cells": resolution, "threads": threads, "contender": name}
        | {key: measured[0][key] for key in ("evaluations", "faces")}
        | {
            key: statistics.median(result[key] for result in measured)
            for key in ("total", "field", "rest", "rate", "peak_mib")
        }
        | {"bound": statistics.median(r["bound"] / r["total"] for r in measured)}
        | {"apart": apart.get(name)}
        for name, measured in results.items()
    ]


def _apart(one: str, other: str) -> float:
    """Hausdorff distance of the vertices, in a child process, which keeps this one small."""
    code = (
        "import sys, numpy as np; from scipy.spatial import cKDTree\n"
        "a, b = np.load(sys.argv[1])['vertices'], np.load(sys.argv[2])['vertices']\n"
        "print(max(cKDTree(a).query(b)[0].max(), cKDTree(b).query(a)[0].max()))\n"
    )
    command = [sys.executable, "-c", code, one, other]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _measure(contender: str, path: str, resolution: int, saved: str) -> dict[str, Any]:
    import numpy as np
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    prepare, extract = _pipeline(contender, path)
    for field in prepare():
        field(np.zeros((16, 3), dtype=np.float32))
    baseline = peak_mib()
    spent = 0.0
    start = time.perf_counter()
    fields = prepare()  # folding belongs to every new code

    def timed(field: Any, points: np.ndarray) -> Any:
        nonlocal spent
        start = time.perf_counter()
        values = field(points)
        spent += time.perf_counter() - start
        return values

    vertices, faces, evaluations = extract([partial(timed, f) for f in fields], resolution)
    total = time.perf_counter() - start
    peak = peak_mib() - baseline
    if saved:
        np.savez(saved, vertices=vertices, faces=faces)
    return {
        "total": total,
        "field": spent,
        "rest": total - spent,
        "evaluations": sum(evaluations.values()),
        "faces": len(faces),
        "peak_mib": peak,
        **_bound(path, evaluations),
    }


def _bound(path: str, evaluations: dict[str, int]) -> dict[str, float]:
    """Seconds of the products of evaluations by their precision, and GFLOP/s of that of most."""
    import torch
    from safetensors.torch import load_file

    from benchmarks._machine import product_rate
    from onet.nn.decoders.folded import CPU_TILE

    layers = {name: p for name, p in load_file(path).items() if name.endswith("weight")}
    of_points = [p.numel() for name, p in layers.items() if "bn" not in name]  # norms: of the code
    tile = CPU_TILE, len(layers["fc_p.weight"]), len(layers["fc_p.weight"])
    rates = {precision: product_rate(getattr(torch, precision), tile) for precision in evaluations}
    seconds = [2 * sum(of_points) * n / rates[precision] for precision, n in evaluations.items()]
    most = max(evaluations, key=lambda precision: evaluations[precision])
    return {"bound": sum(seconds), "rate": rates[most] / 1e9}


def _pipeline(contender: str, path: str) -> tuple[Any, Any]:
    """How fields are made, and how they and cells become vertices, faces and evaluations.

    There is one field, or the cheaper one after it. Evaluations are by precision.
    """
    import torch
    import trimesh  # noqa: F401  (loaded before memory is measured)
    from safetensors.torch import load_file

    from benchmarks import _published
    from onet.geometry.extraction import extract_mesh
    from onet.nn.decoders.cbatchnorm import CBatchNormDecoder

    parameters = load_file(path)
    code = parameters.pop("code")
    if contender == PUBLISHED:
        import mcubes  # noqa: F401

        def published(fields: Any, cells: int) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
            vertices, faces, evaluations = _published.extract(fields[0], cells, LEVEL)
            return vertices, faces, {"float32": evaluations}

        return lambda: [_published.EagerDecoder(parameters, code)], published
    dtype, options = CONTENDERS[contender]
    decoder = CBatchNormDecoder(len(code), hidden_size=len(parameters["fc_p.bias"])).eval()
    decoder.load_state_dict(parameters)

    precisions = [dtype, "bfloat16"] if contender == MIXED else [dtype]

    def prepare() -> list[Any]:
        folded = [decoder.fold(code, dtype=getattr(torch, each)) for each in precisions]
        return [lambda points, f=f: f(torch.from_numpy(points)) for f in folded]

    def extract(fields: Any, cells: int) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
        field, approximate = (*fields, None)[:2]
        mesh = extract_mesh(
            field, resolution=cells, level=LEVEL, approximate=approximate, **options
        )
        told = mesh.metadata["extraction"]
        evaluations = {precisions[-1]: told["evaluations"]}
        if approximate is not None:
            evaluations[dtype] = told["approximate"]["exact_evaluations"]
        return mesh.vertices, mesh.faces, evaluations

    return prepare, extract


def save_demo(path: str) -> None:
    """Decoder of the embedded network and its code of the first embedded scan."""
    import numpy as np
    from safetensors.torch import save_file

    import onet
    from onet.geometry.normalization import UnitFrame
    from onet.geometry.point_cloud_io import load_points
    from onet.resources import assets_dir

    assets = assets_dir()
    model: Any = onet.load(assets / "demo.safetensors", device="cpu")
    scan = assets / "scans" / "chair_chair.ply"
    points = load_points(scan)
    unit = UnitFrame.of(points, scan.name).to_unit(points)
    code = model.encode(model.input.observe(unit, np.random.default_rng(0)))
    save_file({**model.model.decoder.state_dict(), "code": code.contiguous()}, path)


def _fit(path: Path, minutes: float) -> None:
    """Fits a decoder of the published size, with a fixed code, to the chair of the benchmarks."""
    import numpy as np
    import torch
    import torch.nn.functional as F
    from safetensors.torch import save_file

    from benchmarks._shapes import chair
    from onet.nn.decoders.cbatchnorm import CBatchNormDecoder

    torch.manual_seed(0)
    random = np.random.default_rng(0)
    decoder, code = CBatchNormDecoder(512), torch.randn(512)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=1e-3)

    def pool() -> tuple[torch.Tensor, torch.Tensor]:
        """Half of the points anywhere, half near the surface."""
        points = random.uniform(-0.55, 0.55, (400_000, 3)).astype(np.float32)
        value = chair(points)
        near = np.flatnonzero(np.abs(value) < 0.03)
        chosen = np.concatenate([np.arange(len(near)), near])
        return torch.from_numpy(points[chosen]), torch.from_numpy(value[chosen] > 0).float()

    points, inside = pool()
    start, step, size = time.perf_counter(), 0, 2048
    # At least MINUTES, then on until the surface is the chair's: a slow machine takes longer.
    good, most = False, MOST_TIMES * 60 * minutes
    while not good and (spent := time.perf_counter() - start) < most:
        done = min(1.0, spent / (60 * minutes))
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - done) + 1e-5 if done < 1 else SLOW_RATE
        chosen = torch.from_numpy(random.integers(0, len(points), size))
        loss = F.binary_cross_entropy_with_logits(
            decoder(points[None, chosen], None, code[None])[0], inside[chosen]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 100 == 0:
            points, inside = pool()
            iou = _iou(decoder, code, points, inside)
            good = done == 1 and iou >= GOOD_IOU
            print(f"step {step}, loss {loss.item():.4f}, IoU {iou:.3f}, {spent:.0f} s", flush=True)
    if not good:
        sys.exit(
            f"after {MOST_TIMES:g} times {minutes:g} minutes ({step} steps) the network's IoU is "
            f"below {GOOD_IOU}, so its mesh is not the chair; nothing was written: give more "
            "minutes, or a quieter machine"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({**decoder.state_dict(), "code": code}, path)
    print(f"{path} written after {step} steps")


def _iou(decoder: Any, code: Any, points: Any, inside: Any) -> float:
    """IoU at some of the points, half of which are near the surface."""
    import torch

    decoder.eval()
    with torch.no_grad():
        logits = decoder(points[None, -JUDGED:], None, code[None])[0]
    decoder.train()
    found, true = logits > LEVEL, inside[-JUDGED:] > 0.5
    return float((found & true).sum() / (found | true).sum().clamp(min=1))


def _show(rows: list[dict[str, Any]], runs: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"median of {runs} runs", title_justify="left")
    headers = ("network", "cells", "threads", "contender", "total s", "ratio", "field s", "rest s")
    for header in (*headers, "evaluations", "GFLOP/s", "bound", "faces", "apart", "peak MiB"):
        table.add_column(header, justify="left" if header in ("network", "contender") else "right")
    reference = rows[0]
    for row in rows:
        if row["contender"] == rows[0]["contender"]:
            table.add_section()
            reference = row
        table.add_row(
            row["network"],
            str(row["cells"]),
            str(row["threads"]),
            row["contender"],
            f"{row['total']:.2f}",
            f"{reference['total'] / row['total']:.1f}x",
            f"{row['field']:.2f}",
            f"{row['rest']:.3f}",
            f"{row['evaluations']:,}",
            f"{row['rate']:.0f}",
            f"{row['bound']:.0%}",
            f"{row['faces']:,}",
            "" if row["apart"] is None else f"{row['apart']:.1e}",
            f"{row['peak_mib']:.0f}",
        )
    Console(width=None if sys.stdout.isatty() else 150).print(table)
