"""Point clouds in the formats of scanners and programs, and from memory."""

from __future__ import annotations

import importlib.util
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from onet.archives import COMPRESSED_LIMIT, read_npy, read_npz
from onet.errors import DataError, MissingDependency
from onet.geometry.point_cloud_io import load_cloud, load_points, take_cloud

RNG = np.random.default_rng(0)
FAR = np.array([450_000, 5_400_000, 320])
POINTS = RNG.random((50, 3)) + FAR  # single precision would move them
NORMALS = np.tile([0.0, 0.6, 0.8], (50, 1))
COLORS = RNG.integers(0, 256, (50, 3)).astype(np.uint8)


def ply(path: Path, header: str, *content: bytes, order: str = "binary_little_endian") -> Path:
    lines = f"ply\nformat {order} 1.0\ncomment made here\n{header}end_header\n"
    path.write_bytes(lines.encode() + b"".join(content))
    return path


FIELDS = [("z", "f8"), ("nx", "f4"), ("x", "f8"), ("ny", "f4"), ("y", "f8"), ("nz", "f4"),
          ("red", "u1"), ("green", "u1"), ("blue", "u1"), ("quality", "f4")]  # fmt: skip
TYPES = {"f8": "double", "f4": "float", "u1": "uchar"}


def vertices(order: str = "<") -> tuple[str, np.ndarray]:
    rows = np.zeros(50, dtype=[(name, order + kind) for name, kind in FIELDS])
    for i, axis in enumerate("xyz"):
        rows[axis], rows[f"n{axis}"] = POINTS[:, i], NORMALS[:, i]
        rows[("red", "green", "blue")[i]] = COLORS[:, i]
    properties = "".join(f"property {TYPES[kind]} {name}\n" for name, kind in FIELDS)
    return f"element vertex 50\n{properties}", rows


def check(path: Path) -> None:
    cloud = load_cloud(path)
    assert cloud.points.dtype == np.float64
    np.testing.assert_array_equal(cloud.points, POINTS)
    np.testing.assert_allclose(cloud.normals, NORMALS, atol=1e-7)
    np.testing.assert_array_equal(cloud.colors, COLORS)


@pytest.mark.parametrize("order", ["binary_little_endian", "binary_big_endian", "ascii"])
@pytest.mark.parametrize("first", ["", "scalars", "lists"])
def test_ply_of_any_order_and_type(tmp_path: Path, order: str, first: str) -> None:
    mark = ">" if "big" in order else "<"
    header, rows = vertices(mark)
    before, other = "", b""
    if first == "scalars":
        before = "element camera 2\nproperty float view_px\nproperty int id\n"
        other = struct.pack(f"{mark}fifi", 1, 2, 3, 4)
    elif first == "lists":
        before = "element face 2\nproperty list uchar int vertex_indices\nproperty uchar flag\n"
        other = struct.pack(f"{mark}BiiiBBiiiiB", 3, 0, 1, 2, 7, 4, 0, 1, 2, 3, 7)
    content = rows.tobytes()
    if order == "ascii":
        other = {"": b"", "scalars": b"1 2\n3 4\n", "lists": b"3 0 1 2 7\n\n4 0 1 2 3 7\n"}[first]
        content = "\n".join(" ".join(str(value) for value in row) for row in rows).encode()
    check(ply(tmp_path / "a.ply", before + header, other, content, order=order))


