"""A trained model as a function from an observation to a mesh."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
import torch
import trimesh
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from onet.checkpoints.checkpoint import restored
from onet.checkpoints.published_weights import read_checkpoint
from onet.config import Config, GenerationConfig
from onet.data.inputs import INPUTS, Input
from onet.data.inputs.tensors import to_tensors
from onet.errors import ConfigError, DataError
from onet.geometry.normalization import UnitFrame
from onet.inference.calibration import Calibration, read_calibration
from onet.inference.devices import choose_device
from onet.inference.field import OccupancyField
from onet.inference.observed_field import ObservedField
from onet.inference.own_mesh import own_mesh
from onet.inference.reconstructing_many import Reconstructions, reconstruct_each
from onet.inference.run_threshold import with_applied_threshold
from onet.inference.scaling import UNCHANGED, Scaling
from onet.inference.surface import (
    SURFACE_OPTIONS,
    SurfaceOptions,
    renamed_options,
    surface_settings,
    take_surface,
)
from onet.models import build_model, check_input
from onet.nn.code import CAMERA, ESTIMATED_CAMERA, Code, as_batch, code_of, mean_code
from onet.progress import Progress

logger = logging.getLogger(__name__)

Observation = Any
"""A file, an object in memory that the model's input takes, or None for unconditional models."""


Prepared = ArrayLike | dict[str, NDArray[Any]]
"""An observation as the model's input prepares it: an array, or several by name."""


def load(
    path: str | os.PathLike[str],
    device: str = "auto",
    config: Config | str | os.PathLike[str] | None = None,
) -> Reconstructor:
    """Load a trained model for reconstruction, with its calibration if the run has one.

    Args:
        path: a checkpoint file, a run folder (its best checkpoint, else its last one; with the
            probability that `onet threshold --apply` left there, if any), or a `.pt` file of the
            published Occupancy Networks.
        device: `cpu`, `cuda` or `mps`; `auto` takes a GPU if there is one.
        config: configuration of a `.pt` file, which has none of its own, or the name or file of
            one; by default it is recognised by its weights.

    Raises:
        CheckpointError: no checkpoint there, or one that is unreadable or of another architecture.
        ConfigError: the device or the configuration is not there, or its model does not observe
            what its input gives.
    """
    chosen = choose_device(device)
    checkpoint = read_checkpoint(path, config)
    calibration = read_calibration(checkpoint.path)
    checkpoint = with_applied_threshold(path, checkpoint)
    model = restored(checkpoint, build_model)
    if not (hasattr(model, "decode") or hasattr(model, "mesh")):
        if hasattr(model, "sample"):
            raise ConfigError(
                f"{checkpoint.path}: a generator of pictures, which makes no shapes; use it with "
                "`onet generate RUN --samples 64`"
            )
        raise ConfigError(
            f"{checkpoint.path}: a network of colours, which makes no shapes; use it with `onet "
            "texture`"
        )
    loaded = Reconstructor(
        model.to(chosen),
        checkpoint.config,
        checkpoint.metadata,
        str(checkpoint.path),
        calibration,
    )
    if calibration:
        logger.info(
            "%s: calibrated; the network's probability %g is one of %.4g",
            checkpoint.path,
            checkpoint.config.generation.probability,
            loaded.generation_settings().probability,
        )
    return loaded


def check_multiview(input: Input) -> None:
    """Refuse several observations of one object for models that have none, or one only.

    Raises:
        ConfigError: the model is unconditional, or has one learned code a shape.
    """
    if not input.multiview:
        raise ConfigError(
            f"several observations: the model has input {INPUTS.name_of(input)!r}, it does not "
            "observe objects; use a model that does"
        )


