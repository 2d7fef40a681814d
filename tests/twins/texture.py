"""The published texture networks as sums and products of their weights, by their published names.

Points last, features first, as the published code keeps them; (F, T) of one object.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = dict[str, Array]


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.2 * x)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def linear(state: State, name: str, x: Array) -> Array:
    weight = state[f"{name}.weight"]
    product = weight.reshape(len(weight), -1) @ x
    bias = state.get(f"{name}.bias")
    if bias is None:
        return product
    return product + (bias[:, None] if x.ndim == 2 else bias)


def resnet_geometry(state: State, points: Array, normals: Array) -> Array:
    """Max-pooled, with ReLU."""
    net = linear(state, "geometry_encoder.fc_pos", np.concatenate([points, normals]))
    for k in range(5):
        if k:
            net = np.concatenate([net, np.repeat(net.max(1, keepdims=True), net.shape[1], 1)])
        name = f"geometry_encoder.block_{k}"
        inner = linear(state, f"{name}.fc_1", relu(linear(state, f"{name}.fc_0", relu(net))))
        net = linear(state, f"{name}.shortcut", net) + inner
    return linear(state, "geometry_encoder.fc_c", relu(net.max(1)))


def simple_geometry(state: State, points: Array, normals: Array) -> Array:
    """Mean-pooled, with leaky ReLU."""
    net = linear(state, "geometry_encoder.conv_p", np.concatenate([points, normals]))
    net = linear(state, "geometry_encoder.conv_0", leaky(net))
    for k in (1, 2, 3):
        net = np.concatenate([net, np.repeat(net.mean(1, keepdims=True), net.shape[1], 1)])
        net = linear(state, f"geometry_encoder.conv_{k}", leaky(net))
    return linear(state, "geometry_encoder.fc_c", leaky(net.mean(1)))


def colors(state: State, points: Array, code: Array, blocks: int, inner_leaky: bool) -> Array:
    """Colours (3, T) of points (3, T)."""
    act = leaky if inner_leaky else relu
    net = linear(state, "decoder.conv_p", points)
    for k in range(blocks):
        net = net + linear(state, f"decoder.fc_cz_{k}", code)[:, None]
        name = f"decoder.block{k}"
        net = net + linear(state, f"{name}.conv_1", act(linear(state, f"{name}.conv_0", act(net))))
    return 1 / (1 + np.exp(-linear(state, "decoder.conv_out", leaky(net))))


def convolved(state: State, name: str, x: Array) -> Array:
    """3 x 3 pixels, (F, H, W), zeros around."""
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return np.einsum("ochw,cyxhw->oyx", weight, windows) + bias[:, None, None]


def halved(x: Array) -> Array:
    """Mean over 3 x 3 pixels, every second, zeros around counted."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return windows.mean((-2, -1))[:, ::2, ::2]


def trunk(state: State, x: Array, halvings: int) -> Array:
    for k in range(halvings + 1):
        if k:
            x = halved(x)
        name = f"resnet.{2 * k}"
        inner = convolved(
            state, f"{name}.conv_1", leaky(convolved(state, f"{name}.conv_0", leaky(x)))
        )
        shortcut = state.get(f"{name}.shortcut.weight")
        straight = x if shortcut is None else np.einsum("oc,cyx->oyx", shortcut[:, :, 0, 0], x)
        x = straight + inner
    return leaky(x.reshape(-1))


def posterior(state: State, picture: Array, code: Array, halvings: int) -> tuple[Array, Array]:
    """Mean and deviation of the latent code from a picture (3, S, S)."""
    own = {k.removeprefix("vae_encoder."): v for k, v in state.items()}
    net = convolved(own, "conv_img", picture)
    net = net + linear(own, "fc_inject_c", code)[:, None, None]
    flat = trunk(own, net, halvings)
    return linear(own, "fc_mean", flat), np.exp(linear(own, "fc_logstd", flat))


def logit(state: State, picture: Array, depth: Array, halvings: int) -> float:
    """Of the discriminator, with infinite depth as background."""
    depth = np.where(np.isfinite(depth), depth, 0)
    net = convolved(state, "conv_img", np.concatenate([picture, depth[None]]))
    return float(linear(state, "fc", trunk(state, net, halvings))[0])
