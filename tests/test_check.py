import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from onet.data import check
from onet.data.check import check_store
from onet.data.store_folder import MESH, POINTCLOUD, POINTS, RECORD
from onet.errors import DataError, WorkerDied
from onet.resources import assets_dir


@pytest.fixture
def store(tmp_path):
    root = tmp_path / "store"
    shutil.copytree(assets_dir() / "sample" / "chair", root / "chair")
    return root


def model(store):
    return sorted(path for path in (store / "chair").iterdir() if path.is_dir())[0]


def change(path, **arrays):
    with np.load(path) as archive:
        content = dict(archive)
    for key, value in arrays.items():
        content[key] = value(content[key]) if callable(value) else value
    np.savez(path, **content)


def put_nan(points):
    points[3, 1] = np.nan
    return points


def test_the_sample_is_good():
    assert check_store(assets_dir() / "sample") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "field", "damage", "says"),
    [
        (POINTS, "points", lambda p: change(p, points=put_nan), "1 of .* NaN"),
        (POINTS, "points", lambda p: change(p, points=lambda x: x * 2), "outside the padded cube"),
        (POINTS, "points", lambda p: change(p, points=lambda x: x[:, :2]), "shape"),
        (POINTS, "points", lambda p: change(p, points=lambda x: x.astype(int)), "type int"),
        (POINTS, "occupancies", lambda p: change(p, occupancies=lambda x: x[:-9]), "shape"),
        (POINTS, "occupancies", lambda p: change(p, occupancies=lambda x: x * 0), "all .* are 0"),
        (POINTS, "occupancies", lambda p: change(p, occupancies=lambda x: x | 255), "all .* are 1"),
        (POINTS, "loc, scale", lambda p: change(p, scale=-1.0), "not a frame"),
        (POINTS, "loc, scale", lambda p: np.savez(p, **_without(p, "loc")), "no array 'loc'"),
        (POINTCLOUD, "normals", lambda p: change(p, normals=lambda x: x / 2), "length 1"),
        (POINTCLOUD, "normals", lambda p: change(p, normals=put_nan), "length 1"),
        (POINTCLOUD, "normals", lambda p: np.savez(p, **_without(p, "normals")), "no array"),
        (POINTCLOUD, "points", lambda p: p.write_bytes(p.read_bytes()[:999]), "cannot be read"),
        (POINTCLOUD, "points", lambda p: p.unlink(), "no such file"),
        (MESH, "", lambda p: p.unlink(), "no such file"),
        (MESH, "", lambda p: p.write_text("junk"), "has no PLY header"),
        (RECORD, "", lambda p: p.unlink(), "unfinished"),
        (RECORD, "", lambda p: p.write_text('{"settings": '), "damaged"),
    ],
)
def test_each_damage_is_found_once_and_named(store, file, field, damage, says):
    path = model(store) / file
    damage(path)
    problems = [p for p in check_store(store) if p.file == str(path)]
    assert problems == check_store(store)
    assert field in [problem.field for problem in problems]
    (problem,) = [problem for problem in problems if problem.field == field]
    assert says.split(" .* ")[-1] in problem.message
    assert problem.remedy


def _without(path, key):
    with np.load(path) as archive:
        return {name: array for name, array in archive.items() if name != key}


def test_lists_are_compared_with_the_folders(store):
    train, test = store / "chair" / "train.lst", store / "chair" / "test.lst"
    listed = test.read_text().split()
    (store / "chair" / "orphan").mkdir()
    shutil.copytree(model(store), store / "chair" / "orphan", dirs_exist_ok=True)
    train.write_text(train.read_text() + f"ghost\n\n{listed[0]}\n")
    found = {(p.file, p.field): p.message for p in check_store(store)}
    assert set(found) == {
        (str(train), "ghost"),
        (str(store / "chair" / listed[0]), "test.lst, train.lst"),
        (str(store / "chair" / "orphan"), ""),
    }
    assert "2 times" in found[str(store / "chair" / listed[0]), "test.lst, train.lst"]


def test_leftovers_are_found(store):
    leftover = model(store) / f".{POINTS}.123.tmp.npz"
    leftover.write_bytes(b"half")
    shutil.copytree(store / "chair", store / "stool")
    for path in (store / "stool").glob("*.lst"):
        path.unlink()
    found = {p.file: p.message for p in check_store(store)}
    assert "interrupted" in found[str(leftover)]
    assert "no train.lst" in found[str(store / "stool")]


def test_the_padding_of_the_item_counts(store):
    path = model(store) / POINTS
    change(path, points=lambda x: (x * 1.05).astype(np.float16))
    assert [p.file for p in check_store(store)] == [str(path)]
    record = json.loads((path.parent / RECORD).read_text())
    record["settings"]["padding"] = 0.2
    (path.parent / RECORD).write_text(json.dumps(record))
    assert check_store(store) == []


def test_published_stores_need_neither_records_nor_meshes(store):
    for path in (store / "chair").iterdir():
        if path.is_dir():
            (path / RECORD).unlink()
            (path / MESH).unlink()
    assert check_store(store) == []


def test_no_store_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        check_store(tmp_path / "none")


def test_an_item_that_ends_its_process_is_named_and_the_others_are_examined(store, monkeypatch):
    """A whole group is lost with it, of which the others are examined again, one by one."""
    deadly, *others = sorted(path.name for path in (store / "chair").iterdir() if path.is_dir())
    change(store / "chair" / others[0] / POINTS, points=put_nan)

    def run(function, groups, *more):
        for group in groups:
            yield group, WorkerDied() if deadly in group.models else function(group)

    monkeypatch.setattr(check, "run_tasks", run)
    found = {Path(problem.file).name: problem.message for problem in check_store(store)}
    assert found.keys() == {deadly, POINTS} and "process died" in found[deadly]


def test_a_fault_of_the_program_ends_the_check(store, monkeypatch):
    monkeypatch.setattr(
        check, "run_tasks", lambda f, groups, *more: ((g, KeyError(1)) for g in groups)
    )
    with pytest.raises(KeyError):
        check_store(store)
