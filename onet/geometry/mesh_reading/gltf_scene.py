"""Where the meshes of a glTF scene are: nodes, instances and skins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.geometry.mesh_reading.files import logger
from onet.geometry.mesh_reading.gltf_asset import Asset

_INSTANCING = "EXT_mesh_gpu_instancing"


@dataclass
class Placed:
    """A mesh at a node.

    Attributes:
        asset: the file.
        mesh: number of the mesh.
        world: (4, 4) transforms, one of each copy.
        weights: of morph targets, where the node has its own.
        skin: (J, 4, 4) transforms of the joints, or None; they take the place of `world`.
    """

    asset: Asset
    mesh: object
    world: list[NDArray[np.float64]]
    weights: object = None
    skin: NDArray[np.float64] | None = None

    def transforms(self, attributes: dict[str, Any]) -> list[NDArray[np.float64]]:
        """Return the transforms of the copies: (4, 4), or (N, 4, 4) of the vertices of a skin."""
        if self.skin is None or "JOINTS_0" not in attributes or "WEIGHTS_0" not in attributes:
            return self.world
        total: Any = 0.0
        k = 0
        while f"JOINTS_{k}" in attributes and f"WEIGHTS_{k}" in attributes:
            joints = self.asset.vectors(attributes[f"JOINTS_{k}"], 4).astype(np.int64)
            weights = self.asset.vectors(attributes[f"WEIGHTS_{k}"], 4)
            if len(joints) != len(weights) or (joints.size and joints.max() >= len(self.skin)):
                raise self.asset.files.error("has a skin that names no joint; export it again")
            for j in range(4):  # one at a time: all at once take a gigabyte for a million vertices
                total = total + weights[:, j, None, None] * self.skin[joints[:, j]]
            k += 1
        sums = total[:, 3, 3].copy()
        sums[sums == 0] = 1
        return [total / sums[:, None, None]]


def placed_meshes(asset: Asset) -> Iterator[Placed]:
    """Yield the meshes of the default scene, else of the first one, else of all nodes.

    Meshes of a file without nodes are taken as they are.
    """
    if not asset.list_of(asset.json, "nodes"):
        for mesh in range(len(asset.list_of(asset.json, "meshes"))):
            yield Placed(asset, mesh, [np.eye(4)])
        return
    scenes = asset.list_of(asset.json, "scenes")
    roots = _tops(asset)
    if scenes:
        scene = asset.entry("scenes", asset.json.get("scene", 0))
        roots = asset.list_of(scene, "nodes")
    world = _world_transforms(asset, roots)
    hidden = _hidden(asset)
    everywhere = None
    for number, transform in world.items():
        node = asset.entry("nodes", number)
        if "mesh" not in node or number in hidden:
            continue
        skin = None
        if "skin" in node:
            everywhere = everywhere or _world_transforms(asset, _tops(asset))
            skin = _skin(asset, node["skin"], everywhere)
        copies = [transform @ copy for copy in _instances(asset, node)]
        yield Placed(asset, node["mesh"], copies, node.get("weights"), skin)


def _tops(asset: Asset) -> list[Any]:
    """Return the nodes that are no other's child."""
    nodes = [asset.mapping(node) for node in asset.list_of(asset.json, "nodes")]
    children = {str(child) for node in nodes for child in asset.list_of(node, "children")}
    return [number for number in range(len(nodes)) if str(number) not in children]


def _world_transforms(asset: Asset, roots: list[Any]) -> dict[int, NDArray[np.float64]]:
    """Return the transform to the scene of each node below the roots, depth first.

    Of siblings the last comes first, the order in which earlier versions joined the parts.
    """
    result: dict[int, NDArray[np.float64]] = {}
    waiting = [(root, np.eye(4)) for root in roots]
    while waiting:
        number, above = waiting.pop()
        node = asset.entry("nodes", number)
        if number in result:
            raise asset.files.error(f"node {number} has two parents; export it again")
        result[number] = above @ _local(asset, node)
        children = asset.list_of(node, "children")
        waiting += [(child, result[number]) for child in children]
    return result


def _hidden(asset: Asset) -> set[int]:
    """Return the nodes that KHR_node_visibility hides, with all below them."""
    nodes = [asset.mapping(node) for node in asset.list_of(asset.json, "nodes")]
    waiting: list[Any] = []
    for number, node in enumerate(nodes):
        extension = asset.mapping(node.get("extensions", {})).get("KHR_node_visibility", {})
        if asset.mapping(extension).get("visible", True) is False:
            waiting.append(number)
    result: set[int] = set()
    while waiting:
        number = waiting.pop()
        if number not in result:
            result.add(number)
            waiting += asset.list_of(asset.entry("nodes", number), "children")
    if result:
        logger.warning("%s: %d nodes are hidden; left out", asset.files.path, len(result))
    return result


def _local(asset: Asset, node: dict[str, Any]) -> NDArray[np.float64]:
    if "matrix" in node:
        return asset.floats(node["matrix"], 16).reshape(4, 4).T
    return _composed(
        asset.floats(node.get("translation", [0, 0, 0]), 3),
        asset.floats(node.get("rotation", [0, 0, 0, 1]), 4),
        asset.floats(node.get("scale", [1, 1, 1]), 3),
    )


def _composed(
    translation: NDArray[np.float64], rotation: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    from scipy.spatial.transform import Rotation

    result = np.eye(4)
    turn = Rotation.from_quat(rotation).as_matrix() if rotation.any() else np.eye(3)
    result[:3, :3] = turn * scale
    result[:3, 3] = translation
    return result


def _instances(asset: Asset, node: dict[str, Any]) -> list[NDArray[np.float64]]:
    """Return the transforms of the copies that EXT_mesh_gpu_instancing makes, or the identity."""
    extension = asset.mapping(node.get("extensions", {})).get(_INSTANCING)
    if extension is None:
        return [np.eye(4)]
    attributes = asset.mapping(asset.mapping(extension).get("attributes"))
    sizes = {"TRANSLATION": 3, "ROTATION": 4, "SCALE": 3}
    found = {
        name: asset.vectors(attributes[name], size, zeros=True)
        for name, size in sizes.items()
        if name in attributes
    }
    counts = {len(values) for values in found.values()}
    if len(counts) != 1:
        raise asset.files.error(f"{_INSTANCING}: attributes of {sorted(counts)} copies")
    (count,) = counts
    rest = {"TRANSLATION": [0, 0, 0], "ROTATION": [0, 0, 0, 1], "SCALE": [1, 1, 1]}
    columns = [found.get(name, np.tile(np.array(rest[name], float), (count, 1))) for name in sizes]
    return [_composed(*row) for row in zip(*columns, strict=True)]


def _skin(
    asset: Asset, index: object, world: dict[int, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the (J, 4, 4) transforms from the bound mesh to the scene."""
    skin = asset.entry("skins", index)
    joints = asset.list_of(skin, "joints")
    for joint in joints:
        if not isinstance(joint, int) or joint not in world:
            raise asset.files.error(f"skin {index} names {joint!r}, which is no node")
    result = np.array([world[joint] for joint in joints]).reshape(-1, 4, 4)
    if "inverseBindMatrices" in skin:
        inverse = asset.vectors(skin["inverseBindMatrices"], 16)
        if len(inverse) < len(joints):
            raise asset.files.error(f"skin {index} has fewer matrices than joints")
        result = result @ inverse[: len(joints)].reshape(-1, 4, 4).transpose(0, 2, 1)
    return result
