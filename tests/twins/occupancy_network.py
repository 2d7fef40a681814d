"""Occupancy networks as plain arithmetic on a dictionary of weights, features in the middle.

Written from the papers' description and the names of the published weights. Any precision, no
modules, nothing shared with the package; statistics of batches are computed where `training`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


def linear(state: State, name: str, x: Tensor) -> Tensor:
    """On the features of (B, F) or (B, F, T), with weights (G, F) or (G, F, 1)."""
    weight = state[f"{name}.weight"].flatten(1)
    out = torch.einsum("gf,bf...->bg...", weight, x)
    if f"{name}.bias" in state:
        out = out + state[f"{name}.bias"].view(1, -1, *[1] * (x.ndim - 2))
    return out


def batch_norm(state: State, name: str, x: Tensor, training: bool) -> Tensor:
    """Over all axes but the second; scale and shift where the state has them."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    if training:
        mean, var = x.mean(axes), x.var(axes, unbiased=False)
    shape = (1, -1, *[1] * (x.ndim - 2))
    out = (x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()
    if f"{name}.weight" in state:
        out = out * state[f"{name}.weight"].view(shape) + state[f"{name}.bias"].view(shape)
    return out


def conditional_norm(state: State, name: str, x: Tensor, c: Tensor, training: bool) -> Tensor:
    gamma, beta = (
        linear(state, f"{name}.conv_{part}", c)[:, :, None] for part in ("gamma", "beta")
    )
    return gamma * batch_norm(state, f"{name}.bn", x, training) + beta


def rectify(x: Tensor, leaky: bool) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x if leaky else torch.zeros_like(x))


def decode(
    kind: str,
    state: State,  # of the decoder
    points: Tensor,  # (B, T, 3)
    z: Tensor | None,
    c: Tensor,
    training: bool = False,
    leaky: bool = False,
) -> Tensor:  # (B, T)
    first, last = ("conv_p", "conv_out") if kind == "cbatchnorm2" else ("fc_p", "fc_out")
    x = linear(state, first, points.transpose(1, 2))
    if z is not None and kind == "cbatchnorm2":
        c = c + linear(state, "fc_z", z)
    elif z is not None:
        x = x + linear(state, "fc_z", z)[:, :, None]
    if "fc_c.weight" in state:
        x = x + linear(state, "fc_c", c)[:, :, None]

    def norm(name: str, x: Tensor) -> Tensor:
        if kind == "simple":
            return x
        if kind == "batchnorm":
            return batch_norm(state, name, x, training)
        return conditional_norm(state, name, x, c, training)

    if kind == "cbatchnorm_noresnet":
        for i in range(5):
            x = linear(state, f"fc_{i}", rectify(norm(f"bn_{i}", x), leaky))
        return linear(state, last, rectify(norm("bn_5", x), leaky))[:, 0]
    stem = "blocks." if kind == "cbatchnorm2" else "block"
    i = 0
    while f"{stem}{i}.fc_0.weight" in state:
        block = f"{stem}{i}"
        h = linear(state, f"{block}.fc_0", rectify(norm(f"{block}.bn_0", x), False))
        x = x + linear(state, f"{block}.fc_1", rectify(norm(f"{block}.bn_1", h), False))
        i += 1
    return linear(state, last, rectify(norm("bn", x), leaky))[:, 0]


def _with_pool(x: Tensor, leaky: bool = False) -> Tensor:
    """Features of each point and, behind them, those of all points together."""
    pooled = x.mean(2, keepdim=True) if leaky else x.amax(2, keepdim=True)
    return torch.cat([x, pooled.expand_as(x)], 1)


def latent(
    state: State,  # of the latent encoder
    points: Tensor,  # (B, T, 3)
    occupancies: Tensor,  # (B, T)
    c: Tensor,
    leaky: bool = False,
) -> tuple[Tensor, Tensor]:
    x = linear(state, "fc_pos", points.transpose(1, 2)) + linear(
        state, "fc_0", occupancies[:, None]
    )
    if "fc_c.weight" in state:
        x = x + linear(state, "fc_c", c)[:, :, None]
    x = _with_pool(linear(state, "fc_1", rectify(x, leaky)), leaky)
    x = _with_pool(linear(state, "fc_2", rectify(x, leaky)), leaky)
    x = linear(state, "fc_3", rectify(x, leaky))
    x = x.mean(2) if leaky else x.amax(2)
    return linear(state, "fc_mean", x), linear(state, "fc_logstd", x)


