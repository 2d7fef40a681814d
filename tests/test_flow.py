"""Occupancy flow: velocities, integration, losses, weights of the published layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_weights import randomise
from torch import Tensor

from onet.checkpoints.checkpoint import restored
from onet.checkpoints.published_weights import read_checkpoint
from onet.config import load_config
from onet.errors import ConfigError
from onet.models import build_model, check_config
from onet.models.flow import OccupancyFlow
from onet.models.motion_code import MotionCode
from onet.nn.integration import Integration, carry
from onet.nn.sequence_encoders import SEQUENCE_ENCODERS
from onet.nn.sequence_encoders.frames import at_even_times
from onet.nn.sequence_encoders.pointnet import TemporalPointNetEncoder
from onet.nn.velocity import VelocityField

CONFIGS = (
    *("flow_pointcloud", "flow_pointcloud_correspond", "flow_img", "flow_img_correspond"),
    *("flow_interpolation", "flow_shape_matching", "flow_generative", "flow_representation"),
    *("flow_frames", "flow_small", "flow_small_correspond", "onet4d", "psgn4d"),
    *("psgn4d_correspond", "flow_frames_small", "onet4d_small", "psgn4d_small_correspond"),
)
PUBLISHED = {  # parameters and keys
    "flow_pointcloud_correspond": (21_192_452, 193),
    "flow_pointcloud": (2_503_556, 193),
    "flow_generative": (905_348, 90),
}


def small(**options: Any) -> OccupancyFlow:
    """A small model with weights that matter."""
    torch.manual_seed(0)
    sections: dict[str, Any] = {
        "decoder": {"type": "simple", "hidden_size": 8},
        "encoder": {"type": "pointnet_resnet", "hidden_dim": 8},
        "encoder_temporal": {"type": "pointnet_frames", "hidden_dim": 8},
        "velocity": {"hidden_size": 8, "n_blocks": 2},
        "c_dim": 6,
        "correspondence": "both",
    }
    model = randomise(OccupancyFlow(**(sections | options)))
    assert isinstance(model, OccupancyFlow)
    return model.eval()


def batch(items: int = 3, frames: int = 4) -> dict[str, Any]:
    """What training gives a model."""
    rng = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng) - 0.5

    times = torch.linspace(0, 1, frames).expand(items, -1)
    return {
        "inputs": {"frames": draw(items, frames, 20, 3), "times": times},
        "points": draw(items, 30, 3),
        "occupancies": (draw(items, 30) > 0).float(),
        "later_points": draw(items, 30, 3),
        "later_occupancies": (draw(items, 30) > 0).float(),
        "later_time": torch.tensor([0.2, 1.0, 0.0])[:items],
        "trajectories": draw(items, frames, 10, 3),
        "trajectory_times": times,
        "frame_points": draw(items, frames, 15, 3),
        "frame_occupancies": (draw(items, frames, 15) > 0).float(),
    }


def turning(points: Tensor, times: Tensor, item: int | None) -> Tensor:
    """A field whose flow is known: a turn around z by an angle of 2 t^2."""
    speed = 4 * times.view(-1, 1, 1)
    x, y, z = points.unbind(-1)
    return speed * torch.stack([-y, x, torch.zeros_like(z)], -1)


def turned(points: Tensor, times: Tensor) -> Tensor:
    angle = 2 * times.view(-1, 1) ** 2
    x, y, z = points.unbind(-1)
    return torch.stack(
        [angle.cos() * x - angle.sin() * y, angle.sin() * x + angle.cos() * y, z], -1
    )


@pytest.mark.parametrize("solver", ["rk4", "dopri5"])
def test_integration_follows_a_known_flow_and_comes_back(solver: Any) -> None:
    if solver == "dopri5":
        pytest.importorskip("torchdiffeq")
    points = torch.rand(2, 50, 3, generator=torch.Generator().manual_seed(0)).double() - 0.5
    times = torch.tensor([[0.25, 0.5, 1.0], [0.1, 0.9, 0.95]]).double()
    how = Integration(solver, steps=32, rtol=1e-7, atol=1e-9)
    ways = carry(turning, points, torch.zeros(2).double(), times, how)
    for k in range(3):
        torch.testing.assert_close(ways[:, k], turned(points, times[:, k]), atol=2e-5, rtol=0)
    back = carry(turning, ways[:, -1], times[:, -1], torch.zeros(2, 1).double(), how)
    torch.testing.assert_close(back[:, 0], points, atol=2e-5, rtol=0)


def test_rk4_is_of_fourth_order() -> None:
    points = torch.rand(1, 50, 3, generator=torch.Generator().manual_seed(0)).double() - 0.5
    zero, one = torch.zeros(1).double(), torch.ones(1, 1).double()
    errors = [
        float((carry(turning, points, zero, one, Integration(steps=n))[:, 0]
               - turned(points, one[:, 0])).abs().max())
        for n in (4, 8, 16)
    ]  # fmt: skip
    assert errors[0] / errors[1] > 10 and errors[1] / errors[2] > 10


@pytest.mark.parametrize("solver", ["rk4", "dopri5"])
def test_an_item_does_not_depend_on_its_batch(solver: Any) -> None:
    if solver == "dopri5":
        pytest.importorskip("torchdiffeq")
    model = small(solver={"type": solver}).double()
    motions = torch.tensor([[1.0], [8.0], [0.1]]) * torch.randn(3, 6)
    code = MotionCode(torch.randn(3, 6).double(), motions.double())
    points = torch.rand(3, 40, 3).double() - 0.5
    start = torch.tensor([0.0, 0.7, 0.3]).double()
    times = torch.tensor([[0.5, 1.0], [0.1, 0.0], [0.3, 0.4]]).double()
    together = model.flow(points, start, times, code)
    for k in range(3):
        own = MotionCode(code.shape[k : k + 1], code.motion[k : k + 1])
        alone = model.flow(points[k : k + 1], start[k : k + 1], times[k : k + 1], own)
        torch.testing.assert_close(together[k : k + 1], alone, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("how", ["forward", "both", "velocities"])
def test_points_that_move_as_told_cost_nothing(how: Any) -> None:
    model = small(correspondence=how, reconstruction=False, velocity={"at_rest": True})
    data = batch()
    start, way = data["trajectories"][:, :1], torch.tensor([0.3, -0.2, 0.1])
    data["trajectories"] = start + data["trajectory_times"][:, :, None, None] * way
    torch.nn.init.zeros_(model.vector_field.fc_out.weight)
    torch.nn.init.zeros_(model.vector_field.fc_out.bias)
    factor = 1.0 if how == "velocities" else float(data["trajectory_times"][0, 1:].mean())
    expected = factor * float(way.norm())
    assert float(model.loss(data)["correspondence"]) == pytest.approx(expected, rel=1e-5)
    with torch.no_grad():
        model.vector_field.fc_out.bias.copy_(way)
    assert float(model.loss(data)["loss"].detach()) == pytest.approx(0, abs=1e-5)


def test_velocities_and_the_shape_at_the_start_need_no_integration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("onet.models.flow.carry")
    model = small(reconstruction="start", correspondence="velocities")
    losses = model.loss(batch())
    losses["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    with pytest.raises(NameError):
        small(reconstruction=True, correspondence="velocities").loss(batch())


def test_training_can_start_at_rest() -> None:
    torch.manual_seed(0)
    for rest in (True, False):
        field = VelocityField(4, hidden_size=8, n_blocks=1, at_rest=rest)
        found = field(torch.rand(2, 5, 3), torch.rand(2), field.added(torch.rand(2, 4), None))
        assert bool((found == 0).all()) == rest


def test_the_weight_of_correspondences() -> None:
    losses = [small(correspondence_weight=w).loss(batch()) for w in (0.0, 1.0, 10.0)]
    distance = losses[0]["correspondence"] + losses[0]["backward"]
    assert losses[0]["loss"].detach() == losses[0]["reconstruction"]
    for found, weight in zip(losses, (0, 1, 10), strict=True):
        expected = losses[0]["reconstruction"] + weight * distance
        torch.testing.assert_close(found["loss"].detach(), expected)
    with pytest.raises(ConfigError, match="correspondence_weight"):
        small(correspondence_weight=-1.0)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_ways_from_the_first_place_tell_what_coordinates_tell(scale: float) -> None:
    torch.manual_seed(0)
    ways = TemporalPointNetEncoder(4, 8, frames=3, relative=True, way_scale=scale)
    places = TemporalPointNetEncoder(4, 8, frames=3)
    weights = ways.state_dict()
    w = weights["fc_pos.weight"].view(-1, 3, 3) * torch.tensor([1, scale, scale])[:, None]
    w = torch.stack([w[:, 0] - w[:, 1] - w[:, 2], w[:, 1], w[:, 2]], 1)
    places.load_state_dict(weights | {"fc_pos.weight": w.flatten(1)})
    frames, times = torch.rand(2, 3, 10, 3), torch.tensor([[0.0, 0.5, 1.0]] * 2)
    torch.testing.assert_close(ways(frames, times), places(frames, times), rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="way_scale"):
        TemporalPointNetEncoder(4, 8, way_scale=0)
    with pytest.raises(ConfigError, match="no ways"):
        TemporalPointNetEncoder(4, 8, way_scale=10)


def test_adjoint_gradients_are_those_of_backpropagation() -> None:
    pytest.importorskip("torchdiffeq")
    gradients = []
    for adjoint in (True, False):
        model = small(solver={"type": "dopri5", "rtol": 1e-6, "atol": 1e-8, "adjoint": adjoint})
        model.loss(batch())["loss"].backward()
        gradients.append({n: p.grad for n, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None and gradients[1][name] is not None, name
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-3, rtol=1e-2, msg=name)


def test_a_solver_that_cannot_reach_its_tolerance_is_named_and_replaced(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torchdiffeq")
    monkeypatch.setattr("onet.nn.integration.MOST_EVALUATIONS", 5)
    points, zero = torch.rand(1, 5, 3) - 0.5, torch.zeros(1)
    times = torch.tensor([[0.5, 1.0]])
    how = Integration("dopri5", steps=32)
    ways = carry(turning, points, zero, times, how)
    assert "item 0: dopri5 cannot reach" in caplog.text
    fixed = carry(turning, points, zero, times, Integration(steps=32))
    torch.testing.assert_close(ways, fixed)


def test_the_loss_is_the_sum_of_its_parts_and_reaches_every_weight() -> None:
    model = small()
    losses = model.loss(batch())
    losses["loss"].backward()
    parts = [losses[key] for key in ("reconstruction", "correspondence", "backward")]
    torch.testing.assert_close(losses["loss"].detach(), sum(parts))
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_points_that_stand_still_have_no_correspondence_error() -> None:
    model = small(velocity={"hidden_size": 8, "n_blocks": 2})
    torch.nn.init.zeros_(model.vector_field.fc_out.weight)
    torch.nn.init.zeros_(model.vector_field.fc_out.bias)
    given = batch()
    given["trajectories"] = given["trajectories"][:, :1].expand(-1, 4, -1, -1)
    assert model.loss(given)["correspondence"] == 0
    metrics = model.validate(given)
    assert metrics["l2"].max() == 0 and metrics["cycle"].max() == 0
    assert metrics["iou"].shape == (3,)


def test_one_latent_code_is_counted_once() -> None:
    latent = {"type": "pointnet", "hidden_dim": 8, "frames": 1}
    none = {"encoder": None, "encoder_temporal": None, "c_dim": 0, "z_dim": 5}
    one = small(**none, encoder_latent=latent)
    two = small(**none, encoder_latent=latent, encoder_latent_temporal={**latent, "frames": 4})
    (posterior,) = one.posteriors(batch()["inputs"], one.encode(batch()["inputs"]))
    code = one.observe(batch()["inputs"])
    assert code.latent_shape is code.latent_motion
    from onet.models.motion_code import divergence

    torch.testing.assert_close(one.loss(batch())["kl"], divergence(posterior).mean().detach())
    assert len(two.posteriors(batch()["inputs"], two.encode(batch()["inputs"]))) == 2
    sampled = two.sample_prior(4, torch.Generator().manual_seed(0))
    assert sampled.latent_shape is not None and sampled.latent_motion is not None
    assert not torch.equal(sampled.latent_shape, sampled.latent_motion)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_published_sizes(name: str) -> None:
    model = build_model(load_config(name).model)
    counts = sum(p.numel() for p in model.parameters()), len(model.state_dict())
    assert counts == PUBLISHED[name]
    prefixes = {key.split(".")[0] for key in model.state_dict()}
    latent = {"encoder_latent", "encoder_latent_temporal"}
    seen = {"encoder", "encoder_temporal"} if "generative" not in name else latent
    assert prefixes == {"decoder", "vector_field"} | seen
    assert {"vector_field.fc_p.weight", "vector_field.blocks.0.fc_1.bias"} <= {*model.state_dict()}


@pytest.mark.parametrize("name", ["flow_generative", "flow_pointcloud"])
def test_a_published_file_is_recognised_with_equal_outputs(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = randomise(build_model(load_config(name).model)).eval()
    torch.save({"model": model.state_dict(), "it": 7, "epoch_it": 1}, tmp_path / "w.pt")
    checkpoint = read_checkpoint(tmp_path / "w.pt")
    assert checkpoint.config.model == load_config(name).model
    assert checkpoint.metadata["iteration"] == 7
    again: Any = restored(checkpoint, build_model).eval()
    inputs = {"frames": torch.rand(1, 17, 9, 3), "times": torch.linspace(0, 1, 17)[None]}
    points, at = torch.rand(1, 5, 3), torch.tensor([0.5])
    with torch.no_grad():
        for one in (model, again):
            one.integration = Integration()
        first, second = (m.occupancy(points, at, m.observe(inputs)) for m in (model, again))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_parts_of_every_configuration_go_together(name: str) -> None:
    check_config(load_config(name))


@pytest.mark.parametrize("name", list(SEQUENCE_ENCODERS))
def test_encoders_take_any_number_of_frames(name: str) -> None:
    section = {"type": name, "hidden_dim": 4}
    encoder = SEQUENCE_ENCODERS.build(section, "model.encoder_temporal", c_dim=6)
    for length in (2, 5, 17):
        shape = (12, 3) if encoder.observes == "points" else (3, 32, 32)
        times = torch.linspace(0, 1, length).expand(2, -1)
        assert encoder(torch.rand(2, length, *shape), times).shape == (2, 6)


def test_frames_that_need_not_correspond_may_be_in_any_order() -> None:
    encoder = SEQUENCE_ENCODERS.build({"type": "pointnet_frames", "hidden_dim": 8}, "", c_dim=6)
    frames, times = torch.rand(1, 3, 20, 3), torch.tensor([[0.0, 0.3, 1.0]])
    mixed = torch.stack([f[torch.randperm(20)] for f in frames[0]])[None]
    torch.testing.assert_close(encoder(frames, times), encoder(mixed, times))


def test_frames_at_other_times_lie_on_straight_lines() -> None:
    times = torch.tensor([[0.0, 0.1, 1.0]])
    line = times[:, :, None, None] * torch.tensor([1.0, 2.0, 3.0])
    even = at_even_times(line.expand(-1, -1, 4, -1), times, 5)
    wanted = torch.linspace(0, 1, 5)[None, :, None, None] * torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(even, wanted.expand(1, 5, 4, 3))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"solver": {"type": "euler"}}, "model.solver.type"),
        ({"solver": {"stepz": 3}}, "model.solver.stepz"),
        ({"solver": {"steps": 0}}, "model.solver.steps"),
        ({"solver": {"rtol": 0.0}}, "model.solver.rtol"),
        ({"decoder": None}, "model.decoder"),
        ({"velocity": {"n_blocks": 0}}, "model.velocity.n_blocks"),
        ({"velocity": {"hiden": 4}}, "model.velocity.hiden"),
        ({"c_dim": 0}, "model.c_dim"),
        ({"z_dim": 4}, "model.z_dim"),
        ({"reconstruction": False, "correspondence": "none"}, "model.correspondence"),
        ({"reconstruction": "start", "correspondence": "none"}, "model.correspondence"),
    ],
)
def test_options_are_checked(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        small(**options)


def test_inputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="pointnet_frames"):
        check_config(load_config("flow_pointcloud", {"data.input.corresponding": False}))
    with pytest.raises(ConfigError, match="point_sequence"):
        check_config(load_config("flow_pointcloud", {"data.input": {"type": "pointcloud"}}))
    with pytest.raises(ConfigError, match="observes"):
        check_config(load_config("flow_pointcloud", {"data.input": {"type": "image_sequence"}}))


def test_data_without_correspondences_are_refused_where_they_are_learned_from() -> None:
    given = batch()
    del given["trajectories"]
    with pytest.raises(ConfigError, match="correspondence"):
        small().loss(given)
    assert np.isfinite(small(correspondence="none").loss(given)["loss"].item())
