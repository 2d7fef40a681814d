"""The published networks: layout, arithmetic in both modes, and files of their weights."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_weights import randomise
from torch import Tensor, nn
from twins import occupancy_network as twin
from twins.published_layout import legacy, published_layout

import onet
from onet.checkpoints.checkpoint import load_checkpoint
from onet.checkpoints.published_weights import RECOGNISED, convert, read_checkpoint
from onet.config import load_config
from onet.errors import CheckpointError, ConfigError
from onet.models import build_model, fit_to_data
from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS
from onet.nn.latent_encoders import LATENT_ENCODERS

PUBLISHED = {  # parameters: all, of the decoder; keys
    "img": (13_414_465, 2_106_625, 223),
    "pointcloud": (10_373_889, 3_548_417, 130),
    "voxels": (7_857_473, 2_106_625, 113),
    "unconditional": (298_369, 182_273, 40),
}
B, T = 3, 60


def make_batch(kind: str, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    inputs = {
        "image": lambda: random(B, 3, 64, 64),
        "pointcloud": lambda: random(B, 30, 3) - 0.5,
        "voxels": lambda: (random(B, 32, 32, 32) > 0.5).float(),
        "none": lambda: random(B, 0),
        "index": lambda: torch.arange(B),
    }
    return {
        "points": 1.1 * random(B, T, 3) - 0.55,
        "occupancies": (random(B, T) > 0.5).float(),
        "inputs": inputs[kind](),
        "index": torch.arange(B),
    }


def build(name: str, seed: int = 0) -> tuple[Any, dict[str, Tensor]]:
    """A model with random weights and a batch for it."""
    config = load_config(name)
    model = randomise(build_model(fit_to_data(config.model, B)), seed)
    return model, make_batch(config.data.input["type"])


def wide(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """In double precision."""
    return {k: v.detach().double() if v.is_floating_point() else v for k, v in values.items()}


def close(actual: Tensor, exact: Tensor, tolerance: float) -> None:
    assert actual.shape == exact.shape
    assert (actual.double() - exact).abs().max() <= tolerance * exact.abs().max().clamp(min=1e-3)


STATIC = [n for n in RECOGNISED if load_config(n).data.sequence is None]  # of motion: test_flow.py


@pytest.mark.parametrize("name", PUBLISHED)
def test_layout_and_size(name: str) -> None:
    model = build_model(load_config(name).model)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    total, decoder, keys = PUBLISHED[name]
    assert shapes == published_layout(name)
    assert len(shapes) == keys
    assert sum(p.numel() for p in model.parameters()) == total
    assert sum(p.numel() for p in model.decoder.parameters()) == decoder


@pytest.mark.slow
@pytest.mark.parametrize("name", STATIC)
def test_logits_in_evaluation_mode(name: str) -> None:
    model, batch = build(name)
    model.eval()
    encoder = load_config(name).model["encoder"]
    decoder = load_config(name).model["decoder"]["type"]
    state, exact = wide(model.state_dict()), wide(batch)
    c = exact["points"].new_empty(B, 0)
    if encoder:
        c = twin.encode(encoder["type"], twin.part(state, "encoder"), exact["inputs"])
    z = torch.randn(B, model.z_dim, dtype=torch.float64) if model.z_dim else None
    logits = twin.decode(decoder, twin.part(state, "decoder"), exact["points"], z, c)
    with torch.no_grad():
        code = model.encode(batch["inputs"])
        close(code, c, 1e-5) if encoder else None
        close(model.decode(batch["points"], code, z if z is None else z.float()), logits, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATIC)
def test_loss_and_gradients_in_training_mode(name: str) -> None:
    """Statistics of the batch, sum over points, mean over items.

    Gradients in double precision, since in single precision rounding puts a few features on the
    other side of a kink; but for the unconditional model, whose posterior is in single precision.
    """
    model, batch = build(name, seed=1)
    model.train()
    section = load_config(name).model
    kinds = (section["encoder"] or {}).get("type"), section["decoder"]["type"]
    state = wide(model.state_dict())
    leaves = {key: state[key].requires_grad_() for key, _ in model.named_parameters()}
    torch.manual_seed(5)
    noise = None
    if model.z_dim:
        noise = torch.normal(torch.zeros(B, model.z_dim), torch.ones(B, model.z_dim)).double()
    exact = twin.loss(kinds, state, wide(batch), noise)
    exact.backward()
    torch.manual_seed(5)
    close(model.loss(batch)["loss"].detach(), exact.detach(), 1e-6)
    if not model.z_dim:
        model.double()
        batch = {**wide(batch), "occupancies": batch["occupancies"]}
    torch.manual_seed(5)
    model.loss(batch)["loss"].backward()
    largest = max(leaf.grad.abs().max() for leaf in leaves.values())
    for key, parameter in model.named_parameters():
        # Biases in front of a batch normalisation have none, but for rounding.
        scale = leaves[key].grad.abs().max().clamp(min=1e-3 * largest)
        assert (parameter.grad - leaves[key].grad).abs().max() < 1e-5 * scale, key


PUBLISHED_DECODERS = ("cbatchnorm", "cbatchnorm2", "cbatchnorm_noresnet", "batchnorm", "simple")
PUBLISHED_ENCODERS = (
    *("pointnet_simple", "pointnet_resnet", "voxel_simple", "idx"),
    *("resnet18", "resnet34", "resnet50", "resnet101"),
)


@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("z_dim", [0, 5])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", PUBLISHED_DECODERS)
def test_decoders(kind: str, training: bool, z_dim: int, leaky: bool) -> None:
    section = {"type": kind, "hidden_size": 12, "leaky": leaky}
    decoder = randomise(DECODERS.build(section, "decoder", c_dim=6, z_dim=z_dim)).train(training)
    state = wide(decoder.state_dict())
    points, c = torch.rand(B, T, 3) - 0.5, torch.randn(B, 6)
    z = torch.randn(B, z_dim) if z_dim else None
    exact = twin.decode(
        kind, state, points.double(), None if z is None else z.double(), c.double(), training, leaky
    )
    close(decoder(points, z, c).detach(), exact, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", PUBLISHED_ENCODERS)
def test_encoders(kind: str, training: bool) -> None:
    options = {"idx": {"count": B}, "voxel_simple": {"resolution": 16}}.get(kind, {})
    encoder = ENCODERS.build({"type": kind, **options}, "encoder", c_dim=6)
    randomise(encoder).train(training)
    inputs = {
        "idx": torch.tensor([2, 0, 2]),
        "voxel_simple": torch.rand(B, 16, 16, 16),
    }.get(kind, torch.rand(B, 20, 3) if "pointnet" in kind else torch.rand(B, 3, 70, 50))
    inputs = wide({"inputs": inputs})["inputs"]
    with torch.no_grad():
        exact = twin.encode(kind, wide(encoder.state_dict()), inputs, training)
        close(encoder.double()(inputs), exact, 1e-9)


@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("c_dim", [0, 6])
def test_latent_encoder(c_dim: int, leaky: bool) -> None:
    section = {"type": "simple", "hidden_dim": 16, "leaky": leaky}
    encoder = randomise(LATENT_ENCODERS.build(section, "encoder", c_dim=c_dim, z_dim=4))
    arguments = torch.rand(B, T, 3) - 0.5, (torch.rand(B, T) > 0.5).float(), torch.randn(B, c_dim)
    exact = twin.latent(wide(encoder.state_dict()), *(a.double() for a in arguments), leaky)
    for actual, value in zip(encoder(*arguments), exact, strict=True):
        close(actual.detach(), value, 1e-5)


# -- files ----------------------------------------------------------------------------------------


def random_state(layout: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in layout.items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(1000)
        elif key.endswith("running_var"):
            state[key] = 0.5 + torch.rand(shape, generator=generator)
        else:
            fan_in = max(1, int(np.prod(shape[1:])))
            state[key] = torch.randn(shape, generator=generator) * fan_in**-0.5
    return state


def write_published(
    path: Path, state: dict[str, Tensor], *, zipped: bool = True, numpy_1: bool = False
) -> Path:
    """A file as the published code wrote it, in torch's current or first format."""
    buffer = io.BytesIO()
    content = {
        "model": state,
        "optimizer": torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1e-4).state_dict(),
        "epoch_it": 7,
        "it": 123456,
        "loss_val_best": np.float64(0.625),
    }
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    written = buffer.getvalue()
    if numpy_1:  # in which the module was called otherwise
        name = np.float64(0).__reduce__()[0].__module__.encode()
        assert written.count(b"c" + name + b"\n") == 1
        written = written.replace(b"c" + name + b"\n", b"cnumpy.core.multiarray\n")
    path.write_bytes(written)
    return path


