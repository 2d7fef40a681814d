"""Many observations at once."""

from __future__ import annotations

import itertools
import logging
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from ball_model import load_ball

from onet.errors import ConfigError, DataError
from onet.inference.reconstructing_many import AHEAD

MODEL = load_ball("pointcloud", count=60, noise=0)


def clouds(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.uniform(-1, 1, (80, 3)) * rng.uniform(1, 9, 3) + 10 * n for n in range(count)]


@pytest.mark.parametrize("workers", [1, 2, 5, None])
def test_meshes_are_those_one_by_one_in_order(workers: int | None) -> None:
    given = clouds(6)
    threads = torch.get_num_threads()
    meshes = MODEL.reconstruct_many(iter(given), workers=workers, seed=7, resolution=16)
    made = [mesh for mesh in meshes if mesh is not None]
    assert torch.get_num_threads() == threads
    assert len(made) == len(given) and not meshes.failures
    for cloud, mesh in zip(given, made, strict=True):
        alone = MODEL.reconstruct(cloud, seed=7, resolution=16)
        np.testing.assert_array_equal(mesh.vertices, alone.vertices)
        np.testing.assert_array_equal(mesh.faces, alone.faces)
        assert mesh.metadata["reconstruction"]["seed"] == 7


@pytest.mark.parametrize("workers", [1, 3])
def test_few_are_taken_ahead_of_an_endless_source(workers: int) -> None:
    taken = 0

    def endless():
        nonlocal taken
        for cloud in itertools.cycle(clouds(2)):
            taken += 1
            yield cloud

    with MODEL.reconstruct_many(endless(), workers=workers, resolution=16) as meshes:
        assert taken == 0
        for number in range(1, 4):
            assert next(meshes) is not None
            assert number <= taken <= number + AHEAD * workers
    assert not [t for t in threading.enumerate() if t.name.startswith("onet-reconstruct")]
    assert list(meshes) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_are_told_at_the_end(workers: int, tmp_path: Path, caplog) -> None:
    good = tmp_path / "good.ply"
    trimesh.creation.box().export(good)
    missing = tmp_path / "missing.ply"
    given = [good, np.zeros((9, 3)), missing, good]
    meshes = MODEL.reconstruct_many(given, workers=workers, resolution=16)
    with caplog.at_level(logging.WARNING, "onet.inference.reconstructing_many"):
        paired = dict(zip(range(4), meshes, strict=False))  # which asks no fifth time
    assert [paired[number] is None for number in range(4)] == [False, True, True, False]
    assert [failure.index for failure in meshes.failures] == [1, 2]
    assert meshes.failures[0].observation == "observation 1"
    assert str(missing) in str(meshes.failures[1])
    del meshes
    told = [r.message for r in caplog.records if "observations failed" in r.message]
    assert len(told) == 1 and "2 of 4" in told[0] and "missing.ply" in told[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_are_raised_where_asked_for(workers: int) -> None:
    meshes = MODEL.reconstruct_many(
        [*clouds(1), np.zeros((9, 3))], workers=workers, on_error="raise", resolution=16
    )
    assert next(meshes) is not None
    with pytest.raises(DataError, match="extent"):
        next(meshes)


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_the_source_come_after_what_was_before(workers: int) -> None:
    def source():
        yield from clouds(2)
        raise OSError("the camera is gone")

    meshes = MODEL.reconstruct_many(source(), workers=workers, resolution=16)
    assert next(meshes) is not None and next(meshes) is not None
    with pytest.raises(OSError, match="camera"):
        next(meshes)


def test_progress_is_told() -> None:
    heard: list[tuple[int, int | None, str]] = []
    tell = lambda *a: heard.append(a)  # noqa: E731
    many = MODEL.reconstruct_many(clouds(3), workers=2, resolution=16, progress=tell)
    assert len(list(zip(range(3), many, strict=False))) == 3  # which asks no fourth time
    assert heard == [(done, 3, "reconstructing") for done in range(4)]
    heard.clear()
    list(MODEL.reconstruct_many(iter(clouds(1)), workers=1, resolution=16, progress=tell))
    assert heard == [(0, None, "reconstructing"), (1, None, "reconstructing")]
    assert list(MODEL.reconstruct_many([])) == []


@pytest.mark.parametrize("one", ["scan.ply", Path("scan.ply"), np.zeros((9, 3)), None, 3])
def test_one_observation_is_not_many(one) -> None:
    with pytest.raises(DataError, match="give a list"):
        MODEL.reconstruct_many(one)


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"on_error": "ignore"}, {"resolution": -1}, {"probability": 2.0}]
)
def test_settings_are_refused_at_once(wrong) -> None:
    with pytest.raises(ConfigError):
        MODEL.reconstruct_many([], **wrong)
