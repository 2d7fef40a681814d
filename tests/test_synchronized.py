"""Several processes learn what one does; parts of a batch what the whole does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from onet.config import TrainingConfig
from onet.errors import ConfigError
from onet.training.fabric import build_fabric
from onet.training.synchronized import parts, synchronize
from onet.training.update import GradientUpdate

NORMS = """
import sys
import torch
from torch import distributed, nn
from onet.training.synchronized import synchronize

rank, world = int(sys.argv[1]), int(sys.argv[2])
distributed.init_process_group("gloo", init_method="file://" + sys.argv[3], rank=rank,
                               world_size=world)
for number, (norm, shape) in enumerate((
    (nn.BatchNorm1d(3), (8, 3)), (nn.BatchNorm1d(3, affine=False), (8, 3, 5)),
    (nn.BatchNorm2d(3, momentum=None), (8, 3, 4, 2)), (nn.BatchNorm3d(3), (8, 3, 2, 2, 2)),
)):
    torch.manual_seed(number)
    x = 100 + torch.randn(shape, dtype=torch.float64).float()
    factor = torch.randn(shape)
    model = nn.Sequential(norm)
    whole = x.clone().requires_grad_()
    own = x[rank::world].clone().requires_grad_()
    for step in range(2):
        truth = model(whole)
        (truth * factor).sum().backward()
    running = {key: value.clone() for key, value in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = None
    norm.reset_running_stats()
    assert synchronize(model) == 1 and synchronize(model) == 0
    assert model.state_dict().keys() == running.keys()
    for step in range(2):
        found = model(own)
        (found * factor[rank::world]).sum().backward()
    torch.testing.assert_close(found, truth[rank::world], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(own.grad, whole.grad[rank::world], rtol=1e-3, atol=1e-4)
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        distributed.all_reduce(p.grad)
        torch.testing.assert_close(p.grad, gradient, rtol=1e-3, atol=1e-3)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, running[key], rtol=1e-4, atol=1e-4)
    assert model.eval()(own).isfinite().all()
"""


def together(code: str, folder: Path) -> None:
    """Run a script in two processes that meet."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank), "2", str(folder / "meeting")],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said


def test_statistics_are_those_of_all_processes(tmp_path: Path) -> None:
    """Outputs, gradients and running statistics of two shares are those of the whole batch."""
    together(NORMS, tmp_path)


def test_parts_of_a_batch_hold_it_once() -> None:
    batch = {"points": torch.arange(12.0).reshape(6, 2), "inputs": {"image": torch.arange(6)}}
    found = [*parts(batch, 3)]
    assert torch.equal(torch.cat([part["points"] for part in found]), batch["points"])
    assert [part["inputs"]["image"].tolist() for part in found] == [[0, 1], [2, 3], [4, 5]]
    assert next(parts(batch, 1)) is batch


class Errors(nn.Module):
    """Mean square of the errors of a line; no statistics of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(3, 1)

    def loss(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"loss": (self.line(batch["points"])[:, 0] - batch["values"]).square().mean()}


@pytest.mark.parametrize("accumulate", [2, 4])
def test_an_update_in_parts_is_that_of_the_whole(accumulate: int) -> None:
    generator = torch.Generator().manual_seed(0)
    batch = {
        "points": torch.randn(8, 3, generator=generator),
        "values": torch.randn(8, generator=generator),
    }
    weights, losses = [], []
    for parts_of_batch in (1, accumulate):
        settings = TrainingConfig(
            batch_size=8,
            accumulate=parts_of_batch,
            device="cpu",
            precision="32-true",
            optimizer="sgd",
        )
        torch.manual_seed(1)
        model = Errors()
        update = GradientUpdate(build_fabric(settings)[0], model, settings)
        losses.append(float(update(batch, 0, 0.1)["loss"]))
        weights.append(model.line.weight.detach().clone())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    torch.testing.assert_close(weights[0], weights[1])


def test_batches_that_do_not_split_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"training.batch_size: 6 items .* in 4 parts"):
        build_fabric(TrainingConfig(batch_size=6, accumulate=4, device="cpu"))


def test_other_modules_stay() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.GroupNorm(1, 3))
    kinds = [type(module) for module in model]
    assert synchronize(model) == 0 and [type(module) for module in model] == kinds


STEPS = """
import sys
import torch
from torch import distributed
from onet.config import load_config
from onet.models import build_model, fit_to_data
from onet.training.synchronized import synchronize

rank, world = int(sys.argv[1]), int(sys.argv[2])
distributed.init_process_group("gloo", init_method="file://" + sys.argv[3], rank=rank,
                               world_size=world)
config = load_config("pointcloud_small", {
    "model.encoder.hidden_dim": 8, "model.c_dim": 8,
    "model.decoder": {"type": "cbatchnorm", "hidden_size": 8},
})

def batch(step):
    rng = torch.Generator().manual_seed(step)
    points = torch.rand(4, 64, 3, generator=rng) - 0.5
    radii = 0.15 + 0.3 * torch.rand(4, 1, generator=rng)
    surface = torch.nn.functional.normalize(torch.randn(4, 300, 3, generator=rng), dim=-1)
    return {"points": points, "occupancies": (points.norm(dim=-1) < radii).float(),
            "inputs": surface * radii[..., None], "index": torch.arange(4)}

def train(share, synchronized):
    torch.manual_seed(0)
    model = build_model(fit_to_data(config.model, 4)).train()
    if synchronized:
        synchronize(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=2e-4)
    losses = []
    for step in range(50):
        whole = batch(step)
        loss = model.loss({k: v[rank::world] for k, v in whole.items()} if share else whole)["loss"]
        optimizer.zero_grad()
        loss.backward()
        loss = loss.detach().clone()
        for value in [loss, *(p.grad for p in model.parameters() if p.grad is not None)] * share:
            distributed.all_reduce(value)
            value /= world
        optimizer.step()
        losses.append(float(loss))
    return torch.tensor(losses)

one = train(False, False)
assert one[-5:].mean() < 0.8 * one[:5].mean()
torch.testing.assert_close(train(True, True), one, rtol=1e-4, atol=0)
assert ((train(True, False) - one).abs() / one).max() > 1e-3
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    """50 steps with the same global batch; without synchronised statistics losses differ."""
    together(STEPS, tmp_path)
