"""Which decoders can take the code that an encoder makes."""

from __future__ import annotations

from typing import Any

from onet.errors import ConfigError
from onet.nn.code import kind_made, kinds_taken
from onet.nn.encoders import ENCODERS
from onet.registry import Registry


def check_match(
    encoder: dict[str, Any],
    part: dict[str, Any],
    registry: Registry,
    where: str,
) -> None:
    """Refuse a part that does not take the codes of the encoder.

    Args:
        encoder: section of an encoder.
        part: section of a decoder or latent encoder.
        registry: that the part is of.
        where: dotted path of the part, for the message.

    Raises:
        ConfigError: it names both, and what would fit either.
    """
    made, part_type = kind_made(ENCODERS[encoder["type"]]), part["type"]
    taken = kinds_taken(registry[part_type])
    if made in taken:
        return
    parts = [name for name in registry if made in kinds_taken(registry[name])]
    encoders = [name for name in ENCODERS if kind_made(ENCODERS[name]) in taken]
    raise ConfigError(
        f"model.encoder.type: {encoder['type']!r} makes a code of the kind {made!r}, and "
        f"{where}.type: {part_type!r} takes {' or '.join(map(repr, sorted(taken)))}; with this "
        f"encoder goes the {registry.kind} {' or '.join(parts) or '(none)'}, with this "
        f"{registry.kind} the encoder {' or '.join(encoders)}"
    )


def check_global(encoder: dict[str, Any], model: str) -> None:
    """Refuse an encoder whose code is not one vector, for a model that takes no other.

    Args:
        encoder: its section.
        model: by its name, for the message.

    Raises:
        ConfigError: it names both, and what would fit.
    """
    made = kind_made(ENCODERS[encoder["type"]])
    if made != "global":
        fitting = [name for name in ENCODERS if kind_made(ENCODERS[name]) == "global"]
        raise ConfigError(
            f"model.encoder.type: {encoder['type']!r} makes a code of the kind {made!r}, and the "
            f"model {model!r} takes 'global'; with it goes the encoder {' or '.join(fitting)}"
        )
