"""Animations of glTF files, sampled: skins, morph targets and moving nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import DataError
from onet.geometry.mesh_reading.files import MeshFiles
from onet.geometry.mesh_reading.gltf import read_triangles
from onet.geometry.mesh_reading.gltf_asset import Asset
from onet.geometry.sequences.moving_mesh import MovingMesh

SIZES = {"translation": 3, "rotation": 4, "scale": 3}
MOST_FRAMES = 10_000


def read_animation(path: Path, fps: float, animation: int = 0) -> MovingMesh:
    """Read an animated glTF file at times evenly over an animation.

    Args:
        path: `.glb` or `.gltf`.
        fps: frames a second.
        animation: which one, in the order of the file.

    Raises:
        DataError: no animation, or one that cannot be read; a skin whose joints are missing.
    """
    files = MeshFiles(path, path.read_bytes())
    asset = Asset(files)
    animations = asset.list_of(asset.json, "animations")
    if not animations:
        raise DataError(
            f"{path}: animations: has none, so nothing moves; export it with its animation"
        )
    channels = [
        _Channel(asset, asset.entry("animations", animation), asset.mapping(channel))
        for channel in asset.list_of(asset.entry("animations", animation), "channels")
    ]
    channels = [channel for channel in channels if channel.node is not None]
    if not channels:
        raise DataError(f"{path}: animations[{animation}]: moves no node; export it again")
    first = min(float(c.times[0]) for c in channels)
    last = max(float(c.times[-1]) for c in channels)
    count = round((last - first) * fps) + 1
    if count > MOST_FRAMES:
        raise DataError(f"{path}: {count} frames at {fps:g} a second; give a lower fps")
    times = np.linspace(first, last, max(count, 1))
    vertices, faces = [], []
    for time in times:
        for channel in channels:
            channel.put(float(time))
        raw = read_triangles(asset, colors=False)
        vertices.append(raw.vertices)
        faces.append(np.asarray(raw.faces, np.int64))
    used = np.unique(faces[0])
    place = np.full(len(vertices[0]), -1)
    place[used] = np.arange(len(used))
    same = all(np.array_equal(f, faces[0]) for f in faces)
    if not same:
        return MovingMesh(vertices, faces, times - first, str(path))
    return MovingMesh(
        [v[used] for v in vertices], [place[faces[0]]] * len(times), times - first, str(path)
    )


class _Channel:
    """One property of one node over time."""

    def __init__(self, asset: Asset, animation: dict[str, Any], channel: dict[str, Any]) -> None:
        target = asset.mapping(channel.get("target"))
        self.node: dict[str, Any] | None = None
        self.property = str(target.get("path"))
        if "node" not in target or self.property not in (*SIZES, "weights"):
            return
        self.node = asset.entry("nodes", target["node"])
        samplers = asset.list_of(animation, "samplers")
        number = channel.get("sampler")
        if not isinstance(number, int) or not 0 <= number < len(samplers):
            raise asset.files.error(f"an animation names sampler {number!r}; export it again")
        sampler = asset.mapping(samplers[number])
        self.interpolation = sampler.get("interpolation", "LINEAR")
        self.times = asset.vectors(sampler.get("input"), 1)[:, 0]
        if not len(self.times) or (np.diff(self.times) < 0).any():
            raise asset.files.error("an animation has times out of order; export it again")
        values = asset.accessor(sampler.get("output"))
        cubic = 3 if self.interpolation == "CUBICSPLINE" else 1
        if values.size == 0 or values.size % (cubic * len(self.times)):
            raise asset.files.error("an animation has not as many values as times; export it again")
        self.values = values.reshape(len(self.times), cubic, -1)
        wanted = SIZES.get(self.property)
        if wanted and self.values.shape[2] != wanted:
            raise asset.files.error(f"an animation of {self.property} has {self.values.shape[2]} "
                                    f"numbers in place of {wanted}; export it again")  # fmt: skip

    def put(self, time: float) -> None:
        """Write the value at a time into the node."""
        assert self.node is not None
        value = self._value(time)
        if self.property != "weights":
            self._without_matrix()
        if self.property == "rotation":
            length = np.linalg.norm(value)
            value = value / length if length > 0 else np.array([0.0, 0, 0, 1])
        self.node[self.property] = value.tolist()

    def _value(self, time: float) -> NDArray[np.float64]:
        times, middle = self.times, self.values[:, self.values.shape[1] // 2]
        after = int(np.searchsorted(times, time, side="right"))
        if after == 0 or after == len(times):
            return middle[min(after, len(times) - 1)]
        early, late = middle[after - 1], middle[after]
        step = times[after] - times[after - 1]
        u = (time - times[after - 1]) / step
        if self.interpolation == "STEP":
            return early
        if self.interpolation == "CUBICSPLINE":
            leave, arrive = self.values[after - 1, 2] * step, self.values[after, 0] * step
            return (
                (2 * u**3 - 3 * u**2 + 1) * early + (u**3 - 2 * u**2 + u) * leave
                + (3 * u**2 - 2 * u**3) * late + (u**3 - u**2) * arrive
            )  # fmt: skip
        if self.property == "rotation":
            return _slerp(early, late, u)
        return (1 - u) * early + u * late

    def _without_matrix(self) -> None:
        """An animated node has no matrix by the format; some files have one all the same."""
        assert self.node is not None
        if "matrix" in self.node:
            del self.node["matrix"]


def _slerp(a: NDArray[np.float64], b: NDArray[np.float64], u: float) -> NDArray[np.float64]:
    cosine = float(a @ b)
    if cosine < 0:
        b, cosine = -b, -cosine
    angle = float(np.arccos(min(cosine, 1.0)))
    if angle < 1e-6:
        return (1 - u) * a + u * b
    weights = np.sin([(1 - u) * angle, u * angle]) / np.sin(angle)
    return np.asarray(weights[0] * a + weights[1] * b)
