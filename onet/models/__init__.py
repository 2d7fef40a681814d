"""Models: encoders and decoders with a loss, by name.

A model is a class decorated with `@MODELS.register(name)`; its constructor arguments are the
options of the configuration's section `model`. Training knows only

- `loss(batch) -> {"loss": scalar to minimise, ...: scalars to log}` and
- `validate(batch, settings) -> {metric: (B,) one value per item}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onet.registry import Registry

if TYPE_CHECKING:
    from torch import nn

MODELS: Registry = Registry("model")

from onet.models.occupancy import OccupancyNetwork  # noqa: E402

__all__ = ["MODELS", "OccupancyNetwork", "build_model"]


def build_model(section: dict[str, Any]) -> nn.Module:
    """The model that the configuration's section `model` describes, with fresh weights.

    Raises:
        ConfigError: unknown type or option of the model or one of its parts.
    """
    model: nn.Module = MODELS.build(section, "model")
    return model
