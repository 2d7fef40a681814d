"""Colours for meshes from a trained texture network."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onet.checkpoints.checkpoint import restored
from onet.checkpoints.published_weights import read_checkpoint
from onet.config import Config
from onet.data.build import build_input
from onet.data.inputs.tensors import to_tensors
from onet.errors import ConfigError, DataError
from onet.geometry.cameras import published_camera
from onet.geometry.color.baking import ColorField
from onet.geometry.color.field_pictures import picture_of
from onet.geometry.normalization import UnitFrame
from onet.geometry.sampling import sample_surface
from onet.inference.camera_fit import fit_camera
from onet.inference.devices import choose_device
from onet.models import TextureNetwork, build_model
from onet.nn.code import CAMERA, ESTIMATED_CAMERA, PIXELS, Code, as_batch

if TYPE_CHECKING:
    import trimesh

logger = logging.getLogger(__name__)

SURFACE_POINTS = 2048
"""Points of the geometry that its code is of, as in training by default."""

_ALIKE = 0.6
"""Overlap of outlines below which a picture shows another shape, or a wrong side of it."""

_VIEW = (40.0, 25.0, 0.9)  # azimuth, elevation, ratio, from which appearances are looked at


@dataclass(frozen=True, eq=False)
class Appearance:
    """What a network knows of colours, beside the geometry: a code, or features at places.

    Attributes:
        z: (1, Z), or None with local features.
        local: of a batch of one, or None.
    """

    z: Tensor | None = None
    local: Code | None = None

    def towards(self, other: Appearance, share: float) -> Appearance:
        """Return the appearance on the way to another, on the great circle of their directions.

        Raises:
            ConfigError: local features, which have nothing in between.
        """
        if self.z is None or other.z is None:
            raise ConfigError("between: local features belong to one picture; use one with a code")
        one, two = (z / z.norm().clamp(min=1e-12) for z in (self.z, other.z))
        angle = torch.arccos((one * two).sum().clamp(-1, 1))
        length = (1 - share) * self.z.norm() + share * other.z.norm()
        if float(angle.sin()) < 1e-4:
            return Appearance(torch.lerp(self.z, other.z, share))
        weights = ((1 - share) * angle).sin() / angle.sin(), (share * angle).sin() / angle.sin()
        return Appearance(length * (weights[0] * one + weights[1] * two))


class Painter:
    """A trained texture network that gives meshes fields of colour.

    Args:
        config: its configuration.
        model: in evaluation mode, on its device.
    """

    def __init__(self, config: Config, model: TextureNetwork) -> None:
        self.config, self.model = config, model
        self.input = build_input(config)
        self.device = next(model.parameters()).device

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> Painter:
        """Load a run folder, a checkpoint, or a published file.

        Raises:
            CheckpointError: nothing there, unreadable, or weights of another network.
            ConfigError: a model that knows nothing of colours, or no such device.
        """
        chosen = choose_device(device)
        checkpoint = read_checkpoint(path)
        model = restored(checkpoint, build_model)
        if not isinstance(model, TextureNetwork):
            raise ConfigError(
                f"{path}: a model, but not of colours; name a run of texture, texture_vae, "
                "texture_gan or texture_local"
            )
        return cls(checkpoint.config, model.to(chosen).eval().requires_grad_(False))

    @torch.no_grad()
    def geometry(self, mesh: trimesh.Trimesh, seed: int = 0) -> tuple[UnitFrame, Tensor]:
        """Return the unit frame of a mesh and the code (1, C) of its surface there.

        Raises:
            DataError: the mesh has no area.
        """
        frame, surface, normals = self._surface(mesh, seed)
        return frame, self.model.geometry_code(surface, normals)

    def field(self, mesh: trimesh.Trimesh, appearance: Appearance, seed: int = 0) -> ColorField:
        """Return the field of colour of a mesh: points (N, 3) in its frame -> (N, 3) in [0, 1].

        The unknown camera of a picture with local features is found by the outline of the mesh.
        """
        frame, surface, normals = self._surface(mesh, seed)
        with torch.no_grad():
            code = self.model.geometry_code(surface, normals)
            local = self.model.placed(with_fitted_camera(appearance.local, surface), surface)
        colors = self.model.field(code, appearance.z, local)
        return lambda points: colors(frame.to_unit(points).astype(np.float32))

    # -- appearances -------------------------------------------------------------------------------

    @torch.no_grad()
    def of_picture(self, picture: Any, seed: int = 0) -> Appearance:
        """Return the appearance that a network with an encoder observes.

        Args:
            picture: a file, a PIL image or an array, see the input of the configuration.
            seed: of what the input draws.

        Raises:
            ConfigError: the network observes nothing.
            DataError: the picture cannot be read.
        """
        if self.model.encoder is None:
            raise ConfigError(
                "image: the network does not look at pictures; use samples, or like with a "
                "textured mesh"
            )
        if self.input.kind != "image":
            raise ConfigError(
                "image: the network looks at points with colours, not at pictures; use scan"
            )
        file = isinstance(picture, str | os.PathLike)
        raw = self.input.read(picture) if file else self.input.take(picture)
        arrays = self.input.observe(raw, np.random.default_rng(seed))
        inputs = as_batch(to_tensors(arrays, self.device))
        if isinstance(inputs, dict) and len(inputs) == 1:
            inputs = inputs["image"]  # the camera is estimated
        return Appearance(*self.model.observe(inputs))

    @torch.no_grad()
    def of_scan(self, scan: Any, mesh: trimesh.Trimesh, seed: int = 0) -> Appearance:
        """Return the appearance of a mesh that a network of coloured points observes.

        Args:
            scan: a file, or whatever `onet.geometry.point_cloud_io.take_cloud` takes.
            mesh: in the same frame.
            seed: of the points that are used, where there are more than enough.

        Raises:
            ConfigError: the network observes something else.
            DataError: the points cannot be read, have no colours, or are far from the mesh.
        """
        if self.input.kind != "colored_points":
            raise ConfigError(
                "scan: the network does not look at coloured points; take a run of texture_points"
            )
        file = isinstance(scan, str | os.PathLike)
        raw = self.input.read(scan) if file else self.input.take(scan)
        frame = UnitFrame.of_mesh(mesh)
        _check_near(raw.points, mesh, os.fspath(scan) if file else "scan")
        arrays = self.input.observe(raw, np.random.default_rng(seed), frame)
        return Appearance(*self.model.observe(as_batch(to_tensors(arrays, self.device))))

    def sample(self, seed: int = 0) -> Appearance:
        """Return an appearance drawn from the prior of a generative network.

        Raises:
            ConfigError: the network observes its appearances.
        """
        if self.model.encoder is not None:
            raise ConfigError(
                "samples: the network observes appearances and has none of its own; give image, or "
                "use a run of texture_vae or texture_gan"
            )
        generator = torch.Generator().manual_seed(seed)
        return Appearance(self.model.sample_prior(1, generator))

    @torch.no_grad()
    def like(self, mesh: trimesh.Trimesh, color_field: ColorField, seed: int = 0) -> Appearance:
        """Return the appearance of a coloured mesh, as one picture of it shows it.

        Args:
            mesh: y up.
            color_field: of points in its frame.
            seed: of the points of its surface.

        Raises:
            ConfigError: local features, which belong to the places of their object; or a network
                that neither observes nor infers appearances.
        """
        if self.model.local:
            raise ConfigError(
                "like: local features belong to the places of their object; transfer needs a "
                "network with a code of the appearance, texture or texture_vae"
            )
        if self.model.encoder is not None:
            size = self.input.shape[-1]
            return self.of_picture(np.moveaxis(self._seen(mesh, color_field, size), -1, 0), seed)
        if self.model.encoder_latent is None:
            raise ConfigError("like: a network without encoder infers no appearance; use samples")
        picture = self._seen(mesh, color_field, self.model.encoder_latent.size)
        _, code = self.geometry(mesh, seed)
        batch = {"colors": self._batch(picture.reshape(-1, 3))}
        return Appearance(self.model.infer(batch, code).mean)

    def _seen(
        self, mesh: trimesh.Trimesh, color_field: ColorField, size: int
    ) -> NDArray[np.float32]:
        """Return a picture (size, size, 3) in [0, 1] of a mesh on the network's background."""
        bounds = np.asarray(mesh.bounds)
        diagonal = float(np.linalg.norm(bounds[1] - bounds[0]))
        camera = published_camera(*_VIEW, size, bounds.mean(0), diagonal)
        ground = round(255 * self.model.background)
        picture, _ = picture_of(mesh, color_field, camera, size, ground)
        return picture.astype(np.float32) / np.float32(255)

    def _surface(self, mesh: trimesh.Trimesh, seed: int) -> tuple[UnitFrame, Tensor, Tensor]:
        """Return the unit frame of a mesh, and points (1, T, 3) there with normals."""
        frame = UnitFrame.of_mesh(mesh)
        points, normals, _ = sample_surface(mesh, SURFACE_POINTS, np.random.default_rng(seed))
        return frame, self._batch(frame.to_unit(points)), self._batch(normals)

    def _batch(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.asarray(array, dtype=np.float32)).to(self.device)[None]


