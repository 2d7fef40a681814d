"""A PointNet that sees a shape as points with occupancies."""

from __future__ import annotations

from torch import Tensor, nn

from onet.nn.latent_encoders._registry import LATENT_ENCODERS
from onet.nn.layers import embed_points, rectifier, split_linear


class OccupancySetNetwork(nn.Module):
    """Features (B, hidden_dim) of a set of points with occupancies, whatever their order.

    Their number matters somewhat: a maximum over more points is larger. Source: Occupancy Networks,
    section 3.2 and supplementary material 1.1.

    Args:
        c_dim: size of a code that the points are seen with, or 0.
        hidden_dim: features of a point.
        leaky: leaky rectifiers.
        mean: pool by the mean over the points and not by the maximum.
    """

    def __init__(self, c_dim: int, hidden_dim: int, leaky: bool, mean: bool) -> None:
        super().__init__()
        self.fc_pos = nn.Linear(3, hidden_dim)
        self.fc_c = nn.Linear(c_dim, hidden_dim) if c_dim else None
        self.fc_0 = nn.Linear(1, hidden_dim)
        self.fc_1 = nn.Linear(hidden_dim, hidden_dim)
        self.fc_2 = nn.Linear(2 * hidden_dim, hidden_dim)
        self.fc_3 = nn.Linear(2 * hidden_dim, hidden_dim)
        self.activation = rectifier(leaky)
        self.mean = mean

    def features(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        occupancies: Tensor,  # (B, T) in [0, 1]
        c: Tensor,  # (B, C), ignored where C is 0
    ) -> Tensor:  # (B, hidden_dim)
        net = self.fc_0(occupancies.unsqueeze(-1)) + embed_points(self.fc_pos, points)
        if self.fc_c is not None:
            net = net + self.fc_c(c).unsqueeze(1)
        net = self.fc_1(self.activation(net))
        for layer in (self.fc_2, self.fc_3):
            pooled = self._pool(net)
            net = split_linear(layer, self.activation(net), self.activation(pooled))
        return self._pool(net).squeeze(1)

    def _pool(self, net: Tensor) -> Tensor:
        """(B, T, F) -> (B, 1, F)."""
        if self.mean:
            return net.mean(dim=1, keepdim=True)
        return net.max(dim=1, keepdim=True).values


@LATENT_ENCODERS.register("simple")
class PointNetLatentEncoder(OccupancySetNetwork):
    """Mean and log standard deviation of q(z | points, occupancies, c).

    `leaky` also replaces the maximum over the points by the mean, as published.
    """

    def __init__(self, c_dim: int, z_dim: int, hidden_dim: int = 128, leaky: bool = False) -> None:
        super().__init__(c_dim, hidden_dim, leaky, mean=leaky)
        self.fc_mean = nn.Linear(hidden_dim, z_dim)
        self.fc_logstd = nn.Linear(hidden_dim, z_dim)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        occupancies: Tensor,  # (B, T) in [0, 1]
        c: Tensor,  # (B, C), ignored where C is 0
    ) -> tuple[Tensor, Tensor]:  # (B, z_dim) each
        features = self.features(points, occupancies, c)
        return self.fc_mean(features), self.fc_logstd(features)