def logits_of(checkpoint: Any, kind: str) -> Tensor:
    model = build_model(checkpoint.config.model).eval()
    model.load_state_dict(checkpoint.state)
    batch = make_batch(kind, seed=3)
    z = torch.linspace(-1, 1, model.z_dim).expand(B, -1) if model.z_dim else None
    with torch.no_grad():
        return model.decode(batch["points"], model.encode(batch["inputs"]), z)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "old"), [*((name, False) for name in PUBLISHED), ("img", True), ("voxels", True)]
)
def test_published_files_are_recognised_and_survive_a_round_trip(
    name: str, old: bool, tmp_path: Path
) -> None:
    layout = legacy(published_layout(name)) if old else published_layout(name)
    assert (layout != published_layout(name)) == old
    state = random_state(layout)
    path = write_published(tmp_path / "a.pt", state, zipped=not old)
    checkpoint = read_checkpoint(path)
    assert checkpoint.config == load_config(name)
    assert checkpoint.metadata["iteration"] == 123456
    assert checkpoint.metadata["loss_val_best"] == 0.625
    for key, value in state.items():
        key = key.replace("fc_gamma", "conv_gamma").replace("fc_beta", "conv_beta")
        assert torch.equal(checkpoint.state[key].view(value.shape), value)
    kind = checkpoint.config.data.input["type"]
    expected = logits_of(checkpoint, kind)

    convert(path, tmp_path / "b.safetensors")
    ours = load_checkpoint(tmp_path / "b.safetensors")
    assert (ours.config, ours.metadata) == (checkpoint.config, checkpoint.metadata)
    assert torch.equal(logits_of(ours, kind), expected)

    convert(tmp_path / "b.safetensors", tmp_path / "c.pt")
    written = torch.load(tmp_path / "c.pt", weights_only=True)
    assert written.keys() == {"model", "optimizer", "epoch_it", "it", "loss_val_best"}
    assert (written["it"], written["epoch_it"], written["loss_val_best"]) == (123456, 7, 0.625)
    assert {k: tuple(v.shape) for k, v in written["model"].items()} == published_layout(name)
    assert torch.equal(logits_of(read_checkpoint(tmp_path / "c.pt"), kind), expected)


