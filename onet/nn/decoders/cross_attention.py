"""A decoder in which every query point attends to a set of latents."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.attention import AttentionBlock, PointEmbedding, code_tokens
from onet.nn.code import Code, CodeKind, as_batch
from onet.nn.decoders._registry import DECODERS
from onet.nn.decoders.folded_attention import AttentionLayers, FoldedCrossAttention
from onet.nn.latent_set import numbers_of_a_latent


@DECODERS.register("cross_attention")
class CrossAttentionDecoder(nn.Module):
    """Logit of occupancy at query points, from a set of latents.

    The latents are those of the code, of the latent code, or both together; a global code is a set
    of one. First they attend to one another in `layers` blocks, which does not depend on the query
    points; then the points attend to them in `blocks` blocks, each point alone. The order of the
    latents plays no part. Source: Zhang et al., 3DShape2VecSet, SIGGRAPH 2023, section 5.3 (there
    one block with one head, without residual connection and feed forward part).

    Args:
        c_dim: numbers of the code, or of each latent of it; 0 without.
        z_dim: numbers of all latents of z together; 0 without.
        hidden_size: width.
        heads: of every attention, a divisor of the width.
        layers: blocks of self-attention of the latents.
        blocks: of cross attention, at least 1.
        expansion: inner width of the feed forward parts of those, in widths.
        latents: how many z holds; needed with z.

    Raises:
        ConfigError: neither code nor latent code, or sizes that do not fit together.
    """

    takes: ClassVar[frozenset[CodeKind]] = frozenset({"global", "set"})

    def __init__(
        self,
        c_dim: int,
        z_dim: int = 0,
        hidden_size: int = 512,
        heads: int = 8,
        layers: int = 0,
        blocks: int = 1,
        expansion: int = 4,
        latents: int | None = None,
    ) -> None:
        super().__init__()
        if not c_dim and not z_dim:
            raise ConfigError(
                "model.c_dim: cross attention needs something to attend to; name model.encoder and "
                "set model.c_dim, or model.encoder_latent and model.z_dim"
            )
        for key, value, least in (
            ("hidden_size", hidden_size, 1),
            ("layers", layers, 0),
            ("blocks", blocks, 1),
            ("expansion", expansion, 1),
        ):
            if value < least:
                raise ConfigError(f"model.decoder.{key}: {value}; give at least {least}")
        self.size = numbers_of_a_latent("model.decoder", z_dim, latents) if z_dim else 0
        self.fc_c = nn.Linear(c_dim, hidden_size) if c_dim else None
        self.fc_z = nn.Linear(self.size, hidden_size) if z_dim else None
        self.layers = nn.ModuleList(AttentionBlock(hidden_size, heads) for _ in range(layers))
        self.embedding = PointEmbedding(hidden_size)
        self.blocks = nn.ModuleList(
            AttentionBlock(hidden_size, heads, expansion, cross=True) for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(hidden_size)
        self.fc_out = nn.Linear(hidden_size, 1)

    def forward(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        z: Tensor | None,  # (B, Z), or None for a decoder without latent code
        c: Code,  # (B, M, C) or (B, C), ignored where C is 0
    ) -> Tensor:  # (B, T) logits
        tokens = self.tokens(z, c)
        x = self.embedding(points)
        for block in self.blocks:
            x = block(x, tokens)
        logits: Tensor = self.fc_out(self.norm(x)).squeeze(-1)
        return logits

    def tokens(self, z: Tensor | None, c: Code) -> Tensor:
        """What query points attend to, before the norms of the blocks: (B, M, hidden_size).

        Raises:
            ValueError: the decoder needs a latent code and none is given.
            ConfigError: the code is neither a set nor global.
        """
        sets = []
        if self.fc_z is not None:
            if z is None:
                raise ValueError(f"z: the decoder needs latents of {self.size} numbers each")
            sets.append(self.fc_z(z.unflatten(-1, (-1, self.size))))
        if self.fc_c is not None:
            sets.append(self.fc_c(code_tokens(c)))
        tokens = torch.cat(sets, 1)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens

    @torch.no_grad()
    def fold(
        self,
        c: Code,  # (M, C) or (C,)
        z: Tensor | None = None,  # (Z,)
        dtype: torch.dtype = torch.float32,
    ) -> FoldedCrossAttention:
        """This decoder for fixed codes: keys and values of the latents are computed once.

        Raises:
            ValueError: another dtype, or no latent code for a decoder that needs one.
            ConfigError: the code is neither a set nor global.
        """
        tokens = self.tokens(None if z is None else z[None], as_batch(c))
        layers = AttentionLayers(self.embedding.fc, self.blocks, self.norm, self.fc_out, tokens)
        return FoldedCrossAttention(layers, dtype=dtype)
