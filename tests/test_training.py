"""Runs on spheres in memory: determinism, resumption, stops, records, bad input."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from onet.checkpoints import checkpoint as checkpoints
from onet.checkpoints.checkpoint import load_checkpoint, resolve_checkpoint
from onet.config import Config, load_config
from onet.data.build import build_datasets
from onet.data.item_writing import write_pointcloud, write_points
from onet.errors import CheckpointError, ConfigError, DataError
from onet.geometry.normalization import UnitFrame
from onet.models import OccupancyNetwork, build_model
from onet.training import loop
from onet.training.convergence import loss_improving, validation_improving
from onet.training.fabric import build_fabric
from onet.training.logs import read_metrics
from onet.training.loop import TrainingError, train
from onet.training.optimizer import build_optimizer
from onet.training.precision import choose_precision
from onet.training.schedule import LearningRate
from onet.training.stream import StreamSampler, lasting_batches, training_batches
from onet.training.validation import validate


class Spheres(torch.utils.data.Dataset):
    """Spheres of various radii; item i has 16 + i query points when `ragged`."""

    def __init__(self, count: int = 6, seed: int = 0, ragged: bool = False) -> None:
        self.count, self.seed, self.ragged, self.epoch = count, seed, ragged, 0
        self.poisoned = False

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def fingerprint(self) -> str:
        return f"{self.count} spheres"

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        radius = 0.2 + 0.3 * index / self.count
        points = rng.uniform(-0.55, 0.55, (16 + index * self.ragged, 3)).astype(np.float32)
        surface = rng.standard_normal((20, 3)).astype(np.float32)
        surface *= radius / np.linalg.norm(surface, axis=1, keepdims=True)
        inside = (np.linalg.norm(points, axis=1) < radius).astype(np.float32)
        if self.poisoned:
            inside[0] = np.nan
        return {"points": points, "occupancies": inside, "inputs": surface, "index": index}


def config(**training: Any) -> Config:
    small = {
        "type": "occupancy",
        "c_dim": 8,
        "z_dim": 0,
        "encoder": {"type": "pointnet_resnet", "hidden_dim": 8},
        "decoder": {"type": "cbatchnorm", "hidden_size": 8},
    }
    defaults = {
        "batch_size": 4,
        "learning_rate": 1e-2,
        "max_iterations": 7,
        "validate_every": 3,
        "checkpoint_every": 2,
        "print_every": 1,
        "threads": 1,
        "device": "cpu",
    }
    return Config.model_validate({"model": small, "training": {**defaults, **training}})


def run(
    run_dir: Path,
    resume: bool = True,
    datasets: Any = None,
    clock: Callable[[], float] = time.monotonic,
    **training: Any,
) -> Any:
    datasets = datasets or {"train": Spheres(), "val": Spheres(3, seed=1, ragged=True)}
    return train(config(**training), run_dir, resume=resume, datasets=datasets, clock=clock)


def weights(run_dir: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return load_file(run_dir / "checkpoints" / f"{name}.safetensors")


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(folder)
    return folder


def test_same_seed_gives_the_same_weights_and_another_seed_does_not(
    finished: Path, tmp_path: Path
) -> None:
    torch.rand(3)  # the caller's generator is of no account
    run(tmp_path / "same")
    run(tmp_path / "other", seed=1)
    assert_same(weights(finished), weights(tmp_path / "same"))
    other = weights(tmp_path / "other")
    assert not torch.equal(
        weights(finished)["encoder.fc_pos.weight"], other["encoder.fc_pos.weight"]
    )


def test_interrupted_and_resumed_equals_uninterrupted(
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    class Interrupting(Spheres):
        reads = 0

        def __getitem__(self, index: int) -> dict[str, Any]:
            Interrupting.reads += 1
            if Interrupting.reads == 18:  # in the fifth batch, the second epoch
                os.kill(os.getpid(), signal.SIGTERM)
            return super().__getitem__(index)

    datasets = {"train": Interrupting(), "val": Spheres(3, seed=1, ragged=True)}
    before = signal.getsignal(signal.SIGTERM)
    result = run(tmp_path, datasets=datasets)
    assert (result.stopped, result.iterations) == ("interrupted", 5)
    assert signal.getsignal(signal.SIGTERM) == before
    assert "to resume" in caplog.text
    assert load_checkpoint(tmp_path / "checkpoints/last.safetensors").metadata["iteration"] == 5

    result = run(tmp_path)
    assert (result.stopped, result.iterations) == ("max_iterations", 7)
    for name in ("last", "best"):
        assert_same(weights(finished, name), weights(tmp_path, name))
    rows = [read_metrics(folder / "metrics.csv") for folder in (finished, tmp_path)]
    for a, b in zip(*rows, strict=True):
        assert {**a, "minutes": 0} == {**b, "minutes": 0}


RECIPE = {
    "optimizer": "adamw",
    "weight_decay": 0.1,
    "warmup": 3,
    "schedule": "cosine",
    "ema": 0.9,
    "clip": 0.5,
}


def test_every_option_of_the_recipe_resumes_bit_for_bit(tmp_path: Path) -> None:
    class Interrupting(Spheres):
        reads = 0

        def __getitem__(self, index: int) -> dict[str, Any]:
            Interrupting.reads += 1
            if Interrupting.reads == 16:  # in the fourth batch
                signal.raise_signal(signal.SIGTERM)
            return super().__getitem__(index)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(whole, **RECIPE)
    datasets = {"train": Interrupting(), "val": Spheres(3, seed=1, ragged=True)}
    assert run(parts, datasets=datasets, **RECIPE).iterations == 4
    run(parts, **RECIPE)
    for name in ("last", "best"):
        assert_same(weights(whole, name), weights(parts, name))
    states = [torch.load(f / "checkpoints/optimizer-7.pt") for f in (whole, parts)]
    assert_same(states[0]["weights"], states[1]["weights"])
    rows = [read_metrics(folder / "metrics.csv") for folder in (whole, parts)]
    for a, b in zip(*rows, strict=True):
        assert {**a, "minutes": 0} == {**b, "minutes": 0}
    rates = [row["learning_rate"] for row in rows[0] if row["split"] == "train"]
    assert rates == [LearningRate(config(**RECIPE).training)(step, 0.0) for step in range(7)]


@pytest.mark.slow
@pytest.mark.parametrize("key", sorted(RECIPE.keys() - {"weight_decay"}))
def test_each_option_of_the_recipe_changes_the_course(
    finished: Path, tmp_path: Path, key: str
) -> None:
    decay = {"weight_decay": 0.1} if key == "optimizer" else {}
    run(tmp_path, **{key: RECIPE[key]}, **decay)
    same = weights(finished)["decoder.fc_out.weight"]
    assert not torch.equal(same, weights(tmp_path)["decoder.fc_out.weight"])


@pytest.mark.slow
def test_the_average_is_validated_and_saved(tmp_path: Path) -> None:
    """A run that is not told to average, with the same steps, gives the weights to average."""
    decay, averaged = 0.25, None
    run(tmp_path / "averaged", ema=decay, max_iterations=3)
    for steps in range(4):
        folder = tmp_path / f"{steps}"
        if steps:
            run(folder, max_iterations=steps, validate_every=100)
            state = {key: value.double() for key, value in weights(folder).items()}
        else:
            torch.manual_seed(0)
            state = {k: v.double() for k, v in build_model(config().model).state_dict().items()}
        if averaged is None:
            averaged = state
        keep = min(decay, (1 + steps) / (10 + steps)) if steps else 0
        averaged = {k: keep * averaged[k] + (1 - keep) * state[k] for k in state}
    found = weights(tmp_path / "averaged")
    for key, value in averaged.items():
        if found[key].is_floating_point():
            torch.testing.assert_close(found[key].double(), value, atol=1e-6, rtol=1e-4)
        else:
            assert torch.equal(found[key], weights(tmp_path / "3")[key])
    training = torch.load(tmp_path / "averaged/checkpoints/optimizer-3.pt")["weights"]
    assert_same(training, weights(tmp_path / "3"))
    model = build_model(config().model)
    model.load_state_dict(found)
    values = []
    for item in (Spheres(3, seed=1, ragged=True)[i] for i in range(3)):
        batch = {key: torch.as_tensor(value)[None] for key, value in item.items()}
        values.append(float(model.eval().validate(batch)["loss"]))
    last = load_checkpoint(tmp_path / "averaged/checkpoints/last.safetensors").metadata["metrics"]
    assert last["loss"] == pytest.approx(np.mean(values), rel=1e-5)


def test_learning_rate_rises_and_falls() -> None:
    plain = LearningRate(config(warmup=10, learning_rate=2.0).training)
    assert [plain(step, 1e9) for step in (0, 4, 9, 10, 10**6)] == [0.2, 1.0, 2.0, 2.0, 2.0]
    limits = {"max_iterations": 100, "max_minutes": 8.0}
    both = LearningRate(config(schedule="cosine", learning_rate=2.0, **limits).training)
    assert both(0, 0.0) == 2
    assert both(50, 0.0) == both(0, 4.0) == both(50, 4.0) == pytest.approx(1)
    assert both(100, 0.0) == both(0, 9.0) == 0
    course = [both(step, 0.08 * step) for step in range(101)]
    assert all(a > b for a, b in pairwise(course))
    assert not plain.timed and both.timed


def ticking() -> Callable[[], float]:
    """Return a clock of one run alone, a second further at every look: no machine disturbs it."""
    ticks = count()
    return lambda: float(next(ticks))


def test_time_limit_alone_lets_the_rate_fall_to_nothing(tmp_path: Path) -> None:
    limit = {"max_iterations": None, "max_minutes": 2.0, "schedule": "cosine"}
    result = run(tmp_path, learning_rate=1.0, clock=ticking(), **limit)
    assert result.stopped == "max_minutes" and 2.0 <= result.minutes < 2.2
    rows = read_metrics(tmp_path / "metrics.csv")
    rates = [row["learning_rate"] for row in rows if row["split"] == "train"]
    assert rates[0] > 0.9 and rates[-1] < 0.2
    assert rates == sorted(rates, reverse=True)


def test_weight_decay_spares_vectors() -> None:
    model = torch.nn.Linear(3, 3)
    optimizer = build_optimizer(
        model.parameters(), config(optimizer="adamw", weight_decay=0.5).training
    )
    before = [p.detach().clone() for p in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    (weight, bias), lr = model.parameters(), 1e-2
    torch.testing.assert_close(weight, (1 - 0.5 * lr) * before[0])
    assert torch.equal(bias, before[1])


def test_clipped_steps_have_the_norm_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = []
    step = torch.optim.Adam.step

    def recording(self: torch.optim.Adam, *arguments: Any) -> Any:
        gradients = [p.grad.norm() for g in self.param_groups for p in g["params"]]
        norms.append(float(torch.stack(gradients).norm()))
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", recording)
    run(tmp_path / "a", max_iterations=2)
    run(tmp_path / "b", max_iterations=2, clip=norms[0] / 2)
    assert norms[2] == pytest.approx(norms[0] / 2, rel=1e-4)


def test_impossible_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.weight_decay.*adamw"):
        run(tmp_path / "a", weight_decay=0.1)
    with pytest.raises(ConfigError, match=r"training\.schedule.*max_minutes"):
        run(tmp_path / "b", schedule="cosine", max_iterations=None)
    run(tmp_path / "c", max_iterations=1)
    with pytest.raises(CheckpointError, match=r"another optimiser.*training\.optimizer"):
        run(tmp_path / "c", optimizer="adamw")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard, also where tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_interrupt_during_validation_is_made_up_for(finished: Path, tmp_path: Path) -> None:
    class Interrupting(Spheres):
        reads = 0

        def __getitem__(self, index: int) -> dict[str, Any]:
            Interrupting.reads += 1
            if Interrupting.reads == 3:  # the first is read before training
                signal.raise_signal(signal.SIGINT)
            return super().__getitem__(index)

    datasets = {"train": Spheres(), "val": Interrupting(3, seed=1, ragged=True)}
    result = run(tmp_path, datasets=datasets)
    assert (result.stopped, result.iterations, result.last) == ("interrupted", 3, None)
    result = run(tmp_path)
    assert [
        r["iteration"] for r in read_metrics(tmp_path / "metrics.csv") if r["split"] == "val"
    ] == [
        3,
        6,
        7,
    ]
    assert_same(weights(finished, "best"), weights(tmp_path, "best"))


def test_run_folder(finished: Path) -> None:
    assert load_config(finished / "config.yaml") == config()
    result = json.loads((finished / "training.json").read_text())
    assert result["stopped"] == "max_iterations"
    assert result["iterations"] == 7
    assert result["epochs"] == 7 * 4 // 6
    assert result["threads"] == 1
    assert result["best"]["iteration"] in (3, 6, 7)
    assert (finished / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((finished / "logs").glob("events*"))
    rows = read_metrics(finished / "metrics.csv")
    assert [r["iteration"] for r in rows if r["split"] == "train"] == [1, 2, 3, 4, 5, 6, 7]
    validations = [r for r in rows if r["split"] == "val"]
    assert [r["iteration"] for r in validations] == [3, 6, 7]
    assert max(r["iou"] for r in validations) == pytest.approx(result["best"]["iou"])
    assert not list(finished.rglob("*.tmp*"))

    checkpoint = load_checkpoint(finished)
    assert checkpoint.path.name == "best.safetensors"
    assert checkpoint.config == config()
    assert checkpoint.metadata["iteration"] == result["best"]["iteration"]
    assert checkpoint.metadata["data_fingerprint"] == "6 spheres"
    assert checkpoint.metadata.keys() >= {"epoch", "metrics", "seed", "git", "version"}


def test_validation_weighs_items_equally(finished: Path) -> None:
    """Items differ in their numbers of points, so batches or points as weights would show."""
    checkpoint = load_checkpoint(finished / "checkpoints/last.safetensors")
    model = build_model(checkpoint.config.model)
    model.load_state_dict(checkpoint.state)
    model.eval()
    values = []
    for item in (Spheres(3, seed=1, ragged=True)[i] for i in range(3)):
        batch = {key: torch.as_tensor(value)[None] for key, value in item.items()}
        values.append({key: float(v) for key, v in model.validate(batch).items()})
    for key in ("iou", "loss"):
        expected = np.mean([v[key] for v in values])
        assert checkpoint.metadata["metrics"][key] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("epoch", [0, 7])
def test_validation_sees_the_same_points_every_time(epoch: int) -> None:
    """Whatever epoch the dataset was at: training and validation may share one."""
    fabric, _ = build_fabric(config().training)
    model, source = build_model(config().model), Spheres(3)
    seen = []

    class Model(torch.nn.Module):
        def validate(self, batch: Any, settings: Any) -> dict[str, torch.Tensor]:
            seen.append(batch["points"])
            return model.validate(batch, settings)

    source.set_epoch(epoch)
    validate(fabric, Model(), source, config().generation)
    source.set_epoch(0)
    expected = [source[index]["points"] for index in range(3)]
    np.testing.assert_array_equal(torch.cat(seen).numpy(), expected)


@pytest.mark.slow
def test_training_lowers_the_loss(tmp_path: Path) -> None:
    run(tmp_path, max_iterations=60, validate_every=60, checkpoint_every=60)
    losses = [r["loss"] for r in read_metrics(tmp_path / "metrics.csv") if r["split"] == "train"]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_bf16_trains_and_writes_float32(tmp_path: Path) -> None:
    run(tmp_path, precision="bf16-mixed", max_iterations=3)
    assert all(
        value.dtype == torch.float32 for key, value in weights(tmp_path).items() if "num" not in key
    )


@pytest.mark.slow
def test_automatic_precision_is_one_of_the_two(tmp_path: Path) -> None:
    result = run(tmp_path, precision="auto", max_iterations=1)
    assert result.precision in ("32-true", "bf16-mixed")
    assert choose_precision("mps") == "32-true"


def test_trains_on_a_prepared_store(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = UnitFrame(np.zeros(3), 1.0)
    for model in "ab":
        points = rng.uniform(-0.5, 0.5, (64, 3)).astype(np.float16)
        inside = np.linalg.norm(points.astype(np.float64), axis=1) < 0.4
        write_points(tmp_path / "store/ball" / model / "points.npz", points, inside, frame)
        write_pointcloud(tmp_path / "store/ball" / model / "pointcloud.npz", points, points, frame)
    for split in ("train", "val"):
        (tmp_path / f"store/ball/{split}.lst").write_text("a\nb\n")
    settings = config(max_iterations=2, validation_points=5)
    data = settings.data.model_copy(update={"path": tmp_path / "store", "points_subsample": 10})
    settings = settings.model_copy(update={"data": data})
    datasets = build_datasets(settings)
    assert [len(datasets[key]) for key in ("train", "val")] == [2, 2]
    shapes = [datasets[key][0]["points"].shape for key in ("train", "val")]
    assert shapes == [(10, 3), (5, 3)]
    result = train(settings, tmp_path / "run")
    assert result.iterations == 2
    assert load_checkpoint(tmp_path / "run").metadata["data_fingerprint"] == (
        datasets["train"].fingerprint()
    )
    (tmp_path / "store/ball/val.lst").write_text("")
    with pytest.raises(DataError, match="val"):
        build_datasets(settings)


def test_max_minutes_stops(tmp_path: Path) -> None:
    limit = {"max_iterations": None, "max_minutes": 0.5}
    result = run(tmp_path, clock=ticking(), **limit)
    assert result.stopped == "max_minutes"
    assert result.iterations > 0
    assert result.last["iteration"] == result.iterations
    again = run(tmp_path, clock=ticking(), **limit)
    assert again.iterations == result.iterations


def test_minutes_are_those_of_the_clock_on_the_wall_unless_another_is_given(tmp_path: Path) -> None:
    start = time.monotonic()
    minutes = run(tmp_path, max_iterations=3).minutes
    assert 0 < minutes <= (time.monotonic() - start) / 60 + 1e-3


def test_nan_loss_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    run(tmp_path, max_iterations=4)
    before = weights(tmp_path)
    poisoned = Spheres()
    poisoned.poisoned = True
    with pytest.raises(TrainingError, match=r"NaN.*iterations 4 and 5.*learning_rate"):
        run(tmp_path, datasets={"train": poisoned, "val": Spheres(2)})
    assert_same(before, weights(tmp_path))


def test_nan_weights_are_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of a step may be finite and its gradient not: weights need a look of their own."""
    run(tmp_path, max_iterations=4)
    before = weights(tmp_path)
    loss = OccupancyNetwork.loss

    def with_nan_gradient(model: Any, batch: Any) -> dict[str, torch.Tensor]:
        losses = loss(model, batch)
        zero = (0 * model.decoder.fc_out.bias).abs().sqrt().sum()
        return {**losses, "loss": losses["loss"] + zero}

    monkeypatch.setattr(OccupancyNetwork, "loss", with_nan_gradient)
    with pytest.raises(TrainingError, match=r"weights .* are NaN or infinite at iteration 5"):
        run(tmp_path, max_iterations=5)
    assert_same(before, weights(tmp_path))


