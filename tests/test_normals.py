from __future__ import annotations

import numpy as np
import pytest
import trimesh

from onet.geometry.extraction import extract_mesh
from onet.geometry.mesh_io import save_mesh
from onet.geometry.mesh_lattice import MeshLattice
from onet.geometry.normalization import UnitFrame
from onet.geometry.normals import vertex_normals, with_field_normals
from onet.geometry.refinement import refine_roots
from onet.geometry.simplification import simplify


def torus_normals(points):
    ring = points * [1, 1, 0]
    ring *= 0.33 / np.linalg.norm(ring, axis=1, keepdims=True)
    return (points - ring) / np.linalg.norm(points - ring, axis=1, keepdims=True)


def degrees(a, b):
    return np.degrees(np.arccos(np.clip((a * b).sum(axis=1), -1, 1)))


def test_normals_are_those_of_the_field(torus):
    for mesh in (
        extract_mesh(torus, resolution=64),
        simplify(refine_roots(torus, extract_mesh(torus, resolution=64)), 1000),
    ):
        normals, from_faces = vertex_normals(torus, mesh)
        assert from_faces == 0
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
        assert degrees(normals, torus_normals(mesh.vertices)).max() < 0.5
        assert degrees(mesh.vertex_normals, torus_normals(mesh.vertices)).max() > 2


def test_without_a_gradient_faces_decide(sphere):
    def occupancy(points):
        return sphere(points) > 0

    mesh = refine_roots(sphere, extract_mesh(sphere, resolution=48))
    far = mesh.copy()
    far.metadata = mesh.metadata
    far.vertices = mesh.vertices * 0.8  # no value changes near these
    normals, from_faces = vertex_normals(occupancy, far)
    assert from_faces == len(mesh.vertices)
    assert degrees(normals, mesh.vertices / 0.4).max() < 15


def test_flat_ends_at_the_box_are_flat():
    def column(points):
        return 0.2 - np.hypot(points[:, 0], points[:, 1]) + 0.1 * points[:, 2]

    mesh = extract_mesh(column, resolution=48)
    normals, from_faces = vertex_normals(column, mesh)
    top = MeshLattice.of(mesh).beyond(mesh.vertices)[:, 2] == 1
    assert top.sum() > 100 and from_faces >= top.sum()
    middle = top & (np.hypot(*mesh.vertices[:, :2].T) < 0.2)
    assert np.abs(normals[middle] - [0, 0, 1]).max() < 1e-6
    side = np.abs(mesh.vertices[:, 2]) < 0.4
    np.testing.assert_allclose(normals[side][:, 2], -0.1 / np.hypot(1, 0.1), atol=1e-3)


def test_a_mesh_that_no_lattice_is_known_of_is_refused(sphere):
    with pytest.raises(ValueError, match="extract_mesh"):
        vertex_normals(sphere, trimesh.creation.icosphere())


@pytest.mark.parametrize("suffix", [".ply", ".glb", ".obj"])
def test_files_and_frames_keep_them(torus, tmp_path, suffix):
    mesh = with_field_normals(torus, extract_mesh(torus, resolution=33))
    assert mesh.metadata["normals"] == {"source": "field", "from_faces": 0}
    moved = UnitFrame(np.array([5.0, -2.0, 0.0]), 30.0).mesh_to_source(mesh)
    read = trimesh.load(save_mesh(moved, tmp_path / f"a{suffix}"), process=False)
    if isinstance(read, trimesh.Scene):
        (read,) = read.geometry.values()
    assert len(read.vertices) == len(mesh.vertices)
    np.testing.assert_allclose(read.vertices, moved.vertices, atol=1e-4)
    np.testing.assert_allclose(read.vertex_normals, vertex_normals(torus, mesh)[0], atol=1e-5)
    plain = extract_mesh(torus, resolution=33)
    size = (tmp_path / f"a{suffix}").stat().st_size
    assert save_mesh(plain, tmp_path / f"b{suffix}").stat().st_size < size
