"""Generators of occupancies against discriminators: the parts, the model, and whole runs."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import onet
from onet.adversarial.collapse import CollapseWatch, Snapshot
from onet.adversarial.discriminators import DISCRIMINATORS, GridDiscriminator
from onet.adversarial.losses import LOSSES
from onet.adversarial.penalties import named_penalty, require_no_batch_norm
from onet.adversarial.separable import separable_value
from onet.checkpoints.checkpoint import load_checkpoint
from onet.config import Config, GenerationConfig, load_config
from onet.errors import ConfigError
from onet.models import build_model
from onet.training.logs import read_metrics
from onet.training.loop import train

SMALL: dict[str, dict[str, Any]] = {"occupancy_set": {"hidden_dim": 8}, "grid": {}}


def build(name: str) -> Any:
    torch.manual_seed(0)
    return DISCRIMINATORS.build({"type": name, **SMALL[name]}, "model.discriminator")


def shapes(count: int = 3, points: int = 50) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    place = 1.1 * (torch.rand(count, points, 3, generator=generator) - 0.5)
    return place, torch.rand(count, points, generator=generator)


# -- discriminators -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(DISCRIMINATORS))
def test_discriminators_judge_each_shape_by_itself_and_in_any_order(name: str) -> None:
    network, (points, occupancies) = build(name), shapes()
    require_no_batch_norm(network)
    logits = network(points, occupancies)
    assert logits.shape == (3,) and len(set(logits.tolist())) == 3
    torch.testing.assert_close(network(points[1:], occupancies[1:]), logits[1:])
    order = torch.randperm(points.shape[1])
    torch.testing.assert_close(network(points[:, order], occupancies[:, order]), logits)
    assert not torch.allclose(network(points, occupancies.flip(1)), logits)
    assert not torch.allclose(network(points.flip(2), occupancies), logits)


@pytest.mark.parametrize("name", list(DISCRIMINATORS))
def test_discriminators_can_be_penalised(name: str) -> None:
    network, (points, occupancies) = build(name), shapes()
    cost = named_penalty("r1")(lambda o: network(points, o), occupancies, occupancies)
    gradients = torch.autograd.grad(cost, list(network.parameters()), allow_unused=True)
    assert cost > 0 and any(g is not None and g.abs().max() > 0 for g in gradients)
    step = 1e-3
    (slope,) = torch.autograd.grad(network(points, occupancies.requires_grad_()).sum(), occupancies)
    with torch.no_grad():
        difference = network(points, occupancies + step * slope) - network(points, occupancies)
    expected = step * slope.square().sum(1)
    torch.testing.assert_close(difference, expected, rtol=0.05, atol=1e-6)


def test_the_grid_holds_means_of_its_cells() -> None:
    network = GridDiscriminator(resolution=16, padding=0.1)
    points, occupancies = (t.double() for t in shapes(2, 9000))
    grid = network.grid(points, occupancies)
    place = np.floor((points.numpy() / 1.1 + 0.5) * 16).astype(int)
    for cell in [(3, 7, 12), (0, 15, 8), (9, 9, 9)]:
        for item in range(2):
            own = (place[item] == cell).all(1)
            expected = (2 * occupancies[item].numpy()[own] - 1).mean() if own.any() else 0.0
            assert grid[item][cell].item() == pytest.approx(expected)
    assert network.grid(points[:, :1], occupancies[:, :1]).count_nonzero() == 2
    with pytest.raises(ConfigError, match="power of two"):
        GridDiscriminator(resolution=20)


# -- the watch ------------------------------------------------------------------------------------


def watched(watch: CollapseWatch, count: int, start: int = 0, **row: float) -> list[str]:
    usual = {"loss_d": 1.386, "d_accuracy": 0.6, "d_real": 0.2, "d_fake": -0.2, "gradient_g": 1.0}
    return [
        alarm.kind for k in range(count) for alarm in watch.observe({**usual, **row}, start + k)
    ]


SURE = {"d_accuracy": 1.0, "d_real": 12.0, "d_fake": -12.0, "loss_d": 1e-5}


def test_saturation_needs_a_sure_discriminator_and_a_still_generator() -> None:
    watch = CollapseWatch(window=10)
    assert watched(watch, 40) == [] and watch.healthy
    assert watched(watch, 40, gradient_g=0.5, **SURE) == []
    assert watched(watch, 11, gradient_g=1e-5, **SURE) == ["saturation"]
    assert not watch.healthy
    hesitant = CollapseWatch(window=10)
    watched(hesitant, 20)
    assert watched(hesitant, 20, gradient_g=1e-5, d_accuracy=0.9) == []


def test_a_loss_at_the_value_of_a_collapse_is_a_plateau() -> None:
    assert separable_value((2,), 2) == pytest.approx(-0.4774, abs=1e-4)
    part = separable_value((2,), 2) / separable_value((1,), 1)
    value = part * LOSSES["non_saturating"].equilibrium
    assert watched(CollapseWatch(window=10), 10, loss_d=value) == ["plateau"]
    assert watched(CollapseWatch(window=10), 9, loss_d=value) == []
    assert watched(CollapseWatch("relativistic", window=10), 30, loss_d=value) == []
    moving = CollapseWatch(window=10)
    kinds = [watched(moving, 1, k, loss_d=value + 0.1 * (k % 10)) for k in range(30)]
    assert not any(kinds)


def test_a_watch_that_is_saved_goes_on_where_it_stopped() -> None:
    first = CollapseWatch(window=10)
    watched(first, 25)
    watched(first, 6, gradient_g=1e-5, **SURE)
    second = CollapseWatch(window=10)
    second.load_state_dict(first.state_dict())
    tails = [watched(w, 8, gradient_g=1e-5, **SURE) for w in (first, second)]
    assert tails[0] == tails[1] == ["saturation"]


def test_snapshots_bring_weights_and_optimisers_back() -> None:
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)

    def move() -> None:
        layer(torch.ones(1, 2)).sum().backward()
        optimizer.step()

    move()
    snapshot = Snapshot({"layer": layer, "optimizer": optimizer})
    assert not snapshot.restore()
    before = layer.weight.detach().clone()
    snapshot.take(7)
    for _ in range(2):  # the copy is not given away
        move()
        assert not torch.equal(layer.weight, before)
        assert snapshot.restore()
        assert torch.equal(layer.weight, before)
        assert optimizer.state[layer.weight]["step"] == 1


# -- the model ------------------------------------------------------------------------------------

SECTION = {
    "type": "occupancy_gan",
    "z_dim": 3,
    "decoder": {"type": "simple", "hidden_size": 8},
    "discriminator": {"type": "occupancy_set", "hidden_dim": 8},
    "validation_samples": 4,
}
VARIATIONAL = {**SECTION, "encoder_latent": {"type": "simple", "hidden_dim": 8}}


def spheres_batch(count: int = 3, points: int = 60) -> dict[str, Tensor]:
    place, _ = shapes(count, points)
    radius = torch.linspace(0.2, 0.5, count)[:, None]
    depth = radius - place.norm(dim=2)
    return {
        "points": place,
        "occupancies": (depth > 0).float(),
        "distances": depth.abs(),
        "inputs": torch.empty(count, 0),
        "index": torch.arange(count),
    }


def test_real_occupancies_are_a_smooth_function_of_the_distance() -> None:
    model, batch = build_model(SECTION), spheres_batch()
    depth = torch.where(batch["occupancies"] > 0, 1, -1) * batch["distances"]
    torch.testing.assert_close(model.real(batch), torch.sigmoid(depth / 0.02))
    assert ((model.real(batch) > 0.5) == (batch["occupancies"] > 0.5)).all()
    del batch["distances"]
    with pytest.raises(ConfigError, match=r"set data\.distances=true, or model\.softness=0"):
        model.real(batch)
    hard = build_model({**SECTION, "softness": 0})
    assert torch.equal(hard.real(batch), batch["occupancies"])


def test_players_share_no_parameters_and_leave_none_out() -> None:
    model = build_model(VARIATIONAL)
    sets = [{id(p) for p in model.generator_parameters()}]
    sets.append({id(p) for p in model.discriminator_module().parameters()})
    assert not sets[0] & sets[1] and sets[0] | sets[1] == {id(p) for p in model.parameters()}


def test_validation_is_the_energy_score_of_samples() -> None:
    torch.manual_seed(0)
    model, batch = build_model(SECTION).eval(), spheres_batch()
    for p in model.parameters():
        p.data += 0.3 * torch.randn_like(p)
    settings = GenerationConfig(probability=0.5)
    metrics = model.validate(batch, settings)
    z = model.sample_prior(4, torch.Generator().manual_seed(0))
    for item in range(3):
        points = batch["points"][item].expand(4, -1, -1)
        inside = (model.decode(points, torch.empty(4, 0), z) > 0).numpy()
        truth = batch["occupancies"][item].numpy() > 0

        def d(a: Any, b: Any) -> float:
            return 1 - (a & b).sum() / max(1, (a | b).sum())

        to_item = [d(s, truth) for s in inside]
        among = [d(inside[i], inside[j]) for i in range(4) for j in range(4) if i != j]
        score = np.mean(to_item) - np.mean(among) / 2
        assert metrics["energy_score"][item].item() == pytest.approx(score, abs=1e-5)
        assert metrics["sample_distance"][item].item() == pytest.approx(np.mean(among), abs=1e-5)
        assert metrics["nearest_iou"][item].item() == pytest.approx(1 - min(to_item), abs=1e-5)
        assert np.mean(among) > 0.01
    few = model.validate(batch, GenerationConfig(probability=0.5, batch_size=61))
    torch.testing.assert_close(few["energy_score"], metrics["energy_score"])


def test_the_energy_score_is_least_for_the_right_distribution() -> None:
    """Samples of radii drawn as those of the items score better than others and than one radius."""
    from onet.models.adversarial_occupancy import _scores

    points = 1.1 * (torch.rand(800, 3, generator=torch.Generator().manual_seed(0)) - 0.5)
    inside = points.norm(dim=1)

    def score(radii: Tensor) -> float:
        samples = inside < radii[:, None]
        items = torch.linspace(0.2, 0.5, 31)
        return float(torch.stack([_scores(samples, inside < r)[0] for r in items]).mean())

    right = score(torch.linspace(0.2, 0.5, 60))
    assert right < score(torch.linspace(0.3, 0.4, 60)) - 0.005
    assert right < score(torch.linspace(0.1, 0.4, 60)) - 0.005
    assert right < score(torch.full((60,), 0.38)) - 0.02


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z_dim": 0}, r"model\.z_dim"),
        ({"softness": -1.0}, r"model\.softness"),
        ({"validation_samples": 1}, r"model\.validation_samples"),
        ({"discriminator": {"type": "gird"}}, "did you mean 'grid'"),
        ({"c_dim": 3}, r"model\.c_dim.*unknown option"),
    ],
)
def test_bad_sections(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model({**SECTION, **changes})


# -- runs -----------------------------------------------------------------------------------------


class Spheres(torch.utils.data.Dataset):
    """Spheres of various radii, for unconditional models."""

    def __init__(self, count: int = 6, interrupt: int = 0) -> None:
        self.count, self.epoch, self.interrupt, self.reads = count, 0, interrupt, 0

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def fingerprint(self) -> str:
        return f"{self.count} spheres"

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.reads += 1
        if self.reads == self.interrupt:
            signal.raise_signal(signal.SIGTERM)
        rng = np.random.default_rng([self.epoch, index])
        points = rng.uniform(-0.55, 0.55, (24, 3)).astype(np.float32)
        depth = 0.2 + 0.3 * index / self.count - np.linalg.norm(points, axis=1)
        return {
            "points": points,
            "occupancies": (depth > 0).astype(np.float32),
            "distances": np.abs(depth).astype(np.float32),
            "inputs": np.empty(0, np.float32),
            "index": index,
        }


def config(model: dict[str, Any] = SECTION, **training: Any) -> Config:
    defaults = {
        "batch_size": 4,
        "optimizer": "rmsprop",
        "learning_rate": 1e-3,
        "max_iterations": 6,
        "validate_every": 3,
        "checkpoint_every": 2,
        "print_every": 1,
        "threads": 1,
        "device": "cpu",
        "selection_metric": "energy_score",
        "selection_mode": "min",
        "adversarial": {"penalty": {"type": "r1", "gamma": 1.0}},
    }
    tree = {
        "data": {"input": {"type": "none"}},
        "model": model,
        "training": {**defaults, **training},
        "generation": {"probability": 0.5, "resolution": 8},
    }
    return Config.model_validate(tree)


def run(folder: Path, settings: Config, interrupt: int = 0) -> Any:
    return train(
        settings, folder, datasets={"train": Spheres(interrupt=interrupt), "val": Spheres(2)}
    )


def weights(folder: Path, name: str = "last") -> dict[str, Tensor]:
    return load_checkpoint(folder / "checkpoints" / f"{name}.safetensors").state


RECIPES: dict[str, dict[str, Any]] = {
    "gan": {},
    "everything": {
        "ema": 0.9,
        "clip": 0.5,
        "adversarial": {
            "loss": "relativistic",
            "penalty": {"type": "r1_r2", "reg_param": 0.5, "norm": "field"},
            "discriminator_steps": 2,
            "discriminator_rate": 0.5,
            "noise": {"sigma": 0.1, "steps": 5},
            "watch": 2,
            "rollback": True,
        },
    },
    "optimistic": {"optimizer": "sgd", "adversarial": {"update": "optimistic"}},
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name == "gan" else []) for name in RECIPES],
)
def test_runs_resume_bit_for_bit(name: str, tmp_path: Path) -> None:
    section = {**SECTION, "spectral_norm": True} if name == "optimistic" else SECTION
    settings = config(VARIATIONAL if name == "everything" else section, **RECIPES[name])
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(whole, settings)
    assert run(parts, settings, interrupt=14).iterations < 6
    run(parts, settings)
    states = [weights(folder) for folder in (whole, parts)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    rows = [read_metrics(folder / "metrics.csv") for folder in (whole, parts)]
    for a, b in zip(*rows, strict=True):
        assert {**a, "minutes": 0} == {**b, "minutes": 0}
    logged = {"loss_g", "loss_d", "penalty", "d_real", "d_fake", "d_accuracy", "gradient_g"}
    assert logged <= rows[0][0].keys()


def test_both_players_move_and_the_rates_are_theirs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = build_model(SECTION).state_dict()
    moved = {}
    for rate in (1.0, 1e-6):
        settings = config(adversarial={"discriminator_rate": rate}, max_iterations=2)
        run(tmp_path / str(rate), settings)
        moved[rate] = {
            key: (value - start[key]).abs().max().item()
            for key, value in weights(tmp_path / str(rate)).items()
        }
    assert moved[1.0]["discriminator.fc_0.weight"] > 1e-4
    assert moved[1e-6]["discriminator.fc_0.weight"] < 1e-7
    assert min(m["decoder.fc_out.bias"] for m in moved.values()) > 1e-4


def test_a_trained_generator_is_loaded_and_samples_shapes(tmp_path: Path) -> None:
    run(tmp_path, config(ema=0.5))
    model = onet.load(tmp_path, "cpu")
    torch.manual_seed(0)
    for p in model.model.decoder.parameters():
        p.data = 0.5 * torch.randn_like(p)
    meshes = [model.reconstruct(seed=seed) for seed in (0, 0, 1)]
    assert len(meshes[0].faces) > 0 and len(meshes[2].faces) != len(meshes[0].faces)
    assert meshes[0].metadata["reconstruction"]["input"] == "none"
    for attribute in ("vertices", "faces"):
        assert np.array_equal(getattr(meshes[0], attribute), getattr(meshes[1], attribute))


def test_saturation_goes_back_to_healthy_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    observe = CollapseWatch.observe

    def late(self: CollapseWatch, report: Any, iteration: int) -> Any:
        changes = {**SURE, "gradient_g": 0.0} if iteration > 2 else {"d_accuracy": 0.5}
        return observe(self, {**report, **changes}, iteration)

    monkeypatch.setattr(CollapseWatch, "observe", late)
    section = {"watch": 2, "rollback": True}
    run(tmp_path / "a", config(adversarial=section, max_iterations=5))
    assert "saturation: the discriminator is right on 100" in caplog.text
    assert "went back to the weights of 2" in caplog.text
    run(tmp_path / "b", config(adversarial=section, max_iterations=3))
    assert torch.equal(
        weights(tmp_path / "a")["decoder.fc_out.weight"],
        weights(tmp_path / "b")["decoder.fc_out.weight"],
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"los": "hinge"}, r"training\.adversarial: los"),
        ({"loss": "hnge"}, "did you mean 'hinge'"),
        ({"penalty": {"type": "r3"}}, "unknown penalty 'r3'"),
        ({"penalty": {"gamma": 3}}, r"penalty\.type is missing"),
        ({"penalty": {"type": "r1", "gamma": -3}}, "0 or more"),
        ({"noise": {"sigmas": 1}}, "did you mean 'sigma'"),
        ({"update": "heun"}, "use SGD"),
        ({"watch": 0, "rollback": True}, "needs the watch"),
    ],
)
def test_bad_adversarial_sections(tmp_path: Path, section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, config(adversarial=section))


def test_a_model_without_discriminator_is_not_trained_adversarially(tmp_path: Path) -> None:
    plain = {
        "type": "occupancy",
        "c_dim": 0,
        "z_dim": 3,
        "decoder": {"type": "simple", "hidden_size": 8},
        "encoder_latent": {"type": "simple", "hidden_dim": 8},
    }
    with pytest.raises(ConfigError, match=r"no discriminator; choose model\.type=occupancy_gan"):
        run(tmp_path, config(plain))


def test_packaged_settings_are_what_they_say() -> None:
    for name in ("gan", "gan_small", "vae_gan", "vae_gan_small"):
        settings = load_config(name)
        model = build_model(settings.model)
        assert (model.encoder_latent is not None) == name.startswith("vae")
        assert settings.data.distances and settings.data.input == {"type": "none"}
        assert settings.generation.probability == 0.5
        assert model.infer_points >= 1024


def test_bf16_takes_steps(tmp_path: Path) -> None:
    run(tmp_path, config(VARIATIONAL, precision="bf16-mixed", max_iterations=2))
    assert all(torch.isfinite(v).all() for v in weights(tmp_path).values())
