"""Posteriors of the latent codes of a shape and of its motion."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import ObservationKind
from onet.nn.layers import ResnetBlock, embed_points
from onet.nn.sequence_encoders._registry import SEQUENCE_LATENT_ENCODERS
from onet.nn.sequence_encoders.frames import at_even_times


@SEQUENCE_LATENT_ENCODERS.register("pointnet")
class PointNetSequenceLatentEncoder(nn.Module):
    """A PointNet of points with their places over time, or of the first frame.

    Source: published code of Occupancy Flow, generative model.

    Args:
        c_dim: size of a code that is added before each block; 0 without.
        z_dim: size of the latent code.
        hidden_dim: features of a point.
        n_blocks: residual blocks.
        frames: that a point is seen in: 1 for the shape, 17 in the publication for the motion.

    Raises:
        ConfigError: no block or no frame.
    """

    observes: ClassVar[ObservationKind] = "points"

    def __init__(
        self, c_dim: int, z_dim: int, hidden_dim: int = 128, n_blocks: int = 3, frames: int = 17
    ) -> None:
        super().__init__()
        for name, value in (("n_blocks", n_blocks), ("frames", frames)):
            if value < 1:
                raise ConfigError(f"model.encoder_latent.{name}: {value}; give at least 1")
        self.frames = frames
        self.fc_pos = nn.Linear(3 * frames, 2 * hidden_dim)
        self.blocks = nn.ModuleList(
            ResnetBlock(2 * hidden_dim, hidden_dim) for _ in range(n_blocks)
        )
        self.c_layers = (
            nn.ModuleList(nn.Linear(c_dim, 2 * hidden_dim) for _ in range(n_blocks))
            if c_dim
            else None
        )
        self.fc_mean = nn.Linear(hidden_dim, z_dim)
        self.fc_logstd = nn.Linear(hidden_dim, z_dim)

    @property
    def corresponding(self) -> bool:
        """Whether points of different frames have to correspond."""
        return self.frames > 1

    def forward(
        self,
        frames: Tensor,  # (B, L, N, 3)
        times: Tensor,  # (B, L)
        c: Tensor,  # (B, C), ignored where C is 0
    ) -> tuple[Tensor, Tensor]:  # (B, z_dim) each
        even = frames[:, :1] if self.frames == 1 else at_even_times(frames, times, self.frames)
        net, pooled = embed_points(self.fc_pos, even.transpose(1, 2).flatten(2)), None
        width = net.shape[-1] // 2
        for number, block in enumerate(self.blocks):
            if self.c_layers is not None:
                code = self.c_layers[number](c).unsqueeze(1)
                net = net + (code if pooled is None else code[..., :width])
                pooled = None if pooled is None else pooled + code[..., width:]
            net = block(net, pooled)
            pooled = net.max(dim=1, keepdim=True).values
        features = net.max(dim=1).values
        return self.fc_mean(features), self.fc_logstd(features)
