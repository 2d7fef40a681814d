"""Sparse grids against dense ones: who neighbours whom, convolutions, what lies between centres."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, map_coordinates

from onet.models.scan import ScanCode, ScanNetwork, blended
from onet.nn import sparse_unet
from onet.nn.cell_size import cell_size, robust_extent
from onet.nn.sparse_grid import (
    LARGEST,
    build_pyramid,
    corners,
    neighbours_of,
    pack,
    pad_of,
    searched_neighbours,
)
from onet.nn.sparse_unet import SparseConv, SparseUNet

DEPTH = 3
PAD = pad_of(DEPTH)


def cloud(seed: int, count: int = 40, spread: float = 6) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.uniform(PAD, PAD + spread, (count, 3)).astype(np.float32))


def dense_of(keys: torch.Tensor, values: torch.Tensor, scan: int = 0) -> torch.Tensor:
    """(C, R, R, R) from the cells of one scan."""
    mask = LARGEST - 1
    mine = keys >> 51 == scan
    x, y, z = ((keys[mine] >> shift) & mask for shift in (34, 17, 0))
    out = torch.zeros(values.shape[1], 32, 32, 32, dtype=values.dtype)
    out[:, x, y, z] = values[mine].T
    return out


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_levels_hold_the_cells_with_points_and_all_that_touch_them(seed, count):
    points = cloud(seed, count)
    pyramid = build_pyramid(points, torch.zeros(count, dtype=torch.long), DEPTH)
    for number, level in enumerate(pyramid.levels):
        occupied = np.zeros((32,) * 3, bool)
        occupied[tuple((points.numpy() // 2**number).astype(int).T)] = True
        wanted = binary_dilation(occupied, np.ones((3, 3, 3)))
        there = dense_of(level.keys, torch.ones(len(level), 1))[0].numpy() > 0
        np.testing.assert_array_equal(there, wanted)
        assert (level.keys.diff() > 0).all()
    for fine, coarse in zip(pyramid.levels, pyramid.levels[1:], strict=False):
        assert (fine.parents < len(coarse)).all()
        # Twice the centre of the parent is within the child's cell or touches it.
        mask = LARGEST - 1
        for shift in (34, 17, 0):
            child, parent = (keys >> shift & mask for keys in (fine.keys, coarse.keys))
            torch.testing.assert_close(child >> 1, parent[fine.parents])
    centres = points.floor() + 0.5
    torch.testing.assert_close(points - centres, pyramid.local)
    own = pack(points.long(), torch.zeros(count, dtype=torch.long))
    torch.testing.assert_close(pyramid.levels[0].keys[pyramid.point_cells], own)


def test_convolution_is_the_dense_one_with_its_gradients():
    points = cloud(1)
    level = build_pyramid(points, torch.zeros(len(points), dtype=torch.long), DEPTH).levels[0]
    conv = SparseConv(3, 5).double()
    x = torch.randn(len(level), 3, dtype=torch.float64, requires_grad=True)
    y = conv(x, level)
    kernel = conv.weight.detach().view(3, 3, 3, 3, 5).permute(4, 3, 0, 1, 2)
    dense = F.conv3d(dense_of(level.keys, x.detach())[None], kernel, padding=1)[0]
    there = dense_of(level.keys, torch.ones(len(level), 1))[0] > 0
    torch.testing.assert_close(dense_of(level.keys, y.detach())[:, there], dense[:, there])
    with torch.no_grad():
        torch.testing.assert_close(conv(x, level), y)
    assert torch.autograd.gradcheck(lambda a: conv(a, level), (x,), fast_mode=True)
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(conv, {"weight": w}, (x, level)),
        (conv.weight,),
        fast_mode=True,
    )


def test_corners_interpolate_between_centres():
    points = cloud(2, 300)
    level = build_pyramid(points, torch.zeros(300, dtype=torch.long), DEPTH).levels[0]
    values = torch.randn(len(level), 1)
    places = torch.from_numpy(np.random.default_rng(0).uniform(PAD - 1, PAD + 7, (500, 3))).float()
    rows, weights = corners(level, places, torch.zeros(500, dtype=torch.long))
    torch.testing.assert_close(weights.sum(1), torch.ones(500))
    padded = torch.cat([values, values.new_zeros(1, 1)])[:, 0]
    dense = dense_of(level.keys, values)[0].numpy()
    wanted = map_coordinates(dense, places.numpy().T - 0.5, order=1)
    np.testing.assert_allclose((padded[rows] * weights).sum(1).numpy(), wanted, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 3))
def test_lookups_of_the_processor_are_those_of_the_search(seed, count, threads):
    """Queries anywhere, of several scans, also beyond all cells."""
    rng = np.random.default_rng(seed)
    scans = torch.from_numpy(rng.integers(0, 3, count))
    pyramid = build_pyramid(cloud(seed, count), scans, DEPTH)
    for level in pyramid.levels:
        torch.testing.assert_close(neighbours_of(level.keys), searched_neighbours(level.keys))
    features = [torch.randn(len(level) + 1, 5) for level in pyramid.levels]
    for of_level in features:
        of_level[-1] = 0  # of the absent
    code = ScanCode(pyramid, features)
    queries = torch.from_numpy(rng.uniform(-20, 60, (300, 3)).astype(np.float32))
    queries[:100] = cloud(seed + 1, 100)
    of_query = torch.from_numpy(rng.integers(0, 3, 300))
    searched = blended(queries, of_query, code)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            torch.testing.assert_close(blended(queries, of_query, code), searched)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("place", [np.nan, np.inf, 1e30, -1e30])
def test_places_beyond_all_cells_have_no_features(place):
    pyramid = build_pyramid(cloud(0), torch.zeros(40, dtype=torch.long), DEPTH)
    code = ScanCode(pyramid, [torch.ones(len(level) + 1, 2) for level in pyramid.levels])
    queries = torch.full((1, 3), place)
    with torch.no_grad():
        assert (blended(queries, torch.zeros(1, dtype=torch.long), code) == 0).all()


def test_half_precision_changes_little_and_determinism_takes_none_of_it(monkeypatch):
    monkeypatch.setattr(sparse_unet, "_has_bfloat16", lambda: True)
    level = build_pyramid(cloud(3), torch.zeros(40, dtype=torch.long), DEPTH).levels[0]
    conv = SparseConv(8, 8)
    x = torch.randn(len(level), 8)
    learned = conv(x, level).detach()
    with torch.no_grad():
        half = conv(x, level)
        torch.use_deterministic_algorithms(True)
        try:
            full = conv(x, level)
        finally:
            torch.use_deterministic_algorithms(False)
    assert half.dtype == torch.float32
    assert 0 < (half - learned).abs().max() < 0.02 * learned.abs().max()
    torch.testing.assert_close(full, learned)


def test_features_are_continuous_where_a_level_ends():
    points = cloud(3, 5, 2)
    pyramid = build_pyramid(points, torch.zeros(5, dtype=torch.long), DEPTH)
    absent = torch.zeros(1, 4)
    features = [torch.cat([torch.randn(len(level), 4), absent]) for level in pyramid.levels]
    code = ScanCode(pyramid, features)
    line = torch.tensor([PAD + 1.0, PAD + 1.2, PAD + 1.4]) + torch.linspace(-9, 9, 20001)[:, None]
    values = blended(line, torch.zeros(len(line), dtype=torch.long), code)
    assert (values.diff(dim=0).abs().max() < 0.02) and values.std() > 0.1


def test_scans_of_a_batch_do_not_touch_each_other():
    torch.manual_seed(0)
    network = ScanNetwork((8, 12, 12), features=8, hidden=16, blocks=1)
    clouds = [cloud(4), cloud(5, 70)]
    queries = cloud(6, 50)

    def logits(parts: list[torch.Tensor], which: int) -> torch.Tensor:
        scans = torch.cat([torch.full((len(p),), k) for k, p in enumerate(parts)])
        none = torch.zeros(len(scans), 3)
        code = network.encode(torch.cat(parts), scans, none, none)
        return network.decode(queries, torch.full((50,), which), code)

    both = [logits(clouds, 0), logits(clouds, 1)]
    for k in range(2):
        torch.testing.assert_close(both[k], logits(clouds[k : k + 1], 0))
    assert (both[0] - both[1]).abs().max() > 1e-4


def test_a_far_point_changes_nothing_beyond_the_reach_of_the_network():
    torch.manual_seed(0)
    unet = SparseUNet((4, 4), 4).eval()
    near = cloud(7)
    far = torch.cat([near, near[:1] + 200])
    features = []
    for points in (near, far):
        pyramid = build_pyramid(points, torch.zeros(len(points), dtype=torch.long), 2)
        x = torch.ones(len(pyramid.levels[0]), 4)
        with torch.no_grad():
            features.append(unet(x, pyramid)[0][pyramid.point_cells[:40]])
    torch.testing.assert_close(features[0], features[1])


@pytest.mark.parametrize("points", [torch.zeros(1, 3), torch.full((1, 3), LARGEST - 1.0)])
def test_points_too_near_the_border_are_refused(points):
    with pytest.raises(ValueError, match="cells go from"):
        build_pyramid(points, torch.zeros(1, dtype=torch.long), DEPTH)


def test_cells_follow_the_spacing_of_the_points():
    rng = np.random.default_rng(0)
    sphere = torch.from_numpy(rng.normal(size=(8000, 3))).float()
    sphere /= sphere.norm(dim=1, keepdim=True)
    few, many = cell_size(sphere[:2000]), cell_size(sphere)
    assert few / many == pytest.approx(2, rel=0.1)  # a fourth of the points on the same area
    assert cell_size(sphere * 1000) / many == pytest.approx(1000, rel=1e-2)
    noisy = sphere + 0.1 * torch.from_numpy(rng.normal(size=sphere.shape)).float()
    assert cell_size(noisy) > 1.5 * many
    assert cell_size(sphere.repeat(2, 1)) == pytest.approx(many, rel=0.05)  # copies do not count
    outlier = torch.cat([sphere, torch.tensor([[1e4, 0, 0]])])
    assert cell_size(outlier) == pytest.approx(many, rel=0.02)
    assert float(robust_extent(outlier)) == pytest.approx(2, rel=0.05)


FUSED = """
import torch
from onet.nn import triton_gather as fused

generator = torch.Generator().manual_seed(0)
for rows, c, d in ((300, 16, 32), (64, 64, 16)):
    x, gradient = (torch.randn(rows, n, generator=generator) for n in (c, d))
    weight = torch.randn(27, c, d, generator=generator)
    neighbours = torch.randint(rows + 1, (rows, 27), generator=generator).int()
    gathered = torch.cat([x, x.new_zeros(1, c)])[neighbours.long()].view(rows, -1)
    product = fused.gather_product(x, weight, neighbours)
    torch.testing.assert_close(product, gathered @ weight.flatten(0, 1), atol=1e-3, rtol=1e-4)
    found = fused.weight_gradient(x, gradient, neighbours)
    torch.testing.assert_close(found.flatten(0, 1), gathered.T @ gradient, atol=1e-3, rtol=1e-4)
print("equal")
"""


@pytest.mark.slow
def test_the_kernel_for_gpus_computes_what_gather_and_product_do():
    """By Triton's interpreter, which is chosen when Triton is imported."""
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, "-c", FUSED],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "equal\n", done.stderr[-3000:]
