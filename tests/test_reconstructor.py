import logging

import numpy as np
import pytest
import torch
import trimesh

import onet
from onet.checkpoints.checkpoint import save_checkpoint
from onet.config import Config
from onet.errors import CheckpointError, ConfigError, DataError
from onet.geometry.normalization import UnitFrame
from onet.geometry.topology import topology
from onet.inference.devices import choose_device
from onet.inference.reconstructor import Reconstructor
from onet.models import build_model

CONFIG = Config.model_validate(
    {
        "data": {"input": {"type": "pointcloud", "count": 50, "noise": 0.0}},
        "model": {
            "type": "occupancy",
            "c_dim": 16,
            "z_dim": 0,
            "encoder": {"type": "pointnet_resnet", "hidden_dim": 16},
            "decoder": {"type": "cbatchnorm", "hidden_size": 32},
        },
        "generation": {"resolution": 32},
    }
)


def blob_model(seed=0):
    """A random network whose field is a ball that the observation bends: it has a surface."""
    torch.manual_seed(seed)
    model = build_model(CONFIG.model)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        points = torch.rand(4, 256, 3) * 1.1 - 0.55
        inputs = torch.randn(4, 50, 3) * 0.2
        radius = 0.2 + inputs.std(dim=(1, 2))[:, None]
        batch = {
            "points": points,
            "inputs": inputs,
            "occupancies": (points.norm(dim=2) < radius).float(),
        }
        optimizer.zero_grad()
        model.loss(batch)["loss"].backward()
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "checkpoints" / "best.safetensors"
    save_checkpoint(path, blob_model(), CONFIG, {"iteration": 40})
    return path


@pytest.fixture(scope="module")
def model(checkpoint):
    return onet.load(checkpoint, device="cpu")


@pytest.fixture
def scan():
    points, _ = trimesh.sample.sample_surface(trimesh.creation.icosphere(radius=0.5), 200, seed=0)
    return np.asarray(points, dtype=np.float32)


def test_run_folder_and_checkpoint_load_the_same(checkpoint, model):
    other = onet.load(checkpoint.parents[1], device="cpu")
    assert other.metadata["iteration"] == 40
    assert other.config == model.config == CONFIG
    assert not model.model.training
    assert not any(p.requires_grad for p in model.model.parameters())
    for key, value in model.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[key])


def test_reconstruction_is_a_solid_with_its_story(model, scan):
    mesh = model.reconstruct(scan, seed=3, probability=0.4)
    assert topology(mesh).solid
    told = mesh.metadata["reconstruction"]
    assert (told["seed"], told["probability"], told["resolution"]) == (3, 0.4, 32)
    assert told["input"] == "pointcloud"
    assert told["model"] == model.source
    assert mesh.metadata["extraction"]["evaluations"] > 32**3


def test_result_is_in_the_frame_of_the_observation(model, scan):
    here = model.reconstruct(scan)
    moved = scan * 40 + np.array([7, -300, 0.5], np.float32)
    there = model.reconstruct(moved)
    assert len(there.faces) == pytest.approx(len(here.faces), rel=0.02)
    np.testing.assert_allclose(there.bounds, here.bounds * 40 + [7, -300, 0.5], atol=0.02 * 40)
    assert UnitFrame.of(moved).scale == pytest.approx(there.metadata["reconstruction"]["scale"])


def test_far_from_the_origin_nothing_is_lost(model, scan):
    """Map coordinates: millions of units away, single precision would round to half a unit."""
    here = model.reconstruct(scan)
    there = model.reconstruct(scan.astype(np.float64) + 5e6)
    np.testing.assert_allclose(there.vertices - 5e6, here.vertices, atol=1e-3)


def test_a_given_frame_replaces_the_bounding_box(model, scan):
    half = scan[scan[:, 0] > 0]
    frame = UnitFrame(np.zeros(3), 1.0)
    told = model.reconstruct(half, frame=frame).metadata["reconstruction"]
    assert told["loc"] == [0, 0, 0] and told["scale"] == 1.0
    assert model.reconstruct(half).metadata["reconstruction"]["loc"][0] > 0.1


def test_path_array_and_tensor_are_the_same_observation(model, scan, tmp_path):
    path = tmp_path / "scan.ply"
    path.write_bytes(trimesh.PointCloud(scan).export(file_type="ply"))
    meshes = [model.reconstruct(kind) for kind in (scan, torch.from_numpy(scan), path, str(path))]
    for mesh in meshes[1:]:
        np.testing.assert_array_equal(mesh.vertices, meshes[0].vertices)
        np.testing.assert_array_equal(mesh.faces, meshes[0].faces)


def test_seed_decides_which_points_are_seen(model, scan):
    def vertices(seed):
        return model.reconstruct(scan, seed=seed).vertices

    np.testing.assert_array_equal(vertices(1), vertices(1))
    assert not np.array_equal(vertices(1), vertices(2))


def test_probability_of_the_surface_shrinks_the_solid(model, scan):
    volumes = [model.reconstruct(scan, probability=t).volume for t in (0.1, 0.5, 0.9)]
    assert volumes[0] > volumes[1] > volumes[2] > 0


