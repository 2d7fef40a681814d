"""Inputs, encoders and models say what they can do, and nobody asks for their names."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from random_weights import randomise
from test_nn import LEAST, SIMILAR, small

from onet import load
from onet.checkpoints.checkpoint import save_checkpoint
from onet.config import Config, load_config, parse_config
from onet.data.inputs import INPUTS, Input
from onet.errors import ConfigError
from onet.inference.reconstructor import Reconstructor
from onet.models import MODELS, build_model, check_config
from onet.nn.code import InputKind, as_batch, kind_made, kinds_taken
from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS
from onet.training.loop import train

ROOT = Path(__file__).parents[1]

# -- nobody asks for names -------------------------------------------------------------------------

ASKING = re.compile(
    r"""input(\[|\.get\()["']type["']|isinstance\([^)]*Input\b|getattr\([^)]*["']z_dim["']"""
)
ALLOWED = {"onet/cli/training.py": 1}  # prints what a checkpoint that was converted observes
OWN = ("onet/data/inputs/", "onet/config/")


def asking() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "onet").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(OWN):
            yield from ((name, match[0]) for match in ASKING.finditer(path.read_text("utf-8")))


def test_nobody_asks_for_the_name_or_class_of_an_input() -> None:
    found: dict[str, int] = {}
    for name, _ in asking():
        found[name] = found.get(name, 0) + 1
    assert found == ALLOWED, list(asking())


def test_asking_is_seen() -> None:
    for text in (
        'config.data.input["type"] == "none"',
        "config.data.input['type']",
        'data.input.get("type")',
        "isinstance(model.input, ImageInput)",
        "isinstance(input, PointCloudInput | ImageInput)",
        'getattr(model, "z_dim", 0)',
    ):
        assert ASKING.search(text), text


# -- what they say ---------------------------------------------------------------------------------

SECTIONS: dict[str, dict[str, Any]] = {  # of others the defaults
    "pointcloud": {"count": 20},
    "colored_pointcloud": {"count": 20},
    "image": {"size": 48},
    "voxels": {"resolution": LEAST["resolution"]},
    "index": {},
    "none": {},
}
KINDS = {
    "pointcloud": "points",
    "colored_pointcloud": "colored_points",
    "image": "image",
    "voxels": "voxels",
}
KINDS |= {"index": "index", "none": "none"}


def make(name: str, **options: Any) -> Input:
    input: Input = INPUTS.build({"type": name, **SECTIONS.get(name, {}), **options}, "data.input")
    return input


def observation(input: Input) -> Any:
    """Return any observation of an input's shape."""
    if input.kind == "index":
        return np.array(1)
    main = np.random.default_rng(0).uniform(0, 1, input.shape).astype(np.float32)
    if not input.parts:
        return main
    camera = np.array([[48.0, 0, 24, 48], [0, 48, 24, 48], [0, 0, 1, 2]], np.float32)
    return {input.kind: main, "camera": camera}


def test_every_input_says_what_it_is() -> None:
    for name in INPUTS:
        input = make(name)
        assert input.kind in (*get_args(get_args(InputKind)[0]), "none", "sequence")
        assert input.kind == KINDS.get(name, input.kind) and INPUTS.name_of(input) == name
        assert input.conditions == (input.kind != "none")
        assert not (input.multiview and name in ("none", "index"))
    assert make("image", camera=True).parts == {"camera"} and not make("image").parts


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_says_the_size_of_its_latent_code(name: str) -> None:
    if name.startswith("test_"):  # of other tests
        return
    if hasattr(MODELS[name], "learns_from"):  # of colours: test_texture.py
        return
    if getattr(MODELS[name], "moves", False):  # of motion: test_flow.py
        return
    if "encoder_latent" not in MODELS.options(name).model_fields:
        assert MODELS[name].z_dim == 0  # type: ignore[attr-defined]
        return
    section: dict[str, Any] = {"type": name, "decoder": {"type": "simple", "hidden_size": 8}}
    if "discriminator" in MODELS.options(name).model_fields:
        section["discriminator"] = {"type": "occupancy_set", "hidden_dim": 8}
    for z_dim in (0, 4):
        if "discriminator" in section:
            sizes: dict[str, Any] = {"z_dim": 4}
        elif z_dim:
            sizes = {"c_dim": 0, "z_dim": z_dim, "encoder_latent": {"type": "simple"}}
        else:
            sizes = {"c_dim": 4, "encoder": {"type": "pointnet_simple", "hidden_dim": 8}}
        model: Any = build_model(section | sizes)
        assert model.z_dim == sizes.get("z_dim", 0)


# -- which go together -----------------------------------------------------------------------------


def config_of(input: dict[str, Any], encoder: str | None) -> Config:
    """Return the configuration of a small model with a decoder that takes the encoder's codes."""
    if encoder is None:
        parts: dict[str, Any] = {
            "c_dim": 0,
            "z_dim": 4,
            "encoder": None,
            "encoder_latent": {"type": "simple", "hidden_dim": 8},
            "decoder": {"type": "simple", "hidden_size": 8},
        }
    else:
        made = kind_made(ENCODERS[encoder])
        decoder = next(name for name in DECODERS if made in kinds_taken(DECODERS[name]))
        parts = {
            "c_dim": 4,
            "z_dim": 0,
            "encoder": small(ENCODERS, encoder),
            "decoder": small(DECODERS, decoder),
        }
    tree = {"data": {"input": input}, "model": {"type": "occupancy", **parts}}
    return parse_config(json.dumps(tree), "test")


@functools.cache
def network_of(encoder: str | None) -> Any:
    """Return the network of the configurations with an encoder, whatever their input."""
    return randomise(build_model(config_of({"type": "none"}, encoder).model))


LARGE = {*SIMILAR, "resnet50"}  # but for their depth as resnet18
PAIRS = [
    pytest.param(name, encoder, marks=[pytest.mark.slow] if encoder in LARGE else [])
    for name in INPUTS
    if INPUTS[name].kind != "sequence"  # of models of motion: tests/test_flow.py
    for encoder in [*ENCODERS, None]
]


@pytest.mark.parametrize(("name", "encoder"), PAIRS)
def test_every_input_with_every_encoder(
    name: str, encoder: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_of({"type": name, **SECTIONS.get(name, {})}, encoder)
    observed = "none" if encoder is None else ENCODERS[encoder].observes  # type: ignore[attr-defined]
    if observed != make(name).kind:
        with pytest.raises(ConfigError) as refused:
            check_config(config)
        assert f"data.input.type: {name!r} gives" in str(refused.value)
        assert f"model.encoder.type: {encoder!r}" in str(refused.value) or encoder is None
        remedy = str(refused.value).partition("with this input goes")[2]
        fitting = [e for e in ENCODERS if ENCODERS[e].observes == make(name).kind]  # type: ignore[attr-defined]
        assert remedy.startswith(
            f" the encoder {' or '.join(fitting)}, " if fitting else " no encoder"
        )
    else:
        check_config(config)
    if encoder in LARGE:
        return
    network = network_of(encoder)
    if encoder is not None and observed != make(name).kind:
        with pytest.raises(ConfigError, match=f"{name!r} gives .*{encoder!r} observes"):
            Reconstructor(network, config, {})
        return
    model = Reconstructor(network, config, {})
    assert ("nothing looks at it" in caplog.text) == (encoder is None and name != "none")
    code = model.encode(observation(model.input))
    for numbers in code.values() if isinstance(code, dict) else [code]:
        assert torch.isfinite(numbers).all()
    latent = model.latent(0)
    z = None if latent is None else latent[None]
    logits = model.model.decode(torch.zeros(1, 5, 3), as_batch(code), z)
    assert logits.shape == (1, 5) and torch.isfinite(logits).all()


@pytest.mark.parametrize("encoder", ["voxel_simple", "local_voxels"])
def test_grids_have_the_resolution_of_the_encoder(encoder: str) -> None:
    config = config_of({"type": "voxels", "resolution": 32}, encoder)
    words = rf"'voxels' gives .*\(32, 32, 32\).*{encoder!r} takes \(16, 16, 16\); .*resolution"
    with pytest.raises(ConfigError, match=words):
        check_config(config)
    with pytest.raises(ConfigError, match=words):
        Reconstructor(build_model(config.model), config, {})


def test_cameras_are_for_encoders_that_take_them() -> None:
    pictures = {"type": "image", "size": 48, "camera": True}
    with pytest.raises(
        ConfigError, match=r"'image' gives image with camera.*'resnet18'.*false, or"
    ):
        check_config(config_of(pictures, "resnet18"))
    for camera in (True, False):
        check_config(config_of(pictures | {"camera": camera}, "resnet18_pixel"))
    model = Reconstructor(
        randomise(build_model(config_of(pictures, "resnet18_pixel").model)),
        config_of(pictures, "resnet18_pixel"),
        {},
    )
    assert "estimated_camera" in model.encode(observation(model.input))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "configs").glob("*.yaml")))
def test_every_packaged_configuration_fits(name: str) -> None:
    check_config(load_config(name))


# -- where it is refused ---------------------------------------------------------------------------


def test_training_refuses_before_it_looks_for_data(tmp_path: Path) -> None:
    overrides = ["data.input.type=voxels", f"data.path={tmp_path / 'nowhere'}"]
    with pytest.raises(ConfigError, match=r"'voxels' gives voxels.*'pointnet_resnet' observes"):
        train(load_config("pointcloud", overrides), tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    config = config_of({"type": "image"}, "pointnet_simple")
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, build_model(config.model), config, {})
    with pytest.raises(ConfigError, match=r"'image' gives image.*'pointnet_simple' observes"):
        load(path)


def test_what_no_encoder_looks_at_is_refused_in_training_and_said_of_trained_models(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_of({"type": "pointcloud"}, None)
    with pytest.raises(ConfigError, match=r"nothing looks at it.*the input none"):
        check_config(config)
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, build_model(config.model), config, {})
    load(path)
    assert "nothing looks at it" in caplog.text
