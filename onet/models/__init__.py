"""Models: encoders and decoders with a loss, by name.

A model is a class decorated with `@MODELS.register(name)`; its constructor arguments are the
options of the configuration's section `model`. Training knows only

- `loss(batch) -> {"loss": scalar to minimise, ...: scalars to log}` and
- `validate(batch, settings) -> {metric: (B,) one value per item}`.

A model that is trained with more than query points has `targets`, an `onet.data.targets.Targets`.

What makes meshes of a model asks for `encode` and `decode` (see `OccupancyNetwork`) and for its
`z_dim`, the size of its latent code, 0 without one; with one also for `sample_prior`. A model that
has an `encoder` (None where it observes nothing) is refused inputs that it does not observe. One
without a field offers `mesh(code) -> trimesh.Trimesh` in the unit frame in place of `decode`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onet.data.inputs import INPUTS
from onet.data.targets import NOTHING, Targets
from onet.errors import ConfigError
from onet.models._registry import MODELS
from onet.models.adversarial_occupancy import AdversarialOccupancyNetwork
from onet.models.adversarial_pictures import AdversarialPictureNetwork
from onet.models.adversarial_texture import AdversarialTextureNetwork
from onet.models.atlas import AtlasNetwork
from onet.models.deep_marching_cubes import DeepMarchingCubes
from onet.models.flow import OccupancyFlow
from onet.models.observation import check_input
from onet.models.occupancy import OccupancyNetwork
from onet.models.onet4d import OccupancyNetwork4D
from onet.models.pixel2mesh import Pixel2Mesh
from onet.models.point_set import PointSetNetwork
from onet.models.psgn4d import PointSetNetwork4D
from onet.models.sizes import require_memory, without_memory
from onet.models.texture import TextureNetwork
from onet.models.voxel_grid import VoxelGridNetwork
from onet.nn.encoders import ENCODERS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from onet.config import Config

__all__ = [
    "MODELS",
    "AdversarialOccupancyNetwork",
    "AdversarialPictureNetwork",
    "AdversarialTextureNetwork",
    "AtlasNetwork",
    "DeepMarchingCubes",
    "OccupancyFlow",
    "OccupancyNetwork",
    "OccupancyNetwork4D",
    "Pixel2Mesh",
    "PointSetNetwork",
    "PointSetNetwork4D",
    "TextureNetwork",
    "VoxelGridNetwork",
    "build_model",
    "check_config",
    "check_input",
    "fit_to_data",
    "load_pretrained",
    "model_layout",
]


def build_model(section: dict[str, Any]) -> nn.Module:
    """Return the model that the configuration's section `model` describes, with fresh weights.

    Raises:
        ConfigError: unknown type or option of the model or one of its parts, sizes with which no
            network can be made, or one that does not fit into the memory that is free.
    """
    require_memory(without_memory(lambda: MODELS.build(section, "model")))
    model: nn.Module = MODELS.build(section, "model")
    return model


def model_layout(section: dict[str, Any]) -> dict[str, Tensor]:
    """Keys and shapes of the weights that such a model has, without memory behind them.

    Raises:
        ConfigError: as `build_model`, but for the memory.
    """
    return without_memory(lambda: MODELS.build(section, "model")).state_dict()


def check_config(config: Config, *, trained: bool = False) -> Targets:
    """Refuse a configuration whose model does not go with its input, without making the model.

    Args:
        config: a whole configuration.
        trained: see `check_input`.

    Returns:
        What the model is trained with beside query points.

    Raises:
        ConfigError: unknown type or option, sizes with which no network can be made, or an input
            that the encoder does not observe.
    """
    input = INPUTS.build(config.data.input, "data.input")
    section = fit_to_data(config.model, items=1)
    model = without_memory(lambda: MODELS.build(section, "model"))
    _check_samples(config, model)
    check_input(input, model, trained=trained)
    targets: Targets = getattr(model, "targets", NOTHING)
    return targets


_SAMPLES = {
    "views": (
        "the model learns colours from pictures with depth; set it, for instance data.views={size: "
        "128}",
        "data.views: is of texture networks, and the model learns from other data; set "
        "data.views=null, or model.type to a texture network",
    ),
    "pictures": (
        "the model learns to make pictures; say how they are read, for instance "
        "data.pictures={size: 64}",
        "data.pictures: is of generators of pictures; set data.pictures=null, or "
        "model.type=picture_gan",
    ),
}
"""What is said where a model lacks what it learns from, and where it has what is of others."""


def _check_samples(config: Config, model: nn.Module) -> None:
    """Refuse pictures for a model of query points, and the other way round."""
    learns_from = getattr(model, "learns_from", "points")
    for kind, (lacking, superfluous) in _SAMPLES.items():
        given = getattr(config.data, kind) is not None
        if kind == learns_from and not given:
            raise ConfigError(f"data.{kind}: {lacking}")
        if kind != learns_from and given:
            raise ConfigError(superfluous)
    check: Any = getattr(model, "check_pictures", None)
    if check is not None:
        check(config.data.pictures)


def fit_to_data(section: dict[str, Any], items: int) -> dict[str, Any]:
    """Return the section with what only the training data tells: how many shapes have a code.

    Args:
        section: the configuration's section `model`.
        items: number of training items.
    """
    encoder = section.get("encoder")
    if not isinstance(encoder, dict) or "type" not in encoder or encoder.get("count"):
        return section
    if ENCODERS[encoder["type"]].observes == "index":  # type: ignore[attr-defined]
        return {**section, "encoder": {**encoder, "count": items}}
    return section


def load_pretrained(model: nn.Module) -> None:
    """Give parts that start from weights trained elsewhere those weights (`load_pretrained`).

    For training that starts anew. A trained model is loaded without them, so it needs no network.

    Raises:
        ConfigError: weights that are not there or cannot be downloaded.
        CheckpointError: weights of another network.
    """
    for part in model.modules():
        load = getattr(part, "load_pretrained", None)
        if load is not None:
            load()
