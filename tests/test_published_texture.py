"""Weights in the layout of the published Texture Fields load, give what they gave, and go back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from twins import texture as twin

from onet.checkpoints.published_weights import convert, read_checkpoint
from onet.config import Config, load_config
from onet.errors import CheckpointError
from onet.models import build_model, model_layout

RNG = np.random.default_rng(0)
SMALL = {
    "texture": {"model.geometry_encoder.hidden_dim": 8, "model.decoder.hidden_size": 16},
    "texture_vae": {
        "model.geometry_encoder.hidden_dim": 8,
        "model.decoder.hidden_size": 16,
        "model.encoder_latent": {"type": "resnet", "size": 16, "width": 4, "widest": 16},
    },
    "texture_gan": {
        "model.geometry_encoder.hidden_dim": 8,
        "model.decoder.hidden_size": 16,
        "model.discriminator": {"type": "resnet_conditional", "size": 16, "width": 4, "widest": 8},
    },
}


def small(name: str) -> Config:
    sizes = {"model.c_dim": 8, "model.z_dim": 6}
    return load_config(name, SMALL[name] | sizes)


def blocks(part: str, count: int, *layers: str) -> list[str]:
    return [f"{part}{k}.{layer}" for k in range(count) for layer in layers]


def both(*layers: str) -> set[str]:
    return {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def decoder_keys(count: int) -> set[str]:
    own = [f"decoder.fc_cz_{k}" for k in range(count)]
    inner = blocks("decoder.block", count, "conv_0", "conv_1")
    return both("decoder.conv_p", "decoder.conv_out", *own, *inner)


def trunk_keys(shortcuts: int) -> set[str]:
    inner = [f"resnet.{2 * k}.conv_{i}" for k in range(6) for i in (0, 1)]
    return both(*inner) | {f"resnet.{2 * k}.shortcut.weight" for k in range(1, shortcuts + 1)}


SIMPLE = both(
    *(f"geometry_encoder.{n}" for n in ("conv_p", "fc_c", *(f"conv_{k}" for k in range(4))))
)
RESNET = both("geometry_encoder.fc_pos", "geometry_encoder.fc_c",
              *blocks("geometry_encoder.block_", 5, "fc_0", "fc_1")) | {
    f"geometry_encoder.block_{k}.shortcut.weight" for k in range(5)
}  # fmt: skip
VAE = {f"encoder_latent.{k}" for k in trunk_keys(5) | both("conv_img", "fc_mean", "fc_logstd",
                                                          "fc_inject_c")}  # fmt: skip
JUDGE = {f"discriminator.{k}" for k in trunk_keys(4) | both("conv_img", "fc")}


def image_keys() -> set[str]:
    from torchvision.models import resnet18

    features = {k for k in resnet18(weights=None).state_dict() if not k.startswith("fc.")}
    return {f"encoder.features.{k}" for k in features} | both("encoder.fc")


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("texture", lambda: decoder_keys(7) | RESNET | image_keys()),
        ("texture_vae", lambda: decoder_keys(5) | SIMPLE | VAE),
        ("texture_gan", lambda: decoder_keys(5) | SIMPLE | JUDGE),
    ],
)
def test_weights_have_their_published_names(name: str, keys: Any) -> None:
    assert model_layout(load_config(name).model).keys() == keys()


def weights(config: Config) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Random weights by their published names, of generator and discriminator."""
    generator = torch.Generator().manual_seed(0)
    parts: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = ({}, {})
    for key, like in model_layout(config.model).items():
        scale = 0.3 if like.is_floating_point() else 0.0
        value = scale * torch.randn(like.shape, generator=generator)
        value = value.abs() + 0.5 if key.endswith("running_var") else value
        judged = key.startswith("discriminator.")
        name = key.removeprefix("discriminator.").replace("encoder_latent.", "vae_encoder.")
        parts[judged][name] = value.to(like.dtype)
    return parts


def file_of(path: Path, config: Config, **more: Any) -> Path:
    generator, judge = weights(config)
    optimizer = {"state": {}, "param_groups": []}
    content = {"model_g": generator, "model_d": judge, "model_g_ma": generator,
               "optimizer_g": optimizer, "it": 7, "epoch_it": 3, "loss_val_best": 0.5}  # fmt: skip
    torch.save(content | more, path)
    return path


def loaded(path: Path, config: Config) -> Any:
    model = build_model(config.model)
    model.load_state_dict(read_checkpoint(path, config).state)
    return model.eval()


def states(config: Config) -> tuple[twin.State, twin.State]:
    one, other = weights(config)
    return tuple({k: v.double().numpy() for k, v in s.items()} for s in (one, other))  # type: ignore[return-value]


def surface() -> tuple[Any, Any, Any]:
    return tuple(RNG.normal(size=(30, 3)).astype(np.float32) for _ in range(3))


