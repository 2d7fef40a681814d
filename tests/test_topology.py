import numpy as np
import pytest
import trimesh

from onet.geometry.topology import topology


def sphere():
    return trimesh.creation.icosphere(subdivisions=2)


def mesh_of(vertices, faces):
    return trimesh.Trimesh(vertices, faces, process=False)


@pytest.mark.parametrize(
    ("mesh", "euler", "components"),
    [
        (sphere(), 2, 1),
        (trimesh.creation.torus(1.0, 0.3), 0, 1),
        (trimesh.creation.box(), 2, 1),
        (
            trimesh.util.concatenate(
                [sphere(), trimesh.creation.box().apply_translation([5, 0, 0])]
            ),
            4,
            2,
        ),
    ],
)
def test_solids(mesh, euler, components):
    found = topology(mesh)
    assert found.solid
    assert (found.euler, found.components) == (euler, components)
    assert (found.vertices, found.faces) == (len(mesh.vertices), len(mesh.faces))


def test_agrees_with_trimesh_on_damaged_meshes():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mesh = sphere()
        faces = mesh.faces.copy()
        flip = rng.random(len(faces)) < rng.choice([0, 0.1])
        faces[flip] = faces[flip][:, ::-1]
        faces = faces[rng.random(len(faces)) > rng.choice([0, 0.05])]
        mesh = mesh_of(mesh.vertices, faces)
        found = topology(mesh)
        assert found.watertight == mesh.is_watertight
        # trimesh looks only at edges with two faces, where an open edge cannot disagree.
        assert found.oriented == mesh.is_winding_consistent
        assert found.euler == mesh.euler_number


def test_a_hole_is_manifold_but_not_watertight():
    mesh = sphere()
    found = topology(mesh_of(mesh.vertices, mesh.faces[1:]))
    assert (found.watertight, found.manifold, found.oriented) == (False, True, True)


def test_one_flipped_face_is_not_oriented():
    mesh = sphere()
    faces = mesh.faces.copy()
    faces[7] = faces[7][::-1]
    found = topology(mesh_of(mesh.vertices, faces))
    assert (found.watertight, found.manifold, found.oriented) == (True, True, False)


def test_inside_out_is_not_outward_wherever_it_lies():
    mesh = sphere().apply_translation([100.0, -50.0, 3.0])
    assert topology(mesh).outward
    found = topology(mesh_of(mesh.vertices, mesh.faces[:, ::-1]))
    assert found.watertight and found.manifold and found.oriented
    assert not found.outward and not found.solid


def test_two_tetrahedra_at_one_vertex_are_watertight_but_not_manifold():
    vertices = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]]
    one = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    other = np.where(one > 0, one + 3, 0)[:, ::-1]
    found = topology(mesh_of(vertices, np.concatenate([one, other])))
    assert found.watertight and found.oriented
    assert not found.manifold
    assert found.components == 1


def test_two_cubes_at_one_edge_are_not_manifold():
    box = trimesh.creation.box(extents=[1, 1, 1]).apply_translation([0.5, 0.5, 0.5])
    other = trimesh.creation.box(extents=[1, 1, 1]).apply_translation([-0.5, -0.5, 0.5])
    mesh = trimesh.util.concatenate([box, other])
    mesh.merge_vertices()
    found = topology(mesh)
    assert not found.watertight and not found.manifold


def test_unused_vertices_do_not_count_and_split_ones_are_not_merged():
    mesh = sphere()
    extra = mesh_of(np.concatenate([[[9.0, 9, 9]], mesh.vertices]), mesh.faces + 1)
    assert topology(extra) == topology(mesh)
    soup = mesh_of(mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3))
    assert topology(soup).components == len(mesh.faces)
    assert not topology(soup).watertight


def test_degenerate_face_and_empty_mesh():
    mesh = sphere()
    assert not topology(mesh_of(mesh.vertices, np.concatenate([mesh.faces, [[3, 3, 4]]]))).manifold
    empty = topology(mesh_of(np.zeros((0, 3)), np.zeros((0, 3), int)))
    assert empty.faces == 0 and not empty.watertight and not empty.solid
