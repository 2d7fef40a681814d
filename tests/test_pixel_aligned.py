"""Features of the pixels that show a point, from the store's cameras to a user's photograph."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from random_weights import randomise
from torch.utils.data import DataLoader

from onet.checkpoints.checkpoint import save_checkpoint
from onet.config import Config, parse_config
from onet.data.build import build_datasets
from onet.data.inputs import ImageInput
from onet.data.item_writing import write_pointcloud, write_points
from onet.data.parts.renderings import write_renderings
from onet.data.store import Item, Store
from onet.data.store_folder import CAMERAS, RENDERINGS
from onet.errors import ConfigError, DataError
from onet.geometry.cameras import (
    Camera,
    pinhole,
    published_camera,
    read_cameras,
    ring_cameras,
    sees_unit_cube,
    write_cameras,
)
from onet.geometry.normalization import UnitFrame
from onet.inference.generate import generate
from onet.inference.reconstructor import load
from onet.models import build_model
from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS
from onet.nn.local_features import FeatureTable
from onet.nn.projection import PixelFeatures, camera_distances, published_projection

FRAME = UnitFrame(np.array([10.0, -4.0, 2.0]), 3.0)
BOX = FRAME.to_source([[-0.5, -0.2, -0.3], [0.5, 0.2, 0.3]])
SIZE, VIEWS = 48, 3
angles, heights = st.floats(-180, 180), st.floats(-80, 80)
ratios = st.floats(0.6, 2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two boxes in a frame of their own, with renderings."""
    root = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    mesh = trimesh.creation.box(bounds=BOX)
    for name in ("a", "b"):
        folder = root / "box" / name
        points = rng.uniform(-0.55, 0.55, (400, 3)).astype(np.float16)
        inside = (np.abs(points.astype(float)) < [0.5, 0.2, 0.3]).all(axis=1)
        write_points(folder / "points.npz", points, inside, FRAME)
        surface, faces = trimesh.sample.sample_surface(mesh, 500, seed=0)
        normals = mesh.face_normals[faces]
        write_pointcloud(folder / "pointcloud.npz", FRAME.to_unit(surface), normals, FRAME)
        cameras = ring_cameras(BOX, VIEWS, 2 * SIZE, rng)
        write_renderings(folder / RENDERINGS, mesh, cameras, 2 * SIZE, False)
    for split in ("train", "val", "test"):
        (root / "box" / f"{split}.lst").write_text("a\nb\n")
    return Store(root)


def config(store: Store | None = None, **options: Any) -> Config:
    model = {
        "type": "occupancy",
        "c_dim": 6,
        "encoder": {"type": "resnet18_pixel", "map_resolution": 12},
        "decoder": {"type": "pixel_aligned", "hidden_size": 8},
    }
    tree = {
        "data": {
            "path": str(store.root if store else "none"),
            "points_subsample": 50,
            "input": {"type": "image", "size": SIZE, "camera": True, **options},
        },
        "model": model,
        "generation": {"resolution": 16, "probability": 0.5},
    }
    return parse_config(json.dumps(tree), "test")


def project(projection: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seen = np.column_stack([points, np.ones(len(points))]) @ projection.T
    return seen[:, :2] / seen[:, 2:], seen[:, 2]


# -- geometry --------------------------------------------------------------------------------------


@given(angles, heights, ratios, st.floats(0.2, 3), st.floats(0.2, 3))
def test_cameras_in_a_frame_and_of_resized_pictures(
    azimuth: float, elevation: float, ratio: float, right: float, down: float
) -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))
    camera = published_camera(azimuth, elevation, ratio, 100, FRAME.loc, 2 * FRAME.scale)
    pixels, depth = camera.project(FRAME.to_source(points))
    unit = camera.in_frame(FRAME).resized(right, down)
    seen, distance = project(unit.projection, points)
    np.testing.assert_allclose(seen, pixels * [right, down], atol=1e-8)
    np.testing.assert_allclose(distance, depth / FRAME.scale)


