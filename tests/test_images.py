import numpy as np
import pytest
from PIL import Image

from onet.data.images import (
    MARGIN,
    fit_image,
    image_of,
    mask_of,
    open_image,
    random_resized_crop,
    read_image,
    read_mask,
    resize_image,
)
from onet.errors import DataError

ORANGE = (250, 120, 30)


def gradient(width=60, height=40):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x * 4, y * 6, 255 - x * 2], axis=-1).astype(np.uint8)


def close(image, expected, atol=3):
    np.testing.assert_allclose(np.asarray(image, int), np.asarray(expected, int), atol=atol)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "YCbCr", "HSV"])
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_modes_with_colour(tmp_path, mode, suffix):
    image = Image.fromarray(gradient())
    image = image.quantize(256) if mode == "P" else image.convert(mode)
    path = tmp_path / f"picture.{suffix}"
    try:
        image.save(path, quality=98)
    except OSError:
        pytest.skip(f"no {suffix} holds {mode}")
    read = open_image(path)
    assert read.mode == ("RGBA" if mode == "RGBA" else "RGB")
    close(read.convert("RGB"), gradient(), atol=24 if mode == "P" else 12)


@pytest.mark.parametrize("kind", ["L", "1", "I;16", "I", "F", "F1"])
def test_modes_without_colour(tmp_path, kind):
    gray = gradient()[..., 0]
    images = {
        "L": Image.fromarray(gray),
        "1": Image.fromarray(gray).convert("1", dither=Image.Dither.NONE),
        "I;16": Image.fromarray(gray.astype(np.uint16) * 257),
        "I": Image.fromarray(gray.astype(np.int32) * 257),
        "F": Image.fromarray(gray.astype(np.float32)),
        "F1": Image.fromarray(gray.astype(np.float32) / 255),
    }
    path = tmp_path / ("picture.tif" if kind[0] == "F" or kind == "I" else "picture.png")
    images[kind].save(path)
    expected = np.where(gray >= 128, 255, 0) if kind == "1" else gray
    read = open_image(path)
    assert read.mode == "RGB"
    close(read, np.repeat(expected[..., None], 3, axis=2), atol=1)


