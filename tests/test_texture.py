"""Texture networks: their parts, their data, and that they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from textured_views import RADIUS, ball_colors, write_item, write_store

from onet.config import load_config
from onet.data.build import build_datasets
from onet.data.prepare import prepare
from onet.data.store import Store
from onet.data.view_files import depth_file, read_depth, view_pictures
from onet.data.views import resized_apart
from onet.errors import ConfigError, DataError
from onet.geometry.cameras import published_camera
from onet.geometry.depth_points import (
    depth_points,
    published_depth_points,
    published_matrices,
    seen,
)
from onet.models import build_model, check_config, model_layout
from onet.nn.color.fourier import encode_points
from onet.nn.color.local import nearest_colors, without_background
from onet.nn.projection import depths_behind, front_depths
from onet.training.loop import train

SMALL_PICTURES = {"type": "resnet", "size": 16, "width": 4, "widest": 8}
DISCRIMINATOR = {"type": "resnet_conditional", "size": 16, "width": 4, "widest": 8}
GEOMETRY = {"type": "simple", "hidden_dim": 8}
DECODER = {"type": "each_layer_c", "hidden_size": 16}
KINDS: dict[str, list[str]] = {
    "texture": ["model.encoder.pretrained=null", "data.input.size=32", "training.optimizer=adam"],
    "texture_vae": ["model.encoder_latent.size=16", "model.encoder_latent.width=4",
                    "model.encoder_latent.widest=8"],
    "texture_gan": ["model.discriminator.size=16", "model.discriminator.width=4",
                    "model.discriminator.widest=8", "model.validation_samples=2"],
    "texture_local": ["model.encoder.pretrained=null", "model.encoder.map_resolution=8",
                      "model.features=8", "data.input.size=32", "data.views.pixels=64",
                      "model.decoder.pixels=true", "model.decoder.occlusion=true"],
    "texture_points": ["model.encoder.plane_resolution=16", "model.encoder.unet_depth=2",
                       "model.encoder.unet_width=4", "model.features=8", "data.input.count=200",
                       "data.views.pixels=64"],
}  # fmt: skip
QUICK = [
    "data.views.size=16",
    "data.views.surface_points=50",
    "model.decoder.hidden_size=16",
    "training.batch_size=2",
    "training.validate_every=2",
    "training.checkpoint_every=2",
    "training.print_every=1",
    "training.threads=1",
    "training.device=cpu",
]


CODED = ["model.geometry_encoder.hidden_dim=8", "model.c_dim=8"]


def small(**changes: Any) -> dict[str, Any]:
    parts = {"decoder": DECODER, "geometry_encoder": GEOMETRY, "discriminator": DISCRIMINATOR}
    sizes = {"c_dim": 8, "z_dim": 4, "validation_samples": 3}
    return {"type": "texture_gan", **parts, **sizes, **changes}


def batch_of(size: int = 16, count: int = 2) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    pixels = size * size
    mask = torch.rand(count, pixels, generator=generator) < 0.4
    mask[-1] = mask[-1] & (torch.arange(pixels) < 90)
    return {
        "points": torch.rand(count, pixels, 3, generator=generator) - 0.5,
        "mask": mask,
        "colors": torch.rand(count, pixels, 3, generator=generator),
        "depth": mask.float(),
        "surface": torch.rand(count, 50, 3, generator=generator) - 0.5,
        "normals": torch.rand(count, 50, 3, generator=generator),
        "inputs": torch.zeros(count, 0),
    }


def awake(model: torch.nn.Module) -> Any:
    """Give a model weights by which everything depends on everything."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


# -- sizes and names of the published networks -----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "discriminator", "keys", "parameters"),
    [
        ("texture", False, 197, 13_068_355),
        ("texture_vae", False, 83, 27_964_803),
        ("texture_gan", False, 46, 734_723),
        ("texture_gan", True, 32, 29_068_545),
    ],
)
def test_the_published_networks_have_these_sizes(
    name: str, discriminator: bool, keys: int, parameters: int
) -> None:
    layout = model_layout(load_config(name).model)
    of_one = {k: v for k, v in layout.items() if k.startswith("discriminator.") == discriminator}
    counted = [v.numel() for k, v in of_one.items() if "running_" not in k and "num_b" not in k]
    assert (len(of_one), sum(counted)) == (keys, parameters)