def test_bad_runs(tmp_path: Path, finished: Path) -> None:
    with pytest.raises(ConfigError, match="already holds a run"):
        run(finished, resume=False)
    with pytest.raises(ConfigError, match="did you mean 'iou'"):
        run(tmp_path / "a", selection_metric="iuo")
    with pytest.raises(DataError, match="val split"):
        run(tmp_path / "b", datasets={"train": Spheres(), "val": Spheres(0)})
    with pytest.raises(CheckpointError, match="no such file"):
        resolve_checkpoint(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"best\.safetensors"):
        resolve_checkpoint(tmp_path / "empty")


def test_resume_refuses_another_model_and_a_mismatched_optimizer(tmp_path: Path) -> None:
    run(tmp_path, max_iterations=2)
    other = config().model_copy(update={"model": {**config().model, "c_dim": 4}})
    datasets = {"train": Spheres(), "val": Spheres(2)}
    with pytest.raises(ConfigError, match="another section `model`"):
        train(other, tmp_path, datasets=datasets)
    (state,) = (tmp_path / "checkpoints").glob("optimizer-*.pt")
    state.write_bytes(b"cut")
    with pytest.raises(CheckpointError, match="unreadable"):
        run(tmp_path)
    state.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        run(tmp_path)


@pytest.mark.slow
def test_killed_between_the_writes_of_a_checkpoint_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, max_iterations=2)

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, max_iterations=4)
    assert run(tmp_path, max_iterations=4).iterations == 4
    assert len(list((tmp_path / "checkpoints").glob("optimizer-*.pt"))) == 1


