"""Random exact solids, as many as wanted: what a network for scans learns of besides real meshes.

    vertices, faces = random_solid("chair", seed=7)

The kinds and how common each is are in `KINDS`. The number of the seed is all that there is of
chance: the same kind and seed give the same solid with the same libraries.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onet.data.solids import assemblies, carved, hollow, smooth, vehicles
from onet.errors import DataError

if TYPE_CHECKING:
    from manifold3d import Manifold

MOST_FACES = 6000
ATTEMPTS = 8

EXACT: dict[str, Callable[[np.random.Generator], Manifold]] = {
    **assemblies.FURNITURE,
    **vehicles.VEHICLES,
    "csg": carved.csg,
    "holed": carved.holed,
    "tubes": carved.tubes,
    "vessel": hollow.vessel,
    "crate": hollow.crate,
    "shell": hollow.shell,
    "frame": hollow.frame,
}

KINDS: dict[str, float] = {
    "table": 5, "chair": 6, "shelf": 4, "cabinet": 4, "sofa": 4, "lamp": 4,
    "airplane": 7, "ship": 5, "car": 5,
    "csg": 10, "holed": 2, "tubes": 4, "vessel": 5, "crate": 3, "shell": 3, "frame": 3,
    "creature": 8, "figure": 4, "hand": 2, "head": 4, "tree": 3, "blob": 3, "stone": 4, "wavy": 3,
    "sheet": 4,
}  # fmt: skip
"""All kinds, each with its weight."""


def random_solid(kind: str, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Make a random solid of a kind.

    Args:
        kind: one of `KINDS`.
        seed: number of the solid among those of its kind.

    Returns:
        Vertices (V, 3), y up, longest edge about 1, and faces (F, 3) of a closed surface, seen from
        outside counter-clockwise; at most `MOST_FACES` faces.

    Raises:
        DataError: an unknown kind, or chance gave nothing in several attempts.
        MissingDependency: the kind is made by `manifold3d`, which is not installed.
    """
    if kind not in KINDS:
        raise DataError(f"{kind!r} is no kind of solid; there are {', '.join(KINDS)}")
    random = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    for _ in range(ATTEMPTS):
        made = _exact(random, kind) if kind in EXACT else _smooth(random, kind)
        if made is not None:
            return made
    raise DataError(f"no {kind} came of seed {seed} in {ATTEMPTS} attempts; take another seed")


def _stretched(random: np.random.Generator, vertices: NDArray[Any]) -> NDArray[np.float64]:
    """Return vertices in other proportions, by up to 1.5 to 1."""
    return np.asarray(vertices, dtype=np.float64) * np.exp(random.uniform(-0.2, 0.2, 3))


def _exact(
    random: np.random.Generator, kind: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Return a solid of pieces, or None where chance cut everything away or left too many faces."""
    solid = EXACT[kind](random)
    if solid.num_tri() > MOST_FACES:
        solid = solid.simplify(0.002)
    if solid.is_empty() or solid.num_tri() > MOST_FACES or solid.volume() < 1e-5:
        return None
    mesh = solid.to_mesh()
    faces = np.asarray(mesh.tri_verts, dtype=np.int64)
    return _stretched(random, mesh.vert_properties[:, :3]), faces


def _smooth(
    random: np.random.Generator, kind: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Return a level set, or None where the field is nowhere positive."""
    field = smooth.SMOOTH[kind](random)
    if kind != "sheet":  # its walls would break
        field = smooth.with_relief(random, field)
    faces = int(np.exp(random.uniform(np.log(1500), np.log(MOST_FACES))))
    mesh = smooth.skin(field, resolution=96, faces=faces)
    if mesh is None or len(mesh.faces) > MOST_FACES:
        return None
    return _stretched(random, mesh.vertices), np.asarray(mesh.faces, dtype=np.int64)
