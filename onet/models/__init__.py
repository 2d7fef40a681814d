"""Models: encoders and decoders with a loss, by name.

A model is a class decorated with `@MODELS.register(name)`; its constructor arguments are the
options of the configuration's section `model`. Training knows only

- `loss(batch) -> {"loss": scalar to minimise, ...: scalars to log}` and
- `validate(batch, settings) -> {metric: (B,) one value per item}`.

What makes meshes of a model asks for `encode` and `decode` (see `OccupancyNetwork`) and for its
`z_dim`, the size of its latent code, 0 without one; with one also for `sample_prior`. A model that
has an `encoder` (None where it observes nothing) is refused inputs that it does not observe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onet.data.inputs import INPUTS
from onet.models._registry import MODELS
from onet.models.adversarial_occupancy import AdversarialOccupancyNetwork
from onet.models.flow import OccupancyFlow
from onet.models.observation import check_input
from onet.models.occupancy import OccupancyNetwork
from onet.models.onet4d import OccupancyNetwork4D
from onet.models.psgn4d import PointSetNetwork4D
from onet.models.sizes import require_memory, without_memory
from onet.nn.encoders import ENCODERS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from onet.config import Config

__all__ = [
    "MODELS",
    "AdversarialOccupancyNetwork",
    "OccupancyFlow",
    "OccupancyNetwork",
    "OccupancyNetwork4D",
    "PointSetNetwork4D",
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


def check_config(config: Config, *, trained: bool = False) -> None:
    """Refuse a configuration whose model does not go with its input, without making the model.

    Args:
        config: a whole configuration.
        trained: see `check_input`.

    Raises:
        ConfigError: unknown type or option, sizes with which no network can be made, or an input
            that the encoder does not observe.
    """
    input = INPUTS.build(config.data.input, "data.input")
    section = fit_to_data(config.model, items=1)
    check_input(input, without_memory(lambda: MODELS.build(section, "model")), trained=trained)


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