def batched(*arrays: Any) -> list[torch.Tensor]:
    return [torch.from_numpy(np.asarray(a, np.float32))[None] for a in arrays]


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "geometry", "count", "inner"),
    [
        ("texture", twin.resnet_geometry, 7, False),
        ("texture_gan", twin.simple_geometry, 5, True),
        ("texture_vae", twin.simple_geometry, 5, True),
    ],
)
def test_colors_are_those_of_the_published_network(
    name: str, geometry: Any, count: int, inner: bool, tmp_path: Path
) -> None:
    config = small(name)
    model = loaded(file_of(tmp_path / "car.pt", config), config)
    points, places, normals = surface()
    z = RNG.normal(size=6).astype(np.float32)
    code = model.geometry_code(*batched(places, normals))
    found = model.colors(*batched(points), code, *batched(z))[0].numpy()
    state, _ = states(config)
    expected_code = geometry(state, places.T.astype(float), normals.T.astype(float))
    assert np.allclose(code[0].numpy(), expected_code, atol=1e-4)
    both_codes = np.concatenate([expected_code, z])
    expected = twin.colors(state, points.T.astype(float), both_codes, count, inner).T
    assert np.allclose(found, expected, atol=1e-4)
    assert np.ptp(found) > 0.1


@torch.no_grad()
def test_posteriors_are_those_of_the_published_network(tmp_path: Path) -> None:
    config = small("texture_vae")
    model = loaded(file_of(tmp_path / "car.pt", config), config)
    picture = RNG.uniform(size=(16 * 16, 3))
    code = RNG.normal(size=8)
    batch = {"colors": torch.from_numpy(picture.astype(np.float32))[None]}
    found = model.infer(batch, *batched(code))
    pixels = picture.T.reshape(3, 16, 16)
    mean, deviation = twin.posterior(states(config)[0], pixels, code, halvings=2)
    assert np.allclose(found.mean[0].numpy(), mean, rtol=1e-3, atol=1e-3)
    assert np.allclose(found.stddev[0].numpy(), deviation, rtol=1e-3)


@torch.no_grad()
def test_logits_are_those_of_the_published_network(tmp_path: Path) -> None:
    config = small("texture_gan")
    model = loaded(file_of(tmp_path / "car.pt", config), config)
    picture, depth = RNG.uniform(size=(16 * 16, 3)), RNG.uniform(1, 2, 16 * 16)
    far = np.where(RNG.random(16 * 16) < 0.5, np.inf, depth)
    shown = np.where(np.isfinite(far), far, 0)
    batch = {"depth": torch.from_numpy(shown.astype(np.float32))[None]}
    found = model.discriminate(batch, *batched(picture))
    pixels = picture.T.reshape(3, 16, 16)
    expected = twin.logit(states(config)[1], pixels, far.reshape(16, 16), halvings=2)
    assert float(found[0]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "name", ["texture_gan", *(pytest.param(n, marks=pytest.mark.slow) for n in
                              ("texture", "texture_vae"))]
)  # fmt: skip
def test_a_published_file_says_itself_what_it_is(name: str, tmp_path: Path) -> None:
    found = read_checkpoint(file_of(tmp_path / "car.pt", load_config(name)))
    assert found.config.model == load_config(name).model
    assert (found.metadata["iteration"], found.metadata["epoch"]) == (7, 3)


@pytest.mark.parametrize("name", list(SMALL))
def test_a_published_file_goes_there_and_back(name: str, tmp_path: Path) -> None:
    config = small(name)
    source = file_of(tmp_path / "car.pt", config)
    convert(source, tmp_path / "ours.safetensors", config)
    convert(tmp_path / "ours.safetensors", tmp_path / "back.pt")
    back = torch.load(tmp_path / "back.pt", weights_only=True)
    generator, judge = weights(config)
    assert back["model_g"].keys() == generator.keys() == back["model_g_ma"].keys()
    assert all(torch.equal(back["model_g"][k], v) for k, v in generator.items())
    assert back.get("model_d", {}).keys() == judge.keys()
    assert all(torch.equal(back["model_d"][k], v) for k, v in judge.items())
    assert {"optimizer_g", "it", "epoch_it", "loss_val_best"} <= back.keys()
    assert back["loss_val_best"] == 0.5 and back["it"] == 7


def test_a_discriminator_of_a_network_that_needs_none_is_left_out(tmp_path: Path) -> None:
    config = small("texture_vae")
    judge = weights(small("texture_gan"))[1]
    found = read_checkpoint(file_of(tmp_path / "car.pt", config, model_d=judge), config)
    assert found.state.keys() == model_layout(config.model).keys()


def test_other_weights_are_refused_with_their_keys(tmp_path: Path) -> None:
    config = small("texture_vae")
    generator = weights(config)[0]
    del generator["decoder.conv_out.weight"]
    path = file_of(tmp_path / "car.pt", config, model_g=generator)
    with pytest.raises(CheckpointError, match="conv_out"):
        read_checkpoint(path, config)
    with pytest.raises(CheckpointError, match="nearest one is texture_vae"):
        read_checkpoint(path)
