"""Bodies of people by the parametric model `anny` (Apache-2.0; its assets are CC0), in any pose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.errors import MissingDependency

FACES = 6000
BENT = (
    "upperarm01",
    "lowerarm01",
    "upperleg01",
    "lowerleg01",
    "spine03",
    "spine01",
    "neck01",
    "head",
)
"""Beginnings of the names of joints that bend much; fingers bend a little, toes hardly."""


def bodies(count: int, seed: int = 0) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Yield bodies of all ages and builds, as vertices (V, 3), y up, and faces (F, 3).

    They are closed; where limbs run into each other the winding number is 2.

    Raises:
        MissingDependency: `anny` is not installed.
    """
    try:
        import anny
    except ImportError:
        raise MissingDependency("anny is not installed: pip install anny") from None
    import torch

    model = anny.Anny().to(dtype=torch.float32)
    faces = np.asarray(model.faces, dtype=np.int64)
    random = np.random.default_rng(seed)
    for _ in range(count):
        pose = torch.from_numpy(_pose(random, model.bone_labels))[None].float()
        build = {name: float(random.random()) for name in model.phenotype_labels}
        with torch.no_grad():
            made = model(pose_parameters=pose, phenotype_kwargs=build)
        vertices = made["vertices"][0].double().numpy()
        yield _simplified(vertices[:, [0, 2, 1]] * [1, 1, -1], faces)


def _pose(random: np.random.Generator, joints: list[str]) -> NDArray[np.float64]:
    """Return turns (J, 4, 4) of the joints, of which some are large."""
    from scipy.spatial.transform import Rotation

    wild = random.uniform(0.1, 0.6)
    spread = [
        wild if joint.startswith(BENT) else 0.1 if joint.startswith("finger") else 0.0
        for joint in joints
    ]
    turns = np.tile(np.eye(4), (len(joints), 1, 1))
    angles = random.normal(size=(len(joints), 3)) * np.array(spread)[:, None]
    turns[:, :3, :3] = Rotation.from_rotvec(angles).as_matrix()
    return turns


def _simplified(
    vertices: NDArray[np.float64], faces: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the skin alone, without eyes and tongue, with few faces."""
    import trimesh

    from onet.geometry.simplification import simplify

    parts = trimesh.Trimesh(vertices, faces, process=False).split(only_watertight=False)
    skin = max(parts, key=lambda part: len(part.faces))
    made = simplify(skin, FACES)
    return np.asarray(made.vertices), np.asarray(made.faces)