def test_ply_with_lists_among_the_vertices(tmp_path: Path) -> None:
    header = "element vertex 2\nproperty list uchar float w\n" + "".join(
        f"property double {axis}\n" for axis in "xyz"
    )
    rows = struct.pack("<Bfddd", 1, 9, *POINTS[0]) + struct.pack("<Bffddd", 2, 9, 9, *POINTS[1])
    np.testing.assert_array_equal(load_points(ply(tmp_path / "a.ply", header, rows)), POINTS[:2])


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_ply_headers_of_every_system(tmp_path: Path, ends: bytes) -> None:
    header, rows = vertices()
    path = ply(tmp_path / "a.ply", header)
    path.write_bytes(path.read_bytes().replace(b"\n", ends) + rows.tobytes())
    check(path)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("element vertex 5\nproperty double x\nproperty double y\n", "no vertices with x, y and"),
        ("element vertex 1000000000000\nproperty double x\nproperty double y\nproperty double z\n",
         "declares 1000000000000"),
        ("element vertex 5\nproperty strange x\n", "has the header line"),
        ("element face 9000000\nproperty list uchar int v\n" + vertices()[0], "declares 9000000"),
    ],
)  # fmt: skip
def test_broken_ply(tmp_path: Path, header: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_points(ply(tmp_path / "a.ply", header, bytes(90)))


def test_obj_with_colours_or_normals(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    lines = [f"v\t{x}  {y}\t{z} {r / 255} {g / 255} {b / 255}"
             for (x, y, z), (r, g, b) in zip(POINTS, COLORS, strict=True)]  # fmt: skip
    normals = [f"vn {x} {y} {z}" for x, y, z in NORMALS]
    path.write_bytes(b"\xef\xbb\xbf# \xe9\n" + "\n".join([*normals, *lines]).encode())
    check(path)
    path.write_text("v 1 2\n")
    with pytest.raises(DataError, match="line 1"):
        load_points(path)


def pcd(path: Path, data: str, content: bytes, fields: str = "x y z rgb", points: int = 50) -> Path:
    count = len(fields.split())
    path.write_bytes(
        f"# .PCD v.7\nVERSION .7\nFIELDS {fields}\nSIZE {'8 ' * 3}{'4 ' * (count - 3)}\n"
        f"TYPE {'F ' * count}\nWIDTH {points}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n"
        f"POINTS {points}\nDATA {data}\n".encode()
        + content
    )
    return path


def packed() -> np.ndarray:
    """The colours as PCL packs them, in the bits of a float."""
    bits = (COLORS.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)).astype("<u4")
    return bits.view("<f4")


def test_pcd(tmp_path: Path) -> None:
    rows = np.zeros(50, dtype=[("p", "<f8", (3,)), ("rgb", "<f4")])
    rows["p"], rows["rgb"] = POINTS, packed()
    pairs = zip(POINTS.tolist(), packed().tolist(), strict=True)
    lines = [" ".join(map(repr, [*point, color])) for point, color in pairs]
    cloud = load_cloud(pcd(tmp_path / "a.pcd", "ascii", "\n".join(lines).encode()))
    np.testing.assert_array_equal(cloud.colors, COLORS)
    np.testing.assert_array_equal(cloud.points, POINTS)
    cloud = load_cloud(pcd(tmp_path / "b.pcd", "binary", rows.tobytes()))
    np.testing.assert_array_equal(cloud.colors, COLORS)
    np.testing.assert_array_equal(cloud.points, POINTS)
    with pytest.raises(DataError, match="cut short"):
        load_cloud(pcd(tmp_path / "c.pcd", "binary", rows.tobytes()[:-1]))
    with pytest.raises(DataError, match="cut short"):
        load_cloud(pcd(tmp_path / "c.pcd", "binary", rows.tobytes(), points=10**15))


def test_compressed_pcd(tmp_path: Path) -> None:
    lzf = pytest.importorskip("lzf")
    content = np.tile(POINTS[:1], (50, 1)).T.tobytes() + packed().tobytes()
    small = lzf.compress(content, 2 * len(content))
    sizes = struct.pack("<II", len(small), len(content))
    cloud = load_cloud(pcd(tmp_path / "a.pcd", "binary_compressed", sizes + small))
    np.testing.assert_array_equal(cloud.points, np.tile(POINTS[:1], (50, 1)))
    np.testing.assert_array_equal(cloud.colors, COLORS)
    for sizes in (struct.pack("<II", len(small), 2**32 - 1), struct.pack("<II", 2**31, 50 * 28)):
        with pytest.raises(DataError, match=r"a\.pcd: declares"):
            load_cloud(pcd(tmp_path / "a.pcd", "binary_compressed", sizes + small))


def test_points_that_were_not_measured_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = pcd(tmp_path / "a.pcd", "ascii", b"1 2 3\nnan nan nan\n4 5 6\n", "x y z", 3)
    assert load_points(path).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert "1 of 3 points were not measured" in caplog.text


def las(path: Path) -> Path:
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=3, version="1.4")
    header.offsets, header.scales = POINTS.min(axis=0), [1e-9] * 3
    for axis in "XYZ":
        header.add_extra_dim(laspy.ExtraBytesParams(name=f"Normal{axis}", type=np.float32))
    data = laspy.LasData(header)
    data.x, data.y, data.z = POINTS.T
    data.red, data.green, data.blue = COLORS.T.astype(np.uint16) * 257
    data.NormalX, data.NormalY, data.NormalZ = NORMALS.T
    data.write(str(path))
    return path


