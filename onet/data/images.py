"""Pictures from files as networks want them: RGB on white, square, of a fixed size."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps

from onet.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
IMAGE_SIZE = 224
MARGIN = 0.1
"""White on each side of a cropped object, in units of the picture's edge: about what renderings at
the published distances leave around an object. Chosen here; nothing is published for photographs.
"""

_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """The picture in a file, upright (EXIF), as 8-bit RGB, or as RGBA where it has transparency.

    Any mode: palette, grayscale, 16-bit, floating point, CMYK, with and without transparency. Of
    several frames the first is taken.

    Raises:
        DataError: missing or damaged, or too large to be a photograph.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
                return to_rgb(ImageOps.exif_transpose(image) or image, str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path}: {error}; make it smaller") from None
    except DataError:
        raise
    except Exception as error:  # damaged files raise whatever the codecs like
        raise DataError(
            f"{path}: cannot be read as a picture ({error}); save it again as PNG or JPEG"
        ) from error


def to_rgb(image: Image.Image, name: str = "image") -> Image.Image:
    """A picture of any mode as 8-bit RGB, or RGBA where it has transparency.

    Raises:
        DataError: floating point values that are not finite.
    """
    if image.mode in _SIXTEEN_BITS:
        values = np.asarray(image, dtype=np.float64)
        top = 65535 if values.max(initial=0) > 255 or image.mode != "I" else 255
        image = Image.fromarray(np.round(values.clip(0, top) * (255 / top)).astype(np.uint8))
    elif image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        if not np.isfinite(values).all():
            raise DataError(f"{name}: has pixels that are NaN or infinite; repair it")
        factor = 255 if values.max(initial=0) <= 1 else 1
        image = Image.fromarray(np.round((values * factor).clip(0, 255)).astype(np.uint8))
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if image.mode in ("La", "RGBa"):  # premultiplied, convertible to their plain forms only
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    return image.convert("RGBA" if transparent else "RGB")


def read_mask(path: str | os.PathLike[str]) -> Image.Image:
    """A mask from a file, 8-bit: white, or opaque where all is white, is the object."""
    image = open_image(path)
    if image.mode == "RGBA":
        shade = np.asarray(image.convert("RGB").convert("L"))
        alpha = np.asarray(image.getchannel("A"))
        return Image.fromarray(np.minimum(alpha, shade if shade.min() < shade.max() else 255))
    return image.convert("L")


def read_image(
    path: str | os.PathLike[str],
    mask: str | os.PathLike[str] | None = None,
    size: int = IMAGE_SIZE,
) -> NDArray[np.float32]:
    """A user's photograph as an observation: (3, size, size) float32 RGB in [0, 1].

    With a mask or transparency the rest becomes white, and the object fills the square up to
    `MARGIN`. Without, the whole picture is used, padded with white to a square.

    Args:
        path: a picture of any mode and size.
        mask: file of a picture of the same size, white on the object; takes the place of alpha.
        size: pixels along an edge of the result.

    Raises:
        DataError: see `open_image`; also a mask of another size, or an empty mask or alpha.
    """
    return fit_image(
        open_image(path), None if mask is None else read_mask(mask), size, str(Path(path))
    )


def fit_image(
    image: Image.Image,
    mask: Image.Image | None = None,
    size: int = IMAGE_SIZE,
    name: str = "image",
) -> NDArray[np.float32]:
    """An open picture as an observation; see `read_image`."""
    image = to_rgb(image, name)
    if mask is not None:
        if mask.size != image.size:
            raise DataError(
                f"{name}: is {image.size[0]} x {image.size[1]} pixels and its mask "
                f"{mask.size[0]} x {mask.size[1]}; give a mask of the same size"
            )
        image = image.convert("RGB")
        image.putalpha(mask.convert("L"))
    if image.mode != "RGBA":
        return _to_array(_squared(image).resize((size, size), Image.Resampling.BILINEAR))
    box = image.getchannel("A").point(lambda alpha: 255 * (alpha >= 128)).getbbox()
    if box is None:
        what = "its alpha" if mask is None else "its mask"
        raise DataError(f"{name}: {what} is empty, nothing of the object is left; correct it")
    composed = _on_white(image)
    if box == (0, 0, *image.size):  # opaque everywhere: no object was cut out
        return _to_array(_squared(composed).resize((size, size), Image.Resampling.BILINEAR))
    side = max(box[2] - box[0], box[3] - box[1]) / (1 - 2 * MARGIN)
    x, y = (box[0] + box[2]) / 2 - side / 2, (box[1] + box[3]) / 2 - side / 2
    corner = (int(np.floor(x)), int(np.floor(y)))
    edge = int(np.ceil(side)) + 1
    canvas = Image.new("RGB", (edge, edge), "white")
    canvas.paste(composed, (-corner[0], -corner[1]))
    area = (x - corner[0], y - corner[1], x - corner[0] + side, y - corner[1] + side)
    return _to_array(canvas.resize((size, size), Image.Resampling.BILINEAR, box=area))


def resize_image(image: Image.Image, size: int = IMAGE_SIZE) -> NDArray[np.float32]:
    """A rendering as an observation, as published: composited on white, stretched to the square."""
    return _to_array(_on_white(image).resize((size, size), Image.Resampling.BILINEAR))


def random_resized_crop(
    image: Image.Image,
    rng: np.random.Generator,
    size: int = IMAGE_SIZE,
    scale: tuple[float, float] = (0.75, 1.0),
) -> NDArray[np.float32]:
    """A random square part as an observation: the published augmentation.

    The part has a share of the picture's area uniform in `scale`, and the aspect ratio 1.
    """
    image = _on_white(image)
    side = min(np.sqrt(rng.uniform(*scale) * image.width * image.height), *image.size)
    edge = max(1, round(float(side)))
    x = int(rng.integers(image.width - edge + 1))
    y = int(rng.integers(image.height - edge + 1))
    area = (x, y, x + edge, y + edge)
    return _to_array(image.crop(area).resize((size, size), Image.Resampling.BILINEAR))


def image_of(array: ArrayLike, name: str = "image") -> Image.Image:
    """An array (H, W), (H, W, 3) or (H, W, 4), uint8 or float in [0, 1], as a picture.

    Raises:
        DataError: another shape or type, or values out of range.
    """
    values = np.asarray(array)
    good = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))
    if not good or values.size == 0:
        raise DataError(f"{name}: expected (H, W), (H, W, 3) or (H, W, 4), found {values.shape}")
    if values.dtype.kind == "f" and values.min() >= 0 and values.max() <= 1:
        values = np.round(values * 255).astype(np.uint8)
    if values.dtype != np.uint8:
        raise DataError(f"{name}: expected uint8, or float in [0, 1], found {values.dtype}")
    return Image.fromarray(values)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def _squared(image: Image.Image) -> Image.Image:
    edge = max(image.size)
    if image.size == (edge, edge):
        return _on_white(image)
    canvas = Image.new("RGB", (edge, edge), "white")
    canvas.paste(_on_white(image), ((edge - image.width) // 2, (edge - image.height) // 2))
    return canvas


def _to_array(image: Image.Image) -> NDArray[np.float32]:
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    return np.ascontiguousarray(values.transpose(2, 0, 1))