@given(angles, heights, ratios)
def test_features_are_those_of_the_pixel_that_the_camera_sees(
    azimuth: float, elevation: float, ratio: float
) -> None:
    """A map whose values are its columns and rows tells where it was read."""
    camera = published_camera(azimuth, elevation, ratio, size=1)
    points = np.random.default_rng(1).uniform(-0.45, 0.45, (40, 3))
    centres = (torch.arange(9) + 0.5) / 9
    ramps = torch.stack(torch.meshgrid(centres, centres, indexing="xy"))  # column, row
    given_camera = torch.from_numpy(camera.projection).float()[None]
    features = PixelFeatures(ramps[None], given_camera)(torch.from_numpy(points).float()[None])[0]
    pixels, depth = camera.project(points)
    expected = pixels.clip(0.5 / 9, 1 - 0.5 / 9)
    in_front = depth > 0.1
    np.testing.assert_allclose(features[in_front, :2], expected[in_front], atol=1e-5)
    origin = np.linalg.norm(camera.centre)
    np.testing.assert_allclose(features[:, 2], depth - origin, atol=1e-5)
    assert torch.isfinite(features).all()


@given(angles, heights, ratios, st.floats(0.1, 5))
def test_estimated_cameras_are_published_ones(
    azimuth: float, elevation: float, ratio: float, length: float
) -> None:
    expected = published_camera(azimuth, elevation, ratio, size=1).projection
    a, e = math.radians(azimuth), math.radians(elevation)
    direction = length * torch.tensor([[math.cos(a), math.sin(a)]])
    made = published_projection(direction, torch.tensor([e]), torch.tensor([1.75 * ratio]))
    np.testing.assert_allclose(made[0], expected, atol=1e-5)


def test_the_distance_of_cameras_is_that_of_the_corners_they_see() -> None:
    one, other = published_camera(10, 20, 0.9, size=1), published_camera(50, -5, 1.4, size=1)
    corners = np.array(np.meshgrid(*[(-0.5, 0.5)] * 3)).reshape(3, 8)
    seen = [c.pose[:, :3] @ corners + c.pose[:, 3:] for c in (one, other)]
    expected = np.square(seen[0] - seen[1]).sum(axis=0).mean()
    first, second = (torch.from_numpy(c.projection).float()[None] for c in (one, other))
    assert camera_distances(first, second).item() == pytest.approx(expected, rel=1e-5)
    assert camera_distances(first, first).item() == 0


def test_cameras_that_see_the_unit_cube() -> None:
    looking = published_camera(30, 20, 2.0, 64)
    assert sees_unit_cube(looking.projection, 64)
    away = Camera(looking.intrinsics, np.diag([-1.0, 1, -1]) @ looking.pose)  # turned round
    assert not sees_unit_cube(away.projection, 64)
    for shift in np.array([[70, 0], [-70, 0], [0, 70], [0, -70]]):
        moved = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1.0]]) @ looking.projection
        assert not sees_unit_cube(moved, 64)
        half = np.array([[1, 0, shift[0] / 2], [0, 1, shift[1] / 2], [0, 0, 1.0]])
        assert sees_unit_cube(half @ looking.projection, 64)


# -- observations ----------------------------------------------------------------------------------


def test_a_prepared_item_is_where_its_camera_sees_it(store: Store) -> None:
    source, rng = ImageInput(size=SIZE, camera=True), np.random.default_rng(0)
    item = store.items("train")[0]
    views = [source.sample(item, rng) for _ in range(4)]
    views += [source.sample(item, rng, training=False), *source.sample_views(item, rng, 3)]
    surface = item.points("pointcloud.npz").astype(float)
    for view in views:
        assert isinstance(view, dict) and view["camera"].dtype == np.float32
        pixels, depth = project(view["camera"].astype(float), surface)
        columns, rows = np.floor(pixels).astype(int).clip(0, SIZE - 1).T
        shown = view["image"].min(axis=0) < 0.97
        assert shown[rows, columns].mean() > 0.97 and 0.03 < shown.mean() < 0.9
        assert 0.5 < depth.min() < depth.max() < 4
    assert len({view["camera"].tobytes() for view in views}) == VIEWS


