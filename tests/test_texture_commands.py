"""`onet texture` and `onet texture-eval`: from a run to textured files and tables."""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from textured_views import write_store
from typer.testing import CliRunner

from onet.checkpoints.checkpoint import save_checkpoint
from onet.cli.app import app
from onet.config import load_config
from onet.errors import ConfigError, DataError
from onet.evaluation.texture_scores import ITEMS, TABLE, CameraSource, score_textures
from onet.geometry.cameras import published_camera
from onet.geometry.color.field_pictures import picture_of, surface_seen
from onet.geometry.color.textured_files import load_textured
from onet.inference.painting import Painter
from onet.models import build_model
from onet.pipeline.texture import texture

SIZES = {
    "data.views": {"size": 16, "surface_points": 50},
    "model.decoder.hidden_size": 16,
}
CODED = {"model.c_dim": 8, "model.geometry_encoder.hidden_dim": 8}
KINDS: dict[str, dict[str, Any]] = {
    "texture": {"model.z_dim": 4, "model.encoder.pretrained": None, "data.input.size": 32},
    "texture_vae": {
        "model.z_dim": 4,
        "model.encoder_latent": {"type": "resnet", "size": 16, "width": 4, "widest": 8},
    },
    "texture_gan": {
        "model.z_dim": 4,
        "model.discriminator": {"type": "resnet_conditional", "size": 16, "width": 4, "widest": 8},
    },
    "texture_local": {
        "model.encoder.pretrained": None,
        "model.encoder.map_resolution": 8,
        "model.features": 8,
        "data.input.size": 32,
    },
    "texture_points": {
        "model.encoder": {"type": "colored_pointnet", "plane_resolution": 16, "unet_depth": 2},
        "model.features": 8,
        "data.input.count": 100,
    },
}


@functools.cache
def state_of(name: str) -> tuple[Any, Any]:
    coded = {} if name == "texture_points" else CODED
    config = load_config(name, SIZES | coded | KINDS[name])
    torch.manual_seed(0)
    model = build_model(config.model)
    with torch.no_grad():
        for parameter in () if name == "texture_local" else model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return config, model