def test_field_is_the_model_in_evaluation_mode(model, scan):
    code = model.encode(scan[:50])
    points = (np.random.default_rng(0).random((3000, 3)) - 0.5).astype(np.float32)
    model.model.train()  # a caller's mistake that must not change results
    logits = model.field_of_code(code)(points)
    expected = model.model.eval().decode(torch.from_numpy(points)[None], code[None])[0]
    assert logits.dtype == np.float32 and logits.shape == (3000,)
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)


def test_a_decoder_without_fold_works_too(scan):
    class Ball(torch.nn.Module):
        z_dim = 0

        def __init__(self):
            super().__init__()
            self.radius = torch.nn.Parameter(torch.tensor(0.3))

        def encode(self, inputs):
            return inputs.mean(1)

        def decode(self, points, c, z=None):
            return (self.radius - points.norm(dim=-1)) * 100

    mesh = Reconstructor(Ball(), CONFIG, {}).reconstruct(scan, probability=0.5)
    scale = mesh.metadata["reconstruction"]["scale"]
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * (0.3 * scale) ** 3, rel=0.03)


def test_no_surface_is_an_empty_mesh_and_a_warning(model, scan):
    with pytest.warns(UserWarning, match="no surface"):
        mesh = model.reconstruct(scan, probability=1 - 1e-12)
    assert len(mesh.faces) == 0


def test_too_few_points_are_reported(model, scan, caplog):
    with caplog.at_level(logging.WARNING):
        assert len(model.reconstruct(scan[:20]).faces) > 0
    assert "20 points" in caplog.text and "50" in caplog.text


@pytest.mark.parametrize(
    ("observation", "word"),
    [
        (np.zeros((5, 2)), "observation"),
        (np.full((5, 3), np.nan), "observation"),
        (np.zeros((5, 3)), "observation"),
        ("missing.ply", "missing.ply"),
    ],
)
def test_bad_observations_are_named(model, observation, word):
    with pytest.raises(DataError, match=word):
        model.reconstruct(observation)


def test_bad_settings_are_named(model, scan, tmp_path):
    with pytest.raises(ConfigError, match="probability"):
        model.reconstruct(scan, probability=1.5)
    with pytest.raises(ConfigError, match="resolution"):
        model.reconstruct(scan, resolution=0)
    with pytest.raises(ConfigError, match="device"):
        choose_device("tpu")
    with pytest.raises(CheckpointError, match="nothing"):
        onet.load(tmp_path / "nothing")


def test_refinement_simplification_and_normals_on_request(model, scan):
    def logits(mesh, prepared=scan[:50]):
        points = mesh.vertices.astype(np.float32)
        return model.field_of_code(model.encode(prepared))(points) - np.log(0.4 / 0.6)

    plain = model.extract(scan[:50], probability=0.4)
    fine = model.extract(scan[:50], probability=0.4, refine="root")
    assert np.abs(logits(fine)).max() < np.abs(logits(plain)).max() / 20
    assert topology(fine) == topology(plain)

    small = model.extract(scan[:50], probability=0.4, refine="root", simplify=300, normals=True)
    assert len(small.faces) == 300 and topology(small).solid
    assert "vertex_normals" in small._cache and "vertex_normals" not in fine._cache
    assert {"extraction", "refinement", "simplification", "normals"} <= set(small.metadata)

    descended = model.extract(
        scan[:50], probability=0.4, refine="published", refine_steps=5, simplify=300
    )
    told = descended.metadata["refinement"]
    assert told["steps"] == 5 and told["evaluations"] == 5 * 300
    assert told["loss_after"] < told["loss_before"]
    assert not any(p.requires_grad for p in model.model.parameters())


def test_surface_options_are_told_and_default_to_the_configuration(checkpoint, scan):
    loaded = onet.load(checkpoint, device="cpu")
    section = {"refine": "root", "simplify": 200, "normals": True}
    loaded.config = Config.model_validate(
        CONFIG.model_dump() | {"generation": CONFIG.generation.model_dump() | section}
    )
    mesh = loaded.reconstruct(scan)
    told = mesh.metadata["reconstruction"]
    assert {key: told[key] for key in section} == section and told["resolution"] == 32
    assert len(mesh.faces) == 200 and "vertex_normals" in mesh._cache
    outward = np.einsum("ij,ij->i", mesh.vertex_normals, mesh.vertices - mesh.vertices.mean(0))
    assert (outward > 0).mean() > 0.95
    other = loaded.reconstruct(scan, refine="none", simplify=0, normals=False)
    told = other.metadata["reconstruction"]
    assert (told["refine"], told["simplify"], told["normals"]) == ("none", None, False)
    assert len(other.faces) > 1000 and "refinement" not in other.metadata


@pytest.mark.parametrize(
    "options",
    [{"refine": "magic"}, {"simplify": 3}, {"refine_steps": 0}, {"smooth": True}],
)
def test_bad_surface_options_are_named(model, scan, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        model.reconstruct(scan, **options)
