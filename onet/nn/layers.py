"""Layers of the published occupancy network, features last.

The published code keeps features of points as (B, F, T) and applies `Conv1d` with kernel 1. Here
they are (B, T, F), which needs no transposition and is faster on the CPU; parameters keep the names
and shapes of the published ones, so that state dictionaries are interchangeable.

Source: Mescheder et al., Occupancy Networks, CVPR 2019, section 3 and supplementary material 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError


class PointwiseConv(nn.Conv1d):
    """`Conv1d(in, out, 1)` applied to features last: (..., in) -> (..., out)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.squeeze(-1), self.bias)


def embed_points(
    layer: nn.Linear | PointwiseConv,
    points: Tensor,  # (B, T, D) coordinates
) -> Tensor:
    """Apply the first layer to coordinates in its own precision, then go on in autocast's type.

    bfloat16 has 8 significant bits: coordinates up to 0.5 would be rounded to steps of 0.002.
    """
    device = points.device.type
    with torch.autocast(device, enabled=False):
        features: Tensor = layer(points.to(layer.weight.dtype))
    if torch.is_autocast_enabled(device):
        features = features.to(torch.get_autocast_dtype(device))
    return features


LEAKY_SLOPE = 0.2


def rectifier(leaky: bool) -> Callable[..., Tensor]:
    """ReLU, or the leaky one of the published networks."""
    return partial(F.leaky_relu, negative_slope=LEAKY_SLOPE) if leaky else F.relu


def over_points(
    norm: nn.BatchNorm1d,
    x: Tensor,  # (B, T, F)
) -> Tensor:
    """Batch normalisation with statistics over all query points of the batch."""
    normalised: Tensor = norm(x.flatten(0, 1)).view_as(x)
    return normalised


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation whose scale and shift are affine functions of a code.

    Statistics are over all query points of the batch. In training mode the result for one point
    hence depends on the other points; evaluate in eval mode, where running statistics are used.
    At initialisation the code has no influence (scale 1, shift 0).

    Raises:
        ConfigError: there is no code to depend on.
    """

    def __init__(self, c_dim: int, features: int) -> None:
        super().__init__()
        if c_dim < 1:
            raise ConfigError(
                "model.c_dim: conditional batch normalisation needs a code; name model.encoder and "
                "set model.c_dim, or choose decoder 'simple' or 'batchnorm'"
            )
        self.conv_gamma = PointwiseConv(c_dim, features)
        self.conv_beta = PointwiseConv(c_dim, features)
        self.bn = nn.BatchNorm1d(features, affine=False)
        nn.init.zeros_(self.conv_gamma.weight)
        nn.init.zeros_(self.conv_beta.weight)
        nn.init.ones_(self.conv_gamma.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.conv_beta.bias)  # type: ignore[arg-type]

    def forward(
        self,
        x: Tensor,  # (B, T, F)
        c: Tensor,  # (B, C)
    ) -> Tensor:
        normalised = over_points(self.bn, x)
        gamma = self.conv_gamma(c).unsqueeze(1)
        beta = self.conv_beta(c).unsqueeze(1)
        return torch.addcmul(beta, gamma, normalised)


class ConditionalResnetBlock(nn.Module):
    """Residual block of the decoder, (B, T, F) -> (B, T, F); the identity at initialisation.

    Only the weight of the last layer starts at zero, not its bias, as published.
    """

    def __init__(self, c_dim: int, features: int) -> None:
        super().__init__()
        self.bn_0 = ConditionalBatchNorm(c_dim, features)
        self.bn_1 = ConditionalBatchNorm(c_dim, features)
        self.fc_0 = PointwiseConv(features, features)
        self.fc_1 = PointwiseConv(features, features)
        nn.init.zeros_(self.fc_1.weight)

    def forward(
        self,
        x: Tensor,  # (B, T, F)
        c: Tensor,  # (B, C)
    ) -> Tensor:
        hidden = self.fc_0(F.relu(self.bn_0(x, c), inplace=True))
        return x + self.fc_1(F.relu(self.bn_1(hidden, c), inplace=True))


class BatchNormResnetBlock(nn.Module):
    """Residual block with unconditional batch normalisation, (B, T, F) -> (B, T, F)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.bn_0 = nn.BatchNorm1d(features)
        self.bn_1 = nn.BatchNorm1d(features)
        self.fc_0 = PointwiseConv(features, features)
        self.fc_1 = PointwiseConv(features, features)
        nn.init.zeros_(self.fc_1.weight)

    def forward(
        self,
        x: Tensor,  # (B, T, F)
    ) -> Tensor:
        hidden = self.fc_0(F.relu(over_points(self.bn_0, x), inplace=True))
        return x + self.fc_1(F.relu(over_points(self.bn_1, hidden), inplace=True))


class ResnetBlock(nn.Module):
    """Residual block without normalisation, `out = shortcut(x) + fc_1(relu(fc_0(relu(x))))`.

    The shortcut is the identity where the sizes agree, as in the decoder, else a linear map.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.fc_0 = nn.Linear(in_features, out_features)
        self.fc_1 = nn.Linear(out_features, out_features)
        if in_features == out_features:
            self.shortcut = None
        else:
            self.shortcut = nn.Linear(in_features, out_features, bias=False)
        nn.init.zeros_(self.fc_1.weight)

    def forward(
        self,
        x: Tensor,  # (B, N, F), where F + G = in_features
        pooled: Tensor | None = None,  # (B, 1, G), the same for all points
    ) -> Tensor:
        """With `pooled`, the block acts on x and pooled concatenated for every point."""
        hidden = split_linear(self.fc_0, F.relu(x), None if pooled is None else F.relu(pooled))
        residual: Tensor = self.fc_1(F.relu(hidden))
        if self.shortcut is None:
            return x + residual
        return split_linear(self.shortcut, x, pooled) + residual


def split_linear(
    layer: nn.Linear,
    x: Tensor,  # (B, N, F), where F + G = in_features
    pooled: Tensor | None,  # (B, 1, G), the same for all points
) -> Tensor:
    """Return the layer on x and pooled concatenated for every point.

    The part of a linear map that acts on `pooled` is computed once per shape.
    """
    if pooled is None:
        return F.linear(x, layer.weight, layer.bias)
    split = x.shape[-1]
    shared = F.linear(pooled, layer.weight[:, split:], layer.bias)
    return F.linear(x, layer.weight[:, :split]) + shared