@pytest.mark.slow
def test_model_and_task_are_unknown_to_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Regression(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(1, 1)

        def loss(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            noise = 1e-3 * torch.randn(1)  # drawn from torch's generator
            return {"loss": (self.line(batch["x"]) - batch["y"] + noise).square().mean()}

        def validate(
            self, batch: dict[str, torch.Tensor], settings: Any
        ) -> dict[str, torch.Tensor]:
            return {"error": (self.line(batch["x"]) - batch["y"]).abs().mean(1)}

    class Line(Spheres):
        def __getitem__(self, index: int) -> dict[str, Any]:
            return {"x": np.float32([index]), "y": np.float32([2 * index + 1])}

    monkeypatch.setattr(loop, "build_model", lambda section: Regression())
    datasets = {"train": Line(), "val": Line()}
    settings = {"selection_metric": "error", "selection_mode": "min", "validate_every": 20}
    whole = run(
        tmp_path / "a", datasets=datasets, max_iterations=200, learning_rate=0.1, **settings
    )
    assert whole.best["error"] < 0.5
    for iterations in (101, 200):
        run(
            tmp_path / "b",
            datasets=datasets,
            max_iterations=iterations,
            learning_rate=0.1,
            **settings,
        )
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"))


@pytest.mark.parametrize(("length", "batch"), [(5, 2), (3, 8), (4, 4)])
def test_stream_visits_each_item_once_an_epoch(length: int, batch: int) -> None:
    batches = list(islice(StreamSampler(length, batch, seed=3, start=0), 4 * length))
    stream = [key for keys in batches for key in keys]
    for epoch in range(batch * 4):
        part = stream[epoch * length : (epoch + 1) * length]
        assert Counter(part) == Counter((epoch, i) for i in range(length))
    orders = {tuple(i for _, i in stream[k : k + length]) for k in range(0, len(stream), length)}
    assert len(orders) > 1
    assert list(islice(StreamSampler(length, batch, 3, start=5), 3)) == batches[5:8]


def test_processes_share_each_batch() -> None:
    whole = islice(StreamSampler(10, 6, seed=0, start=2), 5)
    parts = [islice(StreamSampler(10, 6, 0, 2, rank=r, world=3), 5) for r in range(3)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sorted(key for share in shares for key in share) == sorted(batch)
        assert {len(share) for share in shares} == {2}


def test_workers_do_not_change_the_batches() -> None:
    streams = [iter(training_batches(Spheres(), 4, 0, 1, workers=w)) for w in (0, 2)]
    for a, b in islice(zip(*streams, strict=True), 4):
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_improving_criteria() -> None:
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal(400)
    falling = np.linspace(2, 1, 400)
    assert loss_improving(list(falling + noise)) is True
    assert loss_improving(list(1 + noise)) is False
    assert loss_improving(list(falling[::-1] + noise)) is False
    assert loss_improving([1.0] * 31) is None
    assert validation_improving([10, 20, 100], [0.1, 0.2, 0.3], "max") is True
    assert validation_improving([10, 20, 100], [0.1, 0.3, 0.2], "max") is False
    assert validation_improving([10, 100], [0.1, 0.3], "min") is False
    assert validation_improving([100], [0.1], "max") is None


# -- other conditions than an encoded observation -------------------------------------------------


class Indexed(Spheres):
    """Observed as their number."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**super().__getitem__(index), "inputs": np.int64(index)}


class Unobserved(Spheres):
    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**super().__getitem__(index), "inputs": np.empty(0, np.float32)}


def section(**changes: Any) -> dict[str, Any]:
    return {**config().model, **changes}


@pytest.mark.slow
def test_codes_of_training_shapes_are_counted_and_kept(tmp_path: Path) -> None:
    indexed = section(encoder={"type": "idx"})
    datasets = {"train": Indexed(5), "val": Indexed(5)}

    def part(folder: str, iterations: int) -> Path:
        settings = config(max_iterations=iterations).model_copy(update={"model": indexed})
        train(settings, tmp_path / folder, datasets=datasets)
        return tmp_path / folder

    whole = part("whole", 6)
    saved = load_checkpoint(whole)
    assert saved.config.model["encoder"] == {"type": "idx", "count": 5}
    assert saved.state["encoder.weight"].shape == (5, 8)
    part("parts", 3)
    assert_same(weights(part("parts", 6)), weights(whole))
    datasets["val"] = Indexed(6)
    with pytest.raises(DataError, match="shape 5 has no code"):
        part("another", 3)
    datasets["train"] = Indexed(7)
    with pytest.raises(ConfigError, match="section `model`"):
        part("whole", 9)


@pytest.mark.slow
def test_variational_training_resumes_with_the_same_noise(tmp_path: Path) -> None:
    variational = section(
        c_dim=0,
        z_dim=4,
        encoder=None,
        encoder_latent={"type": "simple", "hidden_dim": 8},
        decoder={"type": "simple", "hidden_size": 8},
    )
    datasets = {"train": Unobserved(), "val": Unobserved(3, seed=1, ragged=True)}

    def part(folder: str, iterations: int) -> Path:
        settings = config(
            max_iterations=iterations, selection_metric="loss", selection_mode="min"
        ).model_copy(update={"model": variational})
        train(settings, tmp_path / folder, datasets=datasets)
        return tmp_path / folder

    whole = part("whole", 6)
    part("parts", 3)
    assert_same(weights(part("parts", 6)), weights(whole))
    rows = read_metrics(whole / "metrics.csv")
    for row in rows:
        assert row["kl"] >= 0
        if row["split"] == "val":
            assert {"loss", "loss_per_point", "iou"} <= row.keys()
            assert "iou_prior_mean" not in row


@pytest.mark.slow
def test_pretrained_weights_start_a_run_and_are_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(loop, "load_pretrained", calls.append)
    run(tmp_path / "run", max_iterations=2)
    assert len(calls) == 1
    run(tmp_path / "run", max_iterations=3)
    assert len(calls) == 1


def test_killed_workers_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    next(iter(training_batches(Spheres(), 4, 0, 1, workers=1)))  # torch begins to watch workers
    alone = iter(training_batches(Spheres(), 4, 0, 1))
    lasting = lasting_batches(Spheres(), 4, 0, 1, workers=2)
    for step in range(12):
        a, b = next(alone), next(lasting)
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
        if step in (2, 7):
            for worker in multiprocessing.active_children():
                worker.kill()
            time.sleep(0.1)  # torch would raise here, amid the step
    lasting.close()
    assert len([r for r in caplog.records if "was killed" in r.message]) >= 2


class Broken(Spheres):
    def __getitem__(self, index: int) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


class Raising(Spheres):
    def __getitem__(self, index: int) -> dict[str, Any]:
        raise RuntimeError("no such radius")


def test_what_a_worker_raises_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RuntimeError, match="no such radius"):
        next(lasting_batches(Raising(), 4, 0, 1, workers=1))
    assert not caplog.records


def test_workers_that_die_each_time_end_training() -> None:
    with pytest.raises(RuntimeError, match="DataLoader worker"):
        next(lasting_batches(Broken(), 4, 0, 1, workers=1))
