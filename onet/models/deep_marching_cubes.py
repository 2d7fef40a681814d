"""Occupancies of corners and places of vertices, learned from points of a surface alone.

Source: Liao et al., Deep Marching Cubes, CVPR 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import trimesh
from torch import Tensor, nn

from onet.config import GenerationConfig
from onet.data.targets import Targets
from onet.errors import ConfigError
from onet.geometry.inside import contains
from onet.models._registry import MODELS
from onet.nn.baselines import cubes
from onet.nn.baselines.cube_network import CellPooling, CubeNetwork
from onet.nn.baselines.voxels import overlap
from onet.nn.precision import at_least_single

HALF = 0.55
"""Half the edge of the cube that is cut into cells: the unit cube with a margin."""
DISTANCE, SMOOTHNESS, CURVATURE = 5.0, 3.0, 3.0
MIDDLE, FULL = 0.2, 30
"""Weight of a full middle beside an empty border; the part 1 / FULL of corners ends it."""
EMPTY = 1.0
"""Squared distance, in cells, of a point to a cell without a surface."""


@MODELS.register("dmc")
class DeepMarchingCubes(nn.Module):
    """Point features pooled in cells, a 3D U-Net, and marching cubes with probabilities.

    The loss is the expected squared distance of surface points from the triangles of their cells,
    over all topologies; that the border is empty and the middle is not, until a thirtieth of the
    corners is full; that neighbouring corners agree; and that the most probable surface bends
    little. No occupancies are needed.

    Args:
        c_dim: width of the layers of a point.
        cells: along an edge.
        prior: weight of empty border and full middle.
        n_points: drawn of the true surface.

    Raises:
        ConfigError: fewer than 8 cells, or a weight below 0.
    """

    z_dim = 0

    def __init__(
        self, c_dim: int = 256, cells: int = 32, prior: float = 5.0, n_points: int = 1024
    ) -> None:
        super().__init__()
        if not 8 <= cells <= 128 or not prior >= 0:
            raise ConfigError(
                f"model.cells, model.prior: {cells}, {prior}; give 8 to 128 cells and 0 or more"
            )
        self.cells, self.prior = cells, prior
        self.targets = Targets(surface=n_points)
        self.encoder = CellPooling(c_dim, cells, HALF)
        self.decoder = CubeNetwork()

    def encode(self, inputs: Tensor) -> dict[str, Tensor]:
        """Return the features of cells, which have no mean over observations."""
        return {"cells": self.encoder(inputs)}

    def _made(self, code: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        occupancy, offsets = self.decoder(code["cells"])
        return at_least_single(occupancy).sigmoid(), at_least_single(offsets)

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The sum of all terms, and each, meant over items."""
        occupancy, offsets = self._made(self.encode(batch["inputs"]))
        distance, curvature = [], []
        for corners, moves, surface in zip(occupancy, offsets, batch["surface"], strict=True):
            distance.append(self._distance(corners, moves, surface))
            curvature.append(_curvature(corners, moves))
        parts = {
            "distance": DISTANCE * torch.stack(distance).mean(),
            "prior": self.prior * _prior(occupancy),
            "smoothness": SMOOTHNESS * _roughness(occupancy),
            "curvature": CURVATURE * torch.stack(curvature).mean(),
        }
        total = torch.stack(list(parts.values())).sum()
        return {"loss": total} | {key: value.detach() for key, value in parts.items()}

    def _distance(self, corners: Tensor, moves: Tensor, surface: Tensor) -> Tensor:
        """Mean over surface points of the expected squared distance in their cells."""
        places = (surface + HALF) * (self.cells / (2 * HALF))
        cell = places.floor().long().clamp(0, self.cells - 1)
        likely = cubes.topology_probabilities(cubes.corner_values(corners, cell))
        vertices = cubes.edge_vertices(moves, cell)
        return (likely * cubes.point_to_topologies(places, vertices, EMPTY)).sum(1).mean()

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Any], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """Per item (B,): `iou` at the query points of the most probable mesh, and `distance`."""
        occupancy, offsets = self._made(self.encode(batch["inputs"]))
        inside, distances = [], []
        for number, points in enumerate(batch["points"]):
            mesh = _mesh(occupancy[number], offsets[number], self.cells)
            inside.append(contains(mesh, points.double().cpu().numpy(), threads=1))
            surface = batch["surface"][number]
            distances.append(self._distance(occupancy[number], offsets[number], surface))
        made = torch.from_numpy(np.stack(inside)).to(occupancy.device)
        scores = {"iou": overlap(made, batch["occupancies"] > 0.5)}
        return scores | {"distance": torch.stack(distances), "loss": torch.stack(distances)}

    @torch.no_grad()
    def mesh(self, code: dict[str, Tensor]) -> trimesh.Trimesh:
        """Return the most probable surface of the first shape of a batch, closed."""
        occupancy, offsets = self._made(code)
        return _mesh(occupancy[0], offsets[0], self.cells)


def _inner(occupancy: Tensor) -> np.ndarray:
    """Corners (N, N, N) that are probably inside; the border is not."""
    inside: np.ndarray = (occupancy.detach() > 0.5).cpu().numpy()
    result = np.zeros_like(inside)
    result[1:-1, 1:-1, 1:-1] = inside[1:-1, 1:-1, 1:-1]
    return result


def _mesh(occupancy: Tensor, offsets: Tensor, cells: int) -> trimesh.Trimesh:
    edges, faces, _ = cubes.likely_mesh(_inner(occupancy))
    vertices = cubes.vertices_of(offsets.double(), edges).cpu().numpy()
    return trimesh.Trimesh(vertices * (2 * HALF / cells) - HALF, faces, process=False)


def _curvature(occupancy: Tensor, offsets: Tensor) -> Tensor:
    """How the most probable surface bends, weighted with the probabilities of its cells."""
    inside = _inner(occupancy)
    edges, faces, owner = cubes.likely_mesh(inside)
    cells = torch.from_numpy(owner).to(occupancy.device)
    corners = cubes.corner_values(occupancy, cells)
    full = cubes.corner_values(torch.from_numpy(inside).to(occupancy.device), cells)
    likely = torch.where(full, corners, 1 - corners).prod(1)
    return cubes.bending(cubes.vertices_of(offsets, edges), faces, likely)


def _prior(occupancy: Tensor) -> Tensor:
    """Mean occupancy of the border, and emptiness of the middle while little of an item is full.

    Without the second nothing would be inside; with it for good, the middle of a hollow or thin
    object would be filled. So its weight, without a gradient, falls to 0 with the emptiness of the
    fullest corners.
    """
    n = occupancy.shape[1]
    inner = occupancy[:, 1:-1, 1:-1, 1:-1].sum((1, 2, 3))
    border = (occupancy.sum((1, 2, 3)) - inner) / (n**3 - (n - 2) ** 3)
    fifth = slice(n // 5, n - n // 5)
    middle = 1 - occupancy[:, fifth, fifth, fifth].mean((1, 2, 3))
    fullest = occupancy.detach().flatten(1).topk(max(1, n**3 // FULL), dim=1).values.mean(1)
    return (border + MIDDLE * (1 - fullest) * middle).mean()


def _roughness(occupancy: Tensor) -> Tensor:
    """Mean difference of neighbouring corners, over the three axes."""
    return torch.stack([occupancy.diff(dim=axis).abs().mean() for axis in (1, 2, 3)]).mean()
