"""Local features in a folded decoder: what they add in front of each block, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from onet.nn.decoders.constant_linear import constant_linear
from onet.nn.local_features import FeatureSampler


class FoldedFeatures:
    """Linear maps of the features at a point, one in front of each block.

    Args:
        features: of one observation.
        layers: linear, from features to what is added, one a block.
        dtype: float32 or bfloat16, of the operands.
        rows: points that are evaluated at once.
    """

    @torch.no_grad()
    def __init__(
        self, features: FeatureSampler, layers: Iterable[nn.Module], dtype: torch.dtype, rows: int
    ) -> None:
        parts: list[Any] = list(layers)
        self._features, self._dtype = features, dtype
        self._weight = torch.cat([layer.weight for layer in parts]).to(dtype)
        bias = torch.cat([layer.bias for layer in parts]).to(dtype)
        shares = zip(self._weight.chunk(len(parts)), bias.chunk(len(parts)), strict=True)
        self._layers = [constant_linear(*share, rows=rows) for share in shares]

    def __call__(
        self,
        points: Tensor,  # (T, 3)
    ) -> Iterator[Tensor]:
        """(T, H) for each block, when it is asked for: all at once would not stay in the cache."""
        features = self._features(points[None])[0].to(self._dtype)
        return (layer(features) for layer in self._layers)

    def gradient(
        self,
        points: Tensor,  # (T, 3)
        changes: list[Tensor],  # (T, H) for each block: gradients by what a call returns, rounded
    ) -> Tensor:
        """Return the gradient (T, 3) by the points."""
        by_features = (torch.cat(changes, dim=1) @ self._weight).float()
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            features = self._features(points[None])[0]
            return torch.autograd.grad(features, points, by_features)[0]
