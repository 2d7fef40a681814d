"""Items are kept only if their files are those that were written."""

import json
import shutil

import numpy as np
import pytest
import trimesh

from onet.data.check import check_store
from onet.data.prepare import prepare
from onet.data.store_folder import (
    MESH,
    NEAR_SURFACE,
    POINTCLOUD,
    POINTS,
    RECORD,
    RENDERINGS,
    VOXELS,
)
from onet.geometry.mesh_io import load_mesh, save_mesh

OPTIONS = {
    "workers": 1,
    "points": 2000,
    "surface": 300,
    "resolution": 16,
    "split": (1, 0, 0),
    "render": 2,
    "render_size": 24,
    "voxels": 8,
    "near_surface": 0.1,
}
FILES = (POINTS, POINTCLOUD, MESH, NEAR_SURFACE, VOXELS, f"{RENDERINGS}/001.jpg")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("integrity")
    for name in ("a", "b"):
        save_mesh(trimesh.creation.icosphere(subdivisions=2), root / "meshes/ball" / f"{name}.ply")
    assert prepare(root / "meshes", root / "store", **OPTIONS).ok
    return root


@pytest.fixture
def store(made, tmp_path):
    shutil.copytree(made / "store", tmp_path / "store")
    return tmp_path / "store"


def forget_hashes(store):
    """As written by earlier versions."""
    for path in store.glob("*/*/item.json"):
        record = json.loads(path.read_text())
        del record["files"]
        path.write_text(json.dumps(record))


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    """Another value of the same length, with the time of before."""
    import os

    content, stat = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", [cut, pytest.param(empty, marks=pytest.mark.slow), flip])
def test_damage_is_found_and_what_check_advises_repairs_it(made, store, file, damage, caplog):
    path = store / "ball/a" / file
    good = path.read_bytes()
    damage(path)
    problems = check_store(store)
    assert [str(path).startswith(problem.file) for problem in problems] == [True]
    assert f"onet prepare MESHES {store} --points 2000" in problems[0].remedy
    assert "--render 2 --render-size 24 --voxels 8 --near-surface 0.1" in problems[0].remedy
    report = prepare(made / "meshes", store, **OPTIONS)
    assert (report.prepared, report.kept) == (1, 1)
    assert "made again" in caplog.text
    assert check_store(store) == []
    if path.suffix != ".npz":  # these tell the time
        assert path.read_bytes() == good


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", [cut, pytest.param(empty, marks=pytest.mark.slow)])
def test_stores_without_hashes_are_kept_if_their_files_hold_what_they_should(
    made, store, file, damage
):
    forget_hashes(store)
    assert check_store(store) == []
    damage(store / "ball/a" / file)
    report = prepare(made / "meshes", store, **OPTIONS)
    assert (report.prepared, report.kept) == (1, 1)
    assert check_store(store) == []
    assert all("files" in json.loads(path.read_text()) for path in store.glob("*/*/item.json"))
    assert prepare(made / "meshes", store, **OPTIONS).kept == 2


def test_archives_without_hashes_have_their_own_checksums(made, store):
    forget_hashes(store)
    flip(store / "ball/a" / POINTS)
    assert prepare(made / "meshes", store, **OPTIONS).prepared == 1


def test_what_prepare_cannot_see_it_is_told(made, store):
    forget_hashes(store)
    path = store / "ball/a" / POINTCLOUD
    with np.load(path) as archive:
        content = dict(archive)
    content["normals"] = content["normals"] / 2
    np.savez(path, **content)
    (problem,) = check_store(store)
    record = path.with_name(RECORD)
    assert problem.remedy.startswith(f"delete {record} and run")
    record.unlink()
    assert prepare(made / "meshes", store, **OPTIONS).prepared == 1
    assert check_store(store) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": 3}', '{"settings": {}, "files":'])
def test_records_of_any_content_cost_only_their_item(made, store, content):
    (store / "ball/a" / RECORD).write_text(content)
    assert check_store(store)
    assert prepare(made / "meshes", store, **OPTIONS).prepared == 1
    assert check_store(store) == []


def test_files_that_a_mesh_names_count_too(tmp_path):
    mesh = trimesh.creation.icosphere(subdivisions=1)
    folder = tmp_path / "meshes/a"
    folder.mkdir(parents=True)
    for name, data in trimesh.exchange.gltf.export_gltf(mesh.scene()).items():
        (folder / name).write_bytes(data)
    read = load_mesh(folder / "model.gltf").metadata["sources"]
    assert set(read) == {path.name for path in folder.iterdir()}
    plain = OPTIONS | {"render": None, "voxels": None, "near_surface": None}
    assert prepare(tmp_path / "meshes", tmp_path / "out", **plain).prepared == 1
    assert prepare(tmp_path / "meshes", tmp_path / "out", **plain).kept == 1
    buffer = min(folder.glob("*.bin"), key=lambda path: path.stat().st_size)  # vertices
    content = bytearray(buffer.read_bytes())
    values = np.frombuffer(content, np.float32)
    where = int(np.abs(values).argmax()) * 4
    content[where : where + 4] = np.float32(2.5).tobytes()
    buffer.write_bytes(content)
    report = prepare(tmp_path / "meshes", tmp_path / "out", **plain)
    assert report.prepared + len(report.failures) == 1


def test_the_bytes_given_are_parsed_and_hashed(tmp_path):
    import hashlib

    path = save_mesh(trimesh.creation.box(), tmp_path / "box.stl")
    ball = save_mesh(trimesh.creation.icosphere(subdivisions=1), tmp_path / "ball.stl").read_bytes()
    mesh = load_mesh(path, data=ball)
    assert len(mesh.faces) == 80
    assert mesh.metadata["sources"] == {"box.stl": hashlib.sha256(ball).hexdigest()}