class Reconstructor:
    """A model in evaluation mode together with its configuration.

    Attributes:
        model: the network, on its device, without gradients.
        config: the configuration it was trained with.
        metadata: the rest of the checkpoint's header: iteration, metrics, seed, ...
        source: where it was loaded from.
        calibration: what corrects its probabilities and knows its training data, or None; see
            `onet.inference.calibration`.
        input: what the network observes, one of `onet.data.inputs.INPUTS`.
    """

    def __init__(
        self,
        model: nn.Module,
        config: Config,
        metadata: dict[str, Any],
        source: str = "model",
        calibration: Calibration | None = None,
    ) -> None:
        self.model: Any = model.eval().requires_grad_(False)
        self.config = config
        self.metadata = metadata
        self.source = source
        self.calibration = calibration
        self.input: Input = INPUTS.build(config.data.input, "data.input")
        check_input(self.input, model, trained=True)
        self.device = next(model.parameters()).device

    @torch.no_grad()
    def encode(
        self,
        observation: Prepared,
    ) -> Code:
        """Return the code of one observation, as the configured input prepares it.

        Where the model needs the camera of a picture and it is not known, the log says so.
        """
        inputs = as_batch(to_tensors(observation, self.device))
        code = code_of(self.model.eval().encode(inputs), 0)
        if _camera_told(code, observation).get("camera") == "estimated":
            logger.info("the camera of the picture is not known; it is estimated from the picture")
        return code

    def encode_multiview(
        self,
        observations: Sequence[Prepared],
    ) -> Tensor:  # (C,)
        """Return the code of several prepared observations of one object.

        It is the mean of their codes, or what the model makes of them in their order.

        Raises:
            ConfigError: the codes are local features or sets, which have no mean.
        """
        if getattr(self.model, "fuses_views", False):
            views = np.stack([np.asarray(view, dtype=np.float32) for view in observations])
            with torch.no_grad():
                inputs = torch.from_numpy(views[None]).to(self.device)
                fused: Tensor = self.model.eval().encode(inputs)[0]
            return fused
        return mean_code([self.encode(observation) for observation in observations])

    def field(
        self,
        observation: Observation = None,
        *,
        seed: int = 0,
        frame: UnitFrame | None = None,
        precision: Literal["float32", "bfloat16"] | None = None,
    ) -> ObservedField:
        """Return the occupancy of space, in the frame of an observation.

        Its surface at `field.level` is that of `reconstruct` with the same arguments.

        Args:
            observation: see `reconstruct`.
            seed: see `reconstruct`; an unconditional model has another object for each.
            frame: see `reconstruct`.
            precision: arithmetic of the decoder; default as configured.

        Raises:
            DataError, ConfigError: see `reconstruct`.
        """
        settings = self.generation_settings(precision=precision)
        seen = self._observe([observation], seed, frame)
        field = self.field_of_code(seen.code, settings.precision, self.latent(seed))
        return ObservedField(field, seen.frame, (1 + settings.padding) / 2, settings.level)

    def field_of_code(
        self,
        code: Code,
        precision: Literal["float32", "bfloat16"] | None = None,
        z: Tensor | None = None,  # (Z,)
    ) -> OccupancyField:
        """Return the field, in the unit frame, of a code and a latent code, calibrated if may be.

        Precision is as configured if None.

        Raises:
            ConfigError: the model makes meshes without a field.
        """
        if self.makes_meshes:
            raise ConfigError(
                f"{self.source}: the model {self.config.model['type']!r} makes a mesh and has no "
                "field; use reconstruct"
            )
        precision = precision or self.config.generation.precision
        return OccupancyField(self.model.eval(), code, precision, z, self.scaling)

    @property
    def scaling(self) -> Scaling:
        """From the model's logits to calibrated ones; changes nothing without calibration."""
        return self.calibration.scaling if self.calibration else UNCHANGED

    def familiarity(
        self,
        code: Code,
    ) -> dict[str, float] | None:
        """How far a code is from those of training: `distance`, and the `limit` of what is usual.

        Beyond the limit a warning is logged. None without calibration.
        """
        if self.calibration is None:
            return None
        known = self.calibration.familiarity
        distance = known.distance(code)
        if distance > known.limit:
            logger.warning(
                "what is observed is unlike the training data: its code is %.2f standard "
                "deviations away, %g %% of the validation items are within %.2f",
                distance,
                100 * known.quantile,
                known.limit,
            )
        return {"distance": distance, "limit": known.limit}

    def latent(
        self,
        seed: int,
        *,
        sampled: bool = False,
    ) -> Tensor | None:  # (Z,)
        """Return a latent code from the prior, where the model has one.

        Unconditional models draw it by `seed`; with an observation it is the mean, as published,
        or with `sampled` drawn too, which gives another hypothesis for each seed.
        """
        if not self.model.z_dim:
            return None
        if self.input.conditions and not sampled:
            return torch.zeros(self.model.z_dim, device=self.device)
        generator = torch.Generator().manual_seed(seed)
        drawn: Tensor = self.model.sample_prior(1, generator)[0]
        return drawn

    @renamed_options
    def generation_settings(self, **changes: Any) -> GenerationConfig:
        """Return the section `generation` of the configuration, with changes; None changes nothing.

        The configured probability is the network's own; here it is the calibrated one
        at the same places. `simplify=0` stands for null, which keeps all faces.

        Raises:
            ConfigError: an unknown key, or a value that it cannot have.
        """
        section = self.config.generation
        probability = self.scaling.calibrated(section.probability)
        section = section.model_copy(update={"probability": probability})
        return surface_settings(section, **changes)

    @renamed_options
    def extract(
        self,
        observation: Prepared,
        *,
        latent: Tensor | None = None,  # (Z,)
        seed: int = 0,
        **options: Unpack[SurfaceOptions],
    ) -> trimesh.Trimesh:
        """Return the mesh, in the unit frame, of an observation that the input has prepared.

        The same as `surface` of its code.
        """
        return self.surface(self.encode(observation), latent=latent, seed=seed, **options)

    @renamed_options
    def surface(
        self,
        code: Code,
        *,
        latent: Tensor | None = None,  # (Z,)
        seed: int = 0,
        **options: Unpack[SurfaceOptions],
    ) -> trimesh.Trimesh:
        """Return the mesh, in the unit frame, of a code.

        A model with latent codes takes `latent`, or one from the prior by `seed`. Other arguments
        and errors as for `reconstruct`; `metadata` holds statistics of each step taken:
        `extraction`, `refinement`, `simplification`, `normals`.
        """
        if self.makes_meshes:
            mesh = own_mesh(self.model, as_batch(code), self.config, options)
            return self._judged(mesh, code)
        settings = self.generation_settings(**options)
        if latent is None:
            latent = self.latent(seed)
        field = self.field_of_code(code, settings.precision, latent)
        half = (1 + settings.padding) / 2
        mesh = take_surface(
            field,
            settings,
            ((-half,) * 3, (half,) * 3),
            settings.resolution,
            differentiable=lambda points: self.scaling(
                self.model.eval().decode(
                    points[None], as_batch(code), None if latent is None else latent[None]
                )[0]
            ),
            device=self.device,
        )
        return self._judged(mesh, code)

    @property
    def makes_meshes(self) -> bool:
        """Whether the model makes meshes itself, and is no field."""
        return hasattr(self.model, "mesh")

    def _judged(self, mesh: trimesh.Trimesh, code: Code) -> trimesh.Trimesh:
        if (familiarity := self.familiarity(code)) is not None:
            mesh.metadata["familiarity"] = familiarity
        return mesh

    @renamed_options
    def reconstruct(
        self,
        observation: Observation = None,
        *,
        seed: int = 0,
        frame: UnitFrame | None = None,
        **options: Unpack[SurfaceOptions],
    ) -> trimesh.Trimesh:
        """Reconstruct a closed mesh from an observation, in its frame where it has one.

        Args:
            observation: what the model observes, as a file or in memory. Up axis as in training.
                Points: a point cloud, or a mesh of which the vertices are taken; an array (N, 3), a
                tensor, a table with columns x, y, z, or a cloud or mesh of trimesh or Open3D, in
                any frame and unit. Picture: a file of any kind, a PIL image, or an array; without a
                mask or alpha it should show the object alone. Voxels: a grid file, or an array
                (R, R, R). Nothing (None) for unconditional models; the number of a training shape
                for models with learned codes.
            seed: of the choice of points, where there are more or fewer than the network observes,
                and of what an unconditional model generates.
            frame: the unit frame of the object; default that of the observation (the bounding box
                of points, the cube of a grid), or else the unit frame itself. Give it where the
                points show a part of the object only.
            options: see `SurfaceOptions`.

        Returns:
            Mesh in the source frame, empty (with a warning) where the field has no surface.
            `metadata["reconstruction"]` names model, seed, settings, frame and
            seconds, and for models that need a camera whether it was `given` or `estimated`;
            `metadata["extraction"]` and so on hold statistics, see `extract`.

        Raises:
            DataError: a file that cannot be read, NaN, a wrong shape, zero extent, an empty mask.
            ConfigError: a setting out of range.
        """
        return self._reconstruct([observation], seed, frame, options)

    @renamed_options
    def reconstruct_multiview(
        self,
        observations: Sequence[Observation],
        *,
        seed: int = 0,
        frame: UnitFrame | None = None,
        **options: Unpack[SurfaceOptions],
    ) -> trimesh.Trimesh:
        """Reconstruct a closed mesh from several observations of one object.

        By the mean of their codes, or as the model fuses them in their order (3D-R2N2's LSTM);
        docs/networks.md says when this helps. All else as in `reconstruct`.

        Args:
            observations: at least one, of the kinds that `reconstruct` takes; those that have a
                place, such as scans, in the same coordinates.
            seed: of the choice of points; one generator for all observations, in their order.
            frame: default that of all points together; pictures have the unit frame.
            options: see `SurfaceOptions`.

        Raises:
            DataError: no observations, or grids that do not fill the same cube.
            ConfigError: the model's codes have no mean (local features), or are not of
                observations (unconditional models, learned codes of training shapes).
        """
        if not len(observations):
            raise DataError("observations: none given; give at least one")
        check_multiview(self.input)
        return self._reconstruct(observations, seed, frame, options)

    @renamed_options
    def reconstruct_several(
        self, observations: Sequence[Observation], **options: Any
    ) -> trimesh.Trimesh:
        """Former name of `reconstruct_multiview`."""
        warnings.warn(
            "reconstruct_several is called reconstruct_multiview now", DeprecationWarning, 2
        )
        return self.reconstruct_multiview(observations, **options)

    @renamed_options
    def reconstruct_many(
        self,
        observations: Iterable[Observation],
        *,
        workers: int | None = None,
        on_error: Literal["report", "raise"] = "report",
        progress: Progress | None = None,
        seed: int = 0,
        frame: UnitFrame | None = None,
        **options: Unpack[SurfaceOptions],
    ) -> Reconstructions:
        """Reconstruct a mesh from each of many observations, in order, as they are asked for.

            meshes = model.reconstruct_many(paths)
            for path, mesh in zip(paths, meshes):
                if mesh is not None:
                    mesh.export(f"{path.stem}.glb")
            for failure in meshes.failures:
                print(failure)

        Nothing happens before the first mesh is asked for, and only a few observations more than
        that are taken from `observations`, which may be endless. Each mesh is that of
        `reconstruct` with the same seed. The work is done by threads of this process, which share
        the model: torch and the compiled parts run beside one another.

        Args:
            observations: each as `reconstruct` takes it; a list, a generator, or anything else that
                can be iterated.
            workers: meshes in the making at once. While there are several, each of them, and other
                threads of the process, has its share of the threads of torch. Default as many as
                torch has threads on a CPU, and 2 on other devices, one of which reads.
            on_error: `report` gives None in place of a mesh that failed, keeps the reason in
                `failures`, and logs how many failed at the end; `raise` raises the first error.
            progress: see `onet.progress`; the total is known if `observations` has a length.
            seed, frame, options: see `reconstruct`; the same for all.

        Returns:
            An iterator over meshes, see `Reconstructions`.

        Raises:
            ConfigError: a setting out of range. Errors of `observations` itself are raised when
                what came before them is done.
            DataError: `observations` is a file or folder and not many observations.
        """
        self.generation_settings(**options)  # what no observation could mend

        def one(observation: Observation) -> trimesh.Trimesh:
            return self._reconstruct([observation], seed, frame, options)

        return reconstruct_each(one, observations, self.device, workers, on_error, progress)

    def _reconstruct(
        self,
        observations: Sequence[Observation],
        seed: int,
        frame: UnitFrame | None,
        options: SurfaceOptions,
    ) -> trimesh.Trimesh:
        start = time.perf_counter()
        settings = self.generation_settings(**options)
        seen = self._observe(observations, seed, frame)
        mesh = seen.frame.mesh_to_source(self.surface(seen.code, seed=seed, **options))
        mesh.metadata["reconstruction"] = {
            "model": self.source,
            "observation": seen.name,
            "observations": len(observations),
            "input": INPUTS.name_of(self.input),
            "seed": seed,
            **settings.model_dump(include=SURFACE_OPTIONS),
            "loc": seen.frame.loc.tolist(),
            "scale": seen.frame.scale,
            **asdict(self.scaling),
            **_camera_told(seen.code, seen.first),
            "seconds": round(time.perf_counter() - start, 4),
        }
        return mesh

    def _observe(
        self, observations: Sequence[Observation], seed: int, frame: UnitFrame | None
    ) -> _Seen:
        """Read observations of one object and encode them."""
        read = [self._read(observation) for observation in observations]
        name = ", ".join(dict.fromkeys(name for _, name in read))
        frame = self.common_frame([raw for raw, _ in read], name) if frame is None else frame
        rng = np.random.default_rng(seed)
        prepared = [self.input.observe(raw, rng, frame) for raw, _ in read]
        code = self.encode(prepared[0]) if len(read) == 1 else self.encode_multiview(prepared)
        return _Seen(code, frame, name, prepared[0])

    def common_frame(self, raws: Sequence[Any], name: str) -> UnitFrame:
        """Return the unit frame of observations of one object; see `Input.common_frame`."""
        return self.input.common_frame(raws, name)

    def _read(self, observation: Observation) -> tuple[Any, str]:
        """What the input makes of an observation, and what to call it in messages."""
        if isinstance(observation, str | os.PathLike):
            return self.input.read(Path(observation)), str(Path(observation))
        if isinstance(observation, Tensor):
            observation = observation.detach().cpu()
            half = observation.dtype == torch.bfloat16  # which NumPy does not know
            observation = (observation.float() if half else observation).numpy()
        return self.input.take(observation), "observation"


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a model knows of an object: the code, its frame, a name, the first thing observed."""

    code: Code
    frame: UnitFrame
    name: str
    first: Prepared


def _camera_told(code: Code, observation: Any) -> dict[str, str]:
    """Where the camera of a reconstruction comes from; nothing for models without."""
    if not isinstance(code, dict) or ESTIMATED_CAMERA not in code:
        return {}
    known = isinstance(observation, dict) and CAMERA in observation
    return {"camera": "given" if known else "estimated"}
