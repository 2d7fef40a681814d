from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from onet.data.brute_force import Segments
from onet.data.scan_simulation import (
    KINDS,
    ScanSettings,
    sample_queries,
    simulate_scan,
    winding_number,
)
from onet.geometry import winding

seeds = st.integers(0, 2**31 - 1)
CLEAN = {
    "missing_floor": 0.0, "holes": 0.0, "uneven": 0.0, "noise_levels": ((0.0, 1.0),),
    "outliers": 0.0, "duplicates": 0.0, "noisy_normals": 0.0,
}  # fmt: skip


def triangles(*meshes: trimesh.Trimesh) -> Tensor:
    return torch.from_numpy(np.concatenate([mesh.triangles for mesh in meshes])).float()


def box(x: float = 1.0, y: float = 1.0, z: float = 1.0, at: tuple[float, ...] = (0, 0, 0)):
    return trimesh.creation.box([x, y, z]).apply_translation(at)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def settings(kind: str, **changes: object) -> ScanSettings:
    """Scans of one kind, clean but for the changes."""
    return ScanSettings(kinds=[float(kind == k) for k in KINDS], **{**CLEAN, **changes})


def test_winding_number_counts_the_parts_around_a_point() -> None:
    two = triangles(box(0.6, 0.6, 0.6), box(0.6, 0.6, 0.6, (0.3, 0, 0)))
    points = torch.tensor([[0.15, 0.1, 0], [-0.2, 0, 0.1], [0.5, 0, 0], [0, 0.45, 0.0], [9, 9, 9]])
    expected = torch.tensor([2.0, 1, 1, 0, 0])
    torch.testing.assert_close(winding_number(two, points), expected, atol=1e-5, rtol=0)
    inverted = two.flip(1)
    torch.testing.assert_close(winding_number(inverted, points), -expected, atol=1e-5, rtol=0)


@given(seeds)
def test_winding_number_is_that_of_the_hierarchy(seed: int) -> None:
    random = np.random.default_rng(seed)
    soup = random.uniform(-0.5, 0.5, (40, 3, 3)).astype(np.float32)
    soup[::5] = soup[::5].mean(1, keepdims=True) + 1e-3 * (soup[::5] - 0.5)  # tiny ones too
    soup[7, 2] = soup[7, 1]  # without area
    points = random.uniform(-0.6, 0.6, (50, 3)).astype(np.float32)
    mesh = trimesh.Trimesh(soup.reshape(-1, 3), np.arange(120).reshape(-1, 3), process=False)
    got = winding_number(torch.from_numpy(soup), torch.from_numpy(points))
    expected = winding.winding_number(mesh, points, beta=math.inf, threads=1)
    np.testing.assert_allclose(got.numpy(), expected, atol=2e-3)


def test_winding_number_near_the_surface_and_of_nothing() -> None:
    ball = triangles(trimesh.creation.icosphere(subdivisions=3, radius=0.5))
    middle = ball.mean(1)
    for depth in (1e-2, 1e-3, 1e-4):
        assert (winding_number(ball, middle * (1 - depth)) - 1).abs().max() < 2e-3
        assert winding_number(ball, middle * (1 + depth)).abs().max() < 2e-3
    assert winding_number(ball[:0], middle).tolist() == [0.0] * len(middle)
    assert len(winding_number(ball, middle[:0])) == 0


def test_winding_number_does_not_depend_on_autocast_or_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ball = triangles(trimesh.creation.icosphere(subdivisions=2, radius=0.5))
    points = torch.rand(200, 3, generator=generator()) - 0.5
    expected = winding_number(ball, points)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(winding_number(ball, points), expected)
    monkeypatch.setattr("onet.data.brute_force.PAIRS_ON_CPU", 1000)
    torch.testing.assert_close(winding_number(ball, points), expected, atol=1e-5, rtol=0)


