"""Networks for other programs: what is exported is the same field, and makes the same mesh."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_weights import randomise
from safetensors.torch import load_file, save_file

import onet
from onet.checkpoints.checkpoint import save_checkpoint
from onet.config import Config, load_config
from onet.errors import CheckpointError, ConfigError, MissingDependency
from onet.inference.export import export
from onet.models import build_model

RESOLUTION = 32
HAS_ONNX = all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime")))
SMALL = {
    "pointcloud_small": {},
    "unconditional_small": {},
    "pointcloud_planes_small": {},
    "pointcloud_grid_small": {},
    "voxels_small": {},
    "img_small": {"data.input.size": 64},
    "img_pretrained_small": {"data.input.size": 64},
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "demo"
    export("demo", folder, onnx=False)
    return folder


@pytest.fixture(scope="module")
def observed() -> tuple[Any, np.ndarray]:
    """The network itself, and what it observes of a ball, (1, N, 3)."""
    model = onet.load("demo", "cpu")
    points = np.random.default_rng(0).normal(size=(model.input.shape[0], 3))
    points *= 0.45 / np.linalg.norm(points, axis=1, keepdims=True)
    return model, points[None].astype(np.float32)


def same_mesh(model: Any, observation: np.ndarray, field: Callable[..., Any], told: Any) -> None:
    wanted = model.surface(model.encode(observation[0]), resolution=RESOLUTION)
    half = told["box"]
    mesh = onet.extract_mesh(
        lambda points: field(points) - told["logit_of_surface"],
        bounds=[[-half] * 3, [half] * 3],
        resolution=RESOLUTION,
    )
    assert len(wanted.faces) > 500 and np.array_equal(mesh.faces, wanted.faces)
    assert np.abs(mesh.vertices - wanted.vertices).max() < 1e-4


def test_the_program_of_torch_makes_the_same_mesh(
    exported: Path, observed: tuple[Any, np.ndarray]
) -> None:
    model, observation = observed
    encoder, decoder = (
        torch.export.load(exported / f"{name}.pt2").module() for name in ("encoder", "decoder")
    )
    code = encoder(torch.from_numpy(observation))

    def field(points: np.ndarray) -> np.ndarray:
        logits = decoder(torch.from_numpy(np.float32(points))[None], code)
        return np.asarray(logits[0].detach())

    told = json.loads((exported / "export.json").read_text(encoding="utf-8"))
    same_mesh(model, observation, field, told)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_ONNX, reason="needs onnx, onnxscript and onnxruntime")
def test_onnx_makes_the_same_mesh(observed: tuple[Any, np.ndarray], tmp_path: Path) -> None:
    from onnxruntime import InferenceSession

    model, observation = observed
    exported = tmp_path / "exported"
    assert "decoder.onnx" in export("demo", exported, onnx=True).files
    encoder, decoder = (
        InferenceSession(exported / f"{name}.onnx", providers=["CPUExecutionProvider"])
        for name in ("encoder", "decoder")
    )
    (code,) = encoder.run(["code"], {"observation": observation})

    def field(points: np.ndarray) -> np.ndarray:
        given = {"points": np.float32(points)[None], "code": code}
        logits: np.ndarray = decoder.run(["logits"], given)[0][0]
        return logits

    told = json.loads((exported / "export.json").read_text(encoding="utf-8"))
    same_mesh(model, observation, field, told)


def test_the_folder_loads_as_a_checkpoint(
    exported: Path, observed: tuple[Any, np.ndarray], tmp_path: Path
) -> None:
    model, observation = observed
    wanted = model.encode(observation[0])
    assert torch.equal(onet.load(exported, "cpu").encode(observation[0]), wanted)
    # As hubs have it: the configuration beside weights that know nothing of it.
    hub = tmp_path / "hub"
    hub.mkdir()
    save_file(load_file(exported / "model.safetensors"), hub / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        onet.load(hub, "cpu", config="pointcloud")
    (hub / "config.json").write_bytes((exported / "config.json").read_bytes())
    assert torch.equal(onet.load(hub, "cpu").encode(observation[0]), wanted)
    (hub / "config.json").write_text('{"architectures": ["Bert"]}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.json: unknown key 'architectures'"):
        onet.load(hub, "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_other_networks_give_the_same_values(name: str, tmp_path: Path) -> None:
    config: Config = load_config(name, {**SMALL[name], "data.path": "nowhere"})
    network = randomise(build_model(config.model)).eval()
    save_checkpoint(tmp_path / "a.safetensors", network, config, {"iteration": 1})
    onnx = HAS_ONNX and "planes" in name
    export(tmp_path / "a.safetensors", tmp_path / "out", onnx=onnx)
    model = onet.load(tmp_path / "a.safetensors", "cpu")
    points = torch.rand(1, 999, 3) - 0.5
    latent = (torch.randn(1, network.z_dim),) if network.z_dim else ()
    if network.encoder is None:
        code = torch.zeros(1, 0)
    else:
        observation = torch.rand(1, *model.input.shape) - 0.5
        program = torch.export.load(tmp_path / "out" / "encoder.pt2").module()
        code, wanted = program(observation), network.encode(observation)
        for one, other in zip(_parts(code), _parts(wanted), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    decoder = torch.export.load(tmp_path / "out" / "decoder.pt2").module()
    wanted = network.decode(points, code, *latent)
    torch.testing.assert_close(decoder(points, code, *latent), wanted, atol=1e-4, rtol=1e-4)
    if onnx:
        from onnxruntime import InferenceSession

        session = InferenceSession(tmp_path / "out" / "decoder.onnx")
        given = {"points": points.numpy(), **{key: code[key].numpy() for key in code}}
        (logits,) = session.run(["logits"], given)
        torch.testing.assert_close(torch.from_numpy(logits), wanted, atol=1e-4, rtol=1e-4)


def _parts(code: Any) -> list[torch.Tensor]:
    return [code[key] for key in sorted(code)] if isinstance(code, dict) else [code]


def test_what_cannot_be_exported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="scan: has no encoder and decoder"):
        export("scan", tmp_path / "out")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"onet\[onnx\]"):
        export("demo", tmp_path / "out", onnx=True)
    assert not (tmp_path / "out").exists()
