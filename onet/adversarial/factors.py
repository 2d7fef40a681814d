"""Factors of penalties, noise and augmentations: what they may be; two conventions for gamma."""

from __future__ import annotations

from onet.errors import ConfigError

UP_TO_ONE = ("mixup", "dropout", "mirror")
"""Augmentations whose strength is a share or a probability."""

STRENGTH = 0.5
"""Of an augmentation, where none is given."""


def require_non_negative(name: str, value: float) -> float:
    """Return `value`, or raise a ConfigError that names it."""
    if not value >= 0:
        raise ConfigError(f"{name} = {value:g}: it must be 0 or more")
    return value


def gamma_of_reg_param(reg_param: float) -> float:
    """Return gamma for the `reg_param` of published code, which leaves out the half: 10 is 20."""
    return 2 * require_non_negative("reg_param", reg_param)


def require_strength(name: str, value: float, of: str) -> float:
    """Return the strength of an augmentation.

    Args:
        name: of the augmentation.
        value: the strength.
        of: what the error calls it.

    Raises:
        ConfigError: one that it cannot have.
    """
    limit = 1.0 if name in UP_TO_ONE else float("inf")
    if not 0 <= value <= limit:
        raise ConfigError(f"{of}: {value:g}; give 0 to {limit:g}")
    return value