@given(seeds)
def test_segments_are_blocked_as_rays_say(seed: int) -> None:
    random = np.random.default_rng(seed)
    soup = random.uniform(-0.5, 0.5, (12, 3, 3))
    start, end = random.uniform(-1, 1, (2, 30, 3))
    got = Segments(torch.from_numpy(soup)).blocked(torch.from_numpy(start), torch.from_numpy(end))
    first, second = soup[:, 1] - soup[:, 0], soup[:, 2] - soup[:, 0]
    for hit, a, b in zip(got.tolist(), start, end, strict=True):
        found = [
            np.linalg.solve(np.stack([u, v, a - b], axis=1), a - corner)
            for u, v, corner in zip(first, second, soup[:, 0], strict=True)
        ]  # a + t (b - a) = corner + u first + v second
        inside = [u >= 0 and v >= 0 and u + v <= 1 and 0 < t < 1 for u, v, t in found]
        assert hit == any(inside)


@pytest.mark.parametrize("kind", ["outer", "around"])
@pytest.mark.parametrize("seed", range(3))
def test_what_lies_inside_is_not_seen(kind: str, seed: int) -> None:
    nested = triangles(box(), box(0.5, 0.5, 0.5), box(0.3, 0.9, 0.3))
    scan = simulate_scan(nested, 500, generator(seed), settings(kind))
    assert scan.kind == kind and scan.points.shape == (500, 3)
    assert ((scan.points.abs().amax(1) - 0.5).abs() < 1e-6).all()


def test_all_faces_are_sampled_by_area() -> None:
    nested = triangles(box(), box(0.5, 0.5, 0.5))
    scan = simulate_scan(nested, 4000, generator(), settings("all"))
    inner = (scan.points.abs().amax(1) < 0.4).float().mean()
    assert inner == pytest.approx(0.2, abs=0.03)  # 1.5 of 7.5
    assert scan.sensors.isnan().all()


@pytest.mark.parametrize("kind", KINDS)
def test_normals_are_outward_and_sensors_see_the_front(kind: str) -> None:
    ball = triangles(trimesh.creation.icosphere(subdivisions=3, radius=0.5))
    scan = simulate_scan(ball, 400, generator(1), settings(kind))
    assert ((scan.normals * scan.points).sum(1) > 0.48).all()
    if kind in ("around", "one-sided"):
        assert (((scan.sensors - scan.points) * scan.normals).sum(1) > 0).all()
        assert (scan.sensors.norm(dim=1) >= 0.9 - 1e-5).all()


def test_one_side_stays_unseen() -> None:
    ball = triangles(trimesh.creation.icosphere(subdivisions=3, radius=0.5))
    for seed in range(5):
        scan = simulate_scan(ball, 400, generator(seed), settings("one-sided"))
        side = torch.nn.functional.normalize(scan.sensors.mean(0), dim=0)
        assert (scan.points @ side).min() > -0.35


def test_the_nearer_side_is_denser() -> None:
    ball = triangles(trimesh.creation.icosphere(subdivisions=3, radius=0.5))
    scan = simulate_scan(ball, 3000, generator(2), settings("around", sensors=(1, 1)))
    height = scan.points @ torch.nn.functional.normalize(scan.sensors[0], dim=0)
    assert (height > 0.4).sum() > 1.5 * ((height > 0.2) & (height < 0.3)).sum()  # equal areas


@pytest.mark.parametrize(("level", "kind"), [(0.005, "outer"), (0.02, "around"), (0.0, "all")])
def test_noise_has_the_level_that_is_told(level: float, kind: str) -> None:
    plate = triangles(box(1, 0.2, 1))
    spreads = []
    for seed in range(4):
        wanted = settings(kind, noise_levels=((level, 1.0),))
        scan = simulate_scan(plate, 2000, generator(seed), wanted)
        assert scan.noise == level
        flat = (scan.normals[:, 1] > 0.9) & (scan.points[:, [0, 2]].abs().amax(1) < 0.4)
        if flat.sum() > 200:
            spreads.append((scan.points[flat, 1] - 0.1).std().item())
    assert spreads and max(spreads) <= 1.15 * level + 1e-7
    assert max(spreads) >= 0.5 * level  # along slanted rays it is less


