"""How near places are to points: bounds by true distances, and continuity."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from onet.inference.scan_nearness import REACH, Nearness


@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0.1, 30), st.floats(-1e3, 1e3))
def test_nearness_is_one_at_points_and_zero_far_off(
    seed: int, count: int, extent: float, shift: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = extent * torch.rand(count, 3, generator=generator) + shift
    places = (extent + 40) * (torch.rand(500, 3, generator=generator) - 0.25) + shift
    near = Nearness(points)(places)
    apart = (places[:, None] - points).abs().amax(dim=2).amin(dim=1)
    slack = 1e-3  # of rounding
    assert (near[apart < 0.5 * REACH - slack] > 1 - 1e-5).all()
    assert (near[apart > 2.5 * REACH + slack] == 0).all()
    assert ((near >= 0) & (near <= 1 + 1e-5)).all()


def test_nearness_is_continuous() -> None:
    near = Nearness(torch.tensor([[0.3, 0.2, 0.9], [9.0, 0.0, 0.0]]))
    line = torch.linspace(-12, 20, 4001)
    values = near(torch.stack([line, 0 * line, 0.5 * line], dim=1))
    assert values.max() > 0.99 and values.min() == 0
    assert values.diff().abs().max() < 3 * float(line[1] - line[0]) / REACH
