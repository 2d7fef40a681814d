"""Reconstruction from several observations of one object: their mean code."""

import json

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from test_generate import write_item
from test_reconstructor import CONFIG, blob_model
from torch import nn

from onet.checkpoints.checkpoint import save_checkpoint
from onet.config import parse_config
from onet.data.inputs import ImageInput, PointCloudInput, VoxelInput
from onet.data.inputs.views import evenly
from onet.data.store import Item
from onet.data.store_folder import RENDERINGS
from onet.errors import ConfigError, DataError
from onet.geometry.mesh_io import load_mesh
from onet.geometry.normalization import UnitFrame
from onet.inference.generate import generate
from onet.inference.generation_folder import read_settings
from onet.inference.reconstructor import Reconstructor
from onet.models import MODELS, build_model
from onet.nn.code import mean_code
from onet.report.contact_sheet import contact_sheet


@MODELS.register("test_brightness")
class Brightness(nn.Module):
    """A ball with radius 0.1 plus half of the mean of what is observed; its code as asked for."""

    def __init__(self, kind: str = "global") -> None:
        super().__init__()
        self.kind, self.z_dim = kind, 0
        self.steepness = nn.Parameter(torch.tensor(20.0))

    def encode(self, inputs):
        code = inputs.flatten(1).float().mean(1, keepdim=True)
        return {"global": code, "planes": {"xz": code[..., None]}, "set": code[..., None]}[
            self.kind
        ]

    def decode(self, points, c, z=None):
        radius = 0.1 + c.mean(1) / 2
        return self.steepness * (radius[:, None] - points.norm(dim=-1))


def brightness(kind="image", code="global", **options):
    tree = {
        "data": {"input": {"type": kind, **options}},
        "model": {"type": "test_brightness", "kind": code},
        "generation": {"resolution": 32, "probability": 0.5},
    }
    config = parse_config(json.dumps(tree), "test")
    return Reconstructor(build_model(config.model), config, {})


def save(model, run):
    save_checkpoint(run / "checkpoints" / "best.safetensors", model.model, model.config, {})
    return run


def radius_of(mesh):
    return np.linalg.norm(mesh.vertices - mesh.bounds.mean(axis=0), axis=1).mean()


def picture(path, value, size=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (size, size), value).save(path)


@pytest.fixture(scope="module")
def model():
    return Reconstructor(blob_model(), CONFIG, {})


@pytest.fixture(scope="module")
def scan():
    points, _ = trimesh.sample.sample_surface(trimesh.creation.icosphere(radius=0.5), 50, seed=0)
    return np.asarray(points, dtype=np.float32)


def test_mean_code_is_the_mean_of_tensors_only():
    a, b = torch.arange(4.0), torch.ones(4)
    assert torch.equal(mean_code([a, b, b]), (a + 2 * b) / 3)
    for local in ({"grid": torch.zeros(2, 4, 4, 4)}, torch.zeros(16, 4)):
        with pytest.raises(ConfigError, match="no mean"):
            mean_code([local, local])


def test_mean_of_codes_is_what_is_decoded(model, scan):
    other = scan * np.float32([1, 0.6, 0.8])
    code = model.encode_multiview([scan, other, other])
    expected = (model.encode(scan) + 2 * model.encode(other)) / 3
    torch.testing.assert_close(code, expected)
    torch.testing.assert_close(model.encode_multiview([scan]), model.encode(scan))


def test_one_observation_is_reconstruct_and_order_changes_nothing(model, scan):
    one = model.reconstruct(scan, seed=4)
    again = model.reconstruct_multiview([scan], seed=4)
    np.testing.assert_array_equal(one.vertices, again.vertices)
    other = scan * np.float32([1, 0.6, 0.8]) + np.float32(0.02)
    forth, back = (model.reconstruct_multiview(both) for both in ([scan, other], [other, scan]))
    np.testing.assert_allclose(forth.bounds, back.bounds, atol=1e-4)
    assert not np.allclose(forth.bounds, one.bounds, atol=1e-4)
    told = forth.metadata["reconstruction"]
    assert told["observations"] == 2 and told["observation"] == "observation"


