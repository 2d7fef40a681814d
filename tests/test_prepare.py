import csv
import json
import shutil

import numpy as np
import pytest
import trimesh
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from onet.data.check import check_store
from onet.data.mesh_files import find_meshes
from onet.data.prepare import prepare
from onet.data.splits import assign_splits
from onet.data.store import Store
from onet.data.store_folder import MESH, POINTCLOUD, POINTS, RECORD
from onet.errors import DataError
from onet.geometry.mesh_io import load_mesh, save_mesh
from onet.geometry.topology import topology

SMALL = {"workers": 1, "points": 4000, "surface": 500, "resolution": 32}


def ball(path, radius=1.0, centre=(0.0, 0.0, 0.0), stretch=1.0):
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    mesh.vertices = mesh.vertices * (1, 1, stretch) + centre
    return save_mesh(mesh, path)


@pytest.fixture
def meshes(tmp_path):
    root = tmp_path / "meshes"
    ball(root / "ball" / "plain.obj")
    ball(root / "ball" / "far.stl", radius=50, centre=(1e3, 0, -20))
    ball(root / "egg" / "kit" / "one.ply", stretch=2)
    ball(root / "egg" / "kit" / "two.glb", stretch=3)
    ball(root / "egg" / "three.off", stretch=0.5)
    return root


def contents(store):
    return {
        (item.name, key): item.array(POINTS, key).tobytes()
        for split in ("train", "val", "test")
        for item in store.items(split)
        for key in ("points", "occupancies", "loc", "scale")
    }


@pytest.mark.parametrize("labels", ["solid", "published", "winding", "auto"])
def test_items_are_labelled_in_a_unit_frame_that_leads_back(labels, meshes, tmp_path):
    report = prepare(meshes, tmp_path / "out", **SMALL, labels=labels)
    assert report.ok
    assert report.prepared == 5
    assert check_store(tmp_path / "out") == []
    assert sum(sum(counts.values()) for counts in report.splits.values()) == 5
    store = Store(tmp_path / "out")
    assert store.categories == ["ball", "egg"]
    items = {item.name: item for s in ("train", "val", "test") for item in store.items(s)}
    assert set(items) == {"ball/plain", "ball/far", "egg/kit__one", "egg/kit__two", "egg/three"}

    item = items["ball/far"]
    record = json.loads((item.path / RECORD).read_text())
    thickness = record["thickness"]
    added = 1.5 / 32 * 100 if labels == "published" else 0
    assert thickness["source"] == pytest.approx(added, rel=1e-3)
    assert np.allclose(item.frame().loc, (1e3, 0, -20), atol=0.5)
    assert item.frame().scale == pytest.approx(100 + 2 * thickness["source"], rel=0.01)
    assert thickness["unit"] * item.frame().scale == pytest.approx(thickness["source"])
    # The surface is the ball, of published labels moved outward by the thickness.
    points, inside = item.load_points()
    assert np.abs(points).max() <= 0.55
    source = item.frame().to_source(points)
    depth = 50 + thickness["source"] - np.linalg.norm(source - (1e3, 0, -20), axis=1)
    clear = np.abs(depth) > 3
    assert np.array_equal(inside[clear], depth[clear] > 0)
    assert record["occupied"] == pytest.approx(inside.mean())
    surface, normals = item.load_pointcloud()
    outward = surface / np.linalg.norm(surface, axis=1, keepdims=True)
    assert (np.einsum("ij,ij->i", normals, outward) > 0.8).all()
    mesh = load_mesh(item.mesh_path)
    assert topology(mesh).solid
    assert mesh.extents.max() == pytest.approx(1, abs=1e-6)
    assert record["source"]["file"] == "ball/far.stl"


def test_a_store_says_which_labels_it_holds_and_is_not_mixed(meshes, tmp_path):
    from onet.data.truth import describe, labels_of_items

    out, settings = tmp_path / "out", SMALL | {"categories": ["ball"]}
    prepare(meshes, out, **settings, labels="published")
    items = [item for s in ("train", "val", "test") for item in Store(out).items(s)]
    for item in items:  # as versions wrote it that knew these labels only
        assert "labels" not in json.loads((item.path / RECORD).read_text())["settings"]
    assert labels_of_items(items) == {"published": 2}
    assert "moved outward" in describe(labels_of_items(items))
    assert prepare(meshes, out, **settings, labels="published").kept == 2
    with pytest.raises(DataError, match=r"holds published labels.*--labels published"):
        prepare(meshes, out, **SMALL)
    assert prepare(meshes, out, **settings, overwrite=True).prepared == 2
    assert labels_of_items(items) == {"solid": 2}
    with pytest.raises(DataError, match=r"thickness.*--labels published"):
        prepare(meshes, tmp_path / "other", **SMALL, thickness=0.05)
    assert not (tmp_path / "other").exists()


def test_items_without_a_record_are_those_of_the_published_data(meshes, tmp_path):
    from onet.data.truth import describe, labels_of_items

    prepare(meshes, tmp_path / "out", **SMALL)
    items = Store(tmp_path / "out").items("train")
    (items[0].path / RECORD).unlink()
    found = labels_of_items(items)
    assert found == {"solid": len(items) - 1, "published": 1}
    assert "several kinds" in describe(found)


