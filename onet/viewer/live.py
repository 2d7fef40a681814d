"""Results made again while one looks: another probability or resolution, or codes in between."""

from __future__ import annotations

import functools
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from torch import Tensor

from onet.checkpoints import run_folder
from onet.checkpoints.checkpoint import checksum
from onet.errors import ConfigError, DataError
from onet.inference.latent import Kind, blend, global_code, sample_latent
from onet.inference.observing import Observed, observe, reconstruct
from onet.inference.reconstructor import Reconstructor, load
from onet.inference.surface import SURFACE_OPTIONS
from onet.inference.targets import SAMPLES, Target, Wanted, find
from onet.models import MODELS
from onet.nn.code import Code
from onet.report.shape import Shape
from onet.viewer.entry import MADE, Panel

RESOLUTION = 32
"""Of samples until a slider asks for more."""

SHOWN_SAMPLES = 16


def has_field(settings: dict[str, Any]) -> bool:
    """Whether the model of a generation has a field, and so a probability; it is not loaded.

    Where the settings do not tell, it is found out when it is asked for.
    """
    section = (settings.get("config") or {}).get("model") or {}
    kind = str(section.get("type"))
    return kind not in list(MODELS) or not hasattr(MODELS[kind], "mesh")


class Live:
    """The model of a generation folder, with what it observed.

    Nothing is loaded before the first mesh is asked for.

    Attributes:
        probability, resolution: those that the meshes were made with.
        blends: whether codes can be mixed, as far as is known without the model.
    """

    def __init__(self, root: Path, settings: dict[str, Any]) -> None:
        self._root, self._settings = root, settings
        self._one_at_a_time = threading.Lock()
        self.blends = True
        self.probability = float(settings.get("probability", 0.5))
        self.resolution = int(settings.get("resolution", 128))

    def mesh(
        self, key: str, probability: float, resolution: int, toward: str = "", share: float = 0.0
    ) -> trimesh.Trimesh:
        """Return the mesh of an item in the source frame.

        Args:
            key: the item, `category/model`.
            probability, resolution: of the extraction.
            toward: another item; its code is mixed in.
            share: so much of it, from 0 to 1.

        Raises:
            OnetError: the model or what it observed is not there any more, or its codes have no
                way between them.
        """
        options: Any = self._options | {"probability": probability, "resolution": resolution}
        with self._one_at_a_time, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="no surface")
            observed, rng = self._observed(key)
            if not toward or share == 0:
                mesh = reconstruct(self.model, observed, rng, options, self._targets[key].sampled)
            else:
                mesh = self._between(key, toward, share, options)
        return observed.frame.mesh_to_source(mesh)

    @functools.cached_property
    def model(self) -> Reconstructor:
        """The model, loaded.

        Raises:
            DataError: its weights are not there, or others.
            ConfigError: a model that has no field.
        """
        told = self._settings["checkpoint"]
        path, run = Path(told["path"]), self._root.parent
        if not path.is_file() and (run / run_folder.CHECKPOINTS).is_dir():
            path = run / run_folder.CHECKPOINTS / path.name  # the run was moved
        if not path.is_file():
            raise DataError(f"{told['path']}: no such file; the weights were moved or removed")
        if checksum(path) != told["sha256"]:
            raise DataError(f"{path}: holds other weights than these results were made with")
        # By the run the probability that `onet threshold --apply` left is found too.
        model = load(path.parent.parent if path.parent.name == run_folder.CHECKPOINTS else path)
        if model.makes_meshes:
            raise ConfigError("the model makes meshes and has no probability or resolution")
        return model

    @property
    def _options(self) -> dict[str, Any]:
        return {
            key: self._settings[key]
            for key in SURFACE_OPTIONS
            if key in self._settings and key not in ("uncertainty", "normals")
        }

    @functools.cached_property
    def _targets(self) -> dict[str, Target]:
        told = self._settings
        if told.get("input") == SAMPLES:
            count = 1 + max((int(name) for name in self._names), default=0)
            wanted = Wanted(samples=count)
        elif "split" in told:
            categories = tuple(told["categories"])
            data, views = Path(told["data"]), told.get("views")
            wanted = Wanted((), data, told["split"], categories, views=views)
        else:
            mask = told.get("mask")
            given = told["input"]
            wanted = Wanted(
                tuple(map(Path, given if isinstance(given, list) else [given])),
                samples=told.get("samples"),
                views=told.get("views"),
                mask=None if mask is None else Path(mask),
                remove_background=bool(told.get("remove_background")),
            )
        return {target.name: target for target in find(self.model, wanted)[0]}

    @property
    def _names(self) -> list[str]:
        from onet.inference.generation_folder import read_results

        return [model for _, model in read_results(self._root)]

    def _observed(self, key: str) -> tuple[Observed, np.random.Generator]:
        """Return what was observed of an item, and the generator as `generate` goes on with it."""
        if key not in self._targets:
            raise DataError(f"{key}: what it was made from is not there any more")
        target = self._targets[key]
        rng = np.random.default_rng([int(self._settings["seed"]), zlib.crc32(key.encode())])
        return observe(self.model.input, target, rng, self._settings.get("views")), rng

    def _codes(self, key: str) -> tuple[Code, Tensor | None]:
        observed, rng = self._observed(key)
        several = observed.multiview
        code = (
            self.model.encode_multiview(observed.observations)
            if several
            else self.model.encode(observed.observations[0])
        )
        seed = int(rng.integers(2**63))
        return code, self.model.latent(seed, sampled=self._targets[key].sampled)

    def _between(self, key: str, toward: str, share: float, options: Any) -> trimesh.Trimesh:
        (code, z), (other, other_z) = self._codes(key), self._codes(toward)
        if self.model.input.conditions:
            code = blend(
                global_code(self.model, code), global_code(self.model, other), share, "linear"
            )
        if z is not None and other_z is not None:
            kind: Kind = "linear" if self.model.input.conditions else "spherical"
            z = blend(z, other_z, share, kind)
        return self.model.surface(code, latent=z, **options)


class Samples(Live):
    """Samples of an unconditional model, by their numbers.

    Raises:
        OnetError: no model there, or one that observes something.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._one_at_a_time = threading.Lock()
        model = load(source)
        if model.input.conditions or not model.model.z_dim:
            raise DataError(
                f"{source}: holds no results, and its model observes something; make results with "
                "`onet generate` first"
            )
        self.__dict__["model"] = model
        self.blends = True
        self.probability = float(model.generation_settings().probability)
        self.resolution = RESOLUTION
        self.names = [str(number) for number in range(SHOWN_SAMPLES)]

    def mesh(
        self, key: str, probability: float, resolution: int, toward: str = "", share: float = 0.0
    ) -> trimesh.Trimesh:
        """Return the mesh of a sample, or between two, in the unit frame."""
        z = sample_latent(self.model, int(key))
        if toward and share:
            z = blend(z, sample_latent(self.model, int(toward)), share, "spherical")
        options: Any = {"probability": probability, "resolution": resolution}
        with self._one_at_a_time, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="no surface")
            return self.model.surface(z.new_zeros(0), latent=z, **options)

    def panels(self, key: str) -> list[Panel]:
        """Return the panel of a sample."""
        mesh = self.mesh(key, self.probability, self.resolution)
        if not len(mesh.faces):
            return [Panel(MADE, reason="no surface")]
        return [Panel(MADE, [Shape.of_mesh(mesh)])]
