"""The occupancy network: published layout, loss, validation, bad configurations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from onet.config import Config, GenerationConfig, load_config
from onet.errors import CheckpointError, ConfigError
from onet.models import MODELS, OccupancyNetwork, build_model
from onet.training.checkpoints import load_checkpoint, load_into, save_checkpoint


def small(**changes: Any) -> dict[str, Any]:
    section = {
        "type": "occupancy",
        "c_dim": 6,
        "encoder": {"type": "pointnet_resnet", "hidden_dim": 5},
        "decoder": {"type": "cbatchnorm", "hidden_size": 7},
    }
    return {**section, **changes}


def make_batch(points: int = 40) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {
        "points": torch.rand(3, points, 3) - 0.5,
        "occupancies": (torch.rand(3, points) > 0.5).float(),
        "inputs": torch.rand(3, 10, 3) - 0.5,
        "index": torch.arange(3),
    }


def published_layout(c: int, h: int, f: int) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the published point cloud checkpoints, by rule."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, out: int, *rest: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (out, *rest)
        if bias:
            shapes[f"{name}.bias"] = (out,)

    norms = [f"block{i}.bn_{j}" for i in range(5) for j in range(2)] + ["bn"]
    for norm in (f"decoder.{n}" for n in norms):
        layer(f"{norm}.conv_gamma", f, c, 1)
        layer(f"{norm}.conv_beta", f, c, 1)
        shapes[f"{norm}.bn.running_mean"] = shapes[f"{norm}.bn.running_var"] = (f,)
        shapes[f"{norm}.bn.num_batches_tracked"] = ()
    for i in range(5):
        for j in range(2):
            layer(f"decoder.block{i}.fc_{j}", f, f, 1)
        layer(f"encoder.block_{i}.fc_0", h, 2 * h)
        layer(f"encoder.block_{i}.fc_1", h, h)
        layer(f"encoder.block_{i}.shortcut", h, 2 * h, bias=False)
    layer("decoder.fc_p", f, 3, 1)
    layer("decoder.fc_out", 1, f, 1)
    layer("encoder.fc_pos", 2 * h, 3)
    layer("encoder.fc_c", c, h)
    return shapes


def test_published_point_cloud_network() -> None:
    model = build_model(load_config("pointcloud").model)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert shapes == published_layout(512, 512, 256)
    assert len(shapes) == 130
    assert sum(p.numel() for p in model.parameters()) == 10_373_889
    assert sum(p.numel() for p in model.decoder.parameters()) == 3_548_417


@pytest.mark.parametrize("name", list(MODELS))
def test_models_train_a_step_and_survive_a_checkpoint(name: str, tmp_path: Path) -> None:
    section = small(type=name)
    model = build_model(section)
    losses = model.loss(make_batch())
    assert losses["loss"].shape == ()
    losses["loss"].backward()
    torch.optim.Adam(model.parameters(), lr=0.01).step()
    config = Config.model_validate({"model": section})
    save_checkpoint(tmp_path / "a/m.safetensors", model, config, {"iteration": 1, "git": None})
    checkpoint = load_checkpoint(tmp_path / "a/m.safetensors")
    assert checkpoint.config == config
    assert checkpoint.metadata == {"iteration": 1, "git": None}
    fresh = build_model(checkpoint.config.model)
    load_into(fresh, checkpoint)
    batch = make_batch()
    for key, value in model.eval().validate(batch).items():
        assert torch.equal(fresh.eval().validate(batch)[key], value)


def test_loss_is_summed_over_points_and_averaged_over_items() -> None:
    model, batch = build_model(small()).eval(), make_batch()
    logits = model.decode(batch["points"], model.encode(batch["inputs"]))
    p, o = torch.sigmoid(logits.double()), batch["occupancies"].double()
    expected = -(o * p.log() + (1 - o) * (1 - p).log()).sum() / 3
    losses = model.loss(batch)
    assert losses["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses["loss_per_point"].item() == pytest.approx(expected.item() / 40, rel=1e-5)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_validation_measures_iou_at_the_threshold(threshold: float) -> None:
    model, batch = build_model(small()).eval(), make_batch()
    model.decoder.fc_out.weight.data.mul_(20)  # so that the thresholds differ in effect
    settings = GenerationConfig(threshold=threshold)
    inside = torch.sigmoid(model.decode(batch["points"], model.encode(batch["inputs"]))) > threshold
    assert 0 < inside.sum() < inside.numel()
    truth = batch["occupancies"] > 0.5
    expected = (inside & truth).sum(1) / (inside | truth).sum(1)
    torch.testing.assert_close(model.validate(batch, settings)["iou"], expected)


def test_validation_does_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = build_model(small()).eval(), make_batch()
    whole = model.validate(batch, GenerationConfig(batch_size=10_000))
    sizes = []
    decode = OccupancyNetwork.decode

    def watched(self: OccupancyNetwork, points: Tensor, c: Tensor, z: None = None) -> Tensor:
        sizes.append(points.shape[0] * points.shape[1])
        return decode(self, points, c, z)

    monkeypatch.setattr(OccupancyNetwork, "decode", watched)
    chunked = model.validate(batch, GenerationConfig(batch_size=21))
    assert max(sizes) <= 21
    for key, value in whole.items():
        torch.testing.assert_close(chunked[key], value)


def test_iou_of_two_empty_shapes_is_one() -> None:
    model, batch = build_model(small()).eval(), make_batch()
    model.decoder.fc_out.bias.data.fill_(-100.0)
    batch["occupancies"].zero_()
    assert model.validate(batch)["iou"].tolist() == [1, 1, 1]
    batch["occupancies"][0] = 1
    assert model.validate(batch)["iou"].tolist() == [0, 1, 1]


def test_a_single_shape_can_be_learned() -> None:
    torch.manual_seed(0)
    model = build_model(small(decoder={"type": "cbatchnorm", "hidden_size": 32}))
    points = torch.rand(1, 1000, 3) - 0.5
    batch = {
        "points": points,
        "occupancies": (points.norm(dim=2) < 0.35).float(),
        "inputs": torch.rand(1, 10, 3),
    }
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(batch)["loss"].backward()
        optimizer.step()
    assert model.eval().validate(batch, GenerationConfig(threshold=0.5))["iou"].item() > 0.9


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (small(type="ocupancy"), "did you mean 'occupancy'"),
        (small(c_dims=3), r"model\.c_dims.*did you mean 'c_dim'"),
        (small(encoder={"type": "pointnet"}), "unknown encoder 'pointnet'"),
        (small(encoder={"type": "pointnet_resnet", "hidden": 3}), r"model\.encoder\.hidden"),
        (small(decoder={"hidden_size": 3}), r"model\.decoder\.type is missing"),
        (small(decoder=3), r"model\.decoder"),
        (small(z_dim=8), r"model\.z_dim.*set model\.z_dim=0"),
        (small(c_dim=0), r"model\.c_dim"),
    ],
)
def test_bad_configurations(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model(section)


def test_checkpoint_of_another_architecture_names_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, build_model(small()), Config(model=small()), {})
    checkpoint = load_checkpoint(path)
    wider = build_model(small(decoder={"type": "cbatchnorm", "hidden_size": 9}))
    with pytest.raises(CheckpointError, match=r"of another shape \(decoder\.\S+ \(7, 3, 1\)"):
        load_into(wider, checkpoint)
    del checkpoint.state["encoder.fc_c.bias"]
    checkpoint.state["extra"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"1 missing \(encoder\.fc_c\.bias\).*\(extra\)"):
        load_into(build_model(small()), checkpoint)


def test_unreadable_checkpoints(tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    save_checkpoint(whole, build_model(small()), Config(model=small()), {})
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors: not a readable"):
        load_checkpoint(cut)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
    with pytest.raises(CheckpointError, match="without a configuration"):
        load_checkpoint(tmp_path / "bare.safetensors")
    assert [p.name for p in tmp_path.iterdir() if "tmp" in p.name] == []


def test_untrained_network_ignores_the_observation() -> None:
    """Conditional normalisation starts without a condition."""
    model = build_model(small()).eval()
    batch = make_batch()
    codes = [model.encode(batch["inputs"]), torch.zeros(3, 6)]
    assert torch.equal(*(model.decode(batch["points"], c) for c in codes))
    assert math.isfinite(model.loss(batch)["loss"].item())
