"""A mesh as a function: its code under a frozen decoder, its own network, back from the files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from random_weights import randomise

import onet
import onet.cli
from onet.checkpoints.checkpoint import save_checkpoint
from onet.config import Config, load_config
from onet.data.closed_mesh import close_mesh, label_points, trust_mesh
from onet.data.inputs import INPUTS
from onet.data.labelled_points import LabelledPoints
from onet.errors import CheckpointError, ConfigError, DataError
from onet.geometry.mesh_io import load_mesh
from onet.geometry.topology import topology
from onet.inference import auto_decoding
from onet.inference import fit as fitting
from onet.inference.auto_decoding import find_code
from onet.inference.fit import Fit, load_fit
from onet.inference.reconstructor import Reconstructor
from onet.models import build_model

OBSERVING = load_config("pointcloud", ["training.max_iterations=1"])
LOC, SIZE = np.array([30.0, -7.0, 2.0]), 5.0


def ellipsoid() -> trimesh.Trimesh:
    """Closed, longest edge 5, centred at (30, -7, 2)."""
    mesh = trimesh.creation.icosphere(3, radius=SIZE / 2)
    mesh.apply_scale([1.0, 0.6, 0.7])
    mesh.apply_translation(LOC)
    return mesh


def network(**changes: object) -> Config:
    settings = {"threads": 1, "device": "cpu", "validation_points": 2000, "validate_every": 100}
    return load_config(
        "fit",
        ["model.decoder.hidden_size=32", "data.points_subsample=512"]
        + [f"training.{key}={value}" for key, value in {**settings, **changes}.items()],
    )


@pytest.fixture(autouse=True)
def fewer_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "POOL", 10_000)
    monkeypatch.setattr(fitting, "SCORED", 10_000)


@pytest.fixture(scope="module")
def mesh_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("meshes") / "egg.ply"
    ellipsoid().export(path)
    return path


def auto_decoder(**sizes: int) -> Config:
    """A small network with codes of the given sizes, `c` learned for eight shapes."""
    c_dim, z_dim = sizes.get("c", 0), sizes.get("z", 0)
    section = {
        "type": "occupancy",
        "c_dim": c_dim,
        "z_dim": z_dim,
        "encoder": {"type": "idx", "count": 8} if c_dim else None,
        "encoder_latent": {"type": "simple", "hidden_dim": 8} if z_dim else None,
        "decoder": {"type": "simple", "hidden_size": 32},
    }
    data = {"input": {"type": "index" if c_dim else "none"}}
    return Config.model_validate(
        {"model": section, "data": data, "generation": {"resolution": 32, "probability": 0.2}}
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose decoder knows ellipsoids of many proportions."""
    config = auto_decoder(c=4)
    torch.manual_seed(0)
    model = build_model(config.model)
    axes = 0.5 * torch.rand(8, 3) + 0.2
    axes /= 2 * axes.max(1, keepdim=True).values
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(300):
        points = 1.1 * torch.rand(8, 256, 3) - 0.55
        inside = ((points / axes[:, None]).square().sum(2) < 1).float()
        batch = {"points": points, "occupancies": inside, "inputs": torch.arange(8)}
        optimizer.zero_grad()
        model.loss(batch)["loss"].backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("trained") / "eggs.safetensors"
    save_checkpoint(path, model, config, {})
    return path


def queries(count: int = 4000) -> np.ndarray:
    return np.random.default_rng(5).uniform(-0.55, 0.55, (count, 3)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [{"c": 3}, {"z": 3}, {"c": 2, "z": 2}], ids=str)
def test_labels_that_a_code_explains_are_explained_by_the_code_found(sizes: dict[str, int]) -> None:
    torch.manual_seed(0)
    config = auto_decoder(**sizes)
    model = Reconstructor(randomise(build_model(config.model)), config, {})
    start = auto_decoding.initial_code(model)
    true = {key: part + 0.3 * torch.randn(part.shape) for key, part in start.items()}
    points = queries(3000)

    def logits(code: dict[str, torch.Tensor]) -> np.ndarray:
        return model.field_of_code(code.get("c", torch.zeros(0)), z=code.get("z"))(points)

    with torch.no_grad():  # a decoder that is sure of what it says, inside as often as outside
        model.model.decoder.fc_out.bias.sub_(float(np.median(logits(true))))
        for parameter in model.model.decoder.fc_out.parameters():
            parameter.mul_(30)
    labels = logits(true) > 0

    def wrong(code: dict[str, torch.Tensor]) -> float:
        return float(((logits(code) > 0) != labels).mean())

    before = {key: value.clone() for key, value in model.model.state_dict().items()}
    found = find_code(model, points, labels, 80, 0.05, 0.0, np.random.default_rng(0))
    assert {key: tuple(part.shape) for key, part in found.items()} == {
        key: (n,) for key, n in sizes.items()
    }
    assert 0 < wrong(found) < 0.5 * wrong(start)
    for key, value in model.model.state_dict().items():  # the decoder is frozen
        assert torch.equal(value, before[key])
    small = find_code(model, points, labels, 80, 0.05, 10.0, np.random.default_rng(0))
    for key in sizes:
        assert small[key].norm() < found[key].norm()


