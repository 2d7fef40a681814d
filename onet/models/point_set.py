"""Points from an observation: the Point Set Generation Network (Fan et al., CVPR 2017)."""

from __future__ import annotations

from typing import Any, Literal

import torch
import trimesh
from torch import Tensor, nn

from onet.config import GenerationConfig
from onet.data.targets import Targets
from onet.errors import ConfigError
from onet.geometry.point_surfaces import Meshing, surface_of_points
from onet.models._registry import MODELS
from onet.models.matching import check_global
from onet.nn.baselines.distances import earth_movers, squared_chamfer
from onet.nn.baselines.points import PointSetDecoder, TwoBranchDecoder, TwoBranchEncoder
from onet.nn.code import Code
from onet.nn.encoders import ENCODERS
from onet.nn.precision import at_least_single


def point_scores(made: Tensor, batch: dict[str, Any]) -> dict[str, Tensor]:
    """Per item (B,): `chamfer`, the sum of both mean squared distances to the surface points."""
    there, back = squared_chamfer(at_least_single(made), batch["surface"])
    return {"chamfer": there + back, "loss": there + back}


@MODELS.register("psgn")
class PointSetNetwork(nn.Module):
    """An encoder and layers that make points, trained with a distance to surface points.

    A mesh through the points is made afterwards, without learning; see `meshing`.

    Args:
        encoder: section of an encoder of a global code; null for that of `two_branch`.
        c_dim: size of the code.
        n_points: how many points are made, and drawn of the surface.
        hidden_size: of the linear layers of the simple decoder.
        two_branch: encoder and decoder with convolutions, for pictures.
        distance: `chamfer`, the sum of both mean squared distances, or `emd`, the earth mover's.
        meshing: how points become a mesh: `poisson` or `ball_pivoting`.

    Raises:
        ConfigError: two branches with an encoder, or one without.
    """

    z_dim = 0

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        c_dim: int = 256,
        n_points: int = 1024,
        hidden_size: int = 512,
        two_branch: bool = False,
        distance: Literal["chamfer", "emd"] = "chamfer",
        meshing: Meshing = "poisson",
    ) -> None:
        super().__init__()
        if two_branch == (encoder is not None):
            raise ConfigError(
                "model.encoder: name one for the simple decoder; two_branch has its own, with it "
                "set model.encoder=null"
            )
        if n_points < 4:
            raise ConfigError(f"model.n_points: {n_points}; give at least 4")
        self.distance, self.meshing = distance, meshing
        self.targets = Targets(surface=n_points)
        self.encoder: Any
        self.decoder: Any
        if encoder is None:
            self.encoder = TwoBranchEncoder(c_dim)
            self.decoder = TwoBranchDecoder(c_dim, n_points)
        else:
            self.encoder = ENCODERS.build(encoder, "model.encoder", c_dim=c_dim)
            check_global(encoder, "psgn")
            self.decoder = PointSetDecoder(c_dim, n_points, hidden_size)

    def encode(self, inputs: Tensor) -> Code:
        code: Code = self.encoder(inputs)
        return code

    def points(self, code: Code) -> Tensor:
        """Points (B, n_points, 3) of a shape, in the unit frame."""
        made: Tensor = at_least_single(self.decoder(code))
        return made

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The distance that is minimised, meant over items."""
        made = self.points(self.encode(batch["inputs"]))
        if self.distance == "emd":
            return {"loss": earth_movers(made, batch["surface"]).mean()}
        there, back = squared_chamfer(made, batch["surface"])
        return {"loss": (there + back).mean()}

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Any], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """See `point_scores`; `loss` is the Chamfer distance whatever is minimised."""
        return point_scores(self.points(self.encode(batch["inputs"])), batch)

    @torch.no_grad()
    def mesh(self, code: Code) -> trimesh.Trimesh:
        """Return a mesh through the points of the first shape of a batch."""
        points = self.points(code)[0].cpu().numpy()
        return surface_of_points(points, self.meshing)