# -- networks --------------------------------------------------------------------------------------


def test_only_points_of_the_object_are_decoded_and_the_rest_is_background() -> None:
    model, batch = awake(build_model(small())), batch_of()
    geometry, z = model.geometry_code(batch["surface"], batch["normals"]), model.sample_prior(2)
    asked: list[int] = []
    model.decoder.register_forward_pre_hook(lambda _, given: asked.append(given[0].shape[1]))
    pixels = model.render(batch["points"], batch["mask"], geometry, z)
    assert asked == [int(batch["mask"].sum(1).max())]
    assert (pixels[~batch["mask"]] == 1).all()
    whole = model.colors(batch["points"], geometry, z)
    assert torch.allclose(pixels[batch["mask"]], whole[batch["mask"]], atol=1e-6)


def test_a_picture_without_the_object_is_background() -> None:
    model, batch = awake(build_model(small())), batch_of()
    geometry = model.geometry_code(batch["surface"], batch["normals"])
    nothing = torch.zeros_like(batch["mask"])
    assert (model.render(batch["points"], nothing, geometry, model.sample_prior(2)) == 1).all()


@pytest.mark.parametrize("kind", ["simple", "resnet"])
def test_the_code_of_a_geometry_does_not_depend_on_the_order_of_its_points(kind: str) -> None:
    model = awake(build_model(small(geometry_encoder={"type": kind, "hidden_dim": 8})))
    batch = batch_of()
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    one = model.geometry_code(batch["surface"], batch["normals"])
    other = model.geometry_code(batch["surface"][:, order], batch["normals"][:, order])
    assert torch.allclose(one, other, atol=1e-5)
    turned = model.geometry_code(batch["surface"], -batch["normals"])
    assert not torch.allclose(one, turned, atol=1e-3)


def test_different_codes_give_different_appearances() -> None:
    model, batch = awake(build_model(small())), batch_of()
    torch.manual_seed(0)
    one, other = (model.fake(batch, model.latent(batch)) for _ in range(2))
    assert (one - other).abs().max() > 1e-3
    scores = model.validate(batch)
    assert (scores["sample_distance"] > 1e-3).all()
    assert (scores["nearest_l1"] <= scores["energy_score"] + scores["sample_distance"] / 2).all()


def test_a_discriminator_takes_one_picture_and_knows_nothing_at_first() -> None:
    model, batch = build_model(small()), batch_of(count=1)
    logits = model.discriminate(batch, model.real(batch))
    assert logits.shape == (1,)
    assert torch.equal(logits, model.discriminate(batch, 1 - model.real(batch)))
    model = awake(model)
    deeper = batch | {"depth": 2 * batch["depth"]}
    seen = [model.discriminate(b, model.real(b)) for b in (batch, deeper)]
    assert not torch.equal(*seen)


@given(st.integers(0, 8), st.integers(0, 2**31))
@settings(deadline=None, max_examples=10)
def test_encoded_points_begin_with_themselves_and_stay_within_one(octaves: int, seed: int) -> None:
    points = torch.rand(7, 3, generator=torch.Generator().manual_seed(seed)) - 0.5
    encoded = encode_points(points, octaves)
    assert encoded.shape == (7, 3 + 6 * octaves)
    assert torch.equal(encoded[:, :3], points)
    assert (encoded.abs() <= 1).all()


