"""How alike two pictures are. Pictures are (H, W, 3) in [0, 1]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.errors import DataError, MissingDependency

LARGEST_PSNR = 100.0
"""Of equal pictures, in dB: means cannot take infinity."""

PUBLISHED_RANGE = 2.0
"""Range of data that the published scores of Texture Fields assumed: of floats, from -1 to 1, where
pictures go from 0 to 1. It makes the SSIM larger."""

_WINDOW = 7


def picture_scores(
    picture: ArrayLike,  # (H, W, 3)
    truth: ArrayLike,  # (H, W, 3)
    mask: NDArray[np.bool_] | None = None,  # (H, W)
    data_range: float = 1.0,
) -> dict[str, float]:
    """Return `ssim`, `l1`, the mean absolute difference, and `psnr` in dB of two pictures.

    Args:
        picture, truth: in [0, 1].
        mask: pixels that count; default all. The windows of the SSIM, 7 x 7 pixels, reach beyond.
        data_range: of the SSIM.

    Raises:
        DataError: pictures of other or different sizes, or a mask without pixels.
        MissingDependency: scikit-image is not installed.
    """
    one, other = (np.asarray(p, dtype=np.float64) for p in (picture, truth))
    if one.shape != other.shape or one.ndim != 3 or one.shape[2] != 3:
        raise DataError(f"pictures of shapes {one.shape} and {other.shape}: give two (H, W, 3)")
    if min(one.shape[:2]) < _WINDOW:
        raise DataError(f"pictures of {one.shape[:2]} pixels: SSIM needs {_WINDOW} each way")
    counts = np.ones(one.shape[:2], dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if not counts.any():
        raise DataError("the mask has no pixels; leave out pictures without the object")
    difference = (one - other)[counts]
    square = float((difference**2).mean())
    mean, everywhere = _similarity(one, other, data_range)
    return {
        "ssim": mean if mask is None else float(everywhere[counts].mean()),
        "l1": float(np.abs(difference).mean()),
        "psnr": min(LARGEST_PSNR, -10 * math.log10(max(square, 1e-300))),
    }


def _similarity(one: Any, other: Any, data_range: float) -> tuple[float, NDArray[np.float64]]:
    """Return the mean SSIM without the border, as usual, and that of each pixel and colour."""
    try:
        from skimage.metrics import structural_similarity
    except ImportError:
        raise MissingDependency(
            "SSIM is scikit-image's; install it: pip install 'onet[colors]'"
        ) from None
    return structural_similarity(  # type: ignore[no-any-return,no-untyped-call]
        one, other, win_size=_WINDOW, data_range=data_range, channel_axis=-1, full=True
    )
