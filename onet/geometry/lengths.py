"""Lengths as people write them: parts of the longest edge, or millimetres."""

from __future__ import annotations

import re

from onet.errors import DataError

METRES = {"um": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0, "in": 0.0254, "ft": 0.3048}
"""Units of length."""

UNITS_OF_FORMATS = {".glb": "m", ".gltf": "m"}
"""What formats say that coordinates are in, by suffix."""


def relative_length(text: str, option: str, longest: float, units: str | None) -> float:
    """Return a length as part of the longest edge of a mesh.

    Args:
        text: a number, which is a part of the longest edge, or one with a unit, `2mm` for instance.
        option: what to call it in an error message.
        longest: edge of the mesh, in units of its file.
        units: what these are, a key of `METRES`; None if nobody knows.

    Raises:
        DataError: it cannot be read, or has a unit where the file's is not known.
    """
    number, unit = split_length(text, option)
    if unit is None:
        return number
    if units is None:
        raise DataError(
            f"{option} {text}: the file does not say in which units it is; give --units, "
            f"one of {', '.join(METRES)}, or a part of the longest edge"
        )
    return number * METRES[unit] / METRES[units] / longest


def split_length(text: str, option: str) -> tuple[float, str | None]:
    """Return the number of a length and its unit, None where it has none.

    Raises:
        DataError: it cannot be read.
    """
    found = re.fullmatch(r"\s*(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)\s*(\w*)\s*", text)
    if found is None or found[2] not in ("", *METRES):
        raise DataError(
            f"{option} {text!r} is no length: give a part of the longest edge, 0.004 for instance, "
            f"or a number with one of {', '.join(METRES)}"
        )
    return float(found[1]), found[2] or None