def test_floor_holes_outliers_and_duplicates() -> None:
    cube = triangles(box())
    scan = simulate_scan(cube, 800, generator(), settings("outer", missing_floor=1.0))
    assert scan.points[:, 1].min() > -0.5 + 0.0099
    clean = settings("outer", holes=1.0, hole_radius=(0.3, 0.3))
    scan = simulate_scan(cube, 4000, generator(1), clean)
    grid = torch.linspace(-0.5, 0.5, 21)
    u, v = torch.meshgrid(grid, grid, indexing="ij")
    sides = [torch.stack([u, v, torch.full_like(u, s)], -1).reshape(-1, 3).roll(k, 1)
             for s in (-0.5, 0.5) for k in range(3)]  # fmt: skip
    assert torch.cdist(torch.cat(sides), scan.points).amin(1).max() > 0.25  # middle of a hole
    scan = simulate_scan(cube, 4000, generator(2), settings("outer", outliers=1.0))
    off = (scan.points.abs().amax(1) - 0.5).abs() > 1e-6
    assert 0 < off.float().mean() <= 0.05 and scan.points.abs().max() <= 0.6
    scan = simulate_scan(cube, 1000, generator(3), settings("outer", duplicates=1.0))
    assert 650 <= len(torch.unique(scan.points, dim=0)) < 1000


@given(seeds)
def test_same_seed_same_scan(seed: int) -> None:
    solid = triangles(box(0.4, 1, 0.3), trimesh.creation.icosphere(subdivisions=1, radius=0.3))
    first, second = (simulate_scan(solid, 64, generator(seed)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        if isinstance(one, Tensor):
            assert one.shape == (64, 3)
            torch.testing.assert_close(one, other, equal_nan=True, rtol=0, atol=0)
        else:
            assert one == other
    assert first.points.isfinite().all() and first.normals.isfinite().all()


def test_a_scan_of_what_no_sensor_sees_is_of_all() -> None:
    cube = triangles(box()).flip(1)  # inward
    scan = simulate_scan(cube, 50, generator(), settings("around", sensors=(1, 1)))
    assert len(scan.points) == 50 and scan.kind in ("all", "around")
    plate = torch.tensor([[[-0.5, 0, -0.5], [0.5, 0, -0.5], [0, 0, 0.5]]])  # faces down
    scan = simulate_scan(plate, 50, generator(), settings("around", missing_floor=1.0))
    assert scan.kind == "all" and scan.sensors.isnan().all()


def test_bad_arguments_are_named() -> None:
    cube = triangles(box())
    with pytest.raises(ValueError, match="F > 0"):
        simulate_scan(cube[:0], 5, generator())
    with pytest.raises(ValueError, match="count is 0"):
        simulate_scan(cube, 0, generator())
    with pytest.raises(ValueError, match="area"):
        simulate_scan(torch.zeros(2, 3, 3), 5, generator())


def test_queries_are_labelled_by_the_solid() -> None:
    two = triangles(box(0.6, 0.5, 0.5, (-0.2, 0, 0)), box(0.6, 0.5, 0.5, (0.2, 0, 0)))
    scan = simulate_scan(two, 300, generator(), settings("outer"))
    points, occupancy = sample_queries(two, scan.points, 4000, generator(1))
    assert points.shape == (4000, 3) and occupancy.dtype == torch.bool
    away = (points.abs() - torch.tensor([0.5, 0.25, 0.25])).amax(1)
    clear = away.abs() > 1e-5
    assert torch.equal(occupancy[clear], (away < 0)[clear])
    near = (away.abs() < 0.08).float().mean()
    assert 0.6 < near < 0.95 and points.abs().max() < 1
    again = sample_queries(two, scan.points, 4000, generator(1))
    torch.testing.assert_close(again.points, points, rtol=0, atol=0)
    assert len(sample_queries(two, scan.points, 1, generator()).points) == 1
