"""The camera of a picture, found by the outline of the mesh."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from onet.geometry.cameras import published_camera
from onet.geometry.rendering import on_white, render_view
from onet.inference.camera_fit import fit_camera
from onet.inference.painting import with_fitted_camera
from onet.nn.projection import camera_distances, published_projection

SIZE = 64


def staircase() -> trimesh.Trimesh:
    """A shape that looks different from all sides, in the unit frame."""
    sizes = [((0.9, 0.15, 0.5), (0, -0.35, 0)), ((0.3, 0.5, 0.4), (0.25, 0, 0.05)),
             ((0.2, 0.2, 0.15), (-0.3, -0.2, -0.15))]  # fmt: skip
    parts = [trimesh.creation.box(size).apply_translation(at) for size, at in sizes]
    return trimesh.util.concatenate(parts)


def seen(azimuth: float, elevation: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Picture (3, S, S), points (T, 3) and camera (3, 4) for places from 0 to 1."""
    mesh = staircase()
    camera = published_camera(azimuth, elevation, 1.1, SIZE)
    picture = on_white(render_view(mesh, camera, SIZE)).astype(np.float32) / 255
    points = torch.from_numpy(mesh.sample(2048, seed=0)).float()
    projection = camera.projection / np.array([[SIZE], [SIZE], [1]])
    return torch.from_numpy(picture).permute(2, 0, 1), points, torch.from_numpy(projection).float()


def guess(azimuth: float) -> torch.Tensor:
    a = torch.tensor(np.radians(azimuth))
    direction = torch.stack([a.cos(), a.sin()])[None].float()
    return published_projection(direction, torch.tensor([0.4]), torch.tensor([2.0]))[0]


@given(st.floats(0, 360), st.floats(0, 45), st.floats(-60, 60))
@settings(deadline=None, max_examples=8)
def test_the_outline_tells_the_camera(azimuth: float, elevation: float, off: float) -> None:
    picture, points, true = seen(azimuth, elevation)
    camera, overlap = fit_camera(picture, points, guess(azimuth + off))
    assert overlap > 0.75
    assert float(camera_distances(camera[None], true[None])) < 0.15


def test_pictures_without_an_outline_leave_the_estimate() -> None:
    _, points, _ = seen(40, 25)
    for value in (0.2, 1.0):
        camera, overlap = fit_camera(torch.full((3, SIZE, SIZE), value), points, guess(10))
        assert overlap == 0 and torch.equal(camera, guess(10))


def code_of(picture: torch.Tensor, camera: torch.Tensor, estimate: torch.Tensor) -> Any:
    return {"pixels": picture[None], "camera": camera[None], "estimated_camera": estimate[None]}


def test_only_unknown_cameras_are_found(caplog: pytest.LogCaptureFixture) -> None:
    picture, points, true = seen(40, 25)
    known = code_of(picture, true, guess(10))
    assert with_fitted_camera(known, points[None]) is known
    found = with_fitted_camera(code_of(picture, guess(10), guess(10)), points[None])
    assert isinstance(found, dict)
    assert float(camera_distances(found["camera"], true[None])) < 0.15
    with caplog.at_level(logging.WARNING):
        assert not caplog.records
        rod = points * torch.tensor([0.05, 1.0, 0.05])
        with_fitted_camera(code_of(picture, guess(10), guess(10)), rod[None])
    assert "outline" in caplog.text
    maps = {"xz": torch.zeros(1, 4, 8, 8)}
    assert with_fitted_camera(maps, points[None]) is maps