def same_field(a: Fit, b: object) -> bool:
    return bool(np.array_equal(a.field(queries()), b(queries())))  # type: ignore[operator]


@pytest.mark.slow
def test_a_network_of_its_own(mesh_file: Path, tmp_path: Path) -> None:
    result = onet.fit(
        mesh_file, config=network(max_iterations=200), out=tmp_path / "a",
        watertight_resolution=32, resolution=32, device="cpu",
    )  # fmt: skip
    assert result.iou > 0.93
    assert topology(result.mesh).solid
    truth = trimesh.load(mesh_file)
    grown = result.solid.thickness["source"]
    np.testing.assert_allclose(
        result.mesh.bounds, truth.bounds + np.array([[-grown], [grown]]), atol=0.03 * SIZE
    )
    np.testing.assert_array_equal(load_mesh(tmp_path / "a" / "mesh.ply").faces, result.mesh.faces)
    record = json.loads((tmp_path / "a" / "fit.json").read_text())
    assert (record["kind"], record["steps"], record["seed"]) == ("network", 200, 0)
    assert record["iou"] == result.iou and record["probability"] == 0.5
    decoder = onet.load(tmp_path / "a", device="cpu").model.decoder
    assert result.parameters == sum(p.numel() for p in decoder.parameters())
    field, frame = load_fit(tmp_path / "a", "cpu")
    assert same_field(result, field)
    np.testing.assert_allclose(frame.loc, LOC, atol=1e-4)
    assert frame.scale == pytest.approx(SIZE + 2 * grown, rel=1e-3)
    with pytest.raises(ConfigError, match="already holds a run"):
        onet.fit(mesh_file, config=network(max_iterations=2), out=tmp_path / "a", closed=True)


@pytest.mark.slow
def test_the_seed_decides(mesh_file: Path) -> None:
    results = [
        onet.fit(
            mesh_file, config=network(), closed=True, steps=3, seed=seed, resolution=8, device="cpu"
        )
        for seed in (0, 0, 1)
    ]
    assert results[0].record["steps"] == 3
    assert same_field(results[0], results[1].field)
    assert not same_field(results[0], results[2].field)
    assert results[0].out is None


@pytest.mark.slow
def test_a_code_under_a_trained_decoder(mesh_file: Path, trained: Path, tmp_path: Path) -> None:
    options = {"closed": True, "steps": 150, "learning_rate": 0.05, "device": "cpu"}
    result = onet.fit(mesh_file, trained, out=tmp_path / "a", **options)
    assert result.iou > 0.8
    mean = onet.fit(mesh_file, trained, closed=True, steps=1, learning_rate=1e-9, device="cpu")
    assert result.iou > mean.iou + 0.03
    assert result.parameters == 4 and result.code.keys() == {"c"}
    assert topology(result.mesh).solid
    truth = ellipsoid()
    np.testing.assert_allclose(result.mesh.bounds, truth.bounds, atol=0.05 * SIZE)
    assert onet.evaluate(result.mesh, truth, samples=2000).iou == pytest.approx(
        result.iou, abs=0.05
    )
    field, frame = load_fit(tmp_path / "a", "cpu")
    assert same_field(result, field) and frame.scale == pytest.approx(SIZE)
    again = onet.fit(truth, onet.load(trained, "cpu"), **options)
    assert same_field(result, again.field)
    model = onet.load(trained, "cpu")
    with torch.no_grad():
        model.model.decoder.fc_out.bias.add_(1)
    with pytest.raises(CheckpointError, match="code of another model"):
        load_fit(tmp_path / "a", "cpu", model)
    (tmp_path / "a" / "code.safetensors").write_bytes(b"{")
    with pytest.raises(CheckpointError, match=r"code\.safetensors: cannot be read"):
        load_fit(tmp_path / "a", "cpu")
    with pytest.raises(DataError, match=r"fit\.json: cannot be read"):
        load_fit(tmp_path, "cpu")


