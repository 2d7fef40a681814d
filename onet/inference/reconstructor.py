"""A trained model as a function from an observation to a mesh."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from onet.config import Config
from onet.data.inputs import INPUTS
from onet.errors import ConfigError
from onet.geometry.extraction import extract_mesh
from onet.geometry.normalization import UnitFrame
from onet.geometry.point_cloud_io import check_points, load_points
from onet.inference.published_weights import read_checkpoint
from onet.models import build_model
from onet.training.checkpoints import load_into

logger = logging.getLogger(__name__)

Observation = str | os.PathLike[str] | ArrayLike | Tensor
Field = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (N, 3) unit frame -> (N,) logits


def load(
    path: str | os.PathLike[str],
    device: str = "auto",
    config: Config | str | os.PathLike[str] | None = None,
) -> Reconstructor:
    """Load a trained model for reconstruction.

    Args:
        path: a checkpoint file, a run folder (its best checkpoint, else its last one), or a `.pt`
            file of the published Occupancy Networks.
        device: `cpu`, `cuda` or `mps`; `auto` takes a GPU if there is one.
        config: configuration of a `.pt` file, which has none of its own, or the name or file of
            one; by default it is recognised by its weights.

    Raises:
        CheckpointError: no checkpoint there, or one that is unreadable or of another architecture.
        ConfigError: the device or the configuration is not there.
    """
    place = choose_device(device)
    checkpoint = read_checkpoint(path, config)
    model = build_model(checkpoint.config.model)
    load_into(model, checkpoint)
    return Reconstructor(
        model.to(place), checkpoint.config, checkpoint.metadata, str(checkpoint.path)
    )


def choose_device(name: str) -> torch.device:
    """The torch device called `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        ConfigError: another name, or a device that this machine or this torch does not have.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if name not in present:
        raise ConfigError(f"device {name!r}: choose one of auto, {', '.join(sorted(present))}")
    if not present[name]:
        raise ConfigError(f"device {name!r}: torch {torch.__version__} finds none; use device cpu")
    return torch.device(name)


class Reconstructor:
    """A model in evaluation mode together with its configuration.

    Attributes:
        model: the network, on its device, without gradients.
        config: the configuration it was trained with.
        metadata: the rest of the checkpoint's header: iteration, metrics, seed, ...
        source: where it was loaded from.
        input: what the network observes, one of `onet.data.inputs.INPUTS`.
    """

    def __init__(
        self, model: nn.Module, config: Config, metadata: dict[str, Any], source: str = "model"
    ) -> None:
        self.model: Any = model.eval().requires_grad_(False)
        self.config = config
        self.metadata = metadata
        self.source = source
        self.input = INPUTS.build(config.data.input, "data.input")
        self.device = next(model.parameters()).device

    @torch.no_grad()
    def encode(
        self,
        observation: ArrayLike,  # (N, 3) float32 in the unit frame
    ) -> Tensor:  # (C,)
        """The code of one observation, as the configured input prepares it."""
        inputs = torch.as_tensor(np.asarray(observation, dtype=np.float32), device=self.device)
        code: Tensor = self.model.eval().encode(inputs[None])[0]
        return code

    def field(
        self,
        code: Tensor,  # (C,)
    ) -> Field:
        """The occupancy field of a code: points (N, 3) in the unit frame to logits (N,)."""
        decoder = getattr(self.model.eval(), "decoder", None)
        if decoder is not None and hasattr(decoder, "fold"):
            decode = decoder.fold(code)
        else:

            def decode(points: Tensor) -> Tensor:
                return self.model.eval().decode(points[None], code[None])[0]

        @torch.no_grad()
        def field(points: NDArray[np.float32]) -> NDArray[np.float32]:
            queries = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32))
            logits: NDArray[np.float32] = decode(queries.to(self.device)).float().cpu().numpy()
            return logits

        return field

    def extraction_settings(
        self, resolution: int | None, threshold: float | None
    ) -> tuple[int, float]:
        """Resolution and probability threshold, from the configuration where None.

        Raises:
            ConfigError: out of range.
        """
        settings = self.config.generation
        resolution = settings.resolution if resolution is None else resolution
        threshold = settings.threshold if threshold is None else threshold
        if not 0 < threshold < 1:
            raise ConfigError(f"threshold: {threshold}; give a probability between 0 and 1")
        if resolution < 1:
            raise ConfigError(f"resolution: {resolution}; give at least 1 cell")
        return resolution, threshold

    def extract(
        self,
        observation: ArrayLike,  # (N, 3) float32 in the unit frame
        *,
        resolution: int | None = None,
        threshold: float | None = None,
    ) -> trimesh.Trimesh:
        """The mesh, in the unit frame, of an observation that the configured input has prepared.

        Args and errors as for `reconstruct`; `metadata["extraction"]` holds statistics.
        """
        resolution, threshold = self.extraction_settings(resolution, threshold)
        half = (1 + self.config.generation.padding) / 2
        return extract_mesh(
            self.field(self.encode(observation)),
            bounds=((-half,) * 3, (half,) * 3),
            resolution=resolution,
            threshold=math.log(threshold / (1 - threshold)),
            batch_size=self.config.generation.batch_size,
        )

    def reconstruct(
        self,
        observation: Observation,
        *,
        resolution: int | None = None,
        threshold: float | None = None,
        seed: int = 0,
        frame: UnitFrame | None = None,
    ) -> trimesh.Trimesh:
        """Reconstruct a closed mesh from a point cloud, in the frame of that point cloud.

        Args:
            observation: a file (point cloud, or mesh of which the vertices are taken), or points
                (N, 3) in any frame and unit, up axis as in training.
            resolution: cells along an edge of the extraction grid; default from the configuration.
            threshold: probability in (0, 1) above which a point is inside; default from the
                configuration.
            seed: of the choice of points, where there are more or fewer than the network observes.
            frame: the unit frame of the object; default that of the observation's bounding box.
                Give it where the observation shows a part of the object only.

        Returns:
            Mesh in the source frame, empty (with a warning) where the field has no surface.
            `metadata["reconstruction"]` names model, seed, threshold, resolution, frame, number of
            points and seconds; `metadata["extraction"]` holds statistics of the extraction.

        Raises:
            DataError: a file that cannot be read, NaN, shape other than (N, 3), zero extent.
            ConfigError: threshold or resolution out of range.
        """
        start = time.perf_counter()
        resolution, threshold = self.extraction_settings(resolution, threshold)
        points, name = _read(observation)
        frame = UnitFrame.of(points, name) if frame is None else frame
        prepared = self.input.observe(frame.to_unit(points), np.random.default_rng(seed))
        mesh = self.extract(prepared, resolution=resolution, threshold=threshold)
        mesh = frame.mesh_to_source(mesh)
        mesh.metadata["reconstruction"] = {
            "model": self.source,
            "observation": name,
            "points": len(points),
            "seed": seed,
            "threshold": threshold,
            "resolution": resolution,
            "loc": frame.loc.tolist(),
            "scale": frame.scale,
            "seconds": round(time.perf_counter() - start, 4),
        }
        return mesh


def _read(observation: Observation) -> tuple[NDArray[np.float64], str]:
    """Points (N, 3) of an observation in its own frame, and what to call it in messages."""
    if isinstance(observation, str | os.PathLike):
        return load_points(observation), str(Path(observation))
    if isinstance(observation, Tensor):
        observation = observation.detach().cpu().numpy()
    return check_points(observation, "observation"), "observation"