def test_scans_share_the_frame_of_all_their_points(model, scan):
    scan = scan * 7 + np.float32([100, 0, 3])
    left, right = scan[scan[:, 0] < 100], scan[scan[:, 0] >= 100]
    told = model.reconstruct_multiview([left, right]).metadata["reconstruction"]
    whole = UnitFrame.of(scan)
    np.testing.assert_allclose(told["loc"], whole.loc)
    assert told["scale"] == pytest.approx(whole.scale)
    given = model.reconstruct_multiview([left, right], frame=UnitFrame(np.zeros(3), 9.0))
    assert given.metadata["reconstruction"]["scale"] == 9


def test_pictures_of_one_object():
    dark, bright = (np.full((3, 16, 16), value, np.float32) for value in (0.1, 0.7))
    mesh = brightness(size=16).reconstruct_multiview([dark, bright])
    assert radius_of(mesh) == pytest.approx(0.1 + 0.4 / 2, abs=0.01)


def test_grids_have_to_fill_the_same_cube():
    from onet.geometry.voxels import VoxelGrid

    full = np.ones((4, 4, 4), bool)
    here, there = (VoxelGrid(full, UnitFrame(np.full(3, x), 1.0)) for x in (0.0, 0.5))
    empty = VoxelGrid(~full, UnitFrame(np.zeros(3), 1.0))
    network = brightness("voxels", resolution=4)
    assert radius_of(network.reconstruct_multiview([here, empty])) == pytest.approx(0.35, abs=0.01)
    with pytest.raises(DataError, match="same cube"):
        network.reconstruct_multiview([here, there])


@pytest.mark.parametrize("code", ["planes", "set"])
def test_local_codes_are_refused(code, tmp_path):
    network = brightness(code=code, size=16)
    with pytest.raises(ConfigError, match="no mean"):
        network.reconstruct_multiview([np.zeros((3, 16, 16), np.float32)] * 2)
    picture(tmp_path / "photos" / "a" / "1.png", 9)
    with pytest.raises(ConfigError, match="no mean"):
        generate(save(network, tmp_path / "run"), input=tmp_path / "photos", views=2)


@pytest.mark.parametrize("kind", ["none", "index"])
def test_models_that_do_not_observe_are_refused(kind, tmp_path):
    with pytest.raises(ConfigError, match=kind):
        brightness(kind).reconstruct_multiview([None])
    with pytest.raises(ConfigError, match=kind):
        generate(save(brightness(kind), tmp_path / "run"), data=tmp_path, views=2)


def test_nothing_observed_is_refused(model):
    with pytest.raises(DataError, match="none given"):
        model.reconstruct_multiview([])


def test_evenly():
    assert evenly(range(24), 4) == [0, 6, 12, 18]
    assert evenly("abc", 3) == list("abc") and evenly("abc", 1) == ["a"]


def test_views_of_an_item_are_evenly_spaced_from_the_configured_one(tmp_path):
    for number in range(8):
        picture(tmp_path / RENDERINGS / f"{number:03d}.png", 30 * number)
    item, rng = Item("c", "m", tmp_path), np.random.default_rng(0)

    def seen(count, view):
        observations = ImageInput(size=16, view=view).sample_views(item, rng, count)
        return [round(255 * float(o.mean()) / 30) for o in observations]

    assert seen(4, 0) == [0, 2, 4, 6]
    assert seen(3, 5) == [5, 7, 2]
    assert sorted(seen(8, None)) == list(range(8))
    np.testing.assert_array_equal(
        ImageInput(size=16, view=3).sample_views(item, rng, 1)[0],
        ImageInput(size=16, view=3).sample(item, rng, training=False),
    )
    with pytest.raises(DataError, match="8 pictures, 9 views"):
        seen(9, 0)
    with pytest.raises(ConfigError, match="one observation"):
        VoxelInput().sample_views(item, rng, 2)