def test_a_transparent_colour_counts_as_alpha(tmp_path):
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([*ORANGE, 0, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=1)
    Image.fromarray(np.array([[90, 7]], np.uint8)).save(tmp_path / "gray.png", transparency=7)
    for name, color in (("palette", ORANGE), ("gray", (90, 90, 90))):
        read = np.asarray(open_image(tmp_path / f"{name}.png"))
        assert tuple(read[0, 0]) == (*color, 255)
        assert read[0, 1, 3] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation):
    upright = Image.fromarray(gradient(64, 48))
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright if orientation == 1 else upright.transpose(turns[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    close(open_image(tmp_path / "turned.png"), upright, atol=0)


def cut_out(box, size=(80, 50), color=ORANGE):
    """Opaque in a box (left, top, right, bottom); elsewhere transparent, and not white."""
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    pixels[..., :3] = (0, 0, 200)
    pixels[box[1] : box[3], box[0] : box[2]] = (*color, 255)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("box", [(10, 5, 40, 25), (0, 0, 10, 50), (60, 30, 80, 50), (70, 3, 80, 8)])
def test_an_object_that_is_cut_out_fills_the_square(tmp_path, box):
    cut_out(box).save(tmp_path / "cut.png")
    seen = read_image(tmp_path / "cut.png", size=100)
    assert seen.shape == (3, 100, 100)
    assert seen.dtype == np.float32
    color = np.array(ORANGE)[:, None, None] / 255
    object_ = np.abs(seen - color).max(axis=0) < 0.2
    white = (seen > 0.98).all(axis=0)
    rows, columns = np.nonzero(object_)
    # the longer side goes from margin to margin, and the middle is in the middle
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    assert extent == pytest.approx(100 * (1 - 2 * MARGIN), abs=2 + 100 / max(box[2] - box[0], 10))
    assert rows.mean() == pytest.approx(49.5, abs=1.5)
    assert columns.mean() == pytest.approx(49.5, abs=1.5)
    assert white[[0, -1]].all() and white[:, [0, -1]].all()


def test_a_mask_does_what_alpha_does(tmp_path):
    image = cut_out((20, 10, 50, 40))
    image.convert("RGB").save(tmp_path / "photo.png")
    image.getchannel("A").save(tmp_path / "mask.png")
    image.save(tmp_path / "cut.png")
    masked = read_image(tmp_path / "photo.png", tmp_path / "mask.png")
    np.testing.assert_array_equal(masked, read_image(tmp_path / "cut.png"))
    assert not np.array_equal(masked, read_image(tmp_path / "photo.png"))
    image.getchannel("A").resize((8, 8)).save(tmp_path / "small.png")
    with pytest.raises(DataError, match=r"photo\.png.*mask"):
        read_image(tmp_path / "photo.png", tmp_path / "small.png")


def test_half_transparent_pixels_are_mixed_with_white():
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., 3] = 128
    np.testing.assert_allclose(resize_image(Image.fromarray(pixels), 4), 127 / 255, atol=0.01)


def test_nothing_left_is_an_error(tmp_path):
    cut_out((0, 0, 0, 0)).save(tmp_path / "empty.png")
    with pytest.raises(DataError, match=r"empty\.png.*alpha is empty"):
        read_image(tmp_path / "empty.png")
    Image.fromarray(gradient()).save(tmp_path / "photo.png")
    Image.new("L", (60, 40)).save(tmp_path / "black.png")
    with pytest.raises(DataError, match="mask is empty"):
        read_image(tmp_path / "photo.png", tmp_path / "black.png")


@pytest.mark.parametrize("size", [(1, 1), (300, 20), (20, 300), (1000, 1000)])
def test_any_size_is_padded_to_a_square(tmp_path, size):
    Image.new("RGB", size, ORANGE).save(tmp_path / "photo.png")
    seen = read_image(tmp_path / "photo.png", size=60)
    assert seen.shape == (3, 60, 60)
    hit = np.abs(seen - np.array(ORANGE)[:, None, None] / 255).max(axis=0) < 0.02
    rows, columns = np.nonzero(hit)
    wide = 60 * np.array(size) / max(size)
    assert np.ptp(columns) + 1 == pytest.approx(wide[0], abs=2)
    assert np.ptp(rows) + 1 == pytest.approx(wide[1], abs=2)
    Image.new("RGBA", size, (*ORANGE, 255)).save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(seen, read_image(tmp_path / "opaque.png", size=60))


def test_shrinking_is_antialiased():
    stripes = np.zeros((448, 448, 3), np.uint8)
    stripes[:, ::2] = 255
    seen = fit_image(image_of(stripes), size=56)
    np.testing.assert_allclose(seen, 0.5, atol=0.07)


def test_the_augmentation_is_a_part_of_the_picture_of_the_right_size():
    x = np.linspace(0, 255, 200)[None].repeat(200, 0)
    image = Image.fromarray(np.stack([x, x.T, 0 * x], axis=-1).round().astype(np.uint8))
    rng = np.random.default_rng(0)
    shares, corners = [], []
    for _ in range(200):
        seen = random_resized_crop(image, rng, 50)
        assert seen.shape == (3, 50, 50)
        sides = np.array([np.ptp(seen[0, 25]), np.ptp(seen[1, :, 25])]) * 50 / 49
        assert sides[0] == pytest.approx(sides[1], abs=0.02)
        shares.append(sides.prod())
        corners.append(seen[:2, 0, 0])
    assert 0.72 < min(shares) < 0.78 and 0.97 < max(shares) < 1.03
    assert np.mean(shares) == pytest.approx(0.875, abs=0.03)
    assert np.ptp(corners, axis=0).min() > 0.1


def test_damaged_files_are_named(tmp_path):
    Image.fromarray(gradient()).save(tmp_path / "good.png")
    content = (tmp_path / "good.png").read_bytes()
    for name, data in {"cut.png": content[:60], "text.jpg": b"hello", "empty.png": b""}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(DataError, match=r"absent\.png: no such file"):
        read_image(tmp_path / "absent.png")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 4, 5)),
        np.zeros(9),
        np.full((4, 4, 3), 2.0),
        np.zeros((0, 4, 3)),
        np.eye(4) - 1,
        np.full((2, 2), np.nan),
    ],
)
def test_arrays_that_are_no_pictures(array):
    with pytest.raises(DataError, match="image: expected"):
        image_of(array)


