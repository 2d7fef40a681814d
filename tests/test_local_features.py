"""Local features: cells, pooling, interpolation, U-Nets, encoders and decoder."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_weights import randomise
from torch import Tensor
from twins import local_features as twin

from onet.errors import ConfigError, DataError
from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS
from onet.nn.local_features import AXES, CellGroups, FeatureTable, cells_of, scatter_mean
from onet.nn.unet import UNet

B, N, F = 2, 60, 5
NAMES = list(AXES)


def cloud(seed: int = 0, spread: float = 1.3) -> Tensor:
    """Points of which some are outside the box."""
    return (torch.rand(B, N, 3, generator=torch.Generator().manual_seed(seed)) - 0.5) * spread


def some_maps(seed: int = 0, size: int = F) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"xz": (4, 4), "xy": (7, 7), "yz": (4, 4), "grid": (3, 3, 3)}
    return {n: torch.randn(B, size, *shape, generator=generator) for n, shape in shapes.items()}


def encoder(name: str = "local_pointnet", **options: object) -> torch.nn.Module:
    small = {"plane_resolution": 8, "unet_depth": 2, "unet_width": 4}
    return randomise(ENCODERS.build({"type": name, **small, **options}, "e", c_dim=F)).eval()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("resolution", [2, 5])
def test_mean_of_cells(name: str, resolution: int) -> None:
    points, features = cloud(), torch.randn(B, N, F)
    means = scatter_mean(features, cells_of(points, name, resolution), name, resolution)
    for i in range(B):
        expected = twin.scatter_mean(points[i].numpy(), features[i].numpy(), name, resolution)
        np.testing.assert_allclose(means[i], expected, atol=1e-6)


def some_groups(resolutions: dict[str, int]) -> CellGroups:
    return groups_of(cloud(), resolutions)


def groups_of(points: Tensor, resolutions: dict[str, int]) -> CellGroups:
    cells = [cells_of(points, name, r) for name, r in resolutions.items()]
    return CellGroups(cells, [r ** len(AXES[name]) for name, r in resolutions.items()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    "resolutions", [{"xz": 2}, {"xz": 5, "xy": 5, "yz": 3}, {"grid": 9, "xy": 1}]
)
def test_sum_of_maxima_is_that_of_the_twin(resolutions: dict[str, int], dtype: torch.dtype) -> None:
    features = torch.randn(B, N, F).to(dtype)
    pooled = some_groups(resolutions).sum_of_maxima(features)
    assert pooled.dtype == dtype
    for i in range(B):
        arguments = cloud()[i].numpy(), features[i].double().numpy()
        expected = sum(twin.cell_maximum(*arguments, *each) for each in resolutions.items())
        rounding = torch.finfo(dtype).eps * np.abs(expected).max()
        np.testing.assert_allclose(pooled[i].double(), expected, atol=rounding)


def test_nan_stays_and_no_points_are_no_error() -> None:
    for nan_at in (0, N - 1):  # before and after the others of its cell
        features = torch.randn(B, N, F)
        features[1, nan_at, 2] = torch.nan
        pooled = some_groups({"xz": 1, "yz": 4}).sum_of_maxima(features)
        assert pooled[1, :, 2].isnan().all() and int(pooled.isnan().sum()) == N
    nothing = torch.zeros(B, 0, F, requires_grad=True)
    pooled = groups_of(torch.zeros(B, 0, 3), {"xz": 3}).sum_of_maxima(nothing)
    assert pooled.shape == (B, 0, F)
    assert torch.autograd.grad(pooled.sum(), nothing)[0].shape == (B, 0, F)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_gradient_of_maxima_is_that_of_torch(dtype: torch.dtype) -> None:
    resolutions = {"xz": 3, "grid": 2}
    features = torch.randint(3, (B, N, F)).to(dtype).requires_grad_()  # many equal maxima
    weights = torch.randint(-4, 5, (B, N, F)).to(dtype)
    pooled = some_groups(resolutions).sum_of_maxima(features)
    (own,) = torch.autograd.grad((pooled * weights).sum(), features)
    exact, total = features.detach().double().requires_grad_(), torch.zeros(())
    for name, resolution in resolutions.items():
        flat = cells_of(cloud(), name, resolution).flatten()[:, None].expand(-1, F)
        empty = exact.new_full((int(flat.max()) + 1, F), -1.0)  # not 0, a maximum for torch
        most = empty.scatter_reduce(0, flat, exact.flatten(0, 1), "amax", include_self=False)
        total = total + (most.gather(0, flat) * weights.double().flatten(0, 1)).sum()
    (expected,) = torch.autograd.grad(total, exact)
    rounding = 2 * torch.finfo(dtype).eps * float(expected.abs().max())
    torch.testing.assert_close(own.double(), expected, atol=rounding, rtol=0)


def test_the_gradient_of_maxima_can_be_differentiated() -> None:
    groups = some_groups({"xz": 3, "yz": 2})
    features = torch.randn(B, N, F, requires_grad=True)
    scale = torch.ones(B, N, F, requires_grad=True)
    value = (groups.sum_of_maxima(features) * scale).sum()
    (gradient,) = torch.autograd.grad(value, features, create_graph=True)
    (plain,) = torch.autograd.grad((groups.sum_of_maxima(features) * scale).sum(), features)
    torch.testing.assert_close(gradient, plain)
    (second,) = torch.autograd.grad(gradient.square().sum(), scale)
    step = 1e-2 * torch.randn(B, N, F, generator=torch.Generator().manual_seed(0))

    def squares(by: Tensor) -> float:
        value = (groups.sum_of_maxima(features) * by).sum()
        return float(torch.autograd.grad(value, features)[0].double().square().sum())

    change = squares(scale + step) - squares(scale - step)
    assert change == pytest.approx(2 * float((second * step).sum()), rel=1e-3)


def test_maxima_depend_on_no_other_item_and_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    features = torch.randn(B, N, F)
    together = some_groups({"xz": 4, "xy": 4}).sum_of_maxima(features)
    monkeypatch.setattr(torch, "get_num_threads", lambda: B)
    again = some_groups({"xz": 4, "xy": 4}).sum_of_maxima(features)
    torch.testing.assert_close(again, together, rtol=0, atol=0)
    for i in range(B):
        alone = groups_of(cloud()[i : i + 1], {"xz": 4, "xy": 4})
        torch.testing.assert_close(
            alone.sum_of_maxima(features[i : i + 1])[0], together[i], rtol=0, atol=0
        )


@pytest.mark.parametrize("cells", [[[0, 1], [0, 2]], [[0, 1], [2, 4]], [[0, -1], [1, 2]]], ids=str)
def test_numbers_of_cells_are_checked(cells: list[list[int]]) -> None:
    """Those of an item come after those of the one before; none is beyond the table."""
    from onet import _C

    x, table = np.zeros((2, 2, 1), np.float32), np.zeros((4, 1), np.float32)
    with pytest.raises(ValueError, match="ascend"):
        _C.sum_of_maxima(x, [np.array(cells, np.int32)], [table], np.zeros_like(x))


def test_interpolation_is_the_twin_and_grid_sample() -> None:
    maps, points = some_maps(), cloud()
    features = FeatureTable(maps)(points)
    alone = {n: values[1].numpy() for n, values in maps.items()}
    expected = np.stack([twin.sample(alone, p) for p in points[1].numpy()])
    np.testing.assert_allclose(features[1], expected, atol=1e-5)
    total = torch.zeros(B, N, F)
    for name, values in maps.items():
        at = points[..., list(AXES[name])[::-1]] / 0.55  # grid_sample wants the last axis first
        at = at.view(B, N, *(1,) * (len(AXES[name]) - 1), -1)
        sampled = torch.nn.functional.grid_sample(
            values, at, padding_mode="border", align_corners=False
        )
        total += sampled.flatten(2).transpose(1, 2)
    torch.testing.assert_close(features, total, atol=1e-5, rtol=1e-5)


def test_gradients_of_the_interpolation() -> None:
    """By the points where they are inside, and none outside; by the maps everywhere."""
    maps = {n: values.requires_grad_() for n, values in some_maps().items()}
    points = cloud().requires_grad_()
    table = FeatureTable(maps)
    weights = torch.randn(F)

    def value(at: Tensor) -> Tensor:
        return table(at) @ weights

    (gradient,) = torch.autograd.grad(value(points).sum(), points, retain_graph=True)
    step = 1e-3
    for axis in range(3):
        shift = torch.zeros(3)
        shift[axis] = step
        difference = (value(points + shift) - value(points - shift)) / (2 * step)
        off = (gradient[..., axis] - difference).abs()
        assert off.median() < 1e-3 and (off > 0.02).float().mean() < 0.1  # but at kinks
    beyond = torch.full((B, 1, 3), 0.7).requires_grad_()
    assert not torch.autograd.grad(value(beyond).sum(), beyond)[0].any()
    grads = torch.autograd.grad(value(points).sum(), list(maps.values()))
    torch.testing.assert_close(grads[0].sum((0, 2, 3)), B * N * weights, atol=1e-3, rtol=1e-4)


def test_gradients_by_the_maps_alone_are_those_beside_points() -> None:
    """The compiled sum and that of torch; they can be differentiated in their turn."""
    maps = {n: values.requires_grad_() for n, values in some_maps().items()}
    upstream = torch.randn(B, N, F, requires_grad=True)

    def by_maps(points: Tensor, further: bool = False) -> list[Tensor]:
        value = (FeatureTable(maps)(points) * upstream).sum()
        return list(torch.autograd.grad(value, list(maps.values()), create_graph=further))

    expected = by_maps(cloud().requires_grad_())
    for further in (False, True):
        for own, other in zip(by_maps(cloud(), further), expected, strict=True):
            torch.testing.assert_close(own, other)
    squares = sum(gradient.square().sum() for gradient in by_maps(cloud(), True))
    (second,) = torch.autograd.grad(squares, upstream)
    twice = 2 * FeatureTable({n: g.detach() for n, g in zip(maps, expected, strict=True)})(cloud())
    torch.testing.assert_close(second, twice)  # sampling is the transpose of its gradient


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2500])
def test_compiled_sampling_is_that_of_torch(published: bool, count: int) -> None:
    table = FeatureTable(some_maps(), published)
    points = 1.3 * (torch.rand(B, count, 3) - 0.5)
    expected = table(points.clone().requires_grad_()).detach()
    one, threads = table(points), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert table(points).equal(one)
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(one, expected, atol=2e-6, rtol=1e-6)
    if count:
        points[0, 0] = torch.nan
        unknown = table(points).isnan().all(-1)
        assert unknown[0, 0] and unknown.sum() == 1


def test_maps_beyond_the_table_are_refused() -> None:
    from onet import _C

    places, out = np.zeros((3, 1, 1), np.float32), np.zeros((1, 1, 1), np.float32)
    table = np.arange(10, dtype=np.float32).reshape(1, 10, 1)
    _C.add_corners(places, table, (0, 1), 3, 1, out)
    assert out.item() == 1
    for axes, resolution, first in (
        ((0, 1), 3, 2), ((0, 1), 1, 0), ((0, 1, 2), 3, 0), ((0, 3), 2, 0), ((0,), 2, 0),
        ((0, 1), 3, -1), ((0, 1), 2**40, 0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"axes|table"):
            _C.add_corners(places, table, axes, resolution, first, out)
    with pytest.raises(ValueError, match="places"):
        _C.add_corners(places[:, :, :0].copy(), table, (0, 1), 3, 1, out)
    with pytest.raises(ValueError, match="table"):
        _C.add_corners(places, table.repeat(2, 2), (0, 1), 3, 1, out)


def test_rows_of_another_item_are_refused() -> None:
    from onet import _C

    gradient, weights = np.ones((2, 1, 1), np.float32), np.ones((2, 1, 1), np.float32)
    table = np.zeros((2, 3, 1), np.float32)
    _C.add_to_rows(gradient, np.array([[[2]], [[3]]]), weights, table)
    assert table.ravel().tolist() == [0, 0, 1, 1, 0, 0]
    for rows in ([2, 2], [-1, 3], [0, 6]):
        with pytest.raises(IndexError, match="rows"):
            _C.add_to_rows(gradient, np.array(rows).reshape(2, 1, 1), weights, table)


@given(seed=st.integers(0, 1000), factor=st.floats(1.0, 50.0))
@settings(max_examples=20, deadline=None)
def test_points_outside_see_the_border(seed: int, factor: float) -> None:
    maps, points = some_maps(seed), cloud(seed) * factor
    inside = points.clamp(-0.55, 0.55)
    table = FeatureTable(maps)
    torch.testing.assert_close(table(points), table(inside), atol=1e-4, rtol=1e-4)
    if factor > 2:
        assert not torch.allclose(table(points), table(points / factor))


def test_the_decoder_is_its_twin() -> None:
    decoder = randomise(DECODERS.build({"type": "local", "hidden_size": 6}, "d", c_dim=F, z_dim=0))
    maps, points = some_maps(), cloud()
    with torch.no_grad():
        logits = decoder(points, None, maps)
    parameters = {k: v.numpy() for k, v in decoder.state_dict().items()}
    alone = {n: values[0].numpy() for n, values in maps.items()}
    expected = [twin.decode(parameters, alone, p) for p in points[0].numpy()]
    np.testing.assert_allclose(logits[0], expected, atol=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"planes": ["xy"]}, {"planes": [], "grid_resolution": 6}], ids=str
)
def test_the_order_of_points_does_not_matter(options: dict[str, object]) -> None:
    module, points = encoder(**options), cloud(spread=1.0)
    order = torch.randperm(N)
    code, shuffled = module(points), module(points[:, order])
    assert set(code) == set(options.get("planes", ["xz", "xy", "yz"])) | (
        {"grid"} if "grid_resolution" in options else set()
    )
    for name, values in code.items():
        torch.testing.assert_close(shuffled[name], values, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(module(points[:1, :1])[name].isfinite().all(), torch.tensor(True))


def test_points_are_pooled_with_those_of_their_cell_only() -> None:
    """Moving a point changes the features of its own cells before the U-Net, and no others."""
    module = encoder(planes=["xy"], unet_depth=1)
    module.maps.unet = torch.nn.Identity()
    points = cloud(spread=1.0)[:1]
    moved = points.clone()
    moved[0, 0, 2] += 0.05  # along z, which the plane does not see
    before, after = module(points)["xy"], module(moved)["xy"]
    i, j = twin.cell(points[0, 0].numpy(), "xy", 8)
    changed = (before - after).abs().amax(1)[0] > 1e-6
    assert changed[i, j] and changed.sum() == 1


def test_whole_cells_shift_the_map() -> None:
    """Of the mean in each cell, which knows places only by their cells."""
    points, features = cloud(spread=0.5), torch.randn(B, N, F)
    step = 1.1 / 8
    shifted = points + torch.tensor([2 * step, 0, -step])
    for name in NAMES:
        before = scatter_mean(features, cells_of(points, name, 8), name, 8)
        after = scatter_mean(features, cells_of(shifted, name, 8), name, 8)
        moves = {0: 2, 1: 0, 2: -1}
        rolled = before.roll([moves[a] for a in AXES[name]], tuple(range(2, before.ndim)))
        torch.testing.assert_close(after, rolled)
        assert not torch.equal(after, before) or name == "y"


def test_points_outside_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    module = encoder()
    with caplog.at_level(logging.WARNING):
        module(cloud(spread=1.0))
        assert not caplog.records
        module(cloud(spread=3.0))
        module(cloud(spread=3.0))
    assert len(caplog.records) == 1
    assert "outside the box" in caplog.text and f"of {B * N} points" in caplog.text


def test_voxels_keep_their_place() -> None:
    """A full voxel changes the cells around its own: the axes are those of the input."""
    for options in ({}, {"planes": [], "grid_resolution": 16}):
        module = encoder("local_voxels", resolution=16, plane_resolution=16, **options)
        module.maps.unet = module.maps.unet3d = torch.nn.Identity()
        grid = torch.zeros(1, 16, 16, 16)
        before = module(grid)
        grid[0, 3, 6, 12] = 1
        place = (np.array([3.5, 6.5, 12.5]) / 16 - 0.5) / 1.1 + 0.5
        for name, after in module(grid).items():
            where = (after - before[name]).abs().sum((0, 1)).nonzero()
            centre = (where.amin(0) + where.amax(0) + 1) / 2 / 16
            np.testing.assert_allclose(centre, place[list(AXES[name])], atol=0.05)
    with pytest.raises(DataError, match=r"shape \(4, 4, 4\).*made for 16"):
        module(torch.zeros(1, 4, 4, 4))


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_unets_keep_the_resolution(dimensions: int, depth: int) -> None:
    net = randomise(UNet(dimensions, 3, 4, depth))
    x = torch.randn(2, 3, *(8,) * dimensions)
    assert net(x).shape == x.shape
    assert not torch.allclose(net(x)[0], net(x)[1])


def test_unets_see_further_with_depth() -> None:
    widths = []
    for depth in (1, 2, 3):
        net = randomise(UNet(2, 3, 8, depth)).double()
        x = torch.randn(1, 3, 48, 48, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(net(x)[0, :, 24, 24].sum(), x)
        rows = gradient.abs().amax((0, 1, 3)).nonzero()
        widths.append(int(rows.max() - rows.min()) + 1)
    assert widths[0] == 5 < widths[1] - 5 < widths[2] - 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plane_resolution": 50, "unet_depth": 4}, r"plane_resolution: 50.*give 48 or 56"),
        ({"grid_resolution": 6, "unet_depth": 4, "planes": []}, r"grid_resolution: 6.*give 8,"),
        ({"plane_resolution": 0}, r"plane_resolution: 0"),
        ({"unet_depth": 0}, r"unet_depth: 0"),
        ({"unet_width": 0}, r"unet_width: 0"),
        ({"planes": []}, "neither planes nor a grid"),
        ({"planes": ["xy", "xy"]}, "twice"),
        ({"planes": ["zx"]}, r"planes.*'xz', 'xy' or 'yz'"),
        ({"blocks": 0}, "blocks: 0"),
    ],
)
def test_sizes_that_do_not_fit(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encoder(**options)


def test_decoders_that_do_not_fit() -> None:
    for options in ({"blocks": 0}, {}):
        with pytest.raises(ConfigError, match="at least one of each"):
            DECODERS.build({"type": "local", **options}, "d", c_dim=0 if not options else 4)
    decoder = DECODERS.build({"type": "local"}, "d", c_dim=4, z_dim=0)
    for call in (lambda c: decoder(cloud(), None, c), lambda c: decoder.fold(c[0])):
        with pytest.raises(ConfigError, match=r"needs maps of features.*local_pointnet"):
            call(torch.randn(B, 4))
