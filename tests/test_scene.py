"""Scenes: one continuous field from windows, whatever the memory, and one closed mesh."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import trimesh
from ball_model import load_ball
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_weights import randomise

from onet import cli
from onet.checkpoints.checkpoint import save_checkpoint
from onet.config import Config
from onet.errors import ConfigError, DataError
from onet.geometry.topology import topology
from onet.inference.calibration import Calibration, Familiarity
from onet.inference.reconstructor import Reconstructor
from onet.inference.scene import fitting_window, reconstruct_scene, scene_field
from onet.inference.scene_field import EMPTY, FEWEST, SceneField
from onet.models import build_model

Points = NDArray[np.float32]


def constant_windows(size: int = 1000):
    """An `encode` whose field is a constant that depends on the points: neighbours disagree."""

    def encode(points: Points):
        level = np.float32(10 * np.sin(100 * points.sum()))
        return lambda queries: np.full(len(queries), level), size

    return encode


def cloud(seed: int = 0, extent: float = 3.0, count: int = 4000) -> Points:
    rng = np.random.default_rng(seed)
    return ((rng.random((count, 3)) - 0.5) * extent).astype(np.float32)


@pytest.mark.parametrize(
    "overlap", [*(pytest.param(share, marks=pytest.mark.slow) for share in (0.1, 0.5)), 0.25]
)
def test_the_field_is_smooth_where_windows_disagree(overlap: float) -> None:
    field = SceneField(cloud(), constant_windows(), overlap=overlap)
    rng = np.random.default_rng(1)
    ends = rng.uniform(-2, 2, (20, 2, 3))
    along, widest = np.linspace(0, 1, 4001), 0.0
    steepest = 1.5 / overlap  # of a weight, by the distance along an axis
    for a, b in ends:
        values = field((a + along[:, None] * (b - a)).astype(np.float32)).astype(np.float64)
        step = np.linalg.norm(b - a) / 4000
        widest = max(widest, np.ptp(values))
        # Differences of logits are at most 20; three axes change at once. 1e-5 for float32.
        assert np.abs(np.diff(values)).max() < 20 * 3**0.5 * steepest * step + 1e-4
        # No kink either, whose second difference is in proportion to the step and not its square.
        assert np.abs(np.diff(values, 2)).max() < 20 * 20 / overlap**2 * step**2 + 1e-3
    assert widest > 10  # they do disagree


def test_windows_that_agree_give_what_they_say() -> None:
    """Weights add up to 1 everywhere, and what has no points is outside."""
    field = SceneField(cloud(), lambda points: (lambda q: np.full(len(q), 3.0), 1))
    inside = (np.random.default_rng(0).random((5000, 3)) - 0.5) * 2
    np.testing.assert_allclose(field(inside.astype(np.float32)), 3.0, atol=1e-6)
    assert field(np.full((1, 3), 50, np.float32))[0] == EMPTY


def test_windows_see_their_own_points_in_their_own_frame() -> None:
    points, seen = cloud(), []

    def encode(own: Points):
        seen.append(own)
        return lambda q: q[:, 0], 1

    field = SceneField(points, encode, overlap=0.25, most=10**6)
    values = field(np.array([[0.1, 0.1, 0.1], [0.85, 0.75, -0.75]], np.float32))
    np.testing.assert_allclose(values, [0.1, 0.1], atol=1e-6)  # both in the middle of a window
    assert field.encoded == 2
    expected = points[(np.abs(points) <= 0.55).all(1)]
    match = [own for own in seen if len(own) == len(expected)]
    assert len(match) == 1
    np.testing.assert_allclose(np.sort(match[0], 0), np.sort(expected, 0), atol=1e-6)
    assert all(np.abs(own).max() <= 0.5501 for own in seen)


@pytest.mark.slow
@given(seed=st.integers(0, 99), windows=st.integers(1, 40), most=st.integers(5, 60))
@settings(max_examples=15, deadline=None)
def test_memory_changes_nothing_but_the_work(seed: int, windows: int, most: int) -> None:
    points = cloud(seed)
    large = SceneField(points, constant_windows(), most=most, seed=seed)
    short = SceneField(points, constant_windows(), most=most, seed=seed, memory=windows * 1000)
    rng = np.random.default_rng(seed)
    for _ in range(2):
        queries = rng.uniform(-2, 2, (300, 3)).astype(np.float32)
        assert np.array_equal(large(queries), short(queries))
        assert np.array_equal(large(queries[::-1])[::-1], short(queries))
    assert large.encoded <= len(large.windows)
    assert short.encoded >= large.encoded
    assert len(short._kept) <= windows
    other = SceneField(points, constant_windows(), most=most, seed=seed + 1)
    assert not np.array_equal(large(queries), other(queries))  # other points are chosen


def test_memory_that_holds_no_window_is_refused_with_what_fits() -> None:
    field = SceneField(cloud(), constant_windows(3 * 2**20 + 1), memory=2**20)
    with pytest.raises(ConfigError, match=r"memory: 1 MiB hold no window.*at least 4 MiB"):
        field(np.zeros((1, 3), np.float32))


def model(**changes: object) -> Reconstructor:
    """A network that was never trained, with a surface all the same."""
    section = {
        "type": "occupancy",
        "c_dim": 4,
        "encoder": {"type": "local_pointnet", "hidden_dim": 8, "plane_resolution": 8,
                    "unet_depth": 2, "unet_width": 4},
        "decoder": {"type": "local", "hidden_size": 8},
    }  # fmt: skip
    data = {"input": {"type": "pointcloud", "count": 500}}
    config = Config.model_validate({"model": section, "data": data, **changes})
    network = randomise(build_model(config.model))
    network.decoder.fc_out.weight.data *= 20
    return Reconstructor(network, config, {})


def room(count: int = 6000) -> NDArray[np.float64]:
    """Two boxes far from the origin of the user's frame, 8 m apart, in a non-cubic scene."""
    boxes = [trimesh.creation.box((2, 1, 1)), trimesh.creation.box((1, 1, 2))]
    boxes[1].apply_translation((8, 0, 0.5))
    points = np.concatenate([box.sample(count // 2, seed=i) for i, box in enumerate(boxes)])
    return points + np.array([5e5, 4e6, 100])


def test_a_scene_becomes_one_closed_mesh_in_its_own_frame() -> None:
    network, points = model(), room()
    mesh = reconstruct_scene(network, points, window=2.0, resolution=16, probability=0.5)
    assert topology(mesh).solid
    low, high = points.min(0), points.max(0)
    assert (mesh.bounds[0] > low - 0.3).all() and (mesh.bounds[1] < high + 0.3).all()
    done = mesh.metadata["scene"]
    assert done["window"] == 2.0 and done["points"] == len(points)
    assert 2 <= done["windows"] == done["encoded"]
    finer = reconstruct_scene(network, points, window=2.0, resolution=16, refine="root",
                              probability=0.5, normals=True, simplify=500)  # fmt: skip
    assert topology(finer).solid and len(finer.faces) <= 500


@pytest.mark.slow
def test_a_scene_in_little_memory_is_the_same_mesh() -> None:
    network, points = model(), room()
    options = {"window": 2.0, "resolution": 16, "probability": 0.5}
    mesh = reconstruct_scene(network, points, **options)
    short = reconstruct_scene(network, points, memory=0.05, refine="none", **options)
    np.testing.assert_array_equal(short.vertices, mesh.vertices)
    assert short.metadata["scene"]["encoded"] > mesh.metadata["scene"]["encoded"]


@pytest.mark.slow
def test_scenes_know_what_surfaces_know() -> None:
    network, points = model(), room(2000)
    options = {"window": 2.0, "resolution": 8, "probability": 0.5}
    mesh = reconstruct_scene(network, points, sharp=True, **options)
    assert topology(mesh).solid and mesh.metadata["dual_contouring"]
    plain = reconstruct_scene(network, points, uncertainty=True, **options)
    assert "dual_contouring" not in plain.metadata and not mesh.vertex_attributes
    larger = reconstruct_scene(network, points * 4, uncertainty=True, **options | {"window": 8.0})
    widths = [m.vertex_attributes["uncertainty"] for m in (plain, larger)]  # units of the cloud
    np.testing.assert_allclose(np.median(widths[1]), 4 * np.median(widths[0]), rtol=0.01)


@pytest.mark.slow
def test_calibration_moves_no_scene() -> None:
    network, points = model(generation={"probability": 0.3}), room(2000)
    known = Familiarity([0.0], [1.0], 9.0, 0.99)
    before = reconstruct_scene(network, points, window=2.0, resolution=8)
    network.calibration = Calibration({}, 2.0, known, offset=-1.0)
    after = reconstruct_scene(network, points, window=2.0, resolution=8)
    np.testing.assert_allclose(after.vertices, before.vertices, atol=1e-4)


def test_the_field_of_a_scene_is_that_of_the_network_in_the_middle_of_a_window() -> None:
    network, points = model(), room(count=900)
    field, frame, measured = scene_field(network, points, window=4.0, overlap=0.25)
    own = points[(np.abs(frame.to_unit(points)) <= 0.55).all(1)]
    assert len(own) < FEWEST  # between the boxes there is nothing
    queries = np.array([[1.0, 0.0, 0.0]]) * 0.75 + np.random.default_rng(0).uniform(
        -0.2, 0.2, (9, 3)
    )
    seen = measured - np.array([0.75, 0, 0], np.float32)
    seen = seen[(np.abs(seen) <= 0.55).all(1)]
    expected = network.field_of_code(network.encode(seen))(
        (queries - [0.75, 0, 0]).astype(np.float32)
    )
    np.testing.assert_allclose(field(queries.astype(np.float32)), expected, atol=1e-3)


def test_the_window_holds_as_many_points_as_the_model_observes() -> None:
    points = np.random.default_rng(0).random((50_000, 3)) * (10, 10, 0)  # a square of 10 by 10
    window = fitting_window(points, 500)
    assert window == pytest.approx(1.0, rel=0.15)  # which holds 1 in 100 of them
    assert fitting_window(points[:400], 500) == np.ptp(points[:400], axis=0).max()


def test_bad_clouds_and_windows(caplog: pytest.LogCaptureFixture) -> None:
    network, points = model(), room()
    with pytest.raises(DataError, match="extent 0"):
        reconstruct_scene(network, np.ones((1, 3)))
    with pytest.raises(DataError, match=r"1 of 6000 points are NaN"):
        reconstruct_scene(network, np.where(np.arange(6000)[:, None] == 3, np.nan, points))
    with pytest.raises(DataError, match=f"3 points; a scene needs at least {FEWEST}"):
        reconstruct_scene(network, points[:3])
    for window in (0, -1, np.nan, np.inf):
        with pytest.raises(ConfigError, match="window"):
            reconstruct_scene(network, points, window=window)
    with pytest.raises(ConfigError, match=r"window: 0\.01 holds 1\.\d points.*give about"):
        reconstruct_scene(network, points, window=0.01)
    with pytest.raises(ConfigError, match="windows wide; give a larger window"):
        reconstruct_scene(network, points, window=1e-9)
    for overlap in (0, 0.6, np.nan):
        with pytest.raises(ConfigError, match="overlap"):
            reconstruct_scene(network, points, overlap=overlap)
    with pytest.raises(ConfigError, match=r"memory: .* MiB hold no window.*at least 1 MiB"):
        reconstruct_scene(network, points, memory=1e-4, resolution=8)
    with pytest.raises(ConfigError, match=r"memory: 0 "):
        reconstruct_scene(network, points, memory=0)
    with pytest.raises(ConfigError, match="'published'"):
        reconstruct_scene(model(generation={"refine": "published"}), points)
    with pytest.raises(ConfigError, match=r"observes 'voxels'.*pointcloud"):
        reconstruct_scene(load_ball("voxels"), points)
    with caplog.at_level(logging.WARNING):
        scene_field(network, points, window=100.0)
        assert "fills 0.095 of a window" in caplog.text
        scene_field(network, room(80_000), window=9.0)
        assert "detail is lost" in caplog.text


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = model()
    save_checkpoint(
        tmp_path / "m.safetensors", network.model, network.config, {"iteration": 1, "git": None}
    )
    np.save(tmp_path / "cloud.npy", room())
    command = ["scene", str(tmp_path / "m.safetensors"), str(tmp_path / "cloud.npy")]
    cli.app([*command, "--window", "2", "--resolution", "12"], standalone_mode=False)
    assert "6,000 points" in capsys.readouterr().out
    mesh = trimesh.load(tmp_path / "cloud-mesh.ply", process=False)
    assert topology(mesh).solid
