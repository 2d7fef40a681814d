"""Several runs of one small network side by side, for little more time than one of them takes.

A step of a network of a few hundred weights costs what calling torch costs, whatever it computes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from onet.errors import ConfigError


class Replicas(nn.Module):
    """Networks of equal shape as one: samples of the first come first, then those of the second.

    The mean of a loss over all samples is the mean over the networks of their own losses, so the
    gradient of each is that of a training by itself divided by their number S. Descent is the same
    as by itself with S times the learning rate for SGD, and a S-th of `eps` for Adam and RMSprop.

    Args:
        networks: of linear layers with bias and of modules without parameters, one after another;
            their weights are copied.

    Raises:
        ConfigError: no networks, of different shapes, or with other layers that have parameters.
    """

    def __init__(self, networks: Sequence[nn.Sequential]) -> None:
        super().__init__()
        if not networks or len({_shape(network) for network in networks}) > 1:
            raise ConfigError("replicas: give at least one network, all of the same layers")
        self.count = len(networks)
        self.layers = nn.Sequential(
            *(
                _Linears(column) if isinstance(column[0], nn.Linear) else column[0]
                for column in zip(*networks, strict=True)
            )
        )

    def forward(
        self,
        x: Tensor,  # (S * B, n), B for each network
    ) -> Tensor:  # (S * B, m)
        result: Tensor = self.layers(x.reshape(self.count, -1, x.shape[-1])).flatten(0, 1)
        return result


class _Linears(nn.Module):
    """One linear layer of all networks."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach()[None] for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


def _shape(network: nn.Sequential) -> tuple[str, ...]:
    for layer in network:
        parameters = list(layer.parameters())
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            continue
        if parameters:
            raise ConfigError(f"replicas: {layer} is neither linear with bias nor without weights")
    return tuple(map(str, network))
