"""The occupancy network: published layout, loss, validation, bad configurations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from torch import Tensor

from onet.checkpoints.checkpoint import load_checkpoint, load_into, save_checkpoint
from onet.config import Config, GenerationConfig, load_config
from onet.errors import CheckpointError, ConfigError, FieldError
from onet.geometry.cameras import published_camera
from onet.models import MODELS, OccupancyNetwork, build_model, fit_to_data, load_pretrained
from onet.nn.code import Code
from onet.nn.encoders import Resnet18Encoder
from onet.resources import configs_dir


def small(**changes: Any) -> dict[str, Any]:
    section = {
        "type": "occupancy",
        "c_dim": 6,
        "encoder": {"type": "pointnet_resnet", "hidden_dim": 5},
        "decoder": {"type": "cbatchnorm", "hidden_size": 7},
    }
    return {**section, **changes}


def variational(**changes: Any) -> dict[str, Any]:
    section = {
        "type": "occupancy",
        "c_dim": 0,
        "z_dim": 4,
        "encoder_latent": {"type": "simple", "hidden_dim": 9},
        "decoder": {"type": "simple", "hidden_size": 7},
    }
    return {**section, **changes}


def both() -> dict[str, Any]:
    """With a code of the observation and a latent code."""
    return small(z_dim=4, encoder_latent={"type": "simple", "hidden_dim": 9})


def adversarial(**changes: Any) -> dict[str, Any]:
    section = {
        "type": "occupancy_gan",
        "z_dim": 4,
        "decoder": {"type": "simple", "hidden_size": 7},
        "discriminator": {"type": "occupancy_set", "hidden_dim": 9},
    }
    return {**section, **changes}


def make_batch(points: int = 40) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {
        "points": torch.rand(3, points, 3) - 0.5,
        "occupancies": (torch.rand(3, points) > 0.5).float(),
        "inputs": torch.rand(3, 10, 3) - 0.5,
        "index": torch.arange(3),
        "distances": torch.full((3, points), 0.1),
    }


def latent_set(**changes: Any) -> dict[str, Any]:
    """Sets of latents, both of the observation and of the shape."""
    size = {"latents": 2, "hidden_dim": 8, "heads": 2}
    section = {
        "encoder": {"type": "point_set", "layers": 1, **size},
        "encoder_latent": {"type": "point_set", **size},
        "decoder": {"type": "cross_attention", "hidden_size": 8, "heads": 2, "latents": 2},
        "z_dim": 4,
    }
    return small(**{**section, **changes})


def variational_set(**changes: Any) -> dict[str, Any]:
    return latent_set(**{"c_dim": 0, "encoder": None, **changes})


SECTIONS = {
    "occupancy": small(),
    "variational": variational(),
    "both": both(),
    "adversarial": adversarial(),
    "adversarial_variational": adversarial(
        encoder_latent={"type": "simple", "hidden_dim": 9}, discriminator={"type": "grid"}
    ),
    "set": latent_set(z_dim=0, encoder_latent=None),
    "variational set": variational_set(),
    "both sets": latent_set(),
}


def test_every_model_is_tried() -> None:
    own = {name for name in MODELS if not name.startswith("test_")}  # other tests register some
    own -= {name for name in own if hasattr(MODELS[name], "learns_from")}  # test_texture
    own -= {name for name in own if getattr(MODELS[name], "moves", False)}  # test_flow
    fields = {name for name in own if "decoder" in MODELS.options(name).model_fields}
    assert {section["type"] for section in SECTIONS.values()} == fields  # others: test_baselines


@pytest.mark.parametrize("name", SECTIONS)
def test_models_train_a_step_and_survive_a_checkpoint(name: str, tmp_path: Path) -> None:
    section = SECTIONS[name]
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


@pytest.mark.parametrize("probability", [0.2, 0.5, 0.8])
def test_validation_measures_iou_at_the_probability(probability: float) -> None:
    model, batch = build_model(small()).eval(), make_batch()
    head, codes = model.decoder.fc_out, model.encode(batch["inputs"])
    with torch.no_grad():  # logits on both sides of each, whatever the weights
        head.weight.mul_(3 / model.decode(batch["points"], codes).std())
        head.bias.sub_(model.decode(batch["points"], codes).median())
    settings = GenerationConfig(probability=probability)
    inside = torch.sigmoid(model.decode(batch["points"], codes)) > probability
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


@pytest.mark.slow
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
    assert model.eval().validate(batch, GenerationConfig(probability=0.5))["iou"].item() > 0.9


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (small(type="ocupancy"), "did you mean 'occupancy'"),
        (small(c_dims=3), r"model\.c_dims.*did you mean 'c_dim'"),
        (small(encoder={"type": "pointnet"}), "unknown encoder 'pointnet'"),
        (small(encoder={"type": "pointnet_resnet", "hidden": 3}), r"model\.encoder\.hidden"),
        (small(decoder={"hidden_size": 3}), r"model\.decoder\.type is missing"),
        (small(decoder=3), r"model\.decoder"),
        (small(z_dim=8), r"model\.z_dim.*model\.encoder_latent is missing.*set model\.z_dim=0"),
        (small(c_dim=0), r"model\.c_dim: must be at least 1.*model\.encoder=null"),
        (small(c_dim=-1), r"model\.c_dim: -1"),
        (small(encoder=None), r"model\.c_dim.*model\.encoder is missing"),
        (variational(z_dim=0), r"model\.z_dim: must be at least 1.*encoder_latent=null"),
        (variational(encoder_latent={"type": "simpel"}), "unknown latent encoder.*'simple'"),
        (variational(kl_weight=-1), r"model\.kl_weight"),
        (variational(infer_points=0), r"model\.infer_points"),
        (variational(decoder={"type": "cbatchnorm"}), r"model\.c_dim.*decoder 'simple'"),
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


# -- latent codes ---------------------------------------------------------------------------------


def random_model(section: dict[str, Any]) -> Any:
    return randomise(build_model(section)).eval()


@pytest.mark.parametrize("name", ["variational", "both", "variational set", "both sets"])
def test_loss_is_the_negative_lower_bound(name: str) -> None:
    section = SECTIONS[name]
    model, batch = random_model(section), make_batch()
    torch.manual_seed(1)
    losses = model.loss(batch)
    c = model.encode(batch["inputs"])
    posterior = model.infer_z(batch["points"], batch["occupancies"], c)
    torch.manual_seed(1)
    z = posterior.rsample()
    logits = model.decode(batch["points"], c, z)
    log_q, log_p = posterior.log_prob(z), torch.distributions.Normal(0, 1).log_prob(z)
    assert not torch.equal(log_q, log_p)
    # the divergence by many samples
    torch.manual_seed(2)
    many = posterior.sample((200_000,))
    prior = torch.distributions.Normal(0, 1)
    kl = (posterior.log_prob(many) - prior.log_prob(many)).sum(-1).mean(0).mean()
    assert losses["kl"].item() == pytest.approx(kl.item(), rel=0.02)
    entropy = F.binary_cross_entropy_with_logits(logits, batch["occupancies"], reduction="sum") / 3
    assert losses["loss"].item() == pytest.approx((entropy + losses["kl"]).item(), rel=1e-5)
    assert losses["loss_per_point"].item() == pytest.approx(entropy.item() / 40, rel=1e-5)
    light = build_model({**section, "kl_weight": 0.25})
    light.load_state_dict(model.state_dict())
    torch.manual_seed(1)
    difference = losses["loss"] - light.eval().loss(batch)["loss"]
    assert difference.item() == pytest.approx(0.75 * losses["kl"].item(), rel=1e-3)


def test_validation_of_a_variational_model() -> None:
    model, batch = random_model(variational(infer_points=25)), make_batch()
    metrics = model.validate(batch, GenerationConfig(probability=0.5))
    assert metrics.keys() == {"iou", "loss", "loss_per_point", "kl"}
    first = {k: v[:, :25] for k, v in batch.items() if k in ("points", "occupancies")}
    c = torch.empty(3, 0)
    posterior = model.infer_z(first["points"], first["occupancies"], c)
    inside = model.decode(batch["points"], c, posterior.mean) > 0
    truth = batch["occupancies"] > 0.5
    torch.testing.assert_close(metrics["iou"], (inside & truth).sum(1) / (inside | truth).sum(1))
    torch.testing.assert_close(
        metrics["loss"], metrics["kl"] + 25 * metrics["loss_per_point"], rtol=1e-5, atol=1e-5
    )
    # noise belongs to the item: neither the batch nor torch's generator has a say
    torch.manual_seed(77)
    alone = {key: value[2:] for key, value in batch.items()}
    for key, value in model.validate(alone, GenerationConfig(probability=0.5)).items():
        torch.testing.assert_close(value, metrics[key][2:])
    other = model.validate({**batch, "index": torch.tensor([5, 6, 7])}, GenerationConfig())
    assert not torch.allclose(other["loss"], metrics["loss"])


def test_validation_of_a_conditional_one_also_has_the_observation_alone() -> None:
    model, batch = random_model(both()), make_batch()
    c = model.encode(batch["inputs"])
    logits = model.decode(batch["points"], c, torch.zeros(3, 4))
    level = logits.quantile(0.3).item()
    metrics = model.validate(batch, GenerationConfig(probability=1 / (1 + math.exp(-level))))
    inside = logits > level
    truth = batch["occupancies"] > 0.5
    expected = (inside & truth).sum(1) / (inside | truth).sum(1)
    torch.testing.assert_close(metrics["iou_prior_mean"], expected)
    assert not torch.allclose(metrics["iou"], expected)


def test_samples_of_the_prior() -> None:
    model = build_model(variational(z_dim=64))
    z = model.sample_prior(2000, torch.Generator().manual_seed(3))
    assert z.shape == (2000, 64)
    assert z.mean().abs() < 0.01 and (z.std() - 1).abs() < 0.01
    assert torch.equal(z, model.sample_prior(2000, torch.Generator().manual_seed(3)))
    assert not torch.equal(z, model.sample_prior(2000, torch.Generator().manual_seed(4)))


def test_codes_must_be_those_of_the_model() -> None:
    batch = make_batch()
    model = build_model(variational())
    with pytest.raises(ValueError, match="latent code of 4 numbers and none is given"):
        model.decode(batch["points"], torch.empty(3, 0))
    plain = build_model(small())
    with pytest.raises(ValueError, match=r"latent code of 0 numbers and \(3, 4\) is given"):
        plain.decode(batch["points"], torch.zeros(3, 6), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="no latent encoder"):
        plain.infer_z(batch["points"], batch["occupancies"], torch.zeros(3, 6))
    assert model.encode(torch.empty(3, 0)).shape == (3, 0)


@pytest.mark.parametrize("value", [100.0, float("nan")])
def test_a_deviation_that_overflows_is_an_error(value: float) -> None:
    model, batch = build_model(variational()), make_batch()
    model.encoder_latent.fc_logstd.bias.data.fill_(value)
    with pytest.raises(FieldError, match=r"log deviation .*lower training\.learning_rate"):
        model.loss(batch)


def test_latent_codes_are_computed_in_single_precision() -> None:
    model, batch = random_model(variational()), make_batch()
    with torch.autocast("cpu", torch.bfloat16):
        posterior = model.infer_z(batch["points"], batch["occupancies"], torch.empty(3, 0))
        losses = model.loss(batch)
    assert posterior.mean.dtype == posterior.stddev.dtype == torch.float32
    assert losses["loss"].dtype == torch.float32
    losses["loss"].backward()
    torch.manual_seed(0)
    for p in model.parameters():
        assert torch.isfinite(p.grad).all()


TWO_SHAPES = {
    "code": variational(
        kl_weight=0.01,
        encoder_latent={"type": "simple", "hidden_dim": 32},
        decoder={"type": "simple", "hidden_size": 32},
    ),
    "set": variational_set(
        kl_weight=0.01,
        encoder_latent={"type": "point_set", "latents": 2, "hidden_dim": 32, "heads": 2},
        decoder={"type": "cross_attention", "hidden_size": 32, "heads": 2, "latents": 2},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO_SHAPES)
def test_a_variational_model_learns_two_shapes(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(TWO_SHAPES[name])
    points = torch.rand(2, 500, 3) - 0.5
    inside = torch.stack([points[0, :, 0] < 0, points[1, :, 0] > 0])  # opposite halves of the box
    batch = {
        "points": points,
        "occupancies": inside.float(),
        "inputs": torch.empty(2, 0),
        "index": torch.arange(2),
    }
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(batch)["loss"].backward()
        optimizer.step()
    metrics = model.eval().validate(batch, GenerationConfig(probability=0.5))
    assert metrics["iou"].min().item() > 0.85
    assert metrics["kl"].min().item() > 0.1


# -- packaged configurations ----------------------------------------------------------------------

NAMES = {  # one configuration for each network
    str(config.model): path.stem
    for path in sorted(configs_dir().glob("*.yaml"))
    if (config := load_config(path.stem)).model["type"] in {s["type"] for s in SECTIONS.values()}
}.values()


def observations(section: dict[str, Any]) -> Code:
    generator, kind = torch.Generator().manual_seed(0), section["type"]
    shape = {"pointcloud": (2, 30, 3), "image": (2, 3, 64, 64), "voxels": (2, 32, 32, 32)}
    if kind == "index":
        return torch.arange(2)
    values = torch.rand(shape.get(kind, (2, 0)), generator=generator)
    if section.get("camera"):
        camera = torch.from_numpy(published_camera(40, 20, 0.8, 64).projection).float()
        return {"image": values, "camera": camera.expand(2, -1, -1)}
    return values


def reduced(section: dict[str, Any]) -> dict[str, Any]:
    """With 8 latents where there are hundreds, and one of many equal blocks of self-attention."""
    least = {"latents": 8, "layers": 1}
    changed = dict(section)
    for name, part in section.items():
        if isinstance(part, dict):
            changed[name] = {**part, **{k: v for k, v in least.items() if part.get(k)}}
    latents = (section.get("encoder_latent") or {}).get("latents")
    return {**changed, "z_dim": section["z_dim"] * 8 // latents} if latents else changed


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NAMES))
@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
def test_packaged_configurations_train(name: str, bf16: bool) -> None:
    config = load_config(name)
    torch.manual_seed(0)
    model = build_model(reduced(fit_to_data(config.model, 2)))
    points = torch.rand(2, 64, 3) - 0.5
    batch = {
        "points": points,
        "occupancies": (points.norm(dim=2) < 0.3).float(),
        "inputs": observations(config.data.input),
        "index": torch.arange(2),
    }
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    losses = []
    for _ in range(4):
        torch.manual_seed(0)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.loss(batch)["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    metrics = model.eval().validate(batch, config.generation)
    assert config.training.selection_metric in metrics
    assert all(value.shape == (2,) and torch.isfinite(value).all() for value in metrics.values())


def test_the_number_of_codes_comes_from_the_data() -> None:
    section = load_config("representation_power").model
    assert fit_to_data(section, 7)["encoder"] == {"type": "idx", "count": 7}
    given = {**section, "encoder": {"type": "idx", "count": 3}}
    assert fit_to_data(given, 7) == given
    for other in (small(), variational()):
        assert fit_to_data(other, 7) == other


def test_pretrained_weights_are_loaded_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    monkeypatch.setattr(Resnet18Encoder, "load_pretrained", lambda self: loaded.append(self))
    model = build_model(load_config("img").model)
    assert loaded == []
    load_pretrained(model)
    assert loaded == [model.encoder]
