"""Published convolutional occupancy networks, on weights as they lie in a published file.

Plain and slow: cells point by point, maps [second axis, first axis] as published, `grid_sample`
with the centres of the outer cells on the border.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
Layout = dict[str, tuple[int, ...]]
AXES = {"xz": (0, 2), "xy": (0, 1), "yz": (1, 2), "grid": (0, 1, 2)}
BLOCKS = 5


def layout(
    points: bool, planes: int, grid: int, c: int = 32, width: int = 32, hidden: int = 32
) -> Layout:
    """Keys and shapes of a file: U-Nets of so many levels, 0 for none."""
    shapes = _linear("decoder.fc_p", hidden, 3) | _linear("decoder.fc_out", 1, hidden)
    for i in range(BLOCKS):
        shapes |= _linear(f"decoder.fc_c.{i}", hidden, c)
        for j in range(2):
            shapes |= _linear(f"decoder.blocks.{i}.fc_{j}", hidden, hidden)
    if points:
        shapes |= _linear("encoder.fc_pos", 2 * hidden, 3) | _linear("encoder.fc_c", c, hidden)
        for i in range(BLOCKS):
            block = f"encoder.blocks.{i}"
            shapes |= _linear(f"{block}.fc_0", hidden, 2 * hidden)
            shapes |= _linear(f"{block}.fc_1", hidden, hidden)
            shapes[f"{block}.shortcut.weight"] = (hidden, 2 * hidden)
    else:
        shapes |= _linear("encoder.conv_in", c, 1, 3, 3, 3)
    return shapes | _unet_layout(planes, c, width) | _unet3d_layout(grid, c, width)


def _linear(name: str, out: int, *rest: int) -> Layout:
    return {f"{name}.weight": (out, *rest), f"{name}.bias": (out,)}


def _unet_layout(depth: int, c: int, width: int) -> Layout:
    shapes: Layout = {}
    before, name = c, "encoder.unet"
    for i in range(depth):
        after = width * 2**i
        shapes |= _linear(f"{name}.down_convs.{i}.conv1", after, before, 3, 3)
        shapes |= _linear(f"{name}.down_convs.{i}.conv2", after, after, 3, 3)
        before = after
    for i in range(depth - 1):
        after, up = before // 2, f"{name}.up_convs.{i}"
        shapes |= {f"{up}.upconv.weight": (before, after, 2, 2), f"{up}.upconv.bias": (after,)}
        shapes |= _linear(f"{up}.conv1", after, 2 * after, 3, 3)
        shapes |= _linear(f"{up}.conv2", after, after, 3, 3)
        before = after
    return shapes | (_linear(f"{name}.conv_final", c, before, 1, 1) if depth else {})


def _unet3d_layout(depth: int, c: int, width: int) -> Layout:
    shapes: Layout = {}

    def level(name: str, before: int, between: int, after: int) -> None:
        for i, (x, y) in enumerate(((before, between), (between, after))):
            single = f"encoder.unet3d.{name}.basic_module.SingleConv{i + 1}"
            shapes.update(_linear(f"{single}.groupnorm", x))
            shapes[f"{single}.conv.weight"] = (y, x, 3, 3, 3)

    widths = [width * 2**i for i in range(depth)]
    for i, (before, after) in enumerate(zip([c, *widths], widths, strict=False)):
        level(f"encoders.{i}", before, max(before, after // 2), after)
    for i in range(depth - 1):
        below, beside = widths[-1 - i], widths[-2 - i]
        level(f"decoders.{i}", below + beside, beside, beside)
    return shapes | (_linear("encoder.unet3d.final_conv", c, width, 1, 1, 1) if depth else {})


def logits(
    state: State,
    inputs: Tensor,  # (B, N, 3) or (B, R, R, R)
    points: Tensor,  # (B, T, 3)
    resolutions: dict[str, int],  # of the maps by their names
) -> Tensor:  # (B, T)
    if "encoder.conv_in.weight" in state:
        maps = _maps(state, *_voxel_features(state, inputs), resolutions)
    else:
        maps = _maps(state, inputs, _point_features(state, inputs, resolutions), resolutions)
    features = sum(_sampled(points, name, values) for name, values in maps.items())
    net = _dense(state, "decoder.fc_p", points)
    for i in range(BLOCKS):
        net = net + _dense(state, f"decoder.fc_c.{i}", features)
        net = _block(state, f"decoder.blocks.{i}", net)
    return _dense(state, "decoder.fc_out", F.relu(net))[..., 0]


def _dense(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)


def _block(state: State, name: str, x: Tensor) -> Tensor:
    change = _dense(state, f"{name}.fc_1", F.relu(_dense(state, f"{name}.fc_0", F.relu(x))))
    return change + (
        _dense(state, f"{name}.shortcut", x) if f"{name}.shortcut.weight" in state else x
    )


def _shares(points: Tensor, name: str) -> Tensor:
    """(B, N, D): coordinates of the map as shares of the box, in [0, 1)."""
    slack = 10e-4 if name == "grid" else 10e-6
    shares = points[..., list(AXES[name])].float() / (1 + 0.1 + slack) + 0.5
    shares[shares >= 1] = 1 - slack
    shares[shares < 0] = 0
    return shares


def _indices(points: Tensor, name: str, resolution: int) -> Tensor:
    """(B, N): the first coordinate runs fastest."""
    at = (_shares(points, name) * resolution).long()
    index = torch.zeros_like(at[..., 0])
    for axis in reversed(range(at.shape[-1])):
        index = index * resolution + at[..., axis]
    return index


def _point_features(state: State, points: Tensor, resolutions: dict[str, int]) -> Tensor:
    indices = [_indices(points, name, r) for name, r in resolutions.items()]
    net = _block(state, "encoder.blocks.0", _dense(state, "encoder.fc_pos", points))
    for i in range(1, BLOCKS):
        pooled = torch.zeros_like(net)
        for index in indices:
            for b in range(len(points)):
                for cell in index[b].unique():
                    there = index[b] == cell
                    pooled[b, there] += net[b, there].amax(0)
        net = _block(state, f"encoder.blocks.{i}", torch.cat([net, pooled], dim=2))
    return _dense(state, "encoder.fc_c", net)


def _voxel_features(state: State, grids: Tensor) -> tuple[Tensor, Tensor]:
    """Where the voxels are (B, N, 3), and their features (B, N, C)."""
    weight, bias = state["encoder.conv_in.weight"], state["encoder.conv_in.bias"]
    features = F.relu(F.conv3d(grids[:, None], weight, bias, padding=1))
    axes = [torch.linspace(-0.5, 0.5, n) for n in grids.shape[1:]]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(1, -1, 3)
    return places.expand(len(grids), -1, -1), features.flatten(2).transpose(1, 2)


def _maps(
    state: State, points: Tensor, features: Tensor, resolutions: dict[str, int]
) -> dict[str, Tensor]:
    maps = {}
    for name, r in resolutions.items():
        index, cells = _indices(points, name, r), r ** len(AXES[name])
        total = torch.zeros(len(points), cells, features.shape[2])
        count = torch.zeros(len(points), cells, 1)
        for b in range(len(points)):
            total[b].index_add_(0, index[b], features[b])
            count[b].index_add_(0, index[b], torch.ones(points.shape[1], 1))
        mean = (total / count.clamp(min=1)).transpose(1, 2).contiguous()  # as published in memory
        values = mean.reshape(len(points), -1, *(r,) * len(AXES[name]))
        maps[name] = _unet3d(state, values) if name == "grid" else _unet(state, values)
    return maps


def _unet(state: State, x: Tensor) -> Tensor:
    def conv(name: str, x: Tensor) -> Tensor:
        weight, bias = state[f"encoder.unet.{name}.weight"], state[f"encoder.unet.{name}.bias"]
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    levels: list[Tensor] = []
    while f"encoder.unet.down_convs.{len(levels)}.conv1.weight" in state:
        name = f"down_convs.{len(levels)}"
        x = F.max_pool2d(levels[-1], 2) if levels else x
        levels.append(F.relu(conv(f"{name}.conv2", F.relu(conv(f"{name}.conv1", x)))))
    x = levels.pop()
    for i, beside in enumerate(reversed(levels)):
        up = f"encoder.unet.up_convs.{i}.upconv"
        x = F.conv_transpose2d(x, state[f"{up}.weight"], state[f"{up}.bias"], stride=2)
        x = F.relu(conv(f"up_convs.{i}.conv1", torch.cat([x, beside], dim=1)))
        x = F.relu(conv(f"up_convs.{i}.conv2", x))
    return conv("conv_final", x)


def _unet3d(state: State, x: Tensor) -> Tensor:
    def double(name: str, x: Tensor) -> Tensor:
        for i in (1, 2):
            single = f"encoder.unet3d.{name}.basic_module.SingleConv{i}"
            groups = 1 if x.shape[1] < 8 else 8
            norm = state[f"{single}.groupnorm.weight"], state[f"{single}.groupnorm.bias"]
            x = F.group_norm(x, groups, *norm)
            x = F.relu(F.conv3d(x, state[f"{single}.conv.weight"], padding=1))
        return x

    levels: list[Tensor] = []
    while f"encoder.unet3d.encoders.{len(levels)}.basic_module.SingleConv1.conv.weight" in state:
        pooled = F.max_pool3d(levels[-1], 2) if levels else x
        levels.append(double(f"encoders.{len(levels)}", pooled))
    x = levels.pop()
    for i, beside in enumerate(reversed(levels)):
        x = F.interpolate(x, size=beside.shape[2:], mode="nearest")
        x = double(f"decoders.{i}", torch.cat([beside, x], dim=1))
    name = "encoder.unet3d.final_conv"
    return F.conv3d(x, state[f"{name}.weight"], state[f"{name}.bias"])


def _sampled(points: Tensor, name: str, values: Tensor) -> Tensor:
    at = 2 * _shares(points, name) - 1
    at = at.reshape(*at.shape[:2], *(1,) * (values.ndim - 3), at.shape[-1])
    sampled = F.grid_sample(values, at, padding_mode="border", align_corners=True)
    return sampled.flatten(2).transpose(1, 2)
