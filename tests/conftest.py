"""What tests share: analytic fields, runs of a model of balls, the settings of hypothesis."""

from __future__ import annotations

import functools
import gc
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported

import numpy as np
import pytest
import torch
from hypothesis import settings

# What is imported while tests are collected stays. To look for garbage in it, again and again,
# takes a seventh of the time of short tests; see `pytest_collection_finish`.
gc.disable()

# Benchmarks are no part of the installed package. They come last, lest the sources beside them,
# which hold no compiled modules, are taken for the package.
sys.path.append(str(Path(__file__).parents[1]))

# The same examples in every run: a test that passes keeps passing until the code changes.
EXAMPLES = int(os.environ.get("ONET_EXAMPLES", "10"))  # of a property; CI asks for more
settings.register_profile(
    "onet", derandomize=True, deadline=None, max_examples=EXAMPLES, database=None
)
settings.load_profile("onet")

THREADS = torch.get_num_threads()


def pytest_collection_finish() -> None:
    """Look for garbage again, but not in what was imported."""
    gc.collect()
    gc.freeze()
    gc.enable()


Field = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(autouse=True)
def whatever_ran_before() -> None:
    """Give every test the same global random numbers, and the threads of a fresh process."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    if torch.get_num_threads() != THREADS:  # training sets it
        torch.set_num_threads(THREADS)


@pytest.fixture(autouse=True)
def no_pictures_of_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare tests the picture of a run's curves, which costs more than their runs.

    Runs of module fixtures and tests marked `curves` draw it.
    """
    loop = sys.modules.get("onet.training.loop")
    if loop is not None and "curves" not in request.keywords:
        monkeypatch.setattr(loop, "draw_curves", lambda *arguments: None)


@pytest.fixture(scope="session")
def sphere() -> Field:
    """Ball of radius 0.4 around the origin, positive inside."""
    return lambda points: 0.4 - np.linalg.norm(points, axis=1)


@pytest.fixture(scope="session")
def torus() -> Field:
    """Torus around the z axis, radii 0.33 and 0.13, positive inside."""

    def field(points: np.ndarray) -> np.ndarray:
        ring = np.hypot(points[:, 0], points[:, 1]) - 0.33
        return 0.13 - np.hypot(ring, points[:, 2])

    return field


@pytest.fixture(scope="session")
def sample_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six shapes of the embedded sample prepared with all parts, each split one of a category."""
    from onet.data.prepare import prepare
    from onet.resources import assets_dir

    root = tmp_path_factory.mktemp("sample")
    for category in ("chair", "sofa"):
        (root / "meshes" / category).mkdir(parents=True)
        for path in sorted((assets_dir() / "sample" / category).glob("*/model_watertight.ply"))[:3]:
            shutil.copy(path, root / "meshes" / category / f"{path.parent.name}.ply")
    report = prepare(
        root / "meshes",
        root / "store",
        workers=1,
        points=1000,
        surface=500,
        resolution=32,
        stored_faces=500,
        split=(1, 1, 1),
        render=2,
        render_size=32,
        voxels=32,
        near_surface=0.1,
    )
    assert report.ok
    assert all(set(counts.values()) == {1} for counts in report.splits.values())
    return root / "store"


@pytest.fixture
def make_run(tmp_path):
    """Makes a run folder of a model whose shapes are balls, from an input and its options."""
    from ball_model import save_run

    return functools.partial(save_run, tmp_path / "run")
