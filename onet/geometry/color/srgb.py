"""Between colours as pictures encode them (sRGB) and amounts of light, which may be averaged."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def to_linear(encoded: ArrayLike) -> NDArray[np.float64]:
    """Return amounts of light for sRGB values in [0, 1]."""
    values = np.clip(np.asarray(encoded, dtype=np.float64), 0, 1)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: ArrayLike) -> NDArray[np.float64]:
    """Return sRGB values for amounts of light in [0, 1]."""
    values = np.clip(np.asarray(linear, dtype=np.float64), 0, 1)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


LINEAR_OF_BYTE = to_linear(np.arange(256) / 255)
"""(256,) amounts of light for the values of eight-bit pictures."""
