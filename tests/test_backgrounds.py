"""Photographs without their background: by masks, transparency and segmenters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from onet.cli import app
from onet.data.images import MARGIN
from onet.errors import ConfigError, DataError, MissingDependency
from onet.inference.generate import generate
from onet.inference.generation_folder import read_settings

SIZE = (40, 30)
BOX = (8, 6, 20, 18)  # of the object: 12 pixels square

MakeRun = Callable[..., Path]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture that is black on the object and grey elsewhere."""
    image = Image.new("RGB", SIZE, (90, 90, 90))
    image.paste((0, 0, 0), BOX)
    image.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def masked(path: Path) -> Path:
    """Write the mask of the picture."""
    mask = Image.new("L", SIZE)
    mask.paste(255, BOX)
    path.parent.mkdir(exist_ok=True)
    mask.save(path)
    return path


def seen(out: Path, name: str = "photo") -> np.ndarray:
    """What the network saw, (16, 16)."""
    return np.asarray(Image.open(out / "inputs" / f"{name}.png").convert("L"))


def is_cut_out(picture: np.ndarray) -> bool:
    """Whether it is a black square on white, up to the margin."""
    black = (picture < 30).mean()
    return bool((picture[0] == 255).all() and abs(black - (1 - 2 * MARGIN) ** 2) < 0.2)


def test_a_mask_from_a_file(make_run: MakeRun, photo: Path, tmp_path: Path) -> None:
    run, mask = make_run("image", size=16), masked(tmp_path / "elsewhere" / "m.png")
    plain = generate(run, input=photo, out=tmp_path / "plain")
    assert plain.ok and not is_cut_out(seen(plain.out))
    report = generate(run, input=photo, mask=mask, out=tmp_path / "out")
    assert report.ok and is_cut_out(seen(report.out))
    assert read_settings(report.out)["mask"] == str(mask)
    with pytest.raises(ConfigError, match="other settings"):
        generate(run, input=photo, out=tmp_path / "out")


def test_a_folder_of_masks(make_run: MakeRun, photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(photo.read_bytes())
    masked(tmp_path / "masks" / "a.png")
    report = generate(
        make_run("image", size=16), input=folder, mask=tmp_path / "masks", out=tmp_path / "out"
    )
    assert [row["status"] for row in report.rows] == ["ok", "failed"]
    assert is_cut_out(seen(report.out, "a"))
    assert "b.png: has no mask in" in report.failures[0]["reason"]


def test_masks_among_several_files_are_no_pictures(
    make_run: MakeRun, photo: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(photo.read_bytes())
    masked(tmp_path / "in" / "a.mask.png")
    run = make_run("image", size=16)
    report = generate(run, input=sorted((tmp_path / "in").iterdir()), out=tmp_path / "out")
    assert [row["model"] for row in report.rows] == ["a", "b"]
    assert is_cut_out(seen(report.out, "a")) and not is_cut_out(seen(report.out, "b"))


def test_a_segmenter_is_asked_where_nothing_else_tells(
    make_run: MakeRun, photo: Path, tmp_path: Path
) -> None:
    asked = []

    def segment(picture: Image.Image) -> Image.Image:
        asked.append(picture.size)
        return picture.convert("L").point(lambda shade: 255 * (shade < 30))

    run = make_run("image", size=16)
    report = generate(run, input=photo, remove_background=segment, out=tmp_path / "out")
    assert asked == [SIZE] and is_cut_out(seen(report.out))
    cut = Image.open(photo)
    cut.putalpha(Image.open(masked(tmp_path / "mask.png")))
    cut.save(tmp_path / "cut.png")
    cut = generate(run, input=tmp_path / "cut.png", remove_background=segment, out=tmp_path / "b")
    assert asked == [SIZE] and is_cut_out(seen(cut.out, "cut"))


def test_a_segmenter_that_is_not_installed(
    make_run: MakeRun, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rembg", None)
    with pytest.raises(MissingDependency, match=r"onet\[segment\].*NAME\.mask\.png"):
        generate(make_run("image", size=16), input=photo, remove_background=True)


def test_masks_that_cannot_be(make_run: MakeRun, photo: Path, tmp_path: Path) -> None:
    run = make_run("image", size=16)
    mask = masked(tmp_path / "masks" / "photo.png")
    with pytest.raises(DataError, match="no such mask"):
        generate(run, input=photo, mask=tmp_path / "absent.png")
    with pytest.raises(ConfigError, match="give a file for a picture"):
        generate(run, input=photo, mask=tmp_path / "masks")
    with pytest.raises(ConfigError, match="given as input"):
        generate(run, mask=mask)
    with pytest.raises(ConfigError, match="masks are of pictures"):
        (tmp_path / "a.binvox").write_bytes(b"")
        generate(make_run("voxels"), input=tmp_path / "a.binvox", mask=mask)


def test_hypotheses_of_one_observation(make_run: MakeRun, photo: Path, tmp_path: Path) -> None:
    run = make_run("image", size=16, z_dim=2)
    out = tmp_path / "out"
    options = ["generate", str(run), "--input", str(photo), "--samples", "3", "--out", str(out)]
    told = CliRunner().invoke(app, options)
    assert told.exit_code == 0 and "3 of 3" in told.output, told.output
    sizes = {path.stem: path.read_bytes() for path in (out / "meshes").iterdir()}
    assert sorted(sizes) == ["photo-00", "photo-01", "photo-02"]
    assert len({*sizes.values()}) == 3
    again = generate(run, input=photo, samples=3, out=tmp_path / "again")
    assert {p.stem: p.read_bytes() for p in (again.out / "meshes").iterdir()} == sizes
    with pytest.raises(ConfigError, match=r"no latent code.*img_latent_small"):
        generate(make_run("image", size=16), input=photo, samples=3)
