"""What a model is trained with beside query points: samples of the surface, or its voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from onet.data.rows import rows_at
from onet.data.store import Item
from onet.data.store_folder import VOXELS
from onet.errors import DataError


@dataclass(frozen=True)
class Targets:
    """What is drawn of every item, for models that say so; nothing by default.

    Attributes:
        surface: points drawn from the stored surface, with replacement, with their normals.
        voxels: cells along an edge of the grid of the unit cube that the item must have.
    """

    surface: int = 0
    voxels: int = 0

    @property
    def moves(self) -> bool:
        """Whether all of it can be turned with the object."""
        return not self.voxels

    def sample(
        self,
        item: Item,
        rng: np.random.Generator,
        rotation: np.ndarray | None = None,  # (3, 3)
    ) -> dict[str, Any]:
        """Draw the targets of an item.

        Args:
            item: of a store.
            rng: of the choice of surface points.
            rotation: how the object was turned, see `Input.sample_moved`.

        Returns:
            `surface` and `surface_normals` (N, 3) float32 in the unit frame; `voxels` (R, R, R)
            float32 in {0, 1}, indexed [x, y, z].

        Raises:
            DataError: the item lacks them, they are damaged, or a grid has another resolution.
        """
        result: dict[str, Any] = {}
        if self.surface:
            points, normals = item.surface()
            chosen = rng.integers(len(points), size=self.surface)
            for key, rows in (("surface", points), ("surface_normals", normals)):
                rows = rows_at(rows, chosen)
                turned = rows if rotation is None else rows @ rotation.T
                result[key] = torch.from_numpy(np.ascontiguousarray(turned, dtype=np.float32))
        if self.voxels:
            grid = item.voxels()
            if grid.shape != (self.voxels,) * 3:
                raise DataError(
                    f"{item.file(VOXELS)}: has {grid.shape[0]} cells along an edge, the model is "
                    f"trained with {self.voxels}; make it with `onet prepare --voxels "
                    f"{self.voxels}`"
                )
            result["voxels"] = torch.from_numpy(grid.astype(np.float32))
        return result


NOTHING = Targets()
