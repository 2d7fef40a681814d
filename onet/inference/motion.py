"""A trained model of motion: from an observed sequence to a moving mesh."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from onet.checkpoints.checkpoint import restored
from onet.checkpoints.published_weights import read_checkpoint
from onet.checkpoints.trained_config import trained_config
from onet.config import Config, with_changes
from onet.data.build import build_input
from onet.errors import ConfigError, DataError
from onet.geometry.extraction import extract_mesh
from onet.geometry.normalization import UnitFrame
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.geometry.sequences.stretching import split_edges, stretched_edges
from onet.inference.devices import choose_device
from onet.models import MODELS, build_model, check_input
from onet.models.motion_code import MotionCode

logger = logging.getLogger(__name__)

STRETCH = 2.5  # times as long as an edge was: it is split
WIDER = 1  # times that a box which the surface leaves is made wider
ROUNDS = 3  # of splitting, at most


def moves(config: Config) -> bool:
    """Whether the model of a configuration is one of motion."""
    return bool(getattr(MODELS[config.model["type"]], "moves", False))


def holds_motion(path: str | os.PathLike[str]) -> bool:
    """Whether there is a trained model of motion; False for what cannot be read."""
    config = trained_config(path)
    return config is not None and moves(config)


@dataclass
class Motion:
    """What was made of an observed sequence.

    Attributes:
        times: (T,) in [0, 1].
        vertices: of each time, (V, 3) float64 in the unit frame of the first frame.
        faces: of each time, (F, 3); none of points without faces.
        seconds: what the parts took.
        split: vertices that were added where the mesh stretches.
        outside: how far vertices leave the box of the unit frame, 0 for not at all.
    """

    times: NDArray[np.float64]
    vertices: list[NDArray[np.float64]]
    faces: list[NDArray[np.int64]]
    seconds: dict[str, float] = field(default_factory=dict)
    split: int = 0
    outside: float = 0.0

    def in_frame(self, frame: UnitFrame, times: NDArray[np.float64], source: str) -> MovingMesh:
        """Return the moving mesh in the frame of the source, at its times."""
        places = [frame.to_source(v) for v in self.vertices]
        return MovingMesh(places, self.faces, times, source)


class MotionReconstructor:
    """A model of motion in evaluation mode, with its configuration.

    Attributes:
        model: the network, on its device, without gradients.
        config: the configuration it was trained with.
        metadata: the rest of the checkpoint.
        input: what it observes.
    """

    def __init__(self, model: Any, config: Config, metadata: dict[str, Any]) -> None:
        self.model: Any = model.eval().requires_grad_(False)
        self.config, self.metadata = config, metadata
        self.input = build_input(config)
        check_input(self.input, self.model, trained=True)
        self.device = next(self.model.parameters()).device

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        device: str = "auto",
        config: Config | str | os.PathLike[str] | None = None,
    ) -> MotionReconstructor:
        """Load a model of motion from a run, a checkpoint or a published file.

        Raises:
            CheckpointError: see `onet.load`.
            ConfigError: a model of shapes that do not move.
        """
        chosen = choose_device(device)
        checkpoint = read_checkpoint(path, config)
        if not moves(checkpoint.config):
            raise ConfigError(f"{path}: is a model of shapes that do not move; use onet.load")
        model = restored(checkpoint, build_model).to(chosen)
        return cls(model, checkpoint.config, checkpoint.metadata)

    def encode(
        self,
        frames: NDArray[np.float32],  # (L, N, 3) in the unit frame, or (L, 3, H, W)
        times: NDArray[np.floating],  # (L,) in [0, 1]
    ) -> MotionCode:
        """Return the codes of an observed sequence, a batch of one."""
        inputs = {
            "frames": torch.as_tensor(frames, device=self.device)[None],
            "times": torch.as_tensor(np.asarray(times, np.float32), device=self.device)[None],
        }
        with torch.no_grad():
            code: MotionCode = self.model.observe(inputs)
        return code

    def settings(self, **changes: Any) -> Any:
        """Return the settings of extraction: the configuration's, with changes that are given."""
        given = {key: value for key, value in changes.items() if value is not None}
        return with_changes(self.config.generation, given, "generation")

    def carry(
        self, points: NDArray[np.floating], code: MotionCode, times: NDArray[np.floating],
        start: float = 0.0, batch: int = 65536,
    ) -> NDArray[np.float64]:  # fmt: skip
        """Return where points (N, 3) at time `start` are at other times, (K, N, 3).

        Raises:
            ConfigError: the model knows no velocities.
        """
        if not hasattr(self.model, "flow"):
            raise ConfigError(
                f"model.type: {self.config.model['type']!r} knows no velocities: nothing "
                "corresponds over time; use a model of type flow"
            )
        at = torch.as_tensor(np.asarray(times, np.float32), device=self.device)[None]
        begin = torch.full((1,), start, device=self.device)
        parts = []
        for some in np.array_split(points, max(1, -(-len(points) // batch))):
            place = torch.as_tensor(np.asarray(some, np.float32), device=self.device)[None]
            with torch.no_grad():
                parts.append(self.model.flow(place, begin, at, code)[0].cpu().numpy())
        return np.concatenate(parts, 1).astype(np.float64)

    def occupancy(self, points: NDArray[np.floating], code: MotionCode, time: float) -> Any:
        """Return logits (N,) of occupancy at a time."""
        place = torch.as_tensor(np.asarray(points, np.float32), device=self.device)[None]
        at = torch.full((1,), time, device=self.device)
        with torch.no_grad():
            if time == 0 and hasattr(self.model, "decode"):
                return self.model.decode(place, code)[0].float().cpu().numpy()
            return self.model.occupancy(place, at, code)[0].float().cpu().numpy()

    def mesh(self, code: MotionCode, time: float = 0.0, **changes: Any) -> Any:
        """Return the surface at a time, a trimesh in the unit frame.

        Raises:
            DataError: there is no surface.
        """
        settings = self.settings(**changes)
        edge, resolution = 1 + settings.padding, settings.resolution
        for wider in range(WIDER + 1):
            bounds = np.array([[-edge / 2] * 3, [edge / 2] * 3])
            mesh = extract_mesh(
                lambda points: self.occupancy(points, code, time),
                bounds=bounds,
                resolution=resolution,
                level=settings.level,
                batch_size=settings.batch_size,
            )
            cell = edge / resolution
            if (
                wider == WIDER
                or not len(mesh.faces)
                or _within(mesh.vertices, edge / 2 - cell / 1000)
            ):
                break
            edge, resolution = 1.5 * edge, -(-3 * resolution // 2)
            logger.warning(
                "time %g: the surface leaves the box; it is searched again in one of edge %.3g",
                time, edge,
            )  # fmt: skip
        if not len(mesh.faces):
            raise DataError(
                f"no surface at time {time:g}: the field is below the level everywhere in the box; "
                "lower the probability, or train longer"
            )
        return mesh

    def animate(
        self, code: MotionCode, times: NDArray[np.floating], mesh: Any = None, **changes: Any
    ) -> Motion:
        """Return the moving surface at some times.

        A model with velocities makes one mesh at time 0 and carries its vertices along; edges that
        stretch are split. One without makes a mesh, or points, at each time.

        Args:
            code: of one sequence.
            times: (K,) in [0, 1], increasing.
            mesh: carried along, in the unit frame; default the surface at time 0.
            changes: of `generation`.

        Raises:
            DataError: there is no surface.
        """
        from time import perf_counter

        begin = perf_counter()
        if hasattr(self.model, "points_at"):
            at = torch.as_tensor(np.asarray(times, np.float32), device=self.device)[None]
            with torch.no_grad():
                points = self.model.points_at(at, code)[0].cpu().numpy().astype(np.float64)
            none = np.zeros((0, 3), np.int64)
            motion = Motion(np.asarray(times), list(points), [none] * len(times))
            motion.seconds = {"points": perf_counter() - begin}
        elif not hasattr(self.model, "flow"):
            meshes = [self.mesh(code, float(time), **changes) for time in times]
            motion = Motion(
                np.asarray(times),
                [np.asarray(m.vertices, np.float64) for m in meshes],
                [np.asarray(m.faces, np.int64) for m in meshes],
                {"surface": perf_counter() - begin},
            )
        else:
            motion = self._carried(code, times, mesh, changes)
        motion.outside = _outside(motion, self.settings(**changes).padding)
        return motion

    def _carried(
        self, code: MotionCode, times: NDArray[np.floating], mesh: Any, changes: dict[str, Any]
    ) -> Motion:
        from time import perf_counter

        begin = perf_counter()
        mesh = self.mesh(code, **changes) if mesh is None else mesh
        first = np.asarray(mesh.vertices, np.float64)
        faces = np.asarray(mesh.faces, np.int64)
        made = perf_counter()
        ways = self.carry(first, code, times)
        count = len(first)
        for _ in range(ROUNDS):
            edges = stretched_edges(np.concatenate([first[None], ways]), faces, STRETCH)
            if not len(edges):
                break
            faces = split_edges(faces, edges, len(first))
            middles = first[edges].mean(axis=1)
            first = np.concatenate([first, middles])
            ways = np.concatenate([ways, self.carry(middles, code, times)], axis=1)
        motion = Motion(np.asarray(times), list(ways), [faces] * len(times))
        motion.seconds = {"surface": made - begin, "flow": perf_counter() - made}
        motion.split = len(first) - count
        return motion


def _within(vertices: NDArray[np.float64], half: float) -> bool:
    return bool(np.abs(vertices).max() < half)


def _outside(motion: Motion, padding: float) -> float:
    half = (1 + padding) / 2
    return max(0.0, *(float(np.abs(v).max(initial=0.0)) - half for v in motion.vertices))
