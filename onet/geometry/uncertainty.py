"""How sharply a field tells where its surface is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onet.geometry.field_gradient import value_and_gradient
from onet.geometry.field_values import Field
from onet.geometry.mesh_lattice import MeshLattice
from onet.geometry.normals import STEP

if TYPE_CHECKING:
    import trimesh

_LOGITS = 2 * math.log(3)  # between probabilities 1/4 and 3/4


def vertex_uncertainty(
    field: Field,  # of logits
    mesh: trimesh.Trimesh,
    *,
    batch_size: int = 65536,
) -> NDArray[np.float32]:
    """Width (V,) of the zone around the surface in which the probability is between 1/4 and 3/4.

    It is measured along the normal, as if the logit were linear there: 2 log 3 over the length of
    its gradient, in units of the frame of the mesh. No width exceeds the extraction box, where the
    gradient is 0 for instance.

    Args:
        field: the one that `mesh` was extracted from.
        mesh: made by `extract_mesh`, then refined or simplified as you like.
        batch_size: most points handed to one call of `field`.

    Raises:
        ValueError: the mesh is not one that `extract_mesh` made.
        FieldError: see `value_and_gradient`.
    """
    lattice = MeshLattice.of(mesh)
    _, gradient = value_and_gradient(
        field,
        np.asarray(mesh.vertices),
        STEP * lattice.cell,
        batch_size=batch_size,
        dtype=lattice.dtype,
    )
    widest = lattice.cell * float(lattice.resolution.max())
    steepness = np.maximum(np.linalg.norm(gradient, axis=1), _LOGITS / widest)
    return (_LOGITS / steepness).astype(np.float32)