def encode(kind: str, state: State, inputs: Tensor, training: bool = False) -> Tensor:
    """Code (B, C); `state` is that of the encoder."""
    if kind == "idx":
        return state["weight"][inputs]
    if kind.startswith("pointnet"):
        return _pointnet(kind, state, inputs.transpose(1, 2))
    if kind == "voxel_simple":
        x = F.conv3d(inputs[:, None], state["conv_in.weight"], state["conv_in.bias"], padding=1)
        i = 0
        while f"conv_{i}.weight" in state:
            weight, bias = state[f"conv_{i}.weight"], state[f"conv_{i}.bias"]
            x = F.conv3d(rectify(x, False), weight, bias, stride=2, padding=1)
            i += 1
        return linear(state, "fc", rectify(x.flatten(1), False))
    return _resnet(state, inputs, training)


def _pointnet(kind: str, state: State, x: Tensor) -> Tensor:
    x = linear(state, "fc_pos", x)
    if kind == "pointnet_simple":
        for i in range(4):
            x = linear(state, f"fc_{i}", rectify(x if i == 0 else _with_pool(x), False))
    else:
        for i in range(5):
            x = x if i == 0 else _with_pool(x)
            h = linear(state, f"block_{i}.fc_0", rectify(x, False))
            h = linear(state, f"block_{i}.fc_1", rectify(h, False))
            x = linear(state, f"block_{i}.shortcut", x) + h
    return linear(state, "fc_c", rectify(x.amax(2), False))


def _resnet(state: State, images: Tensor, training: bool) -> Tensor:
    def convolve(name: str, norm: str, x: Tensor, stride: int) -> Tensor:
        weight = state[f"features.{name}.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        return batch_norm(state, f"features.{norm}", x, training)

    mean, std = (  # in single precision, whatever that of the images
        torch.tensor(values).view(1, 3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    x = rectify(convolve("conv1", "bn1", (images - mean) / std, 2), False)
    x = F.max_pool2d(x, 3, stride=2, padding=1)
    for i in range(1, 5):
        j = 0
        while f"features.layer{i}.{j}.conv1.weight" in state:
            block = f"layer{i}.{j}"
            stride = 2 if i > 1 and j == 0 else 1
            depth = 3 if f"features.{block}.conv3.weight" in state else 2
            h = x
            for k in range(1, depth + 1):
                # The 3x3 convolution that comes first halves the image.
                step = stride if k == depth - 1 else 1
                h = convolve(f"{block}.conv{k}", f"{block}.bn{k}", h, step)
                h = h if k == depth else rectify(h, False)
            if f"features.{block}.downsample.0.weight" in state:
                x = convolve(f"{block}.downsample.0", f"{block}.downsample.1", x, stride)
            x = rectify(x + h, False)
            j += 1
    return linear(state, "fc", x.mean((2, 3)))


def part(state: State, name: str) -> State:
    """The weights of one part of a model."""
    return {key[len(name) + 1 :]: v for key, v in state.items() if key.startswith(f"{name}.")}


def loss(
    kinds: tuple[str | None, str],  # of encoder and decoder
    state: State,  # of the model
    batch: dict[str, Tensor],
    noise: Tensor | None = None,  # (B, Z) standard normal, where there is a latent code
    kl_weight: float = 1.0,
    training: bool = True,
) -> Tensor:
    """Equation 3, with `noise` equation 4: sums over points and latent numbers, mean over items."""
    encoder, decoder = kinds
    points, o = batch["points"], batch["occupancies"]
    c = points.new_empty(len(points), 0)
    if encoder is not None:
        c = encode(encoder, part(state, "encoder"), batch["inputs"], training)
    z, divergence = None, points.new_zeros(())
    if noise is not None:
        mean, logstd = latent(part(state, "encoder_latent"), points, o, c)
        z = mean + noise * logstd.exp()
        divergence = (0.5 * (mean**2 + (2 * logstd).exp() - 1) - logstd).sum(1).mean()
    logits = decode(decoder, part(state, "decoder"), points, z, c, training)
    # -log p of the truth is log(1 + exp(-l)) inside and log(1 + exp(l)) outside
    entropy = o * torch.logaddexp(0 * logits, -logits) + (1 - o) * torch.logaddexp(
        0 * logits, logits
    )
    return entropy.sum(1).mean() + kl_weight * divergence
