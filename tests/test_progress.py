"""Long calls tell how far they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from ball_model import save_run
from random_weights import randomise

import onet
from onet.config import load_config
from onet.inference.reconstructor import Reconstructor
from onet.metrics.set_metrics import pairwise_distances
from onet.models import build_model
from onet.progress import reports_progress

BOX = trimesh.creation.box()

Heard = list[tuple[int, int | None, str]]


def network() -> Reconstructor:
    tiny = ["model.encoder.hidden_dim=8", "model.decoder.hidden_size=8", "model.c_dim=4"]
    config = load_config("pointcloud", [*tiny, "data.input.count=50"])
    return Reconstructor(randomise(build_model(config.model)), config, {})


def generated(folder: Path, progress: Callable[..., None]) -> None:
    run = save_run(folder / "run", "none", z_dim=2)
    onet.generate(run, samples=3, resolution=16, progress=progress)


def fitted_network(folder: Path, progress: Callable[..., None]) -> None:
    tiny = ["model.decoder.hidden_size=8", "training.device=cpu", "training.validation_points=100"]
    onet.fit(
        BOX,
        config=load_config("fit", tiny),
        steps=3,
        closed=True,
        resolution=8,
        device="cpu",
        progress=progress,
    )


def fitted_code(folder: Path, progress: Callable[..., None]) -> None:
    onet.fit(BOX, network(), steps=3, closed=True, resolution=8, progress=progress)


def scene(folder: Path, progress: Callable[..., None]) -> None:
    cloud = np.random.default_rng(0).uniform(-1, 1, (300, 3))
    onet.reconstruct_scene(network(), cloud, window=1.0, resolution=8, progress=progress)


def walk(folder: Path, progress: Callable[..., None]) -> None:
    run = save_run(folder / "run", "none", z_dim=2)
    onet.interpolate(run, [(0, 1)], steps=3, resolution=8, progress=progress)


def sets(folder: Path, progress: Callable[..., None]) -> None:
    """What `evaluate_diversity` spends its time with."""
    clouds = np.random.default_rng(0).normal(size=(3, 5, 3))
    reports_progress(lambda progress: pairwise_distances(clouds, clouds))(progress=progress)


@pytest.mark.parametrize("call", [generated, fitted_network, fitted_code, scene, walk, sets])
def test_every_item_is_told_from_0_to_the_total(call, tmp_path: Path) -> None:
    heard: Heard = []
    call(tmp_path, lambda *told: heard.append(told))
    total, what = heard[0][1:]
    assert what
    assert heard == [(done, total, what) for done in range(len(heard))]
    assert len(heard) == 4 if call is not scene else total is None and len(heard) > 4


@pytest.mark.parametrize("call", [generated, fitted_network, fitted_code, scene])
def test_what_it_raises_ends_the_call(call, tmp_path: Path) -> None:
    told = []

    def enough(done: int, total: int | None, what: str) -> None:
        told.append(done)
        if done == 2:
            raise TimeoutError(what)

    with pytest.raises(TimeoutError):
        call(tmp_path, enough)
    assert told == [0, 1, 2]


def test_what_is_finished_stays(tmp_path: Path) -> None:
    def enough(done: int, total: int | None, what: str) -> None:
        if done == 2:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        generated(tmp_path, enough)
    again = onet.generate(tmp_path / "run", samples=3, resolution=16)
    assert again.skipped == 2 and again.ok
