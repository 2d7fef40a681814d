"""Factors of penalties and noise: what they may be, and the two conventions for gamma."""

from __future__ import annotations

from onet.errors import ConfigError


def require_non_negative(name: str, value: float) -> float:
    """Return `value`, or raise a ConfigError that names it."""
    if not value >= 0:
        raise ConfigError(f"{name} = {value:g}: it must be 0 or more")
    return value


def gamma_of_reg_param(reg_param: float) -> float:
    """Return gamma for the `reg_param` of published code, which leaves out the half: 10 is 20."""
    return 2 * require_non_negative("reg_param", reg_param)