@pytest.mark.parametrize("extreme", [1.02, -0.02, 1.2, 9.0, 40_000.0])
def test_overshoots_and_highlights_do_not_darken_the_picture(tmp_path, extreme):
    values = np.full((20, 30), 0.5, np.float32)
    values[0, 0] = extreme
    Image.fromarray(values).save(tmp_path / "photo.tif")
    pixels = np.asarray(open_image(tmp_path / "photo.tif"))
    assert (pixels.reshape(-1, 3)[1:] == 128).all()
    assert (pixels[0, 0] == (0 if extreme < 0 else 255)).all()


@pytest.mark.parametrize("top", [1, 255, 65535])
def test_floating_point_pictures_of_every_range(tmp_path, top):
    gray = gradient()[..., 0].astype(np.float64)
    values = (gray * (top / 255)).astype(np.float32)
    values[0, 0] = 1.1 * top  # as resampling overshoots
    Image.fromarray(values).save(tmp_path / "photo.tif")
    close(np.asarray(open_image(tmp_path / "photo.tif"))[1:, :, 0], gray[1:], atol=1)


@pytest.mark.parametrize("values", [[np.nan, 0.5], [-3.0, 0.5], [0.0, 90_000.0], [-200.0, 100.0]])
def test_floating_point_pictures_of_no_known_range(tmp_path, values):
    Image.fromarray(np.array([values], np.float32)).save(tmp_path / "photo.tif")
    with pytest.raises(DataError, match=r"photo\.tif"):
        open_image(tmp_path / "photo.tif")


def test_sixteen_bits_that_hold_eight(tmp_path, caplog):
    gray = gradient()[..., 0]
    Image.fromarray(gray.astype(np.uint16)).save(tmp_path / "photo.png")
    close(np.asarray(open_image(tmp_path / "photo.png"))[..., 0], gray, atol=0)
    assert "white is taken to be 255" in caplog.text
    Image.fromarray(np.array([[-5, 7]], np.int32)).save(tmp_path / "depth.tif")
    with pytest.raises(DataError, match=r"depth\.tif.*-5"):
        open_image(tmp_path / "depth.tif")


INSIDE = np.zeros((40, 60), bool)
INSIDE[10:30, 10:50] = True


def palette_mask(label):
    """Labels as VOC has them: coloured by a palette, of which 0 is black."""
    image = Image.fromarray((INSIDE * label).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    return image


@pytest.mark.parametrize(
    "mask",
    [
        Image.fromarray(INSIDE.astype(np.uint8)),
        Image.fromarray(INSIDE.astype(np.uint8) * np.uint8(15)),
        Image.fromarray(INSIDE.astype(np.uint8) * np.uint8(255)),
        Image.fromarray(INSIDE.astype(np.uint16)),
        Image.fromarray(INSIDE.astype(np.uint16) * np.uint16(65535)),
        Image.fromarray(INSIDE.astype(np.int32) * 7),
        Image.fromarray(INSIDE.astype(np.float32)),
        Image.fromarray(INSIDE),
        palette_mask(1),
        palette_mask(3),
        Image.fromarray(INSIDE[..., None].repeat(3, 2) * np.array([200, 0, 0], np.uint8)),
        Image.fromarray(np.where(INSIDE, 250, 6).astype(np.uint8)),
    ],
    ids=range(12),
)
def test_masks_of_two_values(tmp_path, mask):
    path = tmp_path / "photo.mask.tif"
    mask.save(path)
    Image.new("RGB", (60, 40), "black").save(tmp_path / "photo.png")
    seen = read_image(tmp_path / "photo.png", path, size=100)
    assert (seen[1, 50] < 0.5).sum() == 80
    np.testing.assert_array_equal(np.asarray(mask_of(mask)) >= 128, INSIDE)
    again = np.asarray(mask_of(mask_of(mask)))
    np.testing.assert_array_equal(again, np.asarray(mask_of(mask)))


@pytest.mark.parametrize(
    ("values", "says"),
    [([0, 1, 2], "labels"), ([1, 2, 3], "none of which is white"), ([0, 40, 90], "labels"),
     ([0, 7, 7, 255], "labels")],
)  # fmt: skip
def test_masks_of_several_labels_are_refused(values, says):
    mask = np.array(values, np.uint8)[np.arange(60 * 40).reshape(40, 60) % len(values)]
    with pytest.raises(DataError, match=rf"photo.*mask.*{says}"):
        fit_image(Image.new("RGB", (60, 40)), Image.fromarray(mask), name="photo")


def test_masks_of_several_colours_are_refused():
    labels = INSIDE.astype(int)
    labels[15:20, 20:30] = 2
    colors = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)[labels]
    with pytest.raises(DataError, match="colours"):
        mask_of(Image.fromarray(colors))