def test_files_of_other_releases_of_numpy(tmp_path: Path) -> None:
    state = random_state(published_layout("unconditional"))
    path = write_published(tmp_path / "a.pt", state, zipped=False, numpy_1=True)
    assert read_checkpoint(path).metadata["loss_val_best"] == 0.625


def test_load_reads_published_files(tmp_path: Path) -> None:
    path = write_published(tmp_path / "a.pt", random_state(published_layout("pointcloud")))
    model = onet.load(path, device="cpu")
    assert model.config == load_config("pointcloud")
    code = model.encode(np.random.default_rng(0).random((300, 3)) - 0.5)
    points = torch.rand(50, 3) - 0.5
    with torch.no_grad():
        expected = model.model.decode(points[None], code[None])[0]
    torch.testing.assert_close(
        torch.from_numpy(model.field_of_code(code)(points.numpy())), expected, atol=1e-3, rtol=1e-4
    )


def test_representation_power_brings_its_number_of_codes(tmp_path: Path) -> None:
    model = build_model(fit_to_data(load_config("representation_power").model, 9))
    checkpoint = read_checkpoint(write_published(tmp_path / "a.pt", model.state_dict()))
    assert checkpoint.config.model["encoder"] == {"type": "idx", "count": 9}


def test_a_configuration_can_be_given(tmp_path: Path) -> None:
    small = load_config("pointcloud_small")
    state = randomise(build_model(small.model)).state_dict()
    path = write_published(tmp_path / "a.pt", state)
    with pytest.raises(
        CheckpointError, match=r"the nearest one is pointcloud, with \d+ of another"
    ):
        read_checkpoint(path)
    for config in ("pointcloud_small", small):
        assert read_checkpoint(path, config).config == small
    with pytest.raises(CheckpointError, match="another architecture"):
        read_checkpoint(path, "voxels")
    with pytest.raises(ConfigError, match="did you mean 'voxels'"):
        read_checkpoint(path, "voxel")
    ours = tmp_path / "b.safetensors"
    convert(path, ours, "pointcloud_small")
    with pytest.raises(ConfigError, match="its own configuration"):
        read_checkpoint(ours, "pointcloud_small")


def test_a_partly_right_file_names_the_keys(tmp_path: Path) -> None:
    state = random_state(published_layout("img"))
    del state["encoder.fc.bias"]
    state["decoder.extra"] = torch.zeros(2)
    state["decoder.fc_p.weight"] = torch.zeros(256, 2, 1)
    path = write_published(tmp_path / "a.pt", state)
    expected = (
        r"nearest one is img, with 1 missing \(encoder\.fc\.bias\); 1 unexpected "
        r"\(decoder\.extra\); 1 of another shape \(decoder\.fc_p\.weight \(256, 2, 1\)"
    )
    with pytest.raises(CheckpointError, match=expected):
        read_checkpoint(path)


class _Danger:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code ran",)


def test_files_that_are_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.pt"
    torch.save({"weights": {}}, path)
    with pytest.raises(CheckpointError, match=r"no dictionary 'model' \(found: weights\)"):
        read_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="no dictionary 'model'"):
        read_checkpoint(path)
    torch.save({"model": {"a": 3}}, path)
    with pytest.raises(CheckpointError, match="something else than weights under 'a'"):
        read_checkpoint(path)
    torch.save({"model": {}, "other": _Danger()}, path)
    with pytest.raises(CheckpointError, match="'model' is empty"):
        read_checkpoint(path)
    assert "code ran" not in capsys.readouterr().out
    whole = write_published(path, random_state(published_layout("unconditional"))).read_bytes()
    for content in (b"", b"no weights", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"cannot be read|is empty"):
            read_checkpoint(path)
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(tmp_path / "none.pt")
    with pytest.raises(ConfigError, match=r"name the result \.safetensors"):
        convert(path, tmp_path / "out.npz")