def test_cameras_that_are_no_use_are_named(store: Store, tmp_path: Path) -> None:
    source, rng = ImageInput(size=SIZE, camera=True), np.random.default_rng(0)
    whole = store.items("train")[0]
    path = tmp_path / "m"
    for file in [whole.path / "points.npz", *(whole.path / RENDERINGS).iterdir()]:
        copy = path / file.relative_to(whole.path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    cameras, place = read_cameras(path / RENDERINGS / CAMERAS), path / RENDERINGS / CAMERAS

    def sample() -> Any:
        return source.sample(Item("box", "m", path), rng, training=False)

    assert sample()["image"].shape == (3, SIZE, SIZE)
    behind = Camera(pinhole(2 * SIZE), np.diag([-1.0, 1, -1]) @ cameras[0].pose)
    write_cameras(place, [behind, *cameras[1:]])
    with pytest.raises(DataError, match=r"m/img_choy2016/cameras\.npz: camera 0 does not see"):
        sample()
    write_cameras(place, cameras[1:])
    with pytest.raises(DataError, match=r"cameras\.npz: has 2 cameras for 3 pictures"):
        sample()
    place.unlink()
    with pytest.raises(DataError, match=r"cameras\.npz: no such file.*--render"):
        sample()
    with pytest.raises(ConfigError, match="augment"):
        ImageInput(camera=True, augment=True)


def test_cameras_of_a_user_are_checked() -> None:
    source = ImageInput(size=16, camera=True)
    image, camera = np.ones((3, 16, 16)), published_camera(0, 20, 0.9, 16).projection
    taken: Any = source.take({"image": image, "camera": camera})
    np.testing.assert_allclose(taken["camera"], camera, rtol=1e-6)
    for wrong in ({"image": image}, {"image": image[0], "camera": camera}):
        with pytest.raises(DataError, match="expected image"):
            source.take(wrong)
    for unseen in (-camera, camera * np.nan):
        with pytest.raises(DataError, match="does not see"):
            source.take({"image": image, "camera": unseen})


# -- networks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(48, 40), (33, 100)])
def test_pictures_of_any_size(size: tuple[int, int]) -> None:
    section = {"type": "resnet18_pixel", "map_resolution": 7}
    module = randomise(ENCODERS.build(section, "model.encoder", c_dim=5)).eval()
    camera = torch.from_numpy(published_camera(50, 20, 0.8, 64).projection).float()
    images = torch.rand(2, 3, *size)
    known = module({"image": images, "camera": camera.expand(2, -1, -1)})
    blind = module(images)
    for code in (known, blind):
        assert code["image"].shape == (2, 5, 7, 7) and code["global"].shape == (2, 5)
        assert torch.equal(code["image"], blind["image"])
        assert torch.equal(code["estimated_camera"], blind["camera"])
    pixels = camera[:2] / torch.tensor([[size[1]], [size[0]]])
    torch.testing.assert_close(known["camera"][0], torch.cat([pixels, camera[2:]]))
    with pytest.raises(ConfigError, match="map_resolution: 1"):
        ENCODERS.build({**section, "map_resolution": 1}, "model.encoder", c_dim=5)


@pytest.mark.slow
def test_a_map_shows_what_is_where_in_the_picture() -> None:
    section = {"type": "resnet18_pixel", "map_resolution": 8}
    image = torch.ones(1, 3, 64, 64)
    with_spot = image.clone()
    with_spot[..., 40:48, 16:24] = 0
    change = torch.zeros(8, 8)
    for seed in range(8):  # one network's weights may prefer a neighbour
        module = ENCODERS.build(section, "model.encoder", c_dim=5)
        module = randomise(module, seed).eval().requires_grad_(False)
        one = (module(with_spot)["image"] - module(image)["image"]).norm(dim=1)[0]
        change += one / one.sum()
    assert divmod(int(change.argmax()), 8) == (5, 2)


def test_decoders_name_the_encoder_that_they_need() -> None:
    points, code = torch.zeros(1, 4, 3), torch.zeros(1, 6)
    aligned = DECODERS.build({"type": "pixel_aligned"}, "d", c_dim=6, z_dim=0)
    with pytest.raises(ConfigError, match="resnet18_pixel"):
        aligned(points, None, code)
    local = DECODERS.build({"type": "local"}, "d", c_dim=6, z_dim=0)
    made = build_model(config().model).eval().encode(torch.rand(1, 3, 32, 32))
    with pytest.raises(ConfigError, match="local_pointnet"):
        local(points, None, made)
    assert isinstance(aligned.sampler(made), PixelFeatures)
    assert isinstance(local.sampler({"xy": torch.zeros(1, 6, 4, 4)}), FeatureTable)


def test_cameras_can_be_learned_from_features() -> None:
    torch.manual_seed(0)
    module: Any = ENCODERS.build({"type": "resnet18_pixel"}, "model.encoder", c_dim=2)
    features = torch.rand(6, 512)
    cameras = [published_camera(60 * k, 10 * k - 15, 0.6 + 0.1 * k, size=1) for k in range(6)]
    known = torch.from_numpy(np.stack([c.projection for c in cameras])).float()
    optimizer = torch.optim.Adam(module.fc_camera.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        error = camera_distances(module._camera(features), known).mean()
        error.backward()
        optimizer.step()
    assert error < 0.02


def test_the_camera_is_part_of_the_loss(store: Store) -> None:
    settings = config(store)
    torch.manual_seed(0)
    model = build_model(settings.model)
    batch = next(iter(DataLoader(build_datasets(settings)["train"], batch_size=2)))
    assert batch["inputs"]["image"].shape == (2, 3, SIZE, SIZE)
    losses = model.loss(batch)
    expected = losses["loss_per_point"] * 50 + 30 * losses["camera"]
    torch.testing.assert_close(losses["loss"].detach(), expected)
    assert losses["camera"] > 0.01
    losses["loss"].backward()
    assert model.encoder.fc_camera.weight.grad.abs().max() > 0
    with pytest.raises(ConfigError, match=r"set data\.input\.camera=true"):
        model.loss({**batch, "inputs": batch["inputs"]["image"]})
    with pytest.raises(ConfigError, match="camera_weight: -1"):
        build_model({**settings.model, "camera_weight": -1})


# -- from a store or a photograph to a mesh --------------------------------------------------------


@pytest.mark.slow
def test_from_a_store_and_a_photograph_to_meshes(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = config(store)
    model: Any = randomise(build_model(settings.model)).eval()
    batch = next(iter(DataLoader(build_datasets(settings)["val"], batch_size=1)))
    with torch.no_grad():
        code = model.encode(batch["inputs"])
        logits = model.decode(batch["points"], code)
        model.decoder.fc_out.bias -= logits.median()  # half of the points are inside
        metrics = model.validate(batch)
        blind = model.validate({**batch, "inputs": {"image": batch["inputs"]["image"]}})
    assert metrics["camera"] > 0.01 and blind["camera"] == 0
    assert blind["iou"] == metrics["iou_estimated_camera"] and blind["loss"] != metrics["loss"]
    run = tmp_path / "run"
    save_checkpoint(run / "checkpoints" / "best.safetensors", model, settings, {})

    with caplog.at_level(logging.INFO):
        report = generate(run, split="val")
    assert report.ok and not any("camera" in text for text in caplog.messages)
    shown = Image.open(report.out / "inputs" / "box" / "a.png")
    assert shown.size == (SIZE, SIZE)

    photograph = store.items("val")[0].pictures()[0]
    with caplog.at_level(logging.INFO):
        assert generate(run, input=photograph).ok
        loaded = load(run)
        mesh = loaded.reconstruct(photograph)
    assert sum("camera of the picture is not known" in text for text in caplog.messages) == 2
    assert mesh.metadata["reconstruction"]["camera"] == "estimated"
    known: Any = loaded.input.sample(store.items("val")[0], np.random.default_rng(0))
    given_mesh = loaded.reconstruct(known)
    assert given_mesh.metadata["reconstruction"]["camera"] == "given"
    estimated = loaded.reconstruct({**known, "camera": _pixels(loaded.encode(known))})
    np.testing.assert_allclose(
        estimated.vertices, loaded.reconstruct(known["image"]).vertices, atol=1e-4
    )
    with pytest.raises(ConfigError, match="no mean"):
        loaded.reconstruct_multiview([known, known])


def _pixels(code: Any) -> np.ndarray:
    """The estimated camera in pixels of the picture."""
    return np.diag([SIZE, SIZE, 1.0]) @ code["estimated_camera"].numpy()
