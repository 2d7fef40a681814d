import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from onet.errors import DataError
from onet.geometry.inside import contains
from onet.geometry.normalization import UnitFrame
from onet.geometry.topology import topology
from onet.geometry.voxels import (
    VoxelGrid,
    read_binvox,
    read_voxels,
    resample_voxels,
    voxel_centres,
    voxel_mesh,
    voxelize,
    write_binvox,
)
from onet.metrics.voxel_iou import voxel_iou

UNIT = UnitFrame(np.zeros(3), 1.0)
seeds = st.integers(0, 2**32 - 1)


def random_mesh(seed, faces=12, size=0.5):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-size, size, (1, 3)) + rng.uniform(-0.3, 0.3, (faces * 3, 3))
    return trimesh.Trimesh(corners, np.arange(faces * 3).reshape(-1, 3), process=False)


@given(seeds, st.sampled_from([1, 2, 5, 8]))
def test_a_voxel_is_full_exactly_where_a_triangle_touches_it(seed, resolution):
    """Against clipping: of a triangle cut by the six planes of a voxel something is left."""
    mesh = random_mesh(seed, faces=4)
    full = voxelize(mesh, resolution, "surface")
    for centre, filled in zip(voxel_centres(resolution), full.reshape(-1), strict=True):
        left = [clip(corners, centre, 0.5 / resolution) for corners in mesh.triangles]
        assert filled == any(left)


def clip(polygon, centre, half):
    """Whether something of a polygon is left in a cube (Sutherland and Hodgman)."""
    for axis in range(3):
        for sign in (1, -1):
            limit = half + sign * centre[axis]
            kept = []
            for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
                da, db = limit - sign * a[axis], limit - sign * b[axis]
                if da >= 0:
                    kept.append(a)
                if (da > 0) != (db > 0) and da != db:
                    kept.append(a + da / (da - db) * (b - a))
            if not kept:
                return False
            polygon = np.array(kept)
    return True


def test_a_ball():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.4)
    radius = np.linalg.norm(voxel_centres(24), axis=1).reshape(24, 24, 24)
    inside = voxelize(ball, 24, "inside")
    both = voxelize(ball, 24)
    np.testing.assert_array_equal(inside, contains(ball, voxel_centres(24)).reshape(inside.shape))
    assert inside[radius < 0.39].all() and not inside[radius > 0.4].any()
    np.testing.assert_array_equal(both, inside | voxelize(ball, 24, "surface"))
    assert both[radius < 0.4].all() and not both[radius > 0.4 + np.sqrt(3) / 48].any()
    assert not voxelize(ball, 24, "surface")[radius < 0.35].any()


def test_axes_are_x_y_z_and_parts_outside_are_left_out():
    box = trimesh.creation.box(bounds=[[0.26, -0.49, -0.49], [0.49, -0.26, -0.01]])
    full = voxelize(box, 4)
    assert np.argwhere(full).tolist() == [[3, 0, 0], [3, 0, 1]]
    assert not voxelize(box.apply_translation([1, 0, 0]), 4).any()
    with pytest.raises(ValueError, match="resolution"):
        voxelize(box, 0)


@pytest.mark.parametrize("pairs", [1, 7, 1 << 18])
def test_chunks_change_nothing(monkeypatch, pairs):
    mesh = random_mesh(3, faces=30)
    expected = voxelize(mesh, 16, "surface")
    assert expected.any()
    monkeypatch.setattr("onet.geometry.voxels._PAIRS", pairs)
    np.testing.assert_array_equal(voxelize(mesh, 16, "surface"), expected)


@given(seeds, st.integers(1, 20), st.floats(0, 1))
def test_binvox_files_hold_what_was_written(tmp_path_factory, seed, resolution, share):
    rng = np.random.default_rng(seed)
    frame = UnitFrame(rng.uniform(-9, 9, 3), float(rng.uniform(0.1, 9)))
    grid = VoxelGrid(rng.random((resolution,) * 3) < share, frame)
    path = tmp_path_factory.getbasetemp() / "grid.binvox"
    write_binvox(path, grid)
    again = read_binvox(path)
    np.testing.assert_array_equal(again.full, grid.full)
    np.testing.assert_allclose(again.frame.loc, frame.loc, atol=1e-12)
    assert again.frame.scale == pytest.approx(frame.scale)


def test_binvox_layout(tmp_path):
    """Written by hand after the description of the format: x slowest, then z, then y."""
    values = np.zeros((2, 2, 2), np.uint8)  # x, z, y
    values[1, 0, 1] = 1
    runs = b"".join(bytes([value, 1]) for value in values.ravel())
    header = b"#binvox 1\ndim 2 2 2\ntranslate -1 -2 -3\nscale 4\ndata\n"
    (tmp_path / "a.binvox").write_bytes(header + runs)
    grid = read_voxels(tmp_path / "a.binvox")
    assert np.argwhere(grid.full).tolist() == [[1, 1, 0]]
    np.testing.assert_array_equal(grid.frame.loc, [1, 0, -1])
    assert grid.frame.scale == 4