@pytest.mark.parametrize("suffix", ["las", "laz"])
def test_las(tmp_path: Path, suffix: str) -> None:
    if suffix == "laz":
        pytest.importorskip("lazrs")
    path = las(tmp_path / f"a.{suffix}")
    cloud = load_cloud(path)
    np.testing.assert_allclose(cloud.points, POINTS, rtol=0, atol=2e-9)
    np.testing.assert_allclose(cloud.normals, NORMALS, atol=1e-7)
    np.testing.assert_array_equal(cloud.colors, COLORS)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=rf"a\.{suffix}"):
        load_cloud(path)


def test_e57(tmp_path: Path) -> None:
    pye57 = pytest.importorskip("pye57")
    path = tmp_path / "a.e57"
    points = (POINTS - POINTS[0]).astype(np.float32).astype(np.float64)  # as pye57 writes
    axes = {f"cartesian{axis}": points[:, i] for i, axis in enumerate("XYZ")}
    colors = {f"color{name}": COLORS[:, i] for i, name in enumerate(("Red", "Green", "Blue"))}
    half = np.sqrt(0.5)
    with pye57.E57(str(path), mode="w") as file:
        file.write_scan_raw(axes | colors)
        file.write_scan_raw(
            axes | colors,
            rotation=np.array([half, 0, 0, half]),
            translation=np.array([1.0, 2, 3]),
        )
    cloud = load_cloud(path)
    moved = points[:, [1, 0, 2]] * [-1, 1, 1] + [1, 2, 3]  # a quarter of a turn about z
    np.testing.assert_allclose(cloud.points, np.concatenate([points, moved]), rtol=0, atol=1e-8)
    np.testing.assert_array_equal(cloud.colors, np.concatenate([COLORS, COLORS]))
    content = path.read_bytes()
    assert content.count(b"<e57Root") == 1
    path.write_bytes(
        content.replace(b"<e57Root", b"<!DOCTYPE", 1)
    )  # before any checksum is looked at
    with pytest.raises(DataError, match="not plain XML"):
        load_cloud(path)
    path.write_bytes(content[:-400])
    with pytest.raises(DataError, match=r"a\.e57"):
        load_cloud(path)


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("a.las", "laspy", "las"), ("a.e57", "pye57", "e57")]
)
def test_absent_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(MissingDependency, match=rf"onet\[{extra}\]"):
        load_cloud(tmp_path / name)