def test_soft_masks_stay_soft():
    soft = np.linspace(0, 255, 60)[None].repeat(40, 0).round().astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(mask_of(Image.fromarray(soft))), soft)


def test_turned_and_inverted_masks_are_said(caplog):
    photo = Image.new("RGB", (60, 40))
    with pytest.raises(DataError, match="turned"):
        fit_image(photo, Image.new("L", (40, 60), 255))
    fit_image(photo, Image.fromarray(~INSIDE))
    assert "inverted" in caplog.text


def test_an_alpha_of_0_and_1_is_said(caplog):
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[..., 3] = INSIDE
    assert (fit_image(Image.fromarray(pixels), size=100)[1, 50] < 0.5).sum() == 80
    assert "0 and 1" in caplog.text


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_may_come_first(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, channels), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(image_of(pixels.transpose(2, 0, 1))), pixels)


def test_strips_are_read_in_little_memory(monkeypatch):
    """Their squares are not made: 60,000 x 4 pixels would take ten gigabytes."""
    sizes = []
    new = Image.new
    monkeypatch.setattr(
        Image, "new", lambda mode, size, *a: sizes.append(size) or new(mode, size, *a)
    )
    picture = new("RGBA", (60_000, 4), (10, 20, 30, 0))
    picture.paste((200, 0, 0, 255), (15_000, 0, 45_000, 4))
    for image in (picture, picture.convert("RGB")):
        result = fit_image(image, size=224)
        assert result.shape == (3, 224, 224) and result.min() < 1
    assert max(width * height for width, height in sizes) <= 2**28


def test_columns_of_floating_point_are_read_at_once():
    image = Image.fromarray(np.linspace(0, 1, 2_000_000, dtype=np.float32)[:, None])
    result = fit_image(image, size=8)
    assert result.shape == (3, 8, 8)


def test_the_mask_of_a_cut_out_picture_is_its_alpha(tmp_path):
    rng = np.random.default_rng(0)
    alpha = np.zeros((12, 16), np.uint8)
    alpha[2:9, 3:14] = 255
    for colors in (
        rng.integers(0, 256, (12, 16, 3)),
        np.repeat(rng.integers(0, 90, (12, 16, 1)), 3, 2),
    ):
        Image.fromarray(np.dstack([colors.astype(np.uint8), alpha])).save(tmp_path / "a.png")
        np.testing.assert_array_equal(np.asarray(read_mask(tmp_path / "a.png")), alpha)
    both = np.dstack([np.repeat(alpha[..., None], 3, axis=2), np.full_like(alpha, 255)])
    Image.fromarray(both).save(tmp_path / "b.png")
    np.testing.assert_array_equal(np.asarray(read_mask(tmp_path / "b.png")), alpha)
    Image.fromarray(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(DataError, match="picture in colours, not like a mask"):
        read_mask(tmp_path / "c.png")


@pytest.mark.parametrize(("around", "told"), [(255, False), (235, False), (120, True), (0, True)])
def test_what_is_round_an_object_should_be_white(
    around: int, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    picture = Image.new("RGB", (40, 30), (around,) * 3)
    picture.paste((90, 30, 10), (10, 8, 30, 22))
    fit_image(picture, name="room.jpg")
    assert ("room.jpg: is not white" in caplog.text) == told
    caplog.clear()
    fit_image(picture, Image.new("L", (40, 30), 255), name="room.jpg")
    assert "is not white" not in caplog.text
