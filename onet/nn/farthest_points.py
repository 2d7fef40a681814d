"""Few points that are spread over many."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def farthest_points(
    points: Tensor,  # (B, N, 3)
    count: int,
) -> Tensor:  # (B, count) int64
    """Indices of points each of which is as far as possible from those before it.

    The first is the one farthest from the mean, so that the order of the points plays no part but
    among equal distances. With fewer points than asked for they come again. Takes `count` passes
    over the points. Source: Eldar et al., The farthest point strategy, 1997.
    """
    points = points.float()
    distance = (points - points.mean(1, keepdim=True)).square().sum(-1)
    chosen = [distance.argmax(1)]
    distance.fill_(torch.inf)
    while len(chosen) < count:
        last = points.gather(1, chosen[-1][:, None, None].expand(-1, 1, 3))
        distance = torch.minimum(distance, (points - last).square().sum(-1))
        chosen.append(distance.argmax(1))
    return torch.stack(chosen, 1)