def with_fitted_camera(local: Code | None, surface: Tensor) -> Code | None:
    """Return a code of one picture with the camera by which a surface has the picture's outline.

    Codes that know their camera, and those without any, stay as they are.

    Args:
        local: a code of a batch of one.
        surface: points (1, T, 3) of it in the unit frame.
    """
    if not isinstance(local, dict) or not {CAMERA, ESTIMATED_CAMERA, PIXELS} <= set(local):
        return local
    if not torch.equal(local[CAMERA], local[ESTIMATED_CAMERA]):
        return local
    arrays = (local[PIXELS][0], surface[0], local[CAMERA][0])
    camera, overlap = fit_camera(*(a.float().cpu() for a in arrays))
    if overlap < _ALIKE:
        logger.warning(
            "the outline of the object in the picture is not that of the mesh (overlap %.2f): "
            "colours may come from wrong places; give a picture of this object on white, or an "
            "RGBA one without its background",
            overlap,
        )
    return {**local, CAMERA: camera.to(surface.device)[None]}


def _check_near(points: NDArray[np.float64], mesh: trimesh.Trimesh, name: str) -> None:
    """Refuse points (N, 3) of which most are outside the box of the mesh, with a margin.

    Raises:
        DataError: they belong to another object, or to another frame.
    """
    low, high = np.asarray(mesh.bounds)
    margin = 0.1 * float((high - low).max())
    inside = ((points >= low - margin) & (points <= high + margin)).all(axis=1)
    if inside.mean() < 0.5:
        raise DataError(
            f"{name}: {int((~inside).sum())} of {len(points)} points are outside the box of the "
            "mesh; both have to be in one frame"
        )