def test_a_field_takes_arrays_in_parts_and_none() -> None:
    model, batch = awake(build_model(small())), batch_of(count=1)
    geometry, z = model.geometry_code(batch["surface"], batch["normals"]), model.sample_prior(1)
    points = batch["points"][0].numpy()
    whole, parts = (model.field(geometry, z, batch_size=n)(points) for n in (1000, 7))
    assert whole.shape == (256, 3) and whole.dtype == np.float32
    assert np.allclose(whole, parts, atol=1e-6)
    assert model.field(geometry, z)(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"c_dim": 0}, "c_dim"),
        ({"geometry_encoder": None}, "c_dim"),
        ({"z_dim": 0}, "z_dim"),
        ({"discriminator": DISCRIMINATOR | {"size": 12}}, "size"),
        ({"decoder": {"type": "local"}}, "decoder"),
        ({"decoder": DECODER | {"octaves": 17}}, "octaves"),
        ({"validation_samples": 1}, "validation_samples"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        build_model(small(**changes))


def test_a_model_says_the_size_of_its_code() -> None:
    assert build_model(small()).z_dim == 4
    local = {"type": "resnet18_planes", "plane_resolution": 8, "tokens": 4, "hidden_dim": 16}
    section = {
        "type": "texture",
        "decoder": {"type": "local", "hidden_size": 16},
        "encoder": local | {"heads": 2, "layers": 1},
        "c_dim": 0,
        "z_dim": 0,
        "features": 8,
    }
    model = build_model(section).eval()
    assert model.z_dim == 0 and model.local
    # planes have no depth: the decoder takes them as well
    code = model.observe(torch.rand(1, 3, 32, 32))[1]
    colors = model.colors(torch.rand(1, 5, 3) - 0.5, torch.zeros(1, 0), local=code)
    assert colors.shape == (1, 5, 3)


def test_a_model_without_an_appearance_is_refused() -> None:
    with pytest.raises(ConfigError, match="encoder_latent"):
        build_model({"type": "texture", "decoder": DECODER, "geometry_encoder": GEOMETRY})


def test_pictures_and_query_points_are_not_mixed_up() -> None:
    with pytest.raises(ConfigError, match="views"):
        check_config(load_config("texture", ["data.views=null"]))
    with pytest.raises(ConfigError, match="views"):
        check_config(load_config("pointcloud", {"data.views": {"size": 16}}))


def test_points_behind_others_are_told_from_those_that_are_seen() -> None:
    camera = published_camera(40, 25, 0.9, 32)
    projection = torch.from_numpy(camera.projection / np.array([[32], [32], [1]])).float()[None]
    normals = torch.randn(1, 4000, 3, generator=torch.Generator().manual_seed(0))
    ball = 0.4 * normals / normals.norm(dim=-1, keepdim=True)
    behind = depths_behind(ball, projection, front_depths(ball, projection))
    towards = torch.from_numpy(camera.centre).float() - ball
    facing = (towards * ball).sum(-1) / (towards.norm(dim=-1) * 0.4)
    assert behind[facing > 0.4].abs().max() < 0.15
    assert behind[facing < -0.4].quantile(0.05) > 0.3  # some are alone in a cell of the outline
    beside = torch.tensor([[[0.0, 3.0, 0.0]]])
    assert torch.equal(
        depths_behind(beside, projection, front_depths(ball, projection)), torch.zeros(1, 1)
    )


def local_model(**decoder: Any) -> Any:
    section = {
        "type": "texture",
        "decoder": {"type": "local", "hidden_size": 16, **decoder},
        "encoder": {"type": "resnet18_pixel", "map_resolution": 8},
        "c_dim": 0,
        "z_dim": 0,
        "features": 8,
    }
    torch.manual_seed(0)
    return build_model(section).eval()


def test_local_colors_start_from_those_of_the_picture() -> None:
    model, white = local_model(pixels=True), torch.ones(1, 3, 32, 32)
    picture = white.clone()
    picture[:, :, 8:24, 8:24] = torch.tensor([0.2, 0.5, 0.7])[:, None, None]
    pixels = published_camera(40, 25, 0.9, 32).projection.astype(np.float32)
    points = 0.2 * (torch.rand(1, 9, 3) - 0.5)
    for shown, color in ((picture, [0.2, 0.5, 0.7]), (white, [0.98, 0.98, 0.98])):
        _, code = model.observe({"image": shown, "camera": torch.from_numpy(pixels)[None]})
        found = model.colors(points, torch.zeros(1, 0), local=code)
        assert torch.allclose(found, torch.tensor(color).expand_as(found), atol=1e-4)


def test_the_background_of_a_picture_is_no_color_of_the_object() -> None:
    picture = torch.ones(2, 3, 32, 32)
    picture[0, :, 8:24, 8:16], picture[0, :, 8:24, 16:24] = 0.2, 0.6
    filled, mean = without_background(picture)
    assert torch.allclose(mean[0], torch.tensor(0.4)) and torch.equal(mean[1], torch.ones(3))
    assert torch.equal(filled[0, :, 8:24, 8:24], picture[0, :, 8:24, 8:24])
    assert torch.allclose(filled[0, :, 12, 7], torch.tensor(0.2))  # beside the dark half
    assert torch.allclose(filled[0, :, 0, 0], torch.tensor(0.4)) and filled[0].max() < 0.61


def test_colors_of_nearest_points_are_means_in_which_near_ones_weigh_more() -> None:
    generator = torch.Generator().manual_seed(0)
    cloud, colors = torch.rand(2, 40, 3, generator=generator), torch.rand(2, 40, 3)
    places = cloud[:, :5] + 1e-5
    one = nearest_colors(places, cloud, colors, 1)
    assert torch.allclose(one, colors[:, :5].repeat(1, 1, 2), atol=1e-6)
    some = nearest_colors(places, cloud, colors, 8)
    distance = (places[:, :, None] - cloud[:, None]).norm(dim=-1)
    eight = distance.argsort(-1)[..., :8]
    means = torch.stack([colors[b][eight[b]].mean(1) for b in range(2)])
    assert torch.allclose(some[..., 3:], means, atol=1e-6)
    own = (some[..., :3] - colors[:, :5]).abs().mean()
    assert own < (means - colors[:, :5]).abs().mean()
    assert nearest_colors(places, cloud[:, :3], colors[:, :3], 8).shape == (2, 5, 6)


def test_local_colors_know_the_pixels_and_what_hides_a_point() -> None:
    inputs = {"image": torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))}
    pixels = published_camera(40, 25, 0.9, 32).projection.astype(np.float32)
    inputs["camera"] = torch.from_numpy(pixels)[None]
    surface = torch.rand(1, 500, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    far = torch.tensor([[[-0.4, -0.2, -0.4]]])
    for asked in (False, True):
        model = local_model(pixels=asked, occlusion=asked)
        awake(model.decoder)
        _, code = model.observe(inputs)
        colors = [
            model.colors(far, torch.zeros(1, 0), local=model.placed(code, shown))
            for shown in (surface, far)
        ]
        assert torch.equal(*colors) != asked
        other = {**code, "pixels": 1 - code["pixels"]}
        changed = model.colors(far, torch.zeros(1, 0), local=model.placed(other, far))
        assert torch.equal(changed, colors[1]) != asked
    with pytest.raises(ConfigError, match="resnet18_pixel"):
        model.decoder(far, torch.zeros(1, 0), {"xz": torch.zeros(1, 8, 4, 4)})


# -- pictures with depth ---------------------------------------------------------------------------


@given(st.floats(0, 360), st.floats(-60, 60), st.floats(0.7, 0.95), st.integers(4, 40))
@settings(deadline=None, max_examples=20)
def test_points_of_depth_project_to_their_pixels(
    azimuth: float, elevation: float, ratio: float, size: int
) -> None:
    camera = published_camera(azimuth, elevation, ratio, size)
    depth = np.random.default_rng(size).uniform(0.5, 2, (size, size))
    pixels, found = camera.project(depth_points(depth, camera).reshape(-1, 3))
    rows, columns = np.indices((size, size)) + 0.5
    assert np.allclose(pixels, np.stack([columns, rows], -1).reshape(-1, 2), atol=1e-6)
    assert np.allclose(found, depth.ravel())
    # by the published way, whose half pixel is in the matrix, the same
    places = published_depth_points(depth, *published_matrices(camera, size))
    pixels, found = camera.project(places.reshape(-1, 3))
    assert np.allclose(pixels, np.stack([columns, rows], -1).reshape(-1, 2), atol=1e-6)
    assert np.allclose(found, depth.ravel())


@pytest.mark.parametrize("published", [False, True])
def test_items_hold_points_of_the_surface_with_their_colors(
    published: bool, tmp_path: Path
) -> None:
    store = write_store(tmp_path, published=published, size=32)
    config = load_config("texture", {"data.path": str(store), "data.views": {"size": 32}})
    item = build_datasets(config)["val"][0]
    mask, points = item["mask"].numpy(), item["points"].numpy()
    assert points.shape == (32 * 32, 3) and 100 < mask.sum() < 900
    radii = np.linalg.norm(points[mask], axis=1)
    assert np.abs(radii - RADIUS).max() < (0.05 if published else 1e-5)
    close = np.abs(item["colors"].numpy()[mask] - ball_colors(points[mask]))
    assert close.max() < (0.2 if published else 0.003)
    assert (item["colors"].numpy()[~mask] == 1).all() and (points[~mask] == 0).all()
    assert (item["depth"].numpy()[mask] > 0).all() and (item["depth"].numpy()[~mask] == 0).all()


@pytest.mark.parametrize("name", ["texture_vae", "texture_gan"])
def test_networks_of_whole_pictures_learn_from_the_background_that_they_draw(
    name: str, tmp_path: Path
) -> None:
    store = write_store(tmp_path)
    config = load_config(name, {"data.path": str(store), "data.views.size": 16})
    item = build_datasets(config)["train"][0]
    background = {"white": 1, "black": 0}[config.model["background"]]
    assert (item["colors"][~item["mask"]] == background).all()


def test_larger_pictures_are_brought_to_size_without_moving_their_points(tmp_path: Path) -> None:
    store = write_store(tmp_path, size=48)
    config = load_config("texture_vae", {"data.path": str(store), "data.views": {"size": 16}})
    item = build_datasets(config)["val"][0]
    mask = item["mask"].numpy()
    assert len(mask) == 256
    assert np.abs(np.linalg.norm(item["points"].numpy()[mask], axis=1) - RADIUS).max() < 1e-5


@given(size=st.sampled_from([3, 5, 8, 12, 24]), seed=st.integers(0, 99))
def test_another_size_blends_no_background_into_the_object(size: int, seed: int) -> None:
    shown = np.random.default_rng(seed).random((12, 12)) < 0.5
    colors = np.where(shown[..., None], np.uint8(40), np.uint8(255)).repeat(3, axis=2)
    places = ((np.arange(size) + 0.5) * (12 / size)).astype(int)
    wanted = shown[np.ix_(places, places)]
    made = resized_apart(colors, shown, size, wanted)
    assert (made[wanted] == 40).all() and (made[~wanted] == 255).all()


def test_rendered_pictures_have_the_colour_of_the_object_up_to_its_outline(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.visual.vertex_colors = np.tile(np.uint8([200, 30, 60, 255]), (len(ball.vertices), 1))
    (tmp_path / "meshes" / "balls").mkdir(parents=True)
    ball.export(tmp_path / "meshes" / "balls" / "ball.ply")
    sizes = {"points": 100, "surface": 100, "resolution": 16, "render": 2, "render_size": 24}
    prepare(tmp_path / "meshes", tmp_path / "store", workers=1, **sizes, colours=True)
    item = tmp_path / "store" / "balls" / "ball"
    for picture in view_pictures(item):
        shown = seen(read_depth(depth_file(picture)))
        colors = np.asarray(Image.open(picture).convert("RGB")).astype(int)
        assert 50 < shown.sum() < 500
        assert np.abs(colors[shown] - [200, 30, 60]).max() <= 1 and (colors[~shown] == 255).all()


def test_observed_pictures_show_textures_and_surface_points_have_their_colors(
    tmp_path: Path,
) -> None:
    texels = np.full((16, 16, 3), 230, dtype=np.uint8)
    texels[:, :8] = 40
    box = trimesh.creation.box()
    uv = np.asarray(box.vertices)[:, :2] + 0.5
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(texels))
    box.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    (tmp_path / "meshes" / "boxes").mkdir(parents=True)
    box.export(tmp_path / "meshes" / "boxes" / "box.glb")
    sizes = {"points": 100, "surface": 500, "resolution": 16, "render": 4, "render_size": 32}
    prepare(tmp_path / "meshes", tmp_path / "store", workers=1, **sizes, colours=True, alpha=True)
    item = Store(tmp_path / "store").items("train", None) or Store(tmp_path / "store").items("test")
    points, _ = item[0].load_pointcloud()
    colors = item[0].load_colors()
    across = np.abs(points[:, 0])  # texels are interpolated between the halves, and at the ends
    side = (across > 0.05) & (across < 0.45)
    assert (colors[side & (points[:, 0] < 0)] == 40).all()
    assert (colors[side & (points[:, 0] > 0)] == 230).all()
    shades = [np.asarray(Image.open(p))[..., :3] for p in item[0].pictures()]
    front = [picture[np.asarray(Image.open(p))[..., 3] == 255] for picture, p in
             zip(shades, item[0].pictures(), strict=True)]  # fmt: skip
    # two halves of one face, under one light: both colours stand in some picture
    assert any(f.min() < 41 and f.max() > 100 for f in front)


def test_a_training_item_belongs_to_its_epoch_and_has_object_pixels_only(tmp_path: Path) -> None:
    store = write_store(tmp_path)
    views = {"size": 16, "pixels": 40}
    dataset = build_datasets(
        load_config("texture_vae", {"data.path": str(store), "data.views": views})
    )["train"]
    one, again = dataset[0], dataset[0]
    assert bool(one["mask"].all()) and one["points"].shape == (40, 3)
    assert all(torch.equal(one[key], again[key]) for key in one if key != "index")
    dataset.set_epoch(1)
    assert not torch.equal(dataset[0]["points"], one["points"])


def spoil_depth(item: Path) -> None:
    (item / "depth" / "000.exr").write_bytes(b"no picture")


def lose_depth(item: Path) -> None:
    (item / "depth" / "000.exr").unlink()


def lose_cameras(item: Path) -> None:
    (item / "depth" / "cameras.npz").unlink()


def flatten_camera(item: Path) -> None:
    zero = {f"{n}_{k}": np.zeros((3, 4)) for n in ("camera_mat", "world_mat") for k in range(3)}
    np.savez(item / "depth" / "cameras.npz", **zero)  # type: ignore[arg-type]


def lose_pictures(item: Path) -> None:
    for file in view_pictures(item):
        file.unlink()


def show_nothing(item: Path) -> None:
    from onet.data.view_files import write_depth

    write_depth(item / "depth" / "000.exr", np.full((16, 16), np.inf, np.float32))


def another_size(item: Path) -> None:
    from onet.data.view_files import write_depth

    write_depth(item / "depth" / "000.exr", np.ones((8, 16), np.float32))


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (spoil_depth, "000.exr"),
        (lose_depth, "000.exr"),
        (lose_cameras, "cameras.npz"),
        (flatten_camera, "cameras.npz"),
        (lose_pictures, "image"),
        (show_nothing, "000.png"),
        (another_size, "000.png"),
    ],
)
def test_damaged_items_are_named(spoil: Any, name: str, tmp_path: Path) -> None:
    store = write_store(tmp_path)
    dataset = build_datasets(
        load_config("texture_vae", {"data.path": str(store), "data.views": {"size": 16}})
    )["val"]
    spoil(dataset.items[0].path)
    with pytest.raises(DataError, match=name):
        dataset[0]


