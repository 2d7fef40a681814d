"""Velocities of points in space and time, from codes of a motion.

Source: Niemeyer et al., Occupancy Flow: 4D Reconstruction by Learning Particle Dynamics, ICCV 2019,
section 3 and supplementary material.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.layers import ResnetBlock, embed_points, rectifier


class VelocityField(nn.Module):
    """The velocity of points at a time: residual blocks, before each of which the codes are added.

    Args:
        c_dim: size of the motion's code; 0 without.
        z_dim: size of the motion's latent code; 0 without.
        hidden_size: features of a point.
        n_blocks: residual blocks.
        leaky: leaky rectifier before the last layer.
        at_rest: the last layer starts at zero, so that training starts from standing still.

    Raises:
        ConfigError: no block, or no feature.
    """

    def __init__(
        self,
        c_dim: int,
        z_dim: int = 0,
        hidden_size: int = 512,
        n_blocks: int = 5,
        leaky: bool = False,
        at_rest: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("hidden_size", hidden_size), ("n_blocks", n_blocks)):
            if value < 1:
                raise ConfigError(f"model.velocity.{name}: {value}; give at least 1")
        self.fc_p = nn.Linear(4, hidden_size)
        self.fc_z = _for_each_block(n_blocks, z_dim, hidden_size)
        self.fc_c = _for_each_block(n_blocks, c_dim, hidden_size)
        self.blocks = nn.ModuleList(ResnetBlock(hidden_size, hidden_size) for _ in range(n_blocks))
        self.fc_out = nn.Linear(hidden_size, 3)
        if at_rest:
            nn.init.zeros_(self.fc_out.weight)
            nn.init.zeros_(self.fc_out.bias)
        self.activation = rectifier(leaky)

    def added(self, c: Tensor, z: Tensor | None) -> list[Tensor]:
        """Return what the codes add before each block, (B, 1, F), the same for all times."""
        sums = [torch.zeros((), device=c.device)] * len(self.blocks)
        for layers, code in ((self.fc_c, c), (self.fc_z, z)):
            if layers is not None:
                assert code is not None
                sums = [s + layer(code).unsqueeze(1) for s, layer in zip(sums, layers, strict=True)]
        return sums

    def forward(
        self,
        points: Tensor,  # (B, T, 3)
        times: Tensor,  # (B,) in [0, 1]
        added: list[Tensor],  # see `added`
    ) -> Tensor:  # (B, T, 3) way per unit of time
        time = times.to(points.dtype).view(-1, 1, 1).expand(-1, points.shape[1], 1)
        net = embed_points(self.fc_p, torch.cat([points, time], dim=-1))
        for block, code in zip(self.blocks, added, strict=True):
            net = block(net + code)
        velocity: Tensor = self.fc_out(self.activation(net))
        return velocity.to(points.dtype)


def _for_each_block(blocks: int, size: int, hidden: int) -> nn.ModuleList | None:
    if not size:
        return None
    return nn.ModuleList(nn.Linear(size, hidden) for _ in range(blocks))
