"""Graph convolutions that move the vertices of an ellipsoid, and the features they look at.

Source: Wang et al., Pixel2Mesh, ECCV 2018; sizes and names of weights as in the comparison of
Mescheder et al., Occupancy Networks, CVPR 2019.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.baselines.template import Template
from onet.nn.code import CAMERA, Code, ObservationKind
from onet.nn.projection import NEAREST


class PyramidEncoder(nn.Module):
    """Convolutions of a picture, of which four maps are kept: features f, 2f, 4f and 8f.

    Args:
        c_dim: features of the last map, 8f; published: 512. A multiple of 32.

    Raises:
        ConfigError: another number.
    """

    observes: ClassVar[ObservationKind] = "image"
    observes_parts: ClassVar[frozenset[str]] = frozenset({CAMERA})

    def __init__(self, c_dim: int = 512) -> None:
        super().__init__()
        if c_dim < 32 or c_dim % 32:
            raise ConfigError(f"model.c_dim: {c_dim}; give a multiple of 32")
        f = c_dim // 32
        self.block_1 = _chain((3, f), (f, f), (f, 2 * f, 3, 2), *[(2 * f, 2 * f)] * 2,
                              (2 * f, 4 * f, 3, 2), *[(4 * f, 4 * f)] * 2)  # fmt: skip
        self.block_2 = _chain((4 * f, 8 * f, 3, 2), *[(8 * f, 8 * f)] * 2)
        self.block_3 = _chain((8 * f, 16 * f, 5, 2), *[(16 * f, 16 * f)] * 2)
        self.block_4 = _chain((16 * f, 32 * f, 5, 2), *[(32 * f, 32 * f)] * 3)
        _keep_scale([*self.block_1, *self.block_2, *self.block_3, *self.block_4])

    def forward(
        self,
        inputs: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> list[Tensor]:
        maps = [inputs]
        for block in (self.block_1, self.block_2, self.block_3, self.block_4):
            maps.append(block(maps[-1]))
        return maps[1:]


def _chain(*layers: tuple[int, ...]) -> nn.Sequential:
    """Convolutions (inputs, outputs, kernel, stride) with activations."""
    made: list[nn.Module] = []
    for inputs, outputs, *rest in layers:
        kernel, stride = rest or (3, 1)
        made += [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.ReLU()]
    return nn.Sequential(*made)


@torch.no_grad()
def _keep_scale(layers: list[nn.Module]) -> None:
    """Draw weights with which a picture of noise has a standard deviation of 1 after every layer.

    With the usual ones 18 layers without normalisation leave nothing of a picture, and what is made
    of two pictures is the same.
    """
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    if convolutions[0].weight.is_meta:
        return
    net = torch.rand(2, 3, 64, 64, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
    for layer in convolutions:
        nn.init.orthogonal_(layer.weight)
        layer.weight -= layer.weight.mean((1, 2, 3), keepdim=True)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
        net = layer(net)
        layer.weight /= net.std()
        net = F.relu(net / net.std())


def camera_axes(
    camera: Tensor,  # (B, 3, 4)
) -> Tensor:  # (B, 3, 3)
    """Return the rotation from the unit frame to the axes of the camera: right, down, forward."""
    sideways, forward = camera[:, 0, :3], F.normalize(camera[:, 2, :3], dim=-1)
    right = F.normalize(sideways - (sideways * forward).sum(-1, keepdim=True) * forward, dim=-1)
    return torch.stack([right, torch.linalg.cross(forward, right), forward], 1)


def seen_features(
    points: Tensor,  # (B, V, 3) in the unit frame
    maps: list[Tensor],  # (B, F, H, W) each
    camera: Tensor,  # (B, 3, 4), for places in the picture from 0 to 1
) -> Tensor:  # (B, V, 3 + sum of F)
    """Coordinates of points, and the features of maps where the points are seen."""
    u, v, depth = (points @ camera[:, :, :3].transpose(1, 2) + camera[:, None, :, 3]).unbind(-1)
    depth = depth.clamp(min=NEAREST)
    places = (2 * torch.stack([u / depth, v / depth], -1) - 1)[:, :, None]
    found = [
        F.grid_sample(m.to(places.dtype), places, align_corners=False)[..., 0].transpose(1, 2)
        for m in maps
    ]
    return torch.cat([points, *found], -1)


HIDDEN, MOVES = 2**0.5, 0.1
"""Gains of weights: half of what is around 0 passes an activation; moves begin small."""


@torch.no_grad()
def _draw_centred(weight: Tensor, gain: float) -> None:
    """Draw weights (outputs, inputs), of which those of one output add up to 0.

    Behind activations all features are positive; in other weights what they have in common drowns,
    layer by layer, what vertices and pictures differ in.
    """
    nn.init.xavier_uniform_(weight, gain)
    weight -= weight.mean(1, keepdim=True)


class GraphConvolution(nn.Module):
    """What a vertex is, and the normalised sum of what its neighbours and itself are, each weighed.

    Args:
        inputs, outputs: numbers of features.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lin = nn.Linear(inputs, outputs)
        self.lin2 = nn.Linear(inputs, outputs, bias=False)
        nn.init.zeros_(self.lin.bias)
        for linear in (self.lin, self.lin2):
            _draw_centred(linear.weight, HIDDEN)

    def forward(
        self,
        x: Tensor,  # (B, V, inputs)
        support: Tensor,  # (V, V) sparse
    ) -> Tensor:  # (B, V, outputs)
        own, others = self.lin(x), self.lin2(x)
        flat = others.permute(1, 0, 2).reshape(len(support), -1)
        with torch.autocast(x.device.type, enabled=False):
            summed = torch.sparse.mm(support.to(flat.device), flat.float())
        result: Tensor = own + summed.view(len(support), len(x), -1).permute(1, 0, 2).to(own.dtype)
        return result


