"""Clouds that nobody trained for, through the networks that observe clouds, up to a mesh."""

from __future__ import annotations

import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from random_weights import randomise

from onet.config import load_config
from onet.data.inputs import PointCloudInput
from onet.errors import DataError
from onet.geometry.normalization import UnitFrame
from onet.geometry.point_cloud_io import load_points
from onet.geometry.topology import topology
from onet.inference.reconstructor import Reconstructor
from onet.models import build_model

FAMILIES = {
    "pointcloud_small": ["model.encoder.hidden_dim=8"],
    "pointcloud_planes_small": ["model.encoder.hidden_dim=8"],
    "pointcloud_grid_small": ["model.encoder.hidden_dim=8"],
    "pointcloud_set_small": ["model.encoder.queries=farthest"],
}


@pytest.fixture(params=FAMILIES, scope="module")
def model(request: pytest.FixtureRequest) -> Reconstructor:
    """A network that was never trained, with a surface all the same."""
    config = load_config(request.param, [*FAMILIES[request.param], "generation.resolution=8"])
    network = randomise(build_model(config.model))
    return Reconstructor(network, config, {})


def sphere(count: int) -> np.ndarray:
    points = np.random.default_rng(0).standard_normal((count, 3))
    return 7 * points / np.linalg.norm(points, axis=1, keepdims=True)


def test_a_cloud_of_one_point(model: Reconstructor, caplog: pytest.LogCaptureFixture) -> None:
    point = np.array([[3.0, 4.0, 5.0]])
    with pytest.raises(DataError, match=r"extent 0.*give the frame of the object"):
        model.reconstruct(point)
    mesh = model.reconstruct(point, frame=UnitFrame(point[0], 2.0), probability=0.5)
    assert "the input has 1 points" in caplog.text
    assert len(mesh.faces) == 0 or topology(mesh).solid


def test_points_outside_the_box_are_said(
    model: Reconstructor, caplog: pytest.LogCaptureFixture
) -> None:
    points = sphere(model.config.data.input["count"])
    with caplog.at_level(logging.WARNING):
        model.reconstruct(points)  # brought into the box
        assert "outside" not in caplog.text
        frame = UnitFrame(np.zeros(3), 7.0)
        mesh = model.reconstruct(points, frame=frame, probability=0.5)
    beyond = int((np.abs(points / 7).max(axis=1) > 0.55).sum())
    assert f"{beyond} of {len(points)} points are outside the box [-0.55, 0.55]^3" in caplog.text
    assert len(mesh.faces) == 0 or np.abs(mesh.vertices).max() <= 7 * 0.55 * 1.0001


def test_clouds_of_every_package_are_taken(model: Reconstructor) -> None:
    points = sphere(model.config.data.input["count"])
    expected = model.reconstruct(points, probability=0.5)
    for given in (trimesh.PointCloud(points), torch.tensor(points), {"points": points}):
        mesh = model.reconstruct(given, probability=0.5)
        np.testing.assert_array_equal(mesh.vertices, expected.vertices)
    with pytest.raises(DataError, match=r"transpose it, points\.T"):
        model.reconstruct(points.T)


@pytest.mark.parametrize(
    ("factors", "says"), [((1, 1, 1), ""), ((1, 1, 0), "in a plane"), ((1, 1e-5, 0), "on a line")]
)
def test_flat_clouds_are_said(
    factors: tuple[float, ...], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, points = PointCloudInput(count=300), sphere(900) * factors + [5e5, 5e6, 300]
    source.observe(points, np.random.default_rng(0), source.frame(points, "cloud"))
    assert (says in caplog.text) if says else not caplog.records


def test_repeated_points_are_said(caplog: pytest.LogCaptureFixture) -> None:
    source, points = PointCloudInput(count=300), np.repeat(sphere(20), 50, axis=0)
    source.observe(points, np.random.default_rng(0), source.frame(points, "cloud"))
    assert "only 20 of 300 points are different" in caplog.text


def test_of_many_points_only_the_chosen_ones_are_copied() -> None:
    """Memory beside the cloud itself does not depend on what a point costs the network."""
    source, points = PointCloudInput(count=300), sphere(300_000)
    frame = source.frame(points, "cloud")
    tracemalloc.start()
    observed = source.observe(points, np.random.default_rng(0), frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert observed.shape == (300, 3)
    assert peak < points.nbytes / 3  # a byte for each number and each point, to look for NaN


def test_text_files_take_little_more_than_their_numbers(tmp_path: Path) -> None:
    points = sphere(30_000)
    np.savetxt(tmp_path / "a.xyz", points, fmt="%.17g", header="x y z", comments="")
    tracemalloc.start()
    read = load_points(tmp_path / "a.xyz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(read, points)
    assert peak < 4 * points.nbytes