def test_an_open_mesh_is_closed_unless_it_is_to_be_trusted() -> None:
    box = trimesh.creation.box((1, 2, 4))
    whole = trust_mesh(box, "box")
    assert whole.mesh.volume == pytest.approx(8 / 64)
    open_box = trimesh.Trimesh(box.vertices, box.faces[2:], process=False)
    with pytest.raises(DataError, match=r"box\.obj: is not watertight"):
        trust_mesh(open_box, "box.obj")
    with pytest.raises(DataError, match=r"mesh: is not watertight"):
        onet.fit(open_box, closed=True)
    closed = close_mesh(box, "box", 32)
    assert topology(closed.mesh).watertight
    assert closed.frame.scale == pytest.approx(4 + 2 * closed.thickness["source"], rel=1e-3)


def test_points_know_their_side() -> None:
    solid = trust_mesh(ellipsoid(), "egg")
    points, inside = label_points(solid, 500, 700, 0.01, np.random.default_rng(0))
    assert points.shape == (1200, 3) and points.dtype == np.float32
    reach = (points / np.array([0.5, 0.3, 0.35])) ** 2
    plain = abs(reach[:500].sum(1) - 1) > 0.05  # not between the facets and the ellipsoid
    np.testing.assert_array_equal(inside[:500][plain], (reach[:500].sum(1) < 1)[plain])
    assert abs(np.sqrt(reach[500:].sum(1)) - 1).max() < 0.2
    data = LabelledPoints(points, inside, INPUTS.build({"type": "index"}, ""), 50, seed=1)
    first, again = data[0], data[0]
    assert torch.equal(first["points"], again["points"]) and first["inputs"].shape == ()
    data.set_epoch(1)
    assert not torch.equal(first["points"], data[0]["points"])
    whole = LabelledPoints(points, inside, INPUTS.build({"type": "none"}, ""))
    assert len(whole[0]["points"]) == 1200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"config": OBSERVING}, r"data\.input\.type"),
        ({"steps": 0}, "steps: 0"),
        ({"learning_rate": 0.0}, r"learning_rate: 0\.0"),
        ({"penalty": -1.0}, r"penalty: -1\.0"),
        ({"resolution": 0}, "generation: resolution"),
        ({"config": "absent"}, "absent"),
        ({"config": network(max_iterations="null")}, r"training\.max_iterations"),
    ],
)
def test_what_cannot_be_fitted_is_said_before_work(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        onet.fit(ellipsoid(), closed=True, **options)


def test_only_global_codes_can_be_found(trained: Path) -> None:
    local = load_config("pointcloud_planes_small", ["model.encoder.plane_resolution=8"])
    planes = Reconstructor(build_model(local.model), local, {}, "scans")
    with pytest.raises(ConfigError, match=r"scans: .*'maps'.*global code"):
        onet.fit(ellipsoid(), planes, closed=True)
    broken = onet.load(trained, "cpu")
    broken.model.decoder = Broken()
    with pytest.raises(RuntimeError, match="my own mistake"):  # not said to be something else
        onet.fit(ellipsoid(), broken, closed=True)
    config = network()
    nothing = Reconstructor(build_model(config.model), config, {}, "own")
    with pytest.raises(ConfigError, match="own: the model has no code"):
        onet.fit(ellipsoid(), nothing, closed=True)


class Broken(torch.nn.Module):
    def forward(self, points: torch.Tensor, z: None, c: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("my own mistake")


def test_the_command(mesh_file: Path, trained: Path, tmp_path: Path, capsys) -> None:
    def run(*words: object) -> None:
        onet.cli.app([str(word) for word in ("fit", mesh_file, *words)], standalone_mode=False)

    small = ["model.decoder.hidden_size=8", "training.threads=1", "training.validation_points=100"]
    run(*small, "--closed", "--steps", 2, "--resolution", 8, "--out", tmp_path / "own")
    run("--model", trained, "--closed", "--steps", 2, "--format", "obj", "--out", tmp_path / "code")
    assert (tmp_path / "own" / "checkpoints" / "best.safetensors").is_file()
    assert (tmp_path / "code" / "mesh.obj").is_file()
    assert json.loads((tmp_path / "code" / "fit.json").read_text())["steps"] == 2
    assert "a code of 4 numbers" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--config"):
        run(*small, "--model", trained, "--out", tmp_path / "both")