def test_arrays_with_normals_and_colours(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", points=POINTS, normals=3 * NORMALS, colors=COLORS)
    check(tmp_path / "a.npz")
    for colors in (COLORS / 255, COLORS.astype(np.uint16) * 257, COLORS.astype(int)):
        np.savez(tmp_path / "a.npz", points=POINTS, normals=NORMALS, colors=colors)
        check(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", points=POINTS, normals=NORMALS[:9], colors=COLORS - 300.0)
    cloud = load_cloud(tmp_path / "a.npz")
    assert cloud.normals is None and cloud.colors is None


def declared(shape: str, kind: str = "<f8") -> bytes:
    """The header of an array of this shape, without the array."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize("shape", ["(1000000000000, 3)", "(-5, 3)", "(2,)"])
def test_arrays_that_declare_more_than_is_there(tmp_path: Path, shape: str) -> None:
    (tmp_path / "a.npy").write_bytes(declared(shape) + bytes(8))
    with pytest.raises(DataError, match=r"a\.npy declares"):
        read_npy(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("points.npy", declared(shape) + bytes(8))
    with pytest.raises(DataError, match="'points' declares"):
        load_points(tmp_path / "a.npz")


@pytest.mark.slow
def test_archives_that_unpack_to_too_much(tmp_path: Path) -> None:
    count = COMPRESSED_LIMIT // 24 + 1
    content = io.BytesIO(declared(f"({count}, 3)"))
    path = tmp_path / "a.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("points.npy", "w") as stream,
    ):
        stream.write(content.getvalue())
        for _ in range(257):
            stream.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DataError, match=r"are the limit.*numpy\.savez"):
        load_points(path)


def test_objects_are_not_unpacked(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", points=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="Python objects"):
        read_npz(tmp_path / "a.npz", "points")


class _Legacy:
    """What a cloud of Open3D looks like from outside."""

    def __init__(self) -> None:
        self.points = [tuple(point) for point in POINTS]
        self.normals = NORMALS
        self.colors = COLORS / 255


class _Tensorial:
    def __init__(self) -> None:
        self.point = {"positions": torch.tensor(POINTS), "colors": torch.tensor(COLORS)}


class _Frame:
    """What a data frame looks like from outside."""

    def __init__(self) -> None:
        self.columns = ["time", "Z", "Y", "X"]
        self._values = np.column_stack([np.arange(50), POINTS[:, ::-1]])
        self.iloc = self

    def __getitem__(self, key: Any) -> np.ndarray:
        return self._values[key]

    def to_numpy(self) -> np.ndarray:
        return self._values


def _structured() -> np.ndarray:
    return vertices()[1]


@pytest.mark.parametrize(
    "given",
    [POINTS, POINTS.tolist(), torch.tensor(POINTS, requires_grad=True), _Legacy(), _Tensorial(),
     _Frame(), _structured(), trimesh.PointCloud(POINTS, colors=COLORS),
     trimesh.Trimesh(POINTS, [[0, 1, 2]], process=False), {"points": POINTS, "normals": NORMALS},
     trimesh.Scene(trimesh.Trimesh(POINTS, [[0, 1, 2]], process=False)),
     {"x": POINTS[:, 0], "y": POINTS[:, 1], "z": POINTS[:, 2]}],
    ids=lambda given: type(given).__name__,
)  # fmt: skip
def test_clouds_in_memory(given: Any) -> None:
    cloud = take_cloud(given)
    np.testing.assert_array_equal(cloud.points, POINTS)
    if cloud.colors is not None:
        np.testing.assert_array_equal(cloud.colors, COLORS)
    if cloud.normals is not None:
        np.testing.assert_allclose(cloud.normals, NORMALS, atol=1e-7)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (POINTS.T, r"\(3, 50\); the points are its columns: transpose it, points\.T"),
        (POINTS[None], r"points\[0\]"),
        ([[1, 2, 3], [4, 5]], "cannot be read as an array"),
        (None, "None"),
        (np.ma.masked_invalid([[1, 2, np.nan], [1, 2, 3]]), "1 of 2 points are NaN"),
        ({"a": [1], "b": [2]}, "no x, y, z"),
        (object(), "expected numbers"),
        ([], "no points"),
    ],
)
def test_what_is_no_cloud_in_memory(given: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        take_cloud(given)


def test_the_packages_of_the_extras_are_declared() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    for name in ("laspy", "pye57", "python-neo-lzf"):
        assert name in text
    assert importlib.util.find_spec("onet.geometry.clouds") is not None
