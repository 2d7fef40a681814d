"""Pictures from files as networks want them: RGB on white, square, of a fixed size."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps

from onet.archives import as_path
from onet.errors import DataError
from onet.mistaken import mistaken_for

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
IMAGE_SIZE = 224
MARGIN = 0.1
"""White on each side of a cropped object, in units of the picture's edge: about what renderings at
the published distances leave around an object. Chosen here; nothing is published for photographs.
"""

_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_OVERSHOOT = 0.25  # of white; bicubic and Lanczos filters stay below
_SAMPLE = 1 << 20  # pixels looked at for their median
_LARGEST_SQUARE = 1 << 27  # pixels
_NEARLY_WHITE = 230
_LABELS = 64  # different values that labels may have; soft masks have more
_LARGEST_LABEL = 100


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """Return the picture in a file, upright (EXIF), as 8-bit RGB, or RGBA if it has transparency.

    Any mode: palette, grayscale, 16-bit, floating point, CMYK, with and without transparency. Of
    several frames the first is taken.

    Raises:
        DataError: missing or damaged, too large to be a photograph, or values that `to_rgb`
            refuses.
    """
    return to_rgb(_open(path), str(Path(path)))


def _open(path: str | os.PathLike[str]) -> Image.Image:
    """Return the picture in a file, upright, in its own mode."""
    path = as_path(path)
    if path.exists() and (what := mistaken_for(path)):
        raise DataError(f"{path}: {what}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with path.open("rb") as stream, Image.open(stream) as image:
                image.load()
                return ImageOps.exif_transpose(image) or image
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path}: {error}; make it smaller") from None
    except Exception as error:  # damaged files raise whatever the codecs like
        raise DataError(
            f"{path}: cannot be read as a picture ({error}); save it again as PNG or JPEG"
        ) from error


def to_rgb(image: Image.Image, name: str = "image") -> Image.Image:
    """Return a picture of any mode as 8-bit RGB, or RGBA where it has transparency.

    Whole numbers of 16 bits go from 0 to 65535, or to 255 where none is larger. Floating point
    values go from 0 to 1, 255 or 65535, whichever `float_range` finds; what lies outside, as
    resampling overshoots, is clipped.

    Raises:
        DataError: floating point values that are not finite, or values of no known range.
    """
    if image.mode in _SIXTEEN_BITS or image.mode == "F":
        image = Image.fromarray(_eight_bits(image, name))
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    try:
        if image.mode in ("La", "RGBa"):  # premultiplied, convertible to their plain forms only
            image = image.convert("LA" if image.mode == "La" else "RGBA")
        image = image.convert("RGBA" if transparent else "RGB")
    except ValueError as error:  # CIELAB, for instance
        raise DataError(
            f"{name}: the mode {image.mode} is not read ({error}); save it as RGB"
        ) from None
    if image.mode == "RGBA" and image.getchannel("A").getextrema()[1] == 1:
        logger.warning("%s: its alpha has no values but 0 and 1; taken to be 0 and 255", name)
        image.putalpha(image.getchannel("A").point(lambda alpha: 255 * alpha))
    return image


def _eight_bits(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Return a picture of one channel in 16 or 32 bits as (H, W) uint8."""
    values = np.array(image, dtype=np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{name}: has pixels that are NaN or infinite; repair it")
    top = (
        float_range(values, name) if image.mode == "F" else _integer_range(values, image.mode, name)
    )
    result = np.empty(values.shape, dtype=np.uint8)
    step = max(1, _SAMPLE // max(1, values.shape[1]))  # as doubles of a large picture are many
    for row in range(0, len(values), step):
        lines = values[row : row + step].astype(np.float64)
        result[row : row + step] = np.round((lines * (255 / top)).clip(0, 255))
    return result


def float_range(values: NDArray[np.floating], name: str = "image") -> int:
    """What is white in a picture of finite floating point values: 1, 255 or 65535.

    It is 1 where all values, but for overshoots, are at most 1, and also where more than half of
    those that are not black are, as in pictures of high dynamic range, of which highlights are
    clipped. Else it is 255 or 65535.

    Raises:
        DataError: values beyond all of these.
    """
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if high <= 1 + _OVERSHOOT:
        top = 1
    else:
        some = values.ravel()[:: max(1, values.size // _SAMPLE)]
        shades = some[some > 0]
        dim = shades.size > 0 and float(np.median(shades)) <= 1
        whole = bool((some == np.rint(some)).all())
        if dim and not whole:
            top = 1
            logger.warning("%s: values reach %g; those above 1 are clipped to white", name, high)
        else:
            top = 255 if high <= 255 * (1 + _OVERSHOOT) else 65535
    if low < -_OVERSHOOT * top or (top == 65535 and high > top * (1 + _OVERSHOOT)):
        raise DataError(
            f"{name}: values reach from {low:g} to {high:g}, expected 0 to 1, 255 or 65535; scale "
            "them to one of these"
        )
    return top


def _integer_range(values: NDArray[np.floating], mode: str, name: str) -> int:
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low < 0 or high > 65535:
        raise DataError(
            f"{name}: whole numbers from {low:g} to {high:g}, expected 0 to 255 or 65535; scale "
            "them to one of these"
        )
    if high <= 255:
        if mode != "I":
            logger.warning("%s: no value of 16 bits is above %g; white is taken to be 255", name,
                           high)  # fmt: skip
        return 255
    if high < 4096:
        logger.warning(
            "%s: 16 bits of which no value is above %g; if white is 1023 or 4095 the picture is "
            "too dark, scale it to 65535", name, high,
        )  # fmt: skip
    return 65535


def read_mask(path: str | os.PathLike[str]) -> Image.Image:
    """A mask from a file, 8-bit: white, or opaque where all is white, is the object.

    Raises:
        DataError: see `open_image` and `mask_of`.
    """
    return mask_of(_open(path), str(Path(path)))


def mask_of(image: Image.Image, name: str = "mask") -> Image.Image:
    """Return an open picture as a mask, 8-bit: white is the object.

    The alpha of a picture that is cut out is its mask. Of two values, of which one is 0 (or black),
    the other is the object whatever it is: 1 in masks that were never multiplied by 255, any label
    or colour. Between 0 and 255 values are soft.

    Raises:
        DataError: several labels, or values that nowhere reach white.
    """
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if image.mode in _SIXTEEN_BITS or image.mode == "F":
        values = np.array(image, dtype=np.float32)
        present = np.unique(values[np.isfinite(values)])
        if len(present) == 2 and present[0] == 0 and np.isfinite(values).all():
            return Image.fromarray((values > 0).astype(np.uint8) * np.uint8(255))
    rgb = to_rgb(image, name)
    pixels = np.asarray(rgb.convert("RGB"))
    gray = bool((pixels == pixels[..., :1]).all())
    shade = pixels[..., 0] if gray else np.asarray(rgb.convert("RGB").convert("L"))
    alpha = np.asarray(rgb.getchannel("A")) if transparent else None
    if alpha is not None and (shade.min() == shade.max() or _is_cut_out(pixels, alpha, gray)):
        shade = np.full_like(shade, 255)  # opaque is the object
    elif not gray:
        shade = _colored(pixels, shade, name)
    shade = _white(shade, name)
    return Image.fromarray(shade if alpha is None else np.minimum(alpha, shade))


def _is_cut_out(
    pixels: NDArray[np.uint8],  # (H, W, 3)
    alpha: NDArray[np.uint8],  # (H, W)
    gray: bool,
) -> bool:
    """Return whether this is a picture of the object, cut out by its alpha, and no mask in it."""
    visible = pixels[alpha >= 128]
    if alpha.min() == alpha.max() or not len(visible):
        return False
    return not gray or len(np.unique(visible[:, 0])) > 2


def _colored(
    pixels: NDArray[np.uint8],  # (H, W, 3)
    shade: NDArray[np.uint8],  # (H, W)
    name: str,
) -> NDArray[np.uint8]:
    """Return the shade of a coloured mask: white where not black, if it has one colour beside."""
    packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    colors = np.unique(packed)
    if len(colors) == 2 and colors[0] == 0:
        return (packed > 0).astype(np.uint8) * np.uint8(255)
    if len(colors) <= _LABELS and not (len(colors) == 2 and shade.max() >= 250):
        raise DataError(
            f"{name}: has {len(colors)} colours, as labels of several objects have; give a mask "
            "that is white on the object and black elsewhere"
        )
    if ((shade > 32) & (shade < 223)).mean() > 0.5:
        raise DataError(
            f"{name}: looks like a picture in colours, not like a mask; give one that is white on "
            "the object and black elsewhere"
        )
    return shade


def _white(shade: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Return a mask whose object is white, of one whose object may be a label."""
    counts = np.bincount(shade.ravel(), minlength=256)
    values = np.flatnonzero(counts)
    if values[-1] == 1 or (len(values) == 2 and values[0] == 0):
        return (shade > 0).astype(np.uint8) * np.uint8(255)
    labels = values[(values > 0) & (values < 255)]
    few = 0 < len(labels) <= _LABELS and labels[-1] <= _LARGEST_LABEL
    if few and counts[255] < counts[labels].sum() and values[0] == 0:
        raise DataError(
            f"{name}: has the values {', '.join(map(str, values[:8]))}, as labels of several "
            "objects or parts have; give a mask with 255 on the object and 0 elsewhere"
        )
    if 0 < values[-1] < 128:
        raise DataError(
            f"{name}: its values reach from {values[0]} to {values[-1]}, none of which is white; "
            "give a mask with 255 on the object and 0 elsewhere"
        )
    return shade


def read_image(
    path: str | os.PathLike[str],
    mask: str | os.PathLike[str] | None = None,
    size: int = IMAGE_SIZE,
) -> NDArray[np.float32]:
    """Return a user's photograph as an observation: (3, size, size) float32 RGB in [0, 1].

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
    """Return an open picture as an observation; see `read_image`."""
    image = to_rgb(image, name)
    if mask is not None:
        _refuse_other_size(image, mask, name)
        mask = mask_of(mask, f"{name}: its mask")
        _say_inverted(mask, name)
        image = image.convert("RGB")
        image.putalpha(mask)
    image = _shrunk(image)
    if image.mode != "RGBA":
        _say_background(image, name)
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


def _refuse_other_size(image: Image.Image, mask: Image.Image, name: str) -> None:
    if mask.size == image.size:
        return
    remedy = "give a mask of the same size"
    if mask.size == image.size[::-1]:
        remedy = "one of them is turned, by EXIF perhaps: give a mask that is upright too"
    raise DataError(
        f"{name}: is {image.size[0]} x {image.size[1]} pixels and its mask "
        f"{mask.size[0]} x {mask.size[1]}; {remedy}"
    )


def _say_background(image: Image.Image, name: str) -> None:
    """Warn of a picture without mask and transparency that is not white around its object."""
    values = np.asarray(image).min(2)
    around = np.concatenate((values[0], values[-1], values[:, 0], values[:, -1]))
    if (around >= _NEARLY_WHITE).mean() < 0.5:
        logger.warning(
            "%s: is not white round the object, as the pictures are that networks learn from; give "
            "a mask, a transparent background, or --remove-background", name,
        )  # fmt: skip


def _say_inverted(mask: Image.Image, name: str) -> None:
    """Warn of a mask that is white all around and black within."""
    white = np.asarray(mask) >= 128
    around = (white[0], white[-1], white[:, 0], white[:, -1])
    if all(edge.all() for edge in around) and not white.all():
        logger.warning(
            "%s: its mask is white along all edges; if it is inverted, give it with white on the "
            "object", name,
        )  # fmt: skip


def resize_image(image: Image.Image, size: int = IMAGE_SIZE) -> NDArray[np.float32]:
    """Return a rendering as an observation, as published: on white, stretched to the square."""
    return _to_array(_on_white(image).resize((size, size), Image.Resampling.BILINEAR))


def middle_square(image: Image.Image, size: int) -> NDArray[np.uint8]:  # (size, size, 3)
    """Return the middle of a picture, on white, as a square of `size` pixels."""
    square = ImageOps.fit(_on_white(image), (size, size), Image.Resampling.BICUBIC)
    return np.asarray(square)


def random_resized_crop(
    image: Image.Image,
    rng: np.random.Generator,
    size: int = IMAGE_SIZE,
    scale: tuple[float, float] = (0.75, 1.0),
) -> NDArray[np.float32]:
    """Return a random square part as an observation: the published augmentation.

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
    """Return an array (H, W), (H, W, 3) or (H, W, 4), uint8, bool or float in [0, 1], as a picture.

    Colours may come first too, (3, H, W) or (4, H, W), as torchvision has them. Floats may
    overshoot by a quarter, and are clipped.

    Raises:
        DataError: another shape or type, or values out of range.
    """
    values = np.asarray(array)
    if values.ndim == 3 and values.shape[2] not in (3, 4) and values.shape[0] in (3, 4):
        values = np.moveaxis(values, 0, -1)
    good = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))
    if not good or values.size == 0:
        raise DataError(f"{name}: expected (H, W), (H, W, 3) or (H, W, 4), found {values.shape}")
    found = str(values.dtype)
    if values.dtype.kind == "b":
        values = values.astype(np.uint8) * np.uint8(255)
    elif values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        found = f"{found} from {low:g} to {high:g}"
        if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
            values = np.round(values * 255).clip(0, 255).astype(np.uint8)
    if values.dtype != np.uint8:
        raise DataError(f"{name}: expected uint8, or float in [0, 1], found {found}")
    return Image.fromarray(values)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def _shrunk(image: Image.Image) -> Image.Image:
    """Return a strip thousands of times longer than wide smaller, as its square fits no memory."""
    edge = max(image.size)
    most = max(_LARGEST_SQUARE, 2 * image.width * image.height)
    if edge**2 <= most:
        return image
    factor = int(np.ceil(edge / np.sqrt(_LARGEST_SQUARE)))
    if image.mode == "RGBA":
        return image.convert("RGBa").reduce(factor).convert("RGBA")
    return image.reduce(factor)


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
