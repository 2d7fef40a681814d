"""Which pixels of a photograph show the object, by a segmenter that is installed."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from onet.errors import DataError, MissingDependency

Segmenter = Callable[[Image.Image], Image.Image]
"""From a picture in RGB to its mask: one channel, of the same size, white on the object."""


def rembg_segmenter() -> Segmenter:
    """Return the segmenter of the package rembg, which knows a salient object of any kind.

    Its network is fetched when it is first used, 176 MB to `~/.u2net`, or where U2NET_HOME says.

    Raises:
        MissingDependency: the package is not installed.
    """
    try:
        from rembg import new_session, remove
    except ImportError as error:
        raise MissingDependency(
            f"removing the background needs rembg ({error}); pip install 'onet[segment]', or give "
            "masks: NAME.mask.png beside NAME.jpg, a picture with transparency, or --mask"
        ) from error
    try:
        session = new_session()
    except Exception as error:  # of the network or of the runtime, in whatever shape
        raise DataError(
            f"rembg: its network cannot be loaded ({error}); it is fetched at first use: put "
            "u2net.onnx into ~/.u2net, or give masks instead"
        ) from error

    def segment(picture: Image.Image) -> Image.Image:
        mask: Image.Image = remove(picture.convert("RGB"), session=session, only_mask=True)
        return mask.convert("L")

    return segment