def test_clouds_of_an_item_differ_and_begin_with_the_usual_one(tmp_path):
    write_item(tmp_path / "a")
    item, input = Item("c", "a", tmp_path / "a"), PointCloudInput(count=20)
    clouds = input.sample_views(item, np.random.default_rng(1), 3)
    usual = input.sample(item, np.random.default_rng(1), training=False)
    np.testing.assert_array_equal(clouds[0], usual)
    assert len({cloud.tobytes() for cloud in clouds}) == 3


def test_generate_averages_clouds_of_a_store(model, tmp_path):
    write_item(tmp_path / "store" / "ball" / "a")
    (tmp_path / "store" / "ball" / "test.lst").write_text("a")
    run, data = save(model, tmp_path / "run"), tmp_path / "store"

    def vertices(name, views):
        report = generate(run, data=data, out=tmp_path / name, views=views)
        assert read_settings(report.out)["views"] == views
        return load_mesh(report.out / report.rows[0]["mesh"]).vertices

    usual, one, three = vertices("usual", None), vertices("one", 1), vertices("three", 3)
    np.testing.assert_array_equal(usual, one)
    assert usual.shape != three.shape or not np.array_equal(usual, three)
    written = sorted(p.name for p in (tmp_path / "three" / "inputs" / "ball").iterdir())
    assert written == ["a.ply", "a.view1.ply", "a.view2.ply"]
    contact_sheet(tmp_path / "three", size=32)
    with pytest.raises(ConfigError, match=r"views.*overwrite"):
        generate(run, data=data, out=tmp_path / "three", views=2)


def test_generate_takes_the_files_of_a_folder_for_one_object(tmp_path):
    photos = tmp_path / "photos"
    for place, values in {"mug": (0, 102, 204), "old/pot": (51,), ".": (255,)}.items():
        for number, value in enumerate(values):
            picture(photos / place / f"{number}.png", value)
    run = save(brightness(size=16), tmp_path / "run")
    margins = radius_of(brightness(size=16).reconstruct(photos / "old/pot/0.png"))
    assert margins == pytest.approx(0.1 + 0.2 / 2, abs=0.01)  # the whole picture is seen

    def radii(name, views):
        report = generate(run, input=photos, out=tmp_path / name, views=views)
        assert report.ok
        return {
            (row["category"], row["model"]): radius_of(load_mesh(report.out / row["mesh"]))
            for row in report.rows
        }

    many = radii("many", 9)
    assert many.keys() == {("", "mug"), ("old", "pot"), ("", "photos")}
    assert many["", "mug"] == pytest.approx(0.1 + 0.4 / 2, abs=0.01)
    assert many["old", "pot"] == pytest.approx(margins, abs=1e-6)
    assert radii("two", 2)["", "mug"] == pytest.approx(0.1 + 0.2 / 2, abs=0.01)
    assert len(list((tmp_path / "two" / "inputs").glob("mug*"))) == 2

    picture(photos / "photos" / "1.png", 9)
    with pytest.raises(DataError, match="same name"):
        generate(run, input=photos, out=tmp_path / "twice", views=2)


def test_what_cannot_be_several_is_refused(tmp_path):
    run = save(brightness(size=16), tmp_path / "run")
    picture(tmp_path / "a.png", 9)
    (tmp_path / "kitti" / "cropped_images").mkdir(parents=True)
    picture(tmp_path / "kitti" / "cropped_images" / "1.png", 9)
    for source, word in (("a.png", "folder"), ("kitti", "its own object")):
        with pytest.raises(ConfigError, match=word):
            generate(run, input=tmp_path / source, views=2)
    with pytest.raises(ConfigError, match="views: 0"):
        generate(run, input=tmp_path, views=0)
    voxels = save(brightness("voxels", resolution=4), tmp_path / "voxels")
    with pytest.raises(ConfigError, match="one observation"):
        generate(voxels, data=tmp_path, views=2)
    assert not (tmp_path / "run" / "generation").exists()
