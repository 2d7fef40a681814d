"""What tests share: analytic fields, runs of a model of balls, the settings of hypothesis."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run: a test that passes keeps passing until the code changes.
settings.register_profile("onet", derandomize=True, deadline=None, max_examples=25, database=None)
settings.load_profile("onet")

Field = Callable[[np.ndarray], np.ndarray]


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


@pytest.fixture
def make_run(tmp_path):
    """Makes a run folder of a model whose shapes are balls, from an input and its options."""
    from ball_model import save_run

    return functools.partial(save_run, tmp_path / "run")
