"""The decoder of the ablation without residual blocks."""

from __future__ import annotations

from torch import Tensor, nn

from onet.nn.decoders._registry import DECODERS
from onet.nn.layers import ConditionalBatchNorm, PointwiseConv, embed_points, rectifier


@DECODERS.register("cbatchnorm_noresnet")
class CBatchNormNoResnetDecoder(nn.Module):
    """Five linear layers, each behind a conditional batch normalisation and a rectifier.

    In training mode a result depends on all query points of the batch. Source: Occupancy Networks,
    ablation "no ResNet-blocks".
    """

    def __init__(
        self, c_dim: int, z_dim: int = 0, hidden_size: int = 256, leaky: bool = False
    ) -> None:
        super().__init__()
        self.fc_z = nn.Linear(z_dim, hidden_size) if z_dim else None
        self.fc_p = PointwiseConv(3, hidden_size)
        self.fc_0 = PointwiseConv(hidden_size, hidden_size)
        self.fc_1 = PointwiseConv(hidden_size, hidden_size)
        self.fc_2 = PointwiseConv(hidden_size, hidden_size)
        self.fc_3 = PointwiseConv(hidden_size, hidden_size)
        self.fc_4 = PointwiseConv(hidden_size, hidden_size)
        self.bn_0 = ConditionalBatchNorm(c_dim, hidden_size)
        self.bn_1 = ConditionalBatchNorm(c_dim, hidden_size)
        self.bn_2 = ConditionalBatchNorm(c_dim, hidden_size)
        self.bn_3 = ConditionalBatchNorm(c_dim, hidden_size)
        self.bn_4 = ConditionalBatchNorm(c_dim, hidden_size)
        self.bn_5 = ConditionalBatchNorm(c_dim, hidden_size)
        self.fc_out = PointwiseConv(hidden_size, 1)
        self.activation = rectifier(leaky)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        z: Tensor | None,  # (B, Z), or None for a decoder without latent code
        c: Tensor,  # (B, C)
    ) -> Tensor:  # (B, T) logits
        net = embed_points(self.fc_p, points)
        if self.fc_z is not None:
            net = net + self.fc_z(z).unsqueeze(1)
        norms = (self.bn_0, self.bn_1, self.bn_2, self.bn_3, self.bn_4, self.bn_5)
        layers = (self.fc_0, self.fc_1, self.fc_2, self.fc_3, self.fc_4, self.fc_out)
        for norm, layer in zip(norms, layers, strict=True):
            net = layer(self.activation(norm(net, c), inplace=True))
        return net.squeeze(-1)
