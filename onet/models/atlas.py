"""Charts of a surface from an observation: AtlasNet (Groueix et al., CVPR 2018)."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
import trimesh
from torch import Tensor, nn

from onet.config import GenerationConfig
from onet.data.targets import Targets
from onet.errors import ConfigError
from onet.models._registry import MODELS
from onet.models.matching import check_global
from onet.models.point_set import point_scores
from onet.nn.baselines.atlas import Chart
from onet.nn.baselines.distances import squared_chamfer
from onet.nn.baselines.template import even_sphere, square
from onet.nn.encoders import ENCODERS
from onet.nn.precision import at_least_single


@MODELS.register("atlasnet")
class AtlasNetwork(nn.Module):
    """An encoder and charts, trained with the Chamfer distance of samples.

    Squares give open patches, of which no volume is known; the sphere gives a closed mesh, which
    may cross itself.

    Args:
        encoder: section of an encoder of a global code.
        template: `squares` or `sphere`.
        c_dim: size of the code.
        patches: squares; one sphere is one chart.
        n_points: points of all charts together, in training and about so many in a mesh; and
            points drawn of the surface.

    Raises:
        ConfigError: several spheres, or fewer points than four a chart.
    """

    z_dim = 0

    def __init__(
        self,
        encoder: dict[str, Any],
        template: Literal["squares", "sphere"] = "squares",
        c_dim: int = 1024,
        patches: int = 25,
        n_points: int = 2500,
    ) -> None:
        super().__init__()
        if template == "sphere" and patches != 1:
            raise ConfigError(f"model.patches: {patches}; a sphere is one chart, set 1")
        if patches < 1 or n_points < 4 * patches:
            raise ConfigError(
                f"model.n_points: {n_points} of {patches} patches; give at least 4 a patch, and "
                "at least one patch"
            )
        self.template, self.each = template, n_points // patches
        self.targets = Targets(surface=n_points)
        self.encoder = ENCODERS.build(encoder, "model.encoder", c_dim=c_dim)
        check_global(encoder, "atlasnet")
        flat = 2 if template == "squares" else 3
        self.decoder = nn.ModuleList(Chart(c_dim + flat) for _ in range(patches))

    def encode(self, inputs: Tensor) -> Tensor:  # (B, C)
        code: Tensor = self.encoder(inputs)
        return code

    def samples(self, code: Tensor) -> Tensor:
        """Points (B, N, 3) at places drawn evenly on each chart, from torch's generator."""
        made = []
        for chart in self.decoder:
            if self.template == "squares":
                places = torch.rand(len(code), self.each, 2, device=code.device)
            else:
                drawn = torch.randn(len(code), self.each, 3, device=code.device)
                places = drawn / drawn.norm(dim=-1, keepdim=True).clamp(min=1e-6)
            made.append(chart(places.to(code.dtype), code))
        return at_least_single(torch.cat(made, 1))

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sum of both mean squared distances, meant over items."""
        made = self.samples(self.encode(batch["inputs"]))
        there, back = squared_chamfer(made, batch["surface"])
        return {"loss": (there + back).mean()}

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Any], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """See `point_scores`, of the vertices of the mesh."""
        vertices, _ = self._vertices(self.encode(batch["inputs"]))
        return point_scores(vertices, batch)

    def _vertices(self, code: Tensor) -> tuple[Tensor, np.ndarray]:
        """Vertices (B, V, 3) of regular templates, and faces (F, 3)."""
        if self.template == "squares":
            flat, faces = square(max(2, round(math.sqrt(self.each))))
        else:
            sphere = even_sphere(self.each)
            flat, faces = sphere.vertices, sphere.faces
        places = torch.as_tensor(flat, dtype=code.dtype, device=code.device)
        made = [chart(places.expand(len(code), -1, -1), code) for chart in self.decoder]
        all_faces = [faces + number * len(flat) for number in range(len(made))]
        return at_least_single(torch.cat(made, 1)), np.concatenate(all_faces)

    @torch.no_grad()
    def mesh(self, code: Tensor) -> trimesh.Trimesh:
        """Return the bent templates of the first shape of a batch."""
        vertices, faces = self._vertices(code[:1])
        mesh = trimesh.Trimesh(vertices[0].double().cpu().numpy(), faces, process=False)
        if self.template == "sphere" and mesh.volume < 0:
            mesh.invert()
        return mesh