def test_labels_belong_to_the_rounded_points(meshes, tmp_path):
    from onet.geometry.inside import contains

    prepare(meshes, tmp_path / "out", **SMALL, stored_faces=10**9)
    for item in Store(tmp_path / "out").items("train"):
        points, inside = item.load_points()
        mesh = load_mesh(item.mesh_path)
        differ = contains(mesh, points) != inside
        # The stored mesh has float32 vertices: points nearer than that may differ.
        assert differ.mean() < 1e-3


@pytest.mark.slow
def test_result_depends_on_neither_workers_nor_order(meshes, tmp_path):
    prepare(meshes, tmp_path / "one", **SMALL)
    prepare(meshes, tmp_path / "two", **SMALL | {"workers": 2})
    prepare(meshes, tmp_path / "egg", **SMALL, categories=["egg"])
    prepare(meshes, tmp_path / "seed", **SMALL | {"seed": 1})
    one = contents(Store(tmp_path / "one"))
    assert one == contents(Store(tmp_path / "two"))
    part = contents(Store(tmp_path / "egg"))
    assert part
    assert part.items() <= one.items()
    key = ("egg/three", "points")
    assert contents(Store(tmp_path / "seed"))[key] != one[key]


@pytest.mark.slow
def test_finished_items_are_kept_and_the_others_made_again(meshes, tmp_path):
    out = tmp_path / "out"
    prepare(meshes, out, **SMALL)
    before = contents(Store(out))
    stamp = (out / "ball" / "plain" / POINTS).stat().st_mtime_ns
    (out / "egg" / "three" / RECORD).unlink()  # interrupted
    (out / "egg" / "kit__one" / POINTCLOUD).unlink()
    ball(meshes / "ball" / "far.stl", radius=2)  # another mesh
    report = prepare(meshes, out, **SMALL)
    assert (report.prepared, report.kept) == (3, 2)
    assert (out / "ball" / "plain" / POINTS).stat().st_mtime_ns == stamp
    after = contents(Store(out))
    changed = {name for name, key in before if before[name, key] != after[name, key]}
    assert changed == {"ball/far"}
    assert prepare(meshes, out, **SMALL | {"padding": 0.2}).prepared == 5
    assert prepare(meshes, out, **SMALL | {"padding": 0.2}, overwrite=True).prepared == 5


def test_bad_meshes_cost_only_themselves(meshes, tmp_path, caplog):
    (meshes / "egg" / "junk.ply").write_text("junk")
    (meshes / "ball" / "empty.obj").write_text("v 0 0 0\n")
    nan = trimesh.Trimesh([[0, 0, 0], [1, np.nan, 0], [0, 1, 0]], [[0, 1, 2]], process=False)
    nan.export(meshes / "ball" / "nan.ply")
    (meshes / "ball" / "notes.txt").write_text("not a mesh")
    report = prepare(meshes, tmp_path / "out", **SMALL)
    assert not report.ok
    assert report.prepared == 5
    assert [f.file for f in report.failures] == ["ball/empty.obj", "ball/nan.ply", "egg/junk.ply"]
    assert "NaN" in report.failures[1].reason
    assert all("\n" not in failure.reason for failure in report.failures)
    with (tmp_path / "out" / "failures.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["file"] for row in rows] == [failure.file for failure in report.failures]
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 3
    assert check_store(tmp_path / "out") == []
    for failure in report.failures:
        (meshes / failure.file).unlink()
    assert prepare(meshes, tmp_path / "out", **SMALL).ok
    assert not (tmp_path / "out" / "failures.csv").exists()


@pytest.mark.slow
def test_repairing_a_mesh_moves_no_other_to_another_split(tmp_path):
    root, out = tmp_path / "meshes", tmp_path / "out"
    for k in range(6):
        ball(root / "ball" / f"m{k}.ply", stretch=1 + k)
    good = (root / "ball" / "m3.ply").read_bytes()
    (root / "ball" / "m3.ply").write_text("junk")
    prepare(root, out, **SMALL)
    before = contents(Store(out))
    lists = {s: Store(out).names("ball", s) for s in ("train", "val", "test")}
    (root / "ball" / "m3.ply").write_bytes(good)
    assert prepare(root, out, **SMALL).kept == 5
    for split, names in lists.items():
        assert set(names) <= set(Store(out).names("ball", split))
    assert before.items() <= contents(Store(out)).items()


def test_open_soup_becomes_a_solid(tmp_path):
    box = trimesh.creation.box((1, 1, 0.6))
    faces = np.delete(box.faces, [0, 5], axis=0)  # holes
    faces[::2] = faces[::2, ::-1]  # some inside out
    soup = trimesh.Trimesh(box.vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3))
    save_mesh(soup, tmp_path / "in" / "soup.obj")
    report = prepare(tmp_path / "in", tmp_path / "out", **SMALL)
    assert report.splits == {"in": {"train": 1, "val": 0, "test": 0}}
    (item,) = Store(tmp_path / "out").items("train")
    assert topology(load_mesh(item.mesh_path)).solid


