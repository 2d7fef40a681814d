"""The decoder as the published code evaluates it: features before points, nothing folded.

Features are (B, F, T), every linear layer is a `Conv1d` with kernel 1, every normalisation,
addition and ReLU an operation of its own. Written from the description, for comparison.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


def published_logits(
    decoder: Any,  # CBatchNormDecoder in evaluation mode
    points: Tensor,  # (B, T, 3)
    code: Tensor,  # (B, C)
) -> Tensor:  # (B, T)
    c = code.unsqueeze(2)
    net = _convolve(decoder.fc_p, points.transpose(1, 2))
    for block in (getattr(decoder, f"block{i}") for i in range(5)):
        hidden = _convolve(block.fc_0, F.relu(_normalise(block.bn_0, net, c)))
        net = net + _convolve(block.fc_1, F.relu(_normalise(block.bn_1, hidden, c)))
    return _convolve(decoder.fc_out, F.relu(_normalise(decoder.bn, net, c))).squeeze(1)


def _convolve(layer: nn.Conv1d, x: Tensor) -> Tensor:
    return F.conv1d(x, layer.weight, layer.bias)


def _normalise(norm: Any, x: Tensor, c: Tensor) -> Tensor:
    gamma, beta = _convolve(norm.conv_gamma, c), _convolve(norm.conv_beta, c)
    return gamma * norm.bn(x) + beta
