"""Meshes as users have them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh

import onet
from onet.errors import DataError
from onet.geometry.mesh_memory import take_mesh

BOX = trimesh.creation.box()


def test_all_kinds_are_the_same_mesh(tmp_path) -> None:
    BOX.export(tmp_path / "box.ply")
    moved = trimesh.Scene()
    moved.add_geometry(BOX, transform=trimesh.transformations.translation_matrix([0, 0, 0]))
    vertices, faces = np.asarray(BOX.vertices), np.asarray(BOX.faces)
    kinds = [
        BOX,
        tmp_path / "box.ply",
        str(tmp_path / "box.ply"),
        moved,
        (vertices, faces),
        (vertices.tolist(), faces.tolist()),
        (torch.tensor(vertices), torch.tensor(faces)),
        SimpleNamespace(vertices=vertices, triangles=faces),  # as Open3D has them
    ]
    for kind in kinds:
        mesh = take_mesh(kind)
        assert isinstance(mesh, trimesh.Trimesh) and mesh.volume == pytest.approx(1)
        assert onet.evaluate(kind, BOX, samples=500).iou == pytest.approx(1)
    assert take_mesh(BOX) is BOX


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "found int"),
        (None, "found NoneType"),
        (trimesh.Scene(), "no meshes"),
        ((BOX.vertices, BOX.faces + 5), "name vertices 5 to 12 of 8"),
        ((BOX.vertices, BOX.faces * 0.5), "whole numbers"),
        ((BOX.vertices[:, :2], BOX.faces), r"\(V, 3\)"),
        (("a", "b"), r"\(V, 3\)"),
        (([[1, 2, 3], [1]], BOX.faces), "no array"),
        (SimpleNamespace(vertices=BOX.vertices, triangles=BOX.faces - 1), "truth: "),
    ],
)
def test_what_is_no_mesh_is_named(given, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        take_mesh(given, "truth")
    assert str(caught.value).startswith("truth: ")