def normalised_adjacency(edges: np.ndarray, count: int) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 of a graph of `count` vertices, (V, V), sparse."""
    both = np.concatenate([edges, edges[:, ::-1], np.arange(count)[:, None].repeat(2, 1)])
    degree = np.bincount(both[:, 0], minlength=count)
    values = (degree[both[:, 0]] * degree[both[:, 1]]) ** -0.5
    # on the processor even where networks are made without memory
    with torch.device("cpu"):
        return torch.sparse_coo_tensor(
            torch.from_numpy(both.T.copy()),
            torch.from_numpy(values.astype(np.float32)),
            (count, count),
            check_invariants=False,
        ).coalesce()


class _Wrapped(nn.Module):
    """A convolution under the key `0`, as published weights name it; an activation follows."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.add_module("0", GraphConvolution(inputs, outputs))

    def forward(self, x: Tensor, support: Tensor) -> Tensor:
        convolution: Any = self.get_submodule("0")
        return F.relu(convolution(x, support))


class GraphDecoder(nn.Module):
    """Three blocks of graph convolutions; after the first two every edge is halved.

    Args:
        templates: an ellipsoid and twice its subdivision.
        hidden_dim: features of a vertex, at least 6. Published: 192.
        feat_dim: coordinates and features of the picture. Published: 963.

    Raises:
        ConfigError: too few features.
    """

    COUNTS = (12, 12, 13)
    KEYS = (("gc1", "gc2", "gc3"), ("gc4", "gc5", "gc6"), ("gc7", "gc8", "gc9"))

    def __init__(self, templates: list[Template], hidden_dim: int, feat_dim: int) -> None:
        super().__init__()
        if hidden_dim < 6:
            raise ConfigError(f"model.hidden_dim: {hidden_dim}; give at least 6")
        self.templates = templates
        self.supports = [normalised_adjacency(t.edges, len(t.vertices)) for t in templates]
        for number, (keys, count) in enumerate(zip(self.KEYS, self.COUNTS, strict=True)):
            inputs = feat_dim + (hidden_dim if number else 0)
            self.add_module(keys[0], _Wrapped(inputs, hidden_dim))
            blocks = nn.ModuleList(_Wrapped(hidden_dim, hidden_dim) for _ in range(count))
            self.add_module(keys[1], blocks)
            self.add_module(keys[2], GraphConvolution(hidden_dim, 3))
            first, middle, last = (self.get_submodule(key) for key in keys)
            self._begin(first, middle, last, feat_dim)

    @torch.no_grad()
    def _begin(self, first: nn.Module, middle: nn.Module, last: nn.Module, feat_dim: int) -> None:
        """Draw weights with which a block moves the vertices little.

        Six features are the coordinates, those above 0 and those below, and go through unchanged:
        from places drawn at random a surface would unfold only with folds. In all others places
        count as much as what is seen there; with equal weights three coordinates are lost among
        hundreds of features, and vertices that are seen in one place go to one place.
        """
        size = float(np.square(self.templates[0].vertices).sum(axis=1).mean()) ** 0.5
        layers = [m for m in (first, *middle.children(), last) for m in m.modules()]
        begin, *between, end = (m for m in layers if isinstance(m, GraphConvolution))
        for linear in (begin.lin, begin.lin2):
            nn.init.normal_(linear.weight[:, :3], std=0.5**0.5 / size)
            _draw_centred(linear.weight[:, 3:feat_dim], 1.0)
        for layer in (begin, *between):
            layer.lin.weight[:6], layer.lin2.weight[:6] = 0, 0
        for layer in between:
            layer.lin.weight[:6, :6] = torch.eye(6)
        for linear in (end.lin, end.lin2):
            _draw_centred(linear.weight, MOVES)
            linear.weight[:, :6] = 0
        both = torch.cat([torch.eye(3), -torch.eye(3)])
        begin.lin.weight[:6, :3], end.lin.weight[:, :6] = both, both.T

    def forward(
        self,
        maps: list[Tensor],
        camera: Tensor,  # (B, 3, 4)
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the vertices (B, V, 3) after each block, and before it, in the unit frame.

        Blocks know them along the axes of the camera, from the origin of the unit frame: what a
        picture shows of an object turns with the camera.
        """
        axes = camera_axes(camera)
        camera = torch.cat([camera[:, :, :3] @ axes.transpose(1, 2), camera[:, :, 3:]], 2)
        after, before = self._seen(maps, camera)
        return [places @ axes for places in after], [places @ axes for places in before]

    def _seen(self, maps: list[Tensor], camera: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        weights = next(self.parameters())
        start = torch.as_tensor(self.templates[0].vertices, dtype=weights.dtype)
        places = start.to(weights.device).expand(len(camera), -1, -1)
        after: list[Tensor] = []
        before: list[Tensor] = []
        net: Tensor | None = None
        for number, support in enumerate(self.supports):
            seen = seen_features(places, maps, camera)
            if net is not None:
                seen = torch.cat([seen, net], -1)
            if number:
                seen = self._halved(seen, number)
                places = self._halved(places, number)
            before.append(places)
            net, places = self._block(number, seen, support)
            after.append(places)
        return after, before

    def _block(self, number: int, x: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
        first, middle, last = (self.get_submodule(key) for key in self.KEYS[number])
        net = kept = first(x, support)
        assert isinstance(middle, nn.ModuleList)
        for place, layer in enumerate(middle):
            if place % 2:
                net = (layer(net, support) + kept) / 2
            else:
                kept, net = net, layer(net, support)
        return net, last(net, support)

    def _halved(self, x: Tensor, number: int) -> Tensor:
        parents = torch.from_numpy(self.templates[number].parents).to(x.device)
        return torch.cat([x, x[:, parents].mean(2)], 1)


def split_observation(inputs: Code) -> tuple[Tensor, Tensor]:
    """Return the pictures (B, 3, H, W) and cameras (B, 3, 4) for places from 0 to 1.

    Raises:
        ConfigError: no camera.
    """
    if not isinstance(inputs, dict) or CAMERA not in inputs:
        raise ConfigError(
            "data.input.camera: vertices are seen through the camera of the picture, which is not "
            "known; set data.input.camera=true, and give pictures with their cameras"
        )
    image = inputs["image"]
    scale = image.new_tensor([1 / image.shape[3], 1 / image.shape[2], 1.0])
    return image, inputs[CAMERA].to(image.dtype) * scale[:, None]