def test_depth_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_item(tmp_path / "one")
    depth = read_depth(tmp_path / "one" / "depth" / "000.exr")
    assert depth.shape == (16, 16) and np.isinf(depth[0, 0]) and 0.5 < depth[8, 8] < 2


# -- training --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in ("texture", "texture_local") else [])
        for name in KINDS
    ],
)
def test_every_kind_trains_validates_and_goes_on(name: str, tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    changes = [*KINDS[name], *QUICK, f"data.path={store}"]
    changes += [] if name in ("texture_local", "texture_points") else ["model.z_dim=4"]
    changes += [] if name == "texture_points" else CODED
    config = load_config(name, [*changes, "training.max_iterations=2"])
    result = train(config, tmp_path / "run")
    assert result.iterations == 2 and result.best is not None
    longer = load_config(name, [*changes, "training.max_iterations=3"])
    assert train(longer, tmp_path / "run").iterations == 3


def test_a_vae_learns_the_colors_of_two_balls(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    changes = [*KINDS["texture_vae"], *QUICK, *CODED, f"data.path={store}", "model.z_dim=4"]
    config = load_config(
        "texture_vae",
        [*changes, "training.max_iterations=50", "training.validate_every=50",
         "training.learning_rate=0.01", "training.optimizer=adam", "model.decoder.octaves=3"],
    )  # fmt: skip
    result = train(config, tmp_path / "run")
    assert result.best is not None and result.best["l1"] < 0.15  # grey has 0.24
