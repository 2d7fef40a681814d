"""What is true of an item, kept on disk: labelled points, points of its surface, what is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from benchmarks._scan_items import ScanItem
from benchmarks._scan_orientation import turned_outward
from benchmarks._scan_visible import Sensor, all_around, one_sensor, seen_points
from onet.files import replacing
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import UnitFrame
from onet.geometry.sampling import sample_surface
from onet.geometry.winding import winding_number
from onet.metrics.surface_scores import SurfaceSamples

UNIFORM = 100_000  # points in the box
NEAR = 50_000  # points near the surface
NEAR_DISTANCE = 0.01  # standard deviation of theirs, in units of the longest edge
TARGET = 50_000  # points of the true surface
PADDING = 0.05  # of the box on each side, in units of the longest edge
LEAST_INSIDE = 200  # of the uniform points, for an item to count
CHUNK = 30_000  # points that are seen are made so many at a time

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Truth:
    """An item in the unit frame.

    Attributes:
        item: what it is.
        cache: folder for what takes time.
        seed: of all points.
        inner: faces that nobody sees from outside count too.
    """

    item: ScanItem
    cache: Path
    seed: int = 0
    inner: bool = False

    @cached_property
    def mesh(self) -> trimesh.Trimesh:
        mesh = load_mesh(self.item.path)
        mesh = UnitFrame.of_mesh(mesh, str(self.item.path)).mesh_to_unit(mesh)
        return turned_outward(mesh)  # some collections wind all faces the other way round

    @cached_property
    def box(self) -> NDArray[np.float64]:
        """Corners (2, 3) of the box of the uniform points."""
        low, high = self._labels["low"], self._labels["high"]
        return np.stack([low, high]).astype(np.float64)

    @property
    def labelled(self) -> bool:
        """Whether the labels are on disk."""
        return self._path("labels").is_file()

    @property
    def solid(self) -> bool:
        """Whether enough of the points are inside for an IoU that says something."""
        return bool(self.uniform[1].sum() >= LEAST_INSIDE)

    @property
    def uniform(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Points (100,000, 3) in the box, and whether each is inside."""
        return self._labelled("uniform")

    @property
    def near(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Points (50,000, 3) near the surface, and whether each is inside."""
        return self._labelled("near")

    @cached_property
    def surface(self) -> SurfaceSamples:
        """Points of the true surface: of what is seen from outside, unless `inner`."""
        kept = self._kept("surface", lambda: self._draw("surface", TARGET, sided=False))
        return SurfaceSamples(kept["points"].astype(np.float64), kept["normals"].astype(np.float64))

    def seen(
        self, count: int, one_sided: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64] | None]:
        """Return points (M, 3), M >= count, their normals, and where the one sensor is."""
        name = "side" if one_sided else "around"
        chunks = [
            self._kept(part, partial(self._draw, part, CHUNK, one_sided))
            for part in (f"{name}{k}" for k in range(-(-count // CHUNK)))
        ]
        points, normals = (
            np.concatenate([chunk[key] for chunk in chunks]).astype(np.float32)
            for key in ("points", "normals")
        )
        return points, normals, self._sensor().position if one_sided else None

    def _sensor(self) -> Sensor:
        return one_sensor(self.item.generator(self.seed, "sensor"))

    def _draw(self, name: str, count: int, sided: bool) -> Arrays:
        rng = self.item.generator(self.seed, name, self.inner)
        if sided:
            points, normals = seen_points(self.mesh, [self._sensor()], count, rng)
        elif self.inner:
            points, normals, _ = sample_surface(self.mesh, count, rng)
        else:
            points, normals = seen_points(self.mesh, all_around(), count, rng)
        return {"points": points.astype(np.float32), "normals": normals.astype(np.float32)}

    def _labelled(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        points = self._labels[f"{name}_points"].astype(np.float32, copy=False)
        return points, np.unpackbits(self._labels[name])[: len(points)].astype(bool)

    @cached_property
    def _labels(self) -> Arrays:
        return self._kept("labels", self._label)

    def _label(self) -> Arrays:
        """Label points by the generalised winding number, inside where it is above one half."""
        rng = self.item.generator(self.seed, "labels")
        low, high = self.mesh.bounds[0] - PADDING, self.mesh.bounds[1] + PADDING
        uniform = rng.uniform(low, high, (UNIFORM, 3)).astype(np.float32)
        points, _, _ = sample_surface(self.mesh, NEAR, rng)
        near = (points + NEAR_DISTANCE * rng.standard_normal(points.shape)).astype(np.float32)
        inside = winding_number(self.mesh, np.concatenate([uniform, near]), beta=4) > 0.5
        return {
            "low": low,
            "high": high,
            "uniform_points": uniform,
            "near_points": near,
            "uniform": np.packbits(inside[:UNIFORM]),
            "near": np.packbits(inside[UNIFORM:]),
        }

    def _kept(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of a name: those on disk, or new ones that are left there."""
        path = self._path(name)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                np.savez(temporary, **make())  # type: ignore[arg-type]
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}

    def _path(self, name: str) -> Path:
        kind = f"seed{self.seed}" + ("-inner" if self.inner else "")
        return self.cache / kind / self.item.group / self.item.name / f"{name}.npz"
