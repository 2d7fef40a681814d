"""Poisson whose estimated normals a network for scans orients: a learned step, then the classic."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import trimesh

from benchmarks._scan_contender import known_network
from benchmarks._scan_peers import DEPTHS, NEIGHBOURS, Given, Method, poisson_of
from onet.inference.scan_normals import oriented_normals

ORIENTED = "Poisson, oriented by"


def oriented(model: str, label: str | None) -> list[Method]:
    """Return Poisson by a network's orientation, at all depths and numbers of neighbours.

    Args:
        model: a network for scans: a file, or the name of a packaged one.
        label: its name in the tables; by default that of its file.

    Raises:
        CheckpointError: there is no such network.
        ConfigError: it does not come from a file, and has no label.
    """
    network, name, digest = known_network(model, label)
    return [
        Method(
            " ".join(filter(None, [ORIENTED, name, digest])),
            f"depth {depth} k {neighbours}",
            partial(_reconstruct, network=network, depth=depth, neighbours=neighbours),
            needs=("open3d",),
        )
        for neighbours, depth in itertools.product(NEIGHBOURS, DEPTHS)
    ]


def _reconstruct(given: Given, network: Any, depth: int, neighbours: int) -> trimesh.Trimesh:
    points = given.scan.points
    field = network.field(points)
    normals = oriented_normals(field, points, given.unoriented(neighbours))
    return poisson_of(given, normals, depth)
