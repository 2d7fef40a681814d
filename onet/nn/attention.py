"""Attention between sets: points embedded in waves, and residual blocks with norms in front.

Products of queries and keys go through torch's fused attention, which keeps no matrix of all pairs:
memory grows with the sum of the sizes of the two sets, time with their product.

Source: Vaswani et al., Attention is all you need, 2017; Shazeer, GLU variants improve transformer,
2020 (GEGLU); Zhang et al., 3DShape2VecSet, SIGGRAPH 2023, section 4 (embedding of points).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import Code
from onet.nn.layers import embed_points

FREQUENCIES = 8  # wavelengths from the edge of the unit cube down to 1/128 of it


class PointEmbedding(nn.Module):
    """Coordinates and their sines and cosines at 8 frequencies, then a linear layer.

    All in the layer's own precision, since bfloat16 cannot tell the phases of short waves apart.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.fc = nn.Linear(3 + 6 * FREQUENCIES, features)

    def forward(
        self,
        points: Tensor,  # (..., 3) in the unit frame
    ) -> Tensor:  # (..., features)
        return embed_points(self.fc, waves(points))


def waves(
    points: Tensor,  # (..., 3) float32
) -> Tensor:
    """Points and sin, cos(2 pi 2^k p) for k < 8: (..., 51)."""
    steps = torch.arange(FREQUENCIES, device=points.device, dtype=points.dtype)
    phases = (points.unsqueeze(-1) * (2 * math.pi * 2**steps)).flatten(-2)
    return torch.cat([points, phases.sin(), phases.cos()], -1)


class Attention(nn.Module):
    """What each of T queries takes from M tokens, in `heads` independent parts.

    Raises:
        ConfigError: the heads do not divide the features.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or features % heads:
            raise ConfigError(
                f"heads: {heads} attention heads cannot share {features} features evenly; give a "
                "divisor of the width (hidden_dim of an encoder, hidden_size of a decoder)"
            )
        self.heads = heads
        self.fc_q = nn.Linear(features, features, bias=False)
        self.fc_k = nn.Linear(features, features, bias=False)
        self.fc_v = nn.Linear(features, features, bias=False)
        self.fc_out = nn.Linear(features, features)

    def forward(
        self,
        queries: Tensor,  # (B, T, F)
        tokens: Tensor,  # (B, M, F)
    ) -> Tensor:  # (B, T, F)
        q = self.split(self.fc_q(queries))
        taken = F.scaled_dot_product_attention(q, *self.keys_and_values(tokens))
        merged: Tensor = self.fc_out(taken.transpose(1, 2).flatten(2))
        return merged

    def keys_and_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Of tokens (B, M, F), by heads: (B, H, M, F/H) each."""
        return self.split(self.fc_k(tokens)), self.split(self.fc_v(tokens))

    def split(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B, H, T, F/H)."""
        return features.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two layers with a GELU gate between them, on each token alone: (..., F) -> (..., F)."""

    def __init__(self, features: int, expansion: int) -> None:
        super().__init__()
        self.fc_0 = nn.Linear(features, 2 * expansion * features)
        self.fc_1 = nn.Linear(expansion * features, features)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.fc_0(x).chunk(2, -1)
        out: Tensor = self.fc_1(value * F.gelu(gate))
        return out


class AttentionBlock(nn.Module):
    """`x += attention(norm(x), norm(tokens))`, then `x += feed_forward(norm(x))`.

    Args:
        features: width of x and of the tokens.
        heads: of the attention.
        expansion: inner width of the feed forward part, in widths.
        cross: attend to other tokens than x itself.
    """

    def __init__(self, features: int, heads: int, expansion: int = 4, cross: bool = False) -> None:
        super().__init__()
        self.norm_0 = nn.LayerNorm(features)
        self.norm_tokens = nn.LayerNorm(features) if cross else None
        self.attention = Attention(features, heads)
        self.norm_1 = nn.LayerNorm(features)
        self.feed_forward = FeedForward(features, expansion)

    def forward(
        self,
        x: Tensor,  # (B, T, F)
        tokens: Tensor | None = None,  # (B, M, F), for cross attention
    ) -> Tensor:  # (B, T, F)
        queries = self.norm_0(x)
        if self.norm_tokens is not None:
            tokens = self.norm_tokens(tokens)
        x = x + self.attention(queries, queries if tokens is None else tokens)
        return x + self.feed_forward(self.norm_1(x))


def code_tokens(code: Code) -> Tensor:
    """Return a code as tokens (B, M, C): a latent set as it is, a global code (B, C) as one.

    Raises:
        ConfigError: a code of planes or grids.
    """
    if isinstance(code, dict):
        raise ConfigError(
            f"model.encoder: gives local features ({', '.join(code)}), and attention takes a set "
            "of latents or one global code; choose encoder 'point_set', or decoder 'local'"
        )
    return code if code.ndim == 3 else code.unsqueeze(1)