GOOD = b"#binvox 1\ndim 4 4 4\ntranslate 0 0 0\nscale 1\ndata\n" + bytes([0, 32, 1, 32])


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is empty"),
        (GOOD.replace(b"#binvox", b"#pinbox"), "header"),
        (GOOD.replace(b"data\n", b""), "header"),
        (GOOD.replace(b"dim 4 4 4\n", b""), "header"),
        (GOOD.replace(b"dim 4 4 4", b"dim 4 four 4"), "header"),
        (GOOD.replace(b"dim 4 4 4", b"dim 4 4 5"), "cube"),
        (GOOD.replace(b"scale 1", b"scale nan"), "scale"),
        (GOOD.replace(b"translate 0 0 0", b"translate 0 0"), "translate"),
        (GOOD[:-2], "cut"),
        (GOOD + bytes([1, 9]), "damaged"),
        (GOOD[:-2] + bytes([7, 32]), "0 and 1"),
    ],
)
def test_broken_binvox_files_are_named(tmp_path, content, word):
    path = tmp_path / "bad.binvox"
    path.write_bytes(GOOD)
    assert read_binvox(path).full.sum() == 32
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"bad\.binvox.*{word}"):
        read_binvox(path)


@pytest.mark.parametrize(
    "header",
    [
        b"#binvox 1\n# from data\n\n   translate 1 2 3 # a place\n#\nscale 4\ndim 4 4 4\t\ndata\n",
        b"#binvox 1\r\ndim 4 4 4\r\ntranslate 1 2 3\r\nscale 4\r\ndata\r\n",
        b"#binvox 1 # of today\nscale 4\nauthor me\ntranslate 1 2 3\ndim 4 4 4\ndata # runs\n",
    ],
)
def test_comments_and_line_ends_of_binvox_headers(tmp_path, header):
    path = tmp_path / "a.binvox"
    path.write_bytes(header + bytes([0, 32, 1, 32]))
    grid = read_binvox(path)
    assert grid.full[2:].all() and not grid.full[:2].any()
    np.testing.assert_array_equal(grid.frame.loc, [3, 4, 5])
    path.write_bytes(b"#binvox 1\ndim 4 4 4\ndata\n" + bytes([0, 32, 1, 32]))
    assert read_binvox(path).frame.scale == 1


@pytest.mark.parametrize("size", ["1025", "1000000", "9" * 4000, "9" * 5000], ids=len)
def test_huge_grids_are_refused_before_memory_is_taken(tmp_path, size):
    path = tmp_path / "a.binvox"
    path.write_bytes(GOOD.replace(b"4 4 4", " ".join([size] * 3).encode()))
    with pytest.raises(DataError, match=r"a\.binvox"):
        read_binvox(path)


def test_grids_of_numpy(tmp_path):
    full = np.random.default_rng(0).random((6, 6, 6)) < 0.5
    np.save(tmp_path / "a.npy", full.astype(np.float32))
    np.savez(tmp_path / "b.npz", voxels=full, loc=np.ones(3), scale=2.0)
    np.savez(tmp_path / "c.npz", full.astype(np.uint8))
    np.savez(tmp_path / "d.npz", grid=full, loc=np.ones(3), scale=2.0)
    for name, scale in (("a.npy", 1), ("b.npz", 2), ("c.npz", 1), ("d.npz", 2)):
        grid = read_voxels(tmp_path / name)
        np.testing.assert_array_equal(grid.full, full)
        assert grid.frame.scale == scale
    np.save(tmp_path / "flat.npy", full[0])
    np.save(tmp_path / "nan.npy", np.full((2, 2, 2), np.nan))
    (tmp_path / "bad.npz").write_bytes(b"no zip")
    np.savez(tmp_path / "many.npz", a=full, b=full)
    np.savez(tmp_path / "place.npz", voxels=full, loc=np.ones(2), scale=2.0)
    np.savez(tmp_path / "size.npz", voxels=full, loc=np.ones(3), scale=-2.0)
    for name in (
        "flat.npy",
        "nan.npy",
        "bad.npz",
        "many.npz",
        "place.npz",
        "size.npz",
        "absent.npy",
        "x.obj",
    ):
        (tmp_path / "x.obj").touch()
        with pytest.raises(DataError, match=name):
            read_voxels(tmp_path / name)


@settings(max_examples=10)
@given(seeds)
def test_coarser_grids_are_those_of_the_mesh(seed):
    mesh = random_mesh(seed)
    fine = voxelize(mesh, 16, "surface")
    np.testing.assert_array_equal(resample_voxels(fine, 4), voxelize(mesh, 4, "surface"))
    np.testing.assert_array_equal(resample_voxels(resample_voxels(fine, 48), 16), fine)
    with pytest.raises(DataError, match=r"16 voxels.*12 are wanted"):
        resample_voxels(fine, 12)


def test_iou_of_a_grid_counts_points_outside_as_empty():
    full = np.zeros((2, 2, 2), bool)
    full[1] = True  # x > 0
    points = np.array([[0.2, 0, 0], [-0.2, 0, 0], [0.54, 0, 0], [0.3, 0.1, 0.1]])
    inside = np.array([True, False, True, False])
    assert voxel_iou(full, points, inside) == pytest.approx(1 / 3)
    everywhere = np.random.default_rng(0).uniform(-0.5, 0.5, (1000, 3))
    assert voxel_iou(full, everywhere, everywhere[:, 0] > 0) == 1


def test_the_mesh_of_a_grid_bounds_it():
    full = np.zeros((8, 8, 8), bool)
    full[2:5, 1:7, 3:8] = True
    full[4:8, 3:5, 3:5] = True
    mesh = voxel_mesh(full)
    assert topology(mesh).solid
    assert mesh.volume == pytest.approx(full.mean())
    np.testing.assert_array_equal(voxelize(mesh, 8, "inside"), full)
