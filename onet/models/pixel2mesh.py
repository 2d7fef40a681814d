"""An ellipsoid that is deformed to what a picture shows: Pixel2Mesh (Wang et al., ECCV 2018)."""

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
from onet.models.point_set import point_scores
from onet.nn.baselines.distances import gather_points, nearest_indices
from onet.nn.baselines.graph import GraphDecoder, PyramidEncoder, split_observation
from onet.nn.baselines.mesh_losses import edge_lengths, laplacian, mean_square, normal_deviation
from onet.nn.baselines.template import ellipsoids
from onet.nn.baselines.voxels import overlap
from onet.nn.code import CAMERA, Code
from onet.nn.precision import at_least_single

UNIT = 0.57**2
"""Weights were published for objects 0.57 times as large; all but one are of squared lengths."""
CHAMFER, BACK, EDGE, NORMAL, LAPLACE, MOVE = 3000.0, 0.55, 300.0, 0.5, 1500.0, 100.0
FIRST_LAPLACE = 0.3
"""Factor of the Laplacian of the first block, which moves vertices furthest."""


@MODELS.register("pixel2mesh")
class Pixel2Mesh(nn.Module):
    """A picture's features, seen through its camera, move an ellipsoid in three blocks.

    Trained with the Chamfer distance, the normals, the lengths of edges, the Laplacian and the
    moves of vertices. The mesh is closed; it may cross itself.

    Args:
        c_dim: features of the last of the four maps.
        hidden_dim: features of a vertex.
        vertices: of the ellipsoid; 156 give 2,466 in the end.
        axes: its half axes in the unit frame.
        n_points: drawn of the true surface.

    Raises:
        ConfigError: sizes with which there is no ellipsoid.
    """

    z_dim = 0

    def __init__(
        self,
        c_dim: int = 512,
        hidden_dim: int = 192,
        vertices: int = 156,
        axes: tuple[float, float, float] = (0.35, 0.35, 0.35),
        n_points: int = 8000,
    ) -> None:
        super().__init__()
        if not 4 <= vertices <= 10_000 or min(axes) <= 0:
            raise ConfigError(
                f"model.vertices, model.axes: {vertices}, {axes}; give 4 to 10000 vertices and "
                "three half axes above 0"
            )
        self.targets = Targets(surface=n_points)
        self.encoder = PyramidEncoder(c_dim)
        features = 3 + c_dim // 8 + c_dim // 4 + c_dim // 2 + c_dim
        self.decoder = GraphDecoder(ellipsoids(axes, vertices), hidden_dim, features)

    def encode(self, inputs: Code) -> dict[str, Tensor]:
        """Return the maps of pictures with their cameras."""
        image, camera = split_observation(inputs)
        maps = self.encoder(image)
        return {f"map{number}": net for number, net in enumerate(maps)} | {CAMERA: camera}

    def _vertices(self, code: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the vertices after each block, and before it, never in half precision."""
        maps = [at_least_single(net) for key, net in code.items() if key != CAMERA]
        camera = at_least_single(code[CAMERA])
        with torch.autocast(camera.device.type, enabled=False):
            after, before = self.decoder(maps, camera)
        return after, before

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sum over the three meshes of all losses, and the parts of it."""
        after, before = self._vertices(self.encode(batch["inputs"]))
        parts: dict[str, Tensor] = {}
        for number, (vertices, start) in enumerate(zip(after, before, strict=True)):
            for key, value in self._losses(number, vertices, start, batch).items():
                parts[key] = parts.get(key, torch.zeros_like(value)) + value
        total = torch.stack(list(parts.values())).sum()
        return {"loss": total} | {key: value.detach() for key, value in parts.items()}

    def _losses(
        self, number: int, vertices: Tensor, start: Tensor, batch: dict[str, Any]
    ) -> dict[str, Tensor]:
        """Weighted losses of one of the three meshes, meant over items."""
        surface = batch["surface"]
        edges = torch.from_numpy(self.decoder.templates[number].edges).to(vertices.device)
        there, back = nearest_indices(vertices, surface), nearest_indices(surface, vertices)
        accuracy = mean_square(vertices, gather_points(surface, there))
        completeness = mean_square(surface, gather_points(vertices, back))
        normals = normal_deviation(vertices, edges, batch["surface_normals"], there)
        moved = mean_square(laplacian(vertices, edges), laplacian(start, edges))
        parts = {
            "chamfer": UNIT * CHAMFER * (completeness + BACK * accuracy),
            "edge": UNIT * EDGE * edge_lengths(vertices, edges),
            "normal": NORMAL * normals,
            "laplace": UNIT * LAPLACE * moved * (1 if number else FIRST_LAPLACE),
        }
        if number:  # the first block moves vertices as far as it likes
            parts["move"] = UNIT * MOVE * mean_square(vertices, start)
        return {key: value.mean() for key, value in parts.items()}

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Any], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """Per item (B,): `iou` at the query points, and what `point_scores` says of vertices."""
        vertices = self._vertices(self.encode(batch["inputs"]))[0][-1]
        inside = [
            contains(self._mesh(shape), points.double().cpu().numpy(), threads=1)
            for shape, points in zip(vertices, batch["points"], strict=True)
        ]
        made = torch.from_numpy(np.stack(inside)).to(vertices.device)
        scores = {"iou": overlap(made, batch["occupancies"] > 0.5)}
        return scores | point_scores(vertices, batch)

    def _mesh(self, vertices: Tensor) -> trimesh.Trimesh:
        faces = self.decoder.templates[-1].faces
        mesh = trimesh.Trimesh(vertices.double().cpu().numpy(), faces, process=False)
        if mesh.volume < 0:
            mesh.invert()
        return mesh

    @torch.no_grad()
    def mesh(self, code: dict[str, Tensor]) -> trimesh.Trimesh:
        """Return the deformed ellipsoid of the first picture of a batch."""
        return self._mesh(self._vertices(code)[0][-1][0])
