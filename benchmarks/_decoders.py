"""Decoders at the sizes of packaged configurations, with random weights, and codes for them."""

from __future__ import annotations

from typing import Any

CONFIGS = {
    "cbatchnorm": "pointcloud",
    "planes": "pointcloud_planes",
    "grid": "pointcloud_grid",
    "set": "pointcloud_set",
    "pixel": "img_pixel",
}
"""A configuration of each family of decoders."""


def build_decoder(family: str) -> tuple[Any, Any]:
    """The decoder of a family in evaluation mode, and a random code of one observation."""
    import torch

    from onet.config import load_config
    from onet.nn.decoders import DECODERS
    from onet.nn.encoders import ENCODERS
    from onet.nn.projection import published_projection

    model = load_config(CONFIGS[family]).model
    size = model["c_dim"]
    decoder = DECODERS.build(model["decoder"], "model.decoder", c_dim=size, z_dim=0).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():  # some start at zero
            parameter.add_(0.05 * torch.randn_like(parameter))
    kind = model["encoder"].pop("type")
    encoder: Any = ENCODERS.options(kind, ("c_dim",))(**model["encoder"])
    if family == "set":
        return decoder, torch.randn(encoder.latents, size)
    if family == "planes":
        cells = (encoder.plane_resolution,) * 2
        return decoder, {name: torch.randn(size, *cells) for name in encoder.planes}
    if family == "grid":
        return decoder, {"grid": torch.randn(size, *(encoder.grid_resolution,) * 3)}
    if family == "pixel":
        cells = (encoder.map_resolution,) * 2
        camera = published_projection(*map(torch.tensor, ([[0.8, 0.6]], [0.4], [2.0])))[0]
        maps = {"image": torch.randn(size, *cells), "global": torch.randn(size)}
        return decoder, maps | {"camera": camera}
    return decoder, torch.randn(size)
