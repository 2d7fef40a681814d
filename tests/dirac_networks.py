"""The players of the Dirac-GAN as networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Point(nn.Module):
    """A generator that makes one point."""

    def __init__(self, theta: list[float]) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return self.theta.expand(len(z), -1)


class Linear(nn.Module):
    """D(x) = psi . x."""

    def __init__(self, psi: list[float]) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(psi, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.psi