def run_of(name: str, folder: Path, data: Path | None = None) -> Path:
    config, model = state_of(name)
    if data is not None:
        config = load_config(config, {"data.path": str(data)})
    save_checkpoint(folder / "checkpoints" / "best.safetensors", model, config, {"iteration": 1})
    return folder


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    path = tmp_path / "box.ply"
    trimesh.creation.box((2, 1, 1)).export(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


# -- pictures of fields ----------------------------------------------------------------------------


def test_pixels_show_the_places_of_the_surface_that_they_see() -> None:
    ball = trimesh.creation.icosphere(4, radius=0.4)
    camera = published_camera(30, 20, 0.9, 48)
    points, shown = surface_seen(ball, camera, 48)
    assert 300 < shown.sum() < 2000
    assert np.abs(np.linalg.norm(points[shown], axis=1) - 0.4).max() < 0.003
    pixels, _ = camera.project(points[shown])
    rows, columns = np.nonzero(shown)
    assert np.allclose(pixels, np.stack([columns, rows], -1) + 0.5, atol=1e-6)
    picture, _ = picture_of(ball, lambda p: np.clip(p + 0.5, 0, 1), camera, 48, ground=7)
    assert (picture[~shown] == 7).all()
    assert np.abs(picture[shown] / 255 - points[shown] - 0.5).max() < 0.003


# -- textured files --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["texture", "texture_local"])
def test_a_picture_colors_a_mesh(name: str, mesh: Path, photo: Path, tmp_path: Path) -> None:
    run = run_of(name, tmp_path / "run")
    report = texture(run, mesh, image=photo, size=64, out=tmp_path / "out", device="cpu")
    assert [file.name for file in report.files] == ["box_photo.glb"]
    assert report.sheet.is_file()
    loaded = load_textured(report.files[0])
    assert np.allclose(loaded.mesh.bounds, [[-1, -0.5, -0.5], [1, 0.5, 0.5]], atol=1e-5)
    assert loaded.materials[0].texture is not None


def test_a_mesh_that_cannot_be_used_costs_no_other(mesh: Path, photo: Path, tmp_path: Path) -> None:
    run = run_of("texture", tmp_path / "run")
    broken = tmp_path / "broken.ply"
    broken.write_text("ply\nnothing")
    out = tmp_path / "out"
    words = [str(broken), str(mesh), "--image", str(photo), "--size", "32", "--out", str(out)]
    told = CliRunner().invoke(app, ["texture", str(run), *words], catch_exceptions=False)
    assert told.exit_code == 1 and "broken.ply" in told.output
    assert [file.name for file in out.glob("*.glb")] == ["box_photo.glb"]
    with pytest.raises(DataError, match="none of the meshes"):
        texture(run, broken, image=photo, size=32, out=tmp_path / "none", device="cpu")
    with pytest.raises(ConfigError, match="2 files are called box"):
        texture(run, [mesh, tmp_path / "other" / mesh.name], image=photo, device="cpu")


def pixels_of(file: Path) -> Any:
    texture_of_it = load_textured(file).materials[0].texture
    assert texture_of_it is not None
    return texture_of_it.pixels


def test_samples_differ_and_belong_to_the_seed(mesh: Path, tmp_path: Path) -> None:
    run = run_of("texture_gan", tmp_path / "run")
    one = texture(run, mesh, samples=2, size=32, out=tmp_path / "one", device="cpu")
    other = texture(run, mesh, samples=2, size=32, out=tmp_path / "other", device="cpu")
    pixels = [[pixels_of(file) for file in report.files] for report in (one, other)]
    assert all(np.array_equal(*pair) for pair in zip(*pixels, strict=True))
    assert not np.array_equal(pixels[0][0], pixels[0][1])


def test_appearances_are_taken_over_and_mixed(mesh: Path, tmp_path: Path) -> None:
    run = run_of("texture_vae", tmp_path / "run")
    sources = texture(run, mesh, samples=2, size=32, out=tmp_path / "source", device="cpu").files
    cli = CliRunner()
    arguments = ["texture", str(run), str(mesh), "--size", "32", "--out"]
    like = [*arguments, str(tmp_path / "like"), "--like", str(sources[0])]
    assert cli.invoke(app, like, catch_exceptions=False).exit_code == 0
    assert [f.name for f in (tmp_path / "like").glob("*.glb")] == ["box_box_sample00.glb"]
    ends = [str(file) for file in sources]
    between = [*arguments, str(tmp_path / "way"), "--between", *ends, "--steps", "3"]
    assert cli.invoke(app, between, catch_exceptions=False).exit_code == 0
    assert len(list((tmp_path / "way").glob("*.glb"))) == 3


def test_a_walk_between_codes_keeps_its_ends_and_their_length() -> None:
    config, model = state_of("texture_gan")
    painter = Painter(config, model)
    one, other = painter.sample(0), painter.sample(1)
    assert one.z is not None and other.z is not None
    for share, end in ((0.0, one.z), (1.0, other.z)):
        found = one.towards(other, share).z
        assert found is not None and torch.allclose(found, end, atol=1e-5)
    middle = one.towards(other, 0.5).z
    assert middle is not None
    assert float(middle.norm()) == pytest.approx(float(one.z.norm() + other.z.norm()) / 2, rel=1e-5)
    same = one.towards(one, 0.3).z
    assert same is not None and torch.allclose(same, one.z, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("texture", {"samples": 1}, "samples"),
        ("texture_gan", {"image": "photo.png"}, "image"),
        ("texture_gan", {"like": "box.ply"}, "like"),
        ("texture_local", {"like": "box.ply"}, "like"),
        ("texture", {"scan": "box.ply"}, "scan"),
        ("texture_gan", {}, "one of"),
        ("texture_gan", {"samples": 1, "image": "photo.png"}, "one of"),
        ("texture_gan", {"samples": 1, "size": 1}, "texels"),
    ],
)
def test_what_a_network_cannot_do_is_said(
    name: str, options: dict[str, Any], word: str, mesh: Path, photo: Path, tmp_path: Path
) -> None:
    run = run_of(name, tmp_path / "run")
    named = {k: tmp_path / v if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(ConfigError, match=word):
        texture(run, mesh, out=tmp_path / "out", device="cpu", **named)


def test_a_network_of_shapes_has_no_colors(tmp_path: Path) -> None:
    config = load_config("unconditional_small")
    model = build_model(config.model)
    save_checkpoint(tmp_path / "a.safetensors", model, config, {"iteration": 1})
    with pytest.raises(ConfigError, match="not of colours"):
        Painter.load(tmp_path / "a.safetensors", "cpu")


def test_a_network_of_colors_makes_no_shapes(tmp_path: Path) -> None:
    import onet

    with pytest.raises(ConfigError, match="onet texture"):
        onet.load(run_of("texture_gan", tmp_path / "run"), "cpu")


# -- scores ----------------------------------------------------------------------------------------


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    points = trimesh.creation.box((2, 1, 1)).sample(300, seed=0)
    colors = np.round(255 * (points / 2 + 0.5)).astype(np.uint8)
    trimesh.PointCloud(points, colors).export(tmp_path / "scan.ply")
    return tmp_path / "scan.ply"


def test_a_colored_scan_colors_its_mesh(mesh: Path, scan: Path, tmp_path: Path) -> None:
    run, out = run_of("texture_points", tmp_path / "run"), tmp_path / "out"
    words = ["texture", str(run), str(mesh), "--scan", str(scan), "--size", "32", "--out", str(out)]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    assert [file.name for file in out.glob("*.glb")] == ["box_scan.glb"]


def test_a_scan_that_does_not_fit_is_refused(mesh: Path, scan: Path, tmp_path: Path) -> None:
    painter = Painter.load(run_of("texture_points", tmp_path / "run"), "cpu")
    box = trimesh.load_mesh(mesh)
    points = np.asarray(trimesh.load(scan).vertices)
    with pytest.raises(DataError, match="no colours"):
        painter.of_scan(points, box)
    box.apply_translation([5, 0, 0])
    with pytest.raises(DataError, match=r"scan\.ply: 300 of 300 .* one frame"):
        painter.of_scan(scan, box)
    with pytest.raises(ConfigError, match="use scan"):
        painter.of_picture(scan)


def test_a_camera_is_known_or_estimated(tmp_path: Path) -> None:
    run = run_of("texture_local", tmp_path / "run", write_store(tmp_path / "store"))
    cameras: list[CameraSource] = ["known", "fitted", "estimated"]
    scores = {
        score_textures(run, split="val", device="cpu", camera=c, out=tmp_path / c).rows[-1]["l1"]
        for c in cameras
    }
    assert len(scores) == 3


def test_an_autoencoder_sees_one_picture_or_each(tmp_path: Path) -> None:
    run = run_of("texture_vae", tmp_path / "run", write_store(tmp_path / "store"))
    own, first = (
        score_textures(run, split="val", device="cpu", from_first=k, out=tmp_path / str(k))
        for k in (False, True)
    )
    assert own.rows[-1]["l1"] != first.rows[-1]["l1"]


@pytest.mark.parametrize("name", list(KINDS))
def test_scores_are_tables_of_all_views(name: str, tmp_path: Path) -> None:
    run = run_of(name, tmp_path / "run", write_store(tmp_path / "store"))
    scores = score_textures(run, split="val", device="cpu")
    assert [row["category"] for row in scores.rows] == ["balls", "all"]
    assert scores.rows[-1]["pictures"] == 6
    assert 0 < scores.rows[-1]["l1"] < 1 and scores.rows[-1]["full_ssim"] <= 1
    with (run / ITEMS).open() as file:
        items = list(csv.DictReader(file))
    mean = np.mean([float(row["psnr"]) for row in items])
    assert float(mean) == pytest.approx(scores.rows[-1]["psnr"])
    published = score_textures(run, split="val", protocol="texturefields", device="cpu")
    assert published.rows[-1]["l1"] == pytest.approx(scores.rows[-1]["full_l1"])
    assert published.rows[-1]["ssim"] > scores.rows[-1]["full_ssim"]
    assert (run / TABLE).is_file()


# -- from one picture to a textured mesh -----------------------------------------------------------


def shapes_of(folder: Path) -> Path:
    """Return a run whose network finds a surface in every picture, as random as it is."""
    config = load_config("img_small", {"model.encoder.pretrained": None, "data.input.size": 32})
    torch.manual_seed(0)
    model = build_model(config.model)
    save_checkpoint(folder / "checkpoints" / "best.safetensors", model, config, {"iteration": 1})
    return folder


def test_one_picture_becomes_one_textured_file(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onet.inference.reconstructor import Reconstructor

    ball = trimesh.creation.icosphere(2, radius=0.4)
    monkeypatch.setattr(Reconstructor, "reconstruct", lambda *_, **__: ball)
    shapes, run = shapes_of(tmp_path / "shapes"), run_of("texture", tmp_path / "run")
    arguments = ["generate", str(shapes), "--input", str(photo), "--texture", str(run)]
    cli = CliRunner()
    out = tmp_path / "deep" / "ball.glb"
    assert cli.invoke(app, [*arguments, "--out", str(out)], catch_exceptions=False).exit_code == 0
    assert load_textured(out).materials[0].texture is not None
    with pytest.raises(ConfigError, match="--out"):
        cli.invoke(app, arguments, catch_exceptions=False)
    with pytest.raises(ConfigError, match="--split"):
        cli.invoke(app, [*arguments, "--out", str(out), "--split", "val"], catch_exceptions=False)
