"""Conditions of scanning, each a cell of the table: points, noise, outliers, sides, rotation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onet.errors import ConfigError

POINTS = (1_000, 3_000, 30_000, 300_000)
NOISES = (0.0, 0.002, 0.005, 0.01)
OUTLIERS = 0.05
QUICK = ("3000/0.005",)
TABLE = (
    *QUICK,
    "30000/0.005",
    "1000/0.005",
    "300000/0.005",
    "3000/0",
    "3000/0.002",
    "3000/0.01",
    "30000/0.01",
    "3000/0.005/outliers",
    "30000/0.005/outliers",
    "3000/0.005/one-sided",
    "30000/0.005/one-sided",
    "3000/0.01/one-sided",
    "3000/0.005/one-sided/outliers",
    "3000/0.005/rotated",
)
WORDS = ("one-sided", "outliers", "rotated")


@dataclass(frozen=True)
class Cell:
    """One condition.

    Attributes:
        points: number of points of the scan.
        noise: standard deviation of isotropic Gaussian noise, in units of the longest edge.
        one_sided: only what one sensor sees.
        outliers: 5 % of the points lie anywhere in the box, enlarged by a tenth.
        rotated: by a random rotation, another for each item.
    """

    points: int
    noise: float
    one_sided: bool = False
    outliers: bool = False
    rotated: bool = False

    @property
    def name(self) -> str:
        flags = (self.one_sided, self.outliers, self.rotated)
        words = [word for word, flag in zip(WORDS, flags, strict=True) if flag]
        return "/".join([str(self.points), f"{self.noise:g}", *words])


@dataclass(frozen=True, eq=False)
class Scan:
    """What a method is given, and how to bring its mesh back.

    Attributes:
        points: (N, 3) float64 in the frame of the scanner.
        normals: (N, 3) float64, the true ones, towards the sensors; random ones for outliers.
        sensor: (3,) position of the one sensor, or None.
        rotation: (3, 3) from the unit frame of the object to that of the scanner.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    sensor: NDArray[np.float64] | None
    rotation: NDArray[np.float64]


def parse_cell(text: str) -> Cell:
    """Return the cell of a name such as `3000/0.005/one-sided/outliers/rotated`.

    Raises:
        ConfigError: another text.
    """
    try:
        points, noise, *words = text.split("/")
        count, size = int(points), float(noise)
    except ValueError:
        raise ConfigError(f"cell {text!r}: give POINTS/NOISE, as in 3000/0.005") from None
    unknown = [word for word in words if word not in WORDS]
    if unknown or count < 1 or not 0 <= size < np.inf:
        raise ConfigError(
            f"cell {text!r}: give a number of points, noise from 0 on, and any of "
            f"{', '.join(WORDS)}"
        )
    return Cell(count, size, *(word in words for word in WORDS))


def cells_of(names: list[str]) -> list[Cell]:
    """Return the cells of names, of which `quick`, `table` and `all` stand for several."""
    every = [
        Cell(points, noise, *flags)
        for points in POINTS
        for noise in NOISES
        for flags in np.ndindex(2, 2, 2)
    ]
    groups = {
        "quick": [parse_cell(name) for name in QUICK],
        "table": [parse_cell(name) for name in TABLE],
        "all": [
            Cell(c.points, c.noise, bool(c.one_sided), bool(c.outliers), bool(c.rotated))
            for c in every
        ],
    }
    found: list[Cell] = []
    for name in names:
        found += groups[name] if name in groups else [parse_cell(name)]
    return list(dict.fromkeys(found))


def make_scan(
    cell: Cell,
    surface: NDArray[np.floating],  # (M, 3) M >= cell.points, in the unit frame
    normals: NDArray[np.floating],  # (M, 3)
    sensor: NDArray[np.float64] | None,  # (3,)
    rng: np.random.Generator,
) -> Scan:
    """Return the scan of a cell from points of the surface that its sensors see."""
    points = surface[: cell.points].astype(np.float64)
    directions = normals[: cell.points].astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    points += cell.noise * rng.standard_normal(points.shape)
    if cell.outliers:
        which = rng.permutation(len(points))[: round(OUTLIERS * len(points))]
        margin = 0.05 * (high - low).max()
        points[which] = rng.uniform(low - margin, high + margin, (len(which), 3))
        directions[which] = random_directions(len(which), rng)
    rotation = random_rotation(rng) if cell.rotated else np.eye(3)
    seen_from = None if sensor is None else rotation @ sensor
    return Scan(points @ rotation.T, directions @ rotation.T, seen_from, rotation)


def random_directions(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return unit vectors (count, 3), uniform over the sphere."""
    vectors = rng.standard_normal((count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a rotation (3, 3), uniform over all."""
    import trimesh

    matrix = trimesh.transformations.random_rotation_matrix(rng.random(3))
    return np.array(matrix, dtype=np.float64).reshape(4, 4)[:3, :3]
