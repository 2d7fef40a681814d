"""Batches of simulated scans: turned and placed on grids, as the network for scans takes them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from onet.nn.cell_size import cell_size


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """One scan with what is known of the space round it; tensors on the device of training.

    Attributes:
        points: (N, 3) float32, longest edge of the object 1, centred.
        normals: (N, 3) outward.
        sensors: (N, 3) places that points were seen from; NaN where there is none.
        queries: (Q, 3) points.
        occupancies: (Q,) float32, 1 inside.
        cell: side of a cell of the finest grid.
    """

    points: Tensor
    normals: Tensor
    sensors: Tensor
    queries: Tensor
    occupancies: Tensor
    cell: float

    def to(self, device: torch.device | str) -> LabelledScan:
        """Return the scan on a device."""
        tensors: dict[str, Any] = {
            name: value.to(device)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **tensors)

    @classmethod
    def of(
        cls, points: Tensor, normals: Tensor, sensors: Tensor, queries: Tensor, inside: Tensor
    ) -> LabelledScan:
        """Return the scan with the cells that its spacing asks for."""
        return cls(points, normals, sensors, queries, inside.float(), cell_size(points))


@dataclass(frozen=True, eq=False)
class ScanBatch:
    """What `ScanModel.encode` and `decode` take, and the labels."""

    points: Tensor
    scans: Tensor
    normals: Tensor
    sensors: Tensor
    queries: Tensor
    query_scans: Tensor
    occupancies: Tensor

    def to(self, device: torch.device) -> ScanBatch:
        """Return the batch on a device."""
        return ScanBatch(
            *(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self))
        )


@dataclass(frozen=True)
class Changes:
    """What training changes in a scan each time it is shown.

    Attributes:
        queries: how many query points of each scan are used.
        normals: share of scans whose normals the network is given.
        sensors: share of scans with sensors whose directions it is given.
        cell: cells are longer or shorter by up to this factor.
        turned: scans are turned at random; where they are not, they stand as their shapes do.
    """

    queries: int = 4096
    normals: float = 0.15
    sensors: float = 0.2
    cell: float = 1.2
    turned: bool = True


class ScanPool:
    """Scans that are simulated one after another and shown several times.

    Args:
        make_scan: gives a new scan each time.
        batch: scans in a batch.
        points: most points in one: fewer scans are taken where they are large.
        fresh: new scans in each batch.
        size: scans kept to be shown again.
        pad: cells that points keep from 0, `ScanModel.pad`.
        changes: what is changed each time that a scan is shown.
        seed: of which ones are shown and of the changes.
    """

    def __init__(
        self,
        make_scan: Callable[[], LabelledScan],
        batch: int,
        points: int,
        fresh: int,
        size: int,
        pad: int,
        changes: Changes,
        seed: int,
    ) -> None:
        self.make_scan, self.batch, self.points, self.fresh = make_scan, batch, points, fresh
        self.pad, self.changes = pad, changes
        self.kept: deque[LabelledScan] = deque(maxlen=size)
        self.generator = torch.Generator().manual_seed(seed)

    def next_batch(self) -> ScanBatch:
        """Return a batch with as many new scans as there should be; of new ones alone at first."""
        fresh = [self.make_scan() for _ in range(self.fresh if self.kept else self.batch)]
        self.kept.extend(fresh)
        order = torch.randint(len(self.kept), (self.batch - len(fresh),), generator=self.generator)
        total = 0
        items: list[LabelledScan] = []
        for item in [*fresh, *(self.kept[k] for k in order.tolist())]:
            total += len(item.points)
            if items and total > self.points:
                break
            items.append(item)
        return make_batch(items, self.pad, self.generator, self.changes)


def make_batch(
    items: Sequence[LabelledScan],
    pad: int,
    generator: torch.Generator,  # of the CPU
    changes: Changes | None = None,
) -> ScanBatch:
    """Return scans as one batch; with `changes` turned at random, parts of them left out.

    Args:
        items: the scans.
        pad: cells that points keep from 0, `ScanModel.pad`.
        generator: of what changes and of where the grids lie.
        changes: None to evaluate: nothing is changed, no normals and sensors are given.
    """
    points, normals, sensors, queries, occupancies = [], [], [], [], []
    for item in items:
        draw = torch.rand(8, generator=generator).tolist()
        turn = torch.eye(3)
        chosen: slice | Tensor = slice(None)
        cell = item.cell
        if changes:
            turn = random_rotation(generator) if changes.turned else turn
            cell *= changes.cell ** (2 * draw[0] - 1)
            first = int(draw[1] * max(1, len(item.queries) - changes.queries + 1))
            chosen = slice(first, first + changes.queries)
        turn = (turn / cell).to(item.points.device)
        here = item.points @ turn.T
        phase = [math.floor(64 * d) + d for d in draw[2:5]] if changes else [0.5] * 3
        # 1 more: rounding must bring none below `pad`
        shift = pad + 1 + torch.tensor(phase).to(here) - here.min(0).values
        points.append(here + shift)
        queries.append(item.queries[chosen] @ turn.T + shift)
        occupancies.append(item.occupancies[chosen])
        given = changes is not None and draw[5] < changes.normals
        normals.append(item.normals @ turn.T * cell if given else torch.zeros_like(here))
        given = changes is not None and draw[6] < changes.sensors
        sensors.append(directions(item, turn, cell) if given else torch.zeros_like(here))
    return ScanBatch(
        torch.cat(points),
        _numbered(points),
        torch.cat(normals),
        torch.cat(sensors),
        torch.cat(queries),
        _numbered(queries),
        torch.cat(occupancies),
    )


def directions(item: LabelledScan, turn: Tensor, cell: float) -> Tensor:
    """Return unit vectors (N, 3) from points to their sensors, turned; 0 where there is none."""
    towards = torch.nn.functional.normalize(item.sensors - item.points, dim=1)
    return towards.nan_to_num(0.0) @ turn.T * cell


def random_rotation(generator: torch.Generator) -> Tensor:
    """Return a rotation (3, 3), uniform over all."""
    w, x, y, z = torch.nn.functional.normalize(torch.randn(4, generator=generator), dim=0).tolist()
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _numbered(parts: Sequence[Tensor]) -> Tensor:
    lengths = torch.tensor([len(part) for part in parts])
    return torch.arange(len(parts)).repeat_interleave(lengths).to(parts[0].device)
