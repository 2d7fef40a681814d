"""Measure how far volumes and boxes of scans are from the truth, and write it into the weights.

    python tools/calibrate_scan.py shapes.npz data/scan.safetensors --scans 120

Scans of held-out shapes are simulated as in training. Half of them make intervals and the other
half says how many truths these hold; those that are written are of all scans. Nothing but points is
given to the network. The file is replaced by one with the same weights.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from safetensors import safe_open
from safetensors.torch import save

import onet
from onet.data.scan_shapes import PackedShapes
from onet.data.scan_simulation import simulate_scan
from onet.files import replacing
from onet.geometry.winding import winding_number
from onet.inference.scan_intervals import INTERVALS, conformal_bounds, per_logit

PROBES = 100_000  # of the volume of the box, for the true one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--scans", type=int, default=120)
    parser.add_argument("--points", type=int, nargs=2, default=(1000, 20_000), help="fewest, most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    args = parser.parse_args()
    model = onet.load(args.weights, args.device)
    shapes = PackedShapes(args.shapes)
    generator = torch.Generator().manual_seed(args.seed)
    held_out = shapes.of_split("val").tolist()
    order = torch.randperm(len(held_out), generator=generator).tolist()
    ratios: list[dict[str, list[float]]] = []
    begun = time.monotonic()
    for number in range(args.scans):
        index = held_out[order[number % len(held_out)]]
        triangles = torch.from_numpy(np.asarray(shapes.triangles(index), dtype=np.float32))
        low, high = np.log(args.points)
        count = round(
            float(np.exp(low + (high - low) * float(torch.rand((), generator=generator))))
        )
        try:
            ratios.append(_ratios(model, triangles, count, generator))
        except (ValueError, onet.OnetError) as error:
            print(f"left out: shape {index}: {error}", flush=True)
    print(f"{len(ratios)} scans in {time.monotonic() - begun:.0f} s")
    bounds = {key: _bounds(key, ratios) for key in ("volume", "box")}
    if not args.dry:
        _write(args.weights, bounds)


def _ratios(
    model: Any, triangles: torch.Tensor, count: int, generator: torch.Generator
) -> dict[str, list[float]]:
    """How many logits the truth of one scan is away: one number of the volume, three of the box."""
    seen = simulate_scan(triangles, count, generator)
    points = seen.points.double().numpy()  # most files have nothing else
    mesh = model.reconstruct(points)
    if not mesh.is_watertight:
        raise ValueError("no closed surface")
    growth = per_logit(mesh, model.field(points), mesh.metadata["scan"]["spacing"])
    corners = triangles.reshape(-1, 3)
    low, high = corners.min(0).values, corners.max(0).values
    sides = (high - low).double().numpy()
    probes = low + (high - low) * torch.rand(PROBES, 3, generator=generator)
    solid = trimesh.Trimesh(corners.numpy(), np.arange(len(corners)).reshape(-1, 3), process=False)
    inside = float((winding_number(solid, probes.numpy()) > 0.5).mean())
    volume = (inside * float(np.prod(sides)) - mesh.volume) / growth.volume
    return {
        "volume": [volume],
        "box": ((sides - np.ptp(mesh.vertices, axis=0)) / growth.box).tolist(),
    }


def _bounds(key: str, ratios: list[dict[str, list[float]]]) -> tuple[float, float]:
    first = [ratio for scan in ratios[::2] for ratio in scan[key]]
    low, high = conformal_bounds(first)
    second = np.array([ratio for scan in ratios[1::2] for ratio in scan[key]])
    held = float(((second >= low) & (second <= high)).mean())
    found = conformal_bounds([ratio for scan in ratios for ratio in scan[key]])
    print(f"{key}: {found[0]:.3g} to {found[1]:.3g} logits; of half of the scans bounds by the "
          f"other half hold {held:.1%}")  # fmt: skip
    return found


def _write(path: Path, bounds: dict[str, tuple[float, float]]) -> None:
    with safe_open(path, framework="pt") as file:
        header = dict(file.metadata())
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    with replacing(path) as temporary:
        temporary.write_bytes(save(state, header | {INTERVALS: json.dumps(bounds)}))


if __name__ == "__main__":
    main()
