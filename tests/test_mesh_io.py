import numpy as np
import pytest
import trimesh

from onet.errors import DataError
from onet.files import replacing
from onet.geometry.mesh_io import MESH_SUFFIXES, load_mesh, readable_suffixes, save_mesh
from onet.geometry.point_cloud_io import check_points, load_points


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_saved_meshes_come_back_closed_and_in_place(tmp_path, suffix, size):
    mesh = trimesh.creation.icosphere(subdivisions=2)
    mesh.vertices = (mesh.vertices + 0.3) * size
    path = save_mesh(mesh, tmp_path / "folder" / f"a{suffix}")
    back = load_mesh(path)
    assert len(back.vertices) == len(mesh.vertices)
    assert len(back.faces) == len(mesh.faces)
    assert np.isclose(back.volume, mesh.volume, rtol=1e-5)
    assert np.allclose(back.bounds, mesh.bounds, rtol=1e-6, atol=1e-6 * size)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert suffix in readable_suffixes()


def test_scenes_are_concatenated_with_their_transforms(tmp_path):
    scene = trimesh.Scene()
    scene.add_geometry(trimesh.creation.box())
    mirror = np.diag([-1.0, 1, 1, 1])
    mirror[0, 3] = 5
    scene.add_geometry(trimesh.creation.box(), transform=mirror)
    (tmp_path / "scene.glb").write_bytes(scene.export(file_type="glb"))
    mesh = load_mesh(tmp_path / "scene.glb")
    assert np.allclose(mesh.bounds, [[-0.5, -0.5, -0.5], [5.5, 0.5, 0.5]])
    assert np.isclose(mesh.volume, 2)  # the mirrored one faces outwards too


def test_loose_vertices_do_not_widen_the_box(tmp_path):
    box = trimesh.creation.box()
    loose = trimesh.Trimesh(np.vstack([box.vertices, [[9, 9, 9]]]), box.faces, process=False)
    assert np.allclose(load_mesh(save_mesh(loose, tmp_path / "a.ply")).extents, 1)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("points.obj", "v 0 0 0\nv 1 1 1\nv 0 1 0\n", "no faces"),
        ("nan.obj", "v nan 0 0\nv 1 1 1\nv 0 1 0\nf 1 2 3\n", "NaN"),
        ("flat.obj", "v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "zero extent"),
        ("range.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", "range.off"),
        ("junk.ply", "this is not a mesh", "no PLY header"),
        ("junk.glb", "", "is empty"),
        ("junk.doc", "", "cannot be read"),
    ],
)
def test_bad_meshes_are_refused_by_name(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=says) as error:
        load_mesh(path)
    assert str(path) in str(error.value)


def test_missing_file_and_unknown_format(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_mesh(tmp_path / "none.ply")
    with pytest.raises(DataError, match=r"\.glb"):
        save_mesh(trimesh.creation.box(), tmp_path / "a.doc")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


POINTS = np.array([[0, 0, 0], [1, 2, 3], [-1, 0.5, 2], [0.25, 1, 1]], dtype=np.float32)


def _write(path):
    match path.suffix:
        case ".npy":
            np.save(path, POINTS.astype(np.float64))
        case ".npz":
            np.savez(path, points=POINTS, normals=POINTS)
        case ".xyz":
            np.savetxt(path, np.hstack([POINTS, POINTS]), header="x y z nx ny nz")
        case ".txt":
            np.savetxt(path, POINTS)
        case ".csv":
            np.savetxt(path, POINTS, delimiter=",", header="x,y,z", comments="")
        case ".ply":
            path.write_bytes(trimesh.PointCloud(POINTS).export(file_type="ply"))
        case ".obj":
            path.write_text("".join(f"v {x} {y} {z}\n" for x, y, z in POINTS))
        case _:
            save_mesh(trimesh.Trimesh(POINTS, [[0, 1, 2], [1, 2, 3]], process=False), path)


@pytest.mark.parametrize(
    "suffix", [".npy", ".npz", ".xyz", ".txt", ".csv", ".ply", ".obj", ".off", ".glb", ".stl"]
)
def test_points_come_back_from_every_format(tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    _write(path)
    points = load_points(path)
    assert points.dtype == np.float64
    expected = POINTS[[0, 1, 2, 1, 2, 3]] if suffix == ".stl" else POINTS
    assert sorted(points.tolist()) == sorted(expected.tolist())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.xyz", "", "is empty"),
        ("a.xyz", "x y z\n", "no points"),
        ("a.txt", "1 2\n3 4\n", r"\(2, 2\)"),
        ("a.csv", "1,2,3\n3,4\n", "line 2 has 2 columns"),
        ("a.csv", "x,y,z\n1,2,three\n", "line 2: 'three'"),
        ("a.txt", "1 2 nan\n", "NaN"),
        ("a.npy", "junk", "not an array"),
        ("a.shp", "", "format '.shp'"),
    ],
)
def test_bad_point_files_are_refused_by_name(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=says) as error:
        load_points(path)
    assert str(path) in str(error.value)


def test_npz_without_points_names_what_is_there(tmp_path):
    np.savez(tmp_path / "a.npz", xyz=POINTS)
    with pytest.raises(DataError, match="found: xyz"):
        load_points(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (np.zeros((5, 2)), r"\(5, 2\)"),
        (np.zeros((5, 6)), r"points\[:, :3\]"),
        (np.zeros(3), r"\(3,\)"),
        (np.zeros((0, 3)), "no points"),
        (np.array([["a", "b", "c"]]), "numbers"),
        (np.array([[0, 0, np.inf]]), "1 of 1 points"),
    ],
)
def test_bad_arrays_are_refused(points, says):
    with pytest.raises(DataError, match=says):
        check_points(points)
