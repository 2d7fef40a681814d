"""Poisson whose estimated normals a network for scans orients: a learned step, then the classic."""

from __future__ import annotations

import itertools
from typing import Any

import trimesh

from benchmarks._scan_peers import DEPTHS, NEIGHBOURS, Given, Method, poisson_of
from onet.inference.scan_normals import oriented_normals

ORIENTED = "Poisson, oriented by"


def oriented(reconstructor: Any, label: str) -> list[Method]:
    """Return Poisson by a network's orientation, at all depths and numbers of neighbours.

    Args:
        reconstructor: a network for scans, as `onet.load` returns it.
        label: its name in the tables.
    """
    return [
        Method(f"{ORIENTED} {label}", f"depth {depth} k {neighbours}", run, needs=("open3d",))
        for neighbours, depth in itertools.product(NEIGHBOURS, DEPTHS)
        for run in [_run(reconstructor, depth, neighbours)]
    ]


def _run(reconstructor: Any, depth: int, neighbours: int) -> Any:
    def run(given: Given) -> trimesh.Trimesh:
        points = given.scan.points
        normals = given.unoriented(neighbours)
        return poisson_of(
            given, oriented_normals(reconstructor.field(points), points, normals), depth
        )

    return run