def test_equal_names_stay_apart_and_links_are_followed(tmp_path):
    root = tmp_path / "meshes"
    ball(root / "a" / "x.ply")
    ball(root / "a" / "x.obj")
    ball(root / "a" / ".hidden.ply")
    ball(root / "loose.ply")
    (root / "b").symlink_to(root / "a", target_is_directory=True)
    (root / "a" / "loop").symlink_to(root, target_is_directory=True)
    names = {source.name for source in find_meshes(root)}
    assert {"a/x_ply", "a/x_obj", "meshes/loose"} <= names
    assert not any("hidden" in name for name in names)
    shutil.rmtree(root / "a")
    with pytest.raises(DataError, match="'c'"):
        find_meshes(root, categories=["c"])


def test_a_listing_chooses_files_groups_and_splits(meshes, tmp_path):
    listing = tmp_path / "list.csv"
    listing.write_text(
        "file,group,split\negg/kit/one.ply,,test\negg/kit/two.glb,k,\negg/three.off,k,\n"
    )
    report = prepare(
        meshes, tmp_path / "out", **SMALL, listing=listing, split_by="source", split=(1, 0, 0)
    )
    assert report.splits == {"egg": {"train": 2, "val": 0, "test": 1}}
    assert Store(tmp_path / "out").names("egg", "test") == ["kit__one"]
    assert yaml.safe_load((tmp_path / "out" / "metadata.yaml").read_text()) == {
        "egg": {"id": "egg", "name": "egg"}
    }


def test_max_per_category_takes_some_of_each(meshes, tmp_path):
    report = prepare(meshes, tmp_path / "out", **SMALL, max_per_category=1)
    assert {category: sum(c.values()) for category, c in report.splits.items()} == {
        "ball": 1,
        "egg": 1,
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"split": (0, 0.5, 0.5)}, "split"),
        ({"split": (0.5, 0.5)}, "split"),
        ({"split_by": "kit"}, "'item' or|valid here|did you mean"),
        ({"split_by": "source", "group_pattern": "("}, "regular expression"),
        ({"max_per_category": 0}, "at least 1"),
        ({"points": 0}, "points"),
        ({"padding": -1.0}, "padding"),
        ({"categories": ["bal"]}, "did you mean 'ball'"),
        ({"listing": "none.csv"}, "no such file"),
    ],
)
def test_impossible_arguments_are_refused_before_any_work(meshes, tmp_path, options, says):
    with pytest.raises(DataError, match=says):
        prepare(meshes, tmp_path / "out", **SMALL | options)
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name\na.ply\n", "no column 'file'"),
        ("file\n", "lists no files"),
        ("file\nnone.ply\n", "absent"),
        ("file,split\nball/plain.obj,tset\n", "did you mean 'test'"),
    ],
)
def test_bad_listings_are_refused(meshes, tmp_path, text, says):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        prepare(meshes, tmp_path / "out", **SMALL, listing=tmp_path / "list.csv")


def test_folders_without_meshes_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        prepare(tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no meshes in it"):
        prepare(tmp_path / "empty", tmp_path / "out")


def test_a_stored_mesh_is_simplified_and_stays_closed(meshes, tmp_path):
    prepare(meshes, tmp_path / "out", **SMALL, stored_faces=300)
    for item in Store(tmp_path / "out").items("train"):
        record = json.loads((item.path / RECORD).read_text())
        mesh = load_mesh(item.path / MESH)
        assert len(mesh.faces) == record["mesh"]["faces"] <= 300 < record["watertight"]["faces"]
        assert topology(mesh).solid
        assert "simplified" in record["mesh"]["note"]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(0, 5), st.sampled_from([(0.7, 0.1, 0.2), (8, 0, 2)]))
def test_splits_by_item_meet_the_fractions(count, seed, fractions):
    names = [f"m{k}" for k in range(count)]
    splits = assign_splits(dict(zip(names, names, strict=True)), fractions, seed, "c")
    assert sorted(splits) == sorted(names)
    for split, share in zip(("train", "val", "test"), fractions, strict=True):
        found = sum(assigned == split for assigned in splits.values())
        assert abs(found - share / sum(fractions) * count) <= 1 + 1e-9
        assert found == 0 or share > 0
    assert "train" in splits.values()
    assert splits == assign_splits({name: name for name in names[::-1]}, fractions, seed, "c")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 3))
def test_groups_stay_together(sizes, seed):
    groups = {f"g{g}_{k}": f"g{g}" for g, size in enumerate(sizes) for k in range(size)}
    splits = assign_splits(groups, (0.7, 0.1, 0.2), seed)
    assert len({(groups[name], split) for name, split in splits.items()}) == len(sizes)
    if len(sizes) > 2:
        assert {"train", "test"} <= set(splits.values())


def test_splits_differ_by_seed_and_category():
    groups = {f"m{k}": f"m{k}" for k in range(40)}
    base = assign_splits(groups, seed=0, category="a")
    assert base != assign_splits(groups, seed=1, category="a")
    assert base != assign_splits(groups, seed=0, category="b")
