"""Names from files stay in their folders; names of items differ on every file system."""

import csv
import json
import os
import shutil
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import trimesh
import yaml
from ball_model import save_run
from hypothesis import given
from hypothesis import strategies as st

from onet.checkpoints.checkpoint import load_training_state
from onet.data.check import check_store
from onet.data.dataset import ShapeDataset
from onet.data.inputs import PointCloudInput
from onet.data.lists import read_list, write_list
from onet.data.mesh_files import find_meshes, read_listing
from onet.data.photographs import find_photographs
from onet.data.prepare import prepare
from onet.data.store import Item, Store
from onet.data.store_folder import POINTCLOUD, POINTS, RECORD
from onet.errors import CheckpointError, DataError
from onet.evaluation.meshes import evaluate_generation
from onet.inference import generation_folder
from onet.inference.generate import generate
from onet.names import checked_path, name_problem, portable_key, printable, told_apart
from onet.report.html import write_report

SMALL = {"workers": 1, "points": 2000, "surface": 300, "resolution": 32}
POSIX_NAMES = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="the file system has no such names"
)

STORABLE = [
    "u2028\u2028x",
    "nel\x85x",
    "tab\x0b\x1cx",
    " blank ",
    "#hash",
    'com,ma "q"',
    "<b>tag&",
    "[red]x[b]",
    "e\u0301",
    "train.lst",
    "esc\x1b[31m",
]
REFUSED = ["line\nbreak", "cr\rx", "\ufeffbom", "bad\udcff"]


def ball(path, radius=1.0):
    mesh = trimesh.creation.icosphere(subdivisions=1, radius=radius)
    data = mesh.export(file_type=path.suffix[1:].lower())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


# -- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "../../evil",
        "a/../../b",
        "a/..",
        "/etc/passwd",
        "",
        ".",
        "a\0b",
        "x" * 256,
        None,
        3,
        ["a"],
    ],
)
def test_names_that_lead_out_are_refused_with_their_place(name):
    with pytest.raises(DataError, match=r"^list\.lst: line 3: "):
        checked_path(name, "list.lst: line 3")


@pytest.mark.parametrize(
    "name",
    ["..\\evil", "a\\..\\..\\b", "C:\\x", "C:x", "\\x", "\\\\host\\share\\x", "a:b", "NUL.txt"],
)
def test_what_leads_out_on_windows(name):
    with pytest.raises(DataError):
        checked_path(name, "list", windows=True)
    assert checked_path(name, "list", windows=False) == name


def test_paths_are_brought_to_one_form():
    assert checked_path("./a//b/./c/", "") == "a/b/c"
    assert checked_path("a\\b", "", windows=True) == "a/b"
    assert checked_path("..a/b..", "") == "..a/b.."


@given(st.text(st.sampled_from("ab./\\:\0~ "), max_size=12))
def test_whatever_is_taken_stays_below(name):
    try:
        taken = checked_path(name, "")
    except DataError:
        return
    assert os.path.normpath(os.path.join("/root", taken)).startswith("/root/")


def test_printable_text_is_one_line():
    text = "a\nb\x1b[1m\u2028\udcff é 椅"
    assert printable(text) == "a\\nb\\x1b[1m\\u2028\\udcff é 椅"
    assert printable(text).encode()


# -- different names --------------------------------------------------------------------------


def apart(*files):
    names = [str(Path(file).with_suffix("")).replace("/", "__") for file in files]
    longer = [
        f"{name}_{Path(file).suffix[1:].lower()}" for name, file in zip(names, files, strict=True)
    ]
    return told_apart(names, longer, files)


def test_names_without_a_namesake_stay_and_namesakes_get_their_suffix():
    assert apart("a.stl", "b.ply") == ["a", "b"]
    assert apart("a.stl", "a.ply", "b.ply") == ["a_stl", "a_ply", "b"]


@pytest.mark.parametrize(
    "files",
    [
        ("part.stl", "part.STL"),
        ("part.ply", "part_ply.obj", "part.obj"),
        ("x/a.stl", "x__a.stl"),
        ("Part.stl", "part.ply"),
        ("part.stl", "PART.stl", "Part.stl"),
        ("\u00e9.stl", "e\u0301.stl"),
        ("a.stl", "a .ply"),
        ("straße.stl", "STRASSE.stl"),
    ],
)
def test_namesakes_of_namesakes_differ_on_every_file_system(files):
    names = apart(*files)
    assert len({portable_key(name) for name in names}) == len(files)
    assert apart(*reversed(files)) == names[::-1]


@given(st.lists(st.text("aA_/é\u0301.", min_size=1, max_size=4), unique=True, max_size=12))
def test_names_are_always_different_and_do_not_depend_on_the_order(stems):
    files = [f"{stem}.{suffix}" for stem in stems for suffix in ("ply", "PLY")]
    names = [file.rpartition(".")[0].lower() for file in files]
    longer = [f"{name}_ply" for name in names]
    found = told_apart(names, longer, files)
    assert len({portable_key(name) for name in found}) == len(files)
    again = told_apart(names[::-1], longer[::-1], files[::-1])
    assert again == found[::-1]


def test_names_in_use_next_to_each_other_stay():
    files, settled = ["part.ply", "Part.ply"], ["part", "Part"]
    assert told_apart(settled, settled, files, settled=settled) == settled
    assert told_apart(settled, settled, files, settled=["part"]) != settled


def test_reserved_names_are_not_given():
    assert told_apart(["test.lst"], ["test.lst_stl"], ["a"], taken=["test.lst"]) == ["test.lst_stl"]
    (name,) = told_apart(["Test.LST"], ["Test.LST"], ["a"], taken=["test.lst"])
    assert portable_key(name) != "test.lst"


# -- lists ------------------------------------------------------------------------------------


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0/\\:"), min_size=1, max_size=8), unique=True
    )
)
def test_lists_are_read_back_as_they_were_written(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("list")
    good = [name for name in names if name_problem(name) is None]
    for name in good:
        if name != name.strip():
            (folder / name).mkdir()
    write_list(folder / "train.lst", good)
    assert read_list(folder / "train.lst") == sorted(good)
    shutil.rmtree(folder)


@POSIX_NAMES
def test_bytes_that_are_not_utf8_stay_in_their_line(tmp_path):
    (tmp_path / "test.lst").write_bytes(b"a\nm\xfcller\n\xc3\xa9\n")
    assert read_list(tmp_path / "test.lst") == ["a", "m\udcfcller", "é"]


# -- prepare ----------------------------------------------------------------------------------


@POSIX_NAMES
def test_hostile_names_spoil_their_own_item_only(tmp_path):
    meshes, store = tmp_path / "meshes", tmp_path / "store"
    for name in (*STORABLE, *REFUSED, "plain"):
        ball(meshes / "c" / f"{name}.stl")
    ball(meshes / "failures.csv" / "a.stl")
    ball(meshes / "bad\udcfe" / "a.stl")
    report = prepare(meshes, store, split=(0.5, 0.2, 0.3), **SMALL)
    assert report.prepared == len(STORABLE) + 1
    assert len(report.failures) == len(REFUSED) + 2
    assert all("rename" in failure.reason for failure in report.failures)
    with (store / "failures.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(report.failures)
    assert check_store(store) == []
    items = [item for split in ("train", "val", "test") for item in Store(store).items(split)]
    wanted = {*STORABLE, "plain", "train.lst_stl"} - {"train.lst"}
    assert {item.model for item in items} == wanted
    again = prepare(meshes, store, split=(0.5, 0.2, 0.3), **SMALL)
    assert (again.prepared, again.kept) == (0, len(wanted))

    # What comes after takes these names too, and those of a foreign store.
    shutil.copytree(store / "c" / "plain", store / "c" / "bad\udcff")
    with (store / "c" / "test.lst").open("ab") as file:
        file.write(b"bad\xff\n")
    dataset = ShapeDataset(Store(store), "test", PointCloudInput(10), 5)
    assert len(dataset[len(dataset) - 1]["points"]) == 5
    assert dataset.fingerprint()
    run = save_run(tmp_path / "run", "pointcloud", count=50)
    for _ in range(2):
        made = generate(run, data=store, resolution=8)
        assert [row["model"] for row in made.failures] == ["bad\udcff"]
        assert "rename" in made.failures[0]["reason"]
    assert evaluate_generation(run, samples=100, workers=1).categories[-1]["failed"] == 1
    page = write_report(run).read_text(encoding="utf-8")
    assert "<b>tag" not in page
    assert "bad\\udcff" in page


@POSIX_NAMES
def test_scans_of_any_name(tmp_path):
    scans = tmp_path / "scans"
    good = ["a.ply", "A.ply", "a.PLY", "a.ply.ply", "li\nne.ply", " b .ply", "<i>x.ply", "x,y.ply"]
    for name in (*good, "bad\udcff.ply"):
        ball(scans / "s" / name)
    run = save_run(tmp_path / "run", "pointcloud", count=50)
    made = generate(run, input=scans, resolution=8)
    assert len(made.rows) - len(made.failures) == len(good)
    assert len({portable_key(row["mesh"]) for row in made.rows if row["mesh"]}) == len(good)
    assert generate(run, input=scans, resolution=8).skipped == len(good)
    assert "<i>x" not in write_report(made.out).read_text(encoding="utf-8")


@POSIX_NAMES
@pytest.mark.parametrize(
    ("files", "models"),
    [
        (["c/part.stl", "c/part.STL"], None),
        (["c/part.ply", "c/part_ply.obj", "c/part.obj"], {"part_ply", "part_obj"}),
        (["c/x/a.stl", "c/x__a.stl"], None),
        (["c/a.stl", "c/b.stl"], {"a", "b"}),
        (["c/a.stl", "c/a.obj"], {"a_stl", "a_obj"}),
    ],
)
def test_no_two_sources_share_an_item(tmp_path, files, models):
    for number, file in enumerate(files):
        ball(tmp_path / "meshes" / file, radius=number + 1)
    report = prepare(tmp_path / "meshes", tmp_path / "store", **SMALL)
    assert report.prepared == len(files)
    records = [
        json.loads(path.read_text())["source"]["file"]
        for path in (tmp_path / "store").rglob(RECORD)
    ]
    assert sorted(records) == sorted(files)
    assert models is None or models <= {path.name for path in (tmp_path / "store/c").iterdir()}
    assert check_store(tmp_path / "store") == []
    assert prepare(tmp_path / "meshes", tmp_path / "store", **SMALL).kept == len(files)


def test_an_item_is_not_given_to_another_file_in_a_later_run(tmp_path):
    meshes, store = tmp_path / "meshes", tmp_path / "store"
    ball(meshes / "c" / "part.stl")
    ball(meshes / "c" / "part.obj", radius=2)
    for file in ("part.stl", "part.obj"):
        (tmp_path / f"{file}.csv").write_text(f"file\nc/{file}\n")
    assert prepare(meshes, store, listing=tmp_path / "part.stl.csv", **SMALL).ok
    before = (store / "c" / "part" / RECORD).read_bytes()
    report = prepare(meshes, store, listing=tmp_path / "part.obj.csv", overwrite=True, **SMALL)
    (failure,) = report.failures
    assert "part.stl" in failure.reason
    assert (store / "c" / "part" / RECORD).read_bytes() == before
    (meshes / "c" / "part.stl").unlink()  # replaced by another format, that is
    assert prepare(meshes, store, listing=tmp_path / "part.obj.csv", **SMALL).prepared == 1


@POSIX_NAMES
def test_categories_that_some_file_system_takes_for_one_are_refused(tmp_path):
    ball(tmp_path / "meshes" / "chair" / "a.stl")
    ball(tmp_path / "meshes" / "Chair" / "b.stl")
    with pytest.raises(DataError, match=r"'Chair' and 'chair'"):
        prepare(tmp_path / "meshes", tmp_path / "store", **SMALL)
    assert not (tmp_path / "store").exists()
    for name in ("chair", "Chair"):  # made before by a version that did not look
        (tmp_path / "store" / name).mkdir(parents=True)
    assert len(find_meshes(tmp_path / "meshes", store=tmp_path / "store")) == 2


# -- entries ----------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    from test_store import make_item

    root = tmp_path / "store"
    make_item(root / "c" / "good")
    make_item(tmp_path / "evil")
    (root / "c" / "test.lst").write_text("good\n../../evil\n")
    (root / "c" / "train.lst").write_text("good\n")
    return root


EVIL = ["../../evil", "../good/../../../evil", "/evil", ".."]


@pytest.mark.parametrize("name", EVIL)
def test_lists(store, name):
    (store / "c" / "train.lst").unlink()
    (store / "c" / "test.lst").write_text(f"good\n{name}\n")
    with pytest.raises(DataError, match=r"test\.lst: line 2: .*evil|test\.lst: line 2: '\.\.'"):
        Store(store).items("test")
    assert [problem.file for problem in check_store(store)] == [str(store / "c" / "test.lst")]
    run = save_run(store.parent / "run", "pointcloud", count=50)
    with pytest.raises(DataError, match="line 2"):
        generate(run, data=store, resolution=8)
    assert sorted(path.name for path in store.parent.iterdir()) == ["evil", "run", "store"]


@pytest.mark.parametrize("name", EVIL)
def test_splits_and_files_of_foreign_configurations(store, name):
    with pytest.raises(DataError, match="split"):
        Store(store).names("c", name)
    item = Item("c", "good", store / "c" / "good")
    for read in (item.points, item.pictures, item.voxels):
        with pytest.raises(DataError, match="file of an item"):
            read(name)
    assert len(item.points(POINTS)) == len(item.points(POINTCLOUD))


def test_metadata_names_no_folder(store):
    content = {"../../evil": {"name": "x"}, "c": {"name": "../../evil"}}
    (store / "metadata.yaml").write_text(yaml.safe_dump(content))
    assert Store(store).items("train", ["../../evil"])[0].path == store / "c" / "good"
    (store / "metadata.yaml").write_bytes(b"c: {name: m\xfc}")
    with pytest.raises(DataError, match="not UTF-8"):
        Store(store)


@pytest.mark.parametrize("name", [*EVIL, "c/../../x.stl"])
def test_listings(tmp_path, name):
    ball(tmp_path / "meshes" / "c" / "a.stl")
    ball(tmp_path / "x.stl")
    path = tmp_path / "list.csv"
    path.write_text(f"file,split\nc/a.stl,test\n{name},train\n")
    with pytest.raises(DataError, match=r"list\.csv: line 3: column 'file'"):
        prepare(tmp_path / "meshes", tmp_path / "out", listing=path, **SMALL)
    assert not (tmp_path / "out").exists()


def test_listed_files_are_known_by_any_form_of_their_path(tmp_path):
    ball(tmp_path / "c" / "a.stl")
    ball(tmp_path / "c" / " b.stl")
    path = tmp_path / "list.csv"
    path.write_text("file,split\n./c//a.stl ,test\n c/x.stl,val\n")
    assert {*read_listing(path, tmp_path)} == {"c/a.stl", "c/x.stl"}
    path.write_text("file,split\nc/a.stl,test\n./c/a.stl,train\n")
    with pytest.raises(DataError, match=r"line 3: c/a\.stl is listed before"):
        read_listing(path, tmp_path)
    path.write_text("file,split\nc/a.stl,tset\n")
    with pytest.raises(DataError, match=r"line 2: c/a\.stl .*did you mean 'test'"):
        read_listing(path, tmp_path)


@pytest.mark.parametrize("column", ["category", "model", "mesh"])
@pytest.mark.parametrize("name", EVIL)
def test_results(tmp_path, column, name):
    row = dict.fromkeys(generation_folder.COLUMNS, "")
    row |= {"category": "c", "model": "m", "mesh": "meshes/c/m.ply", "status": "ok", column: name}
    generation_folder.write_results(tmp_path, [row])
    with pytest.raises(DataError, match=rf"results\.csv: line 2: column '{column}'"):
        generation_folder.read_results(tmp_path)


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("key", ["img", "mask", "category"])
def test_collections_of_photographs(tmp_path, key, name):
    entry = {"img": "a.png", "mask": "a.png", "category": "c"}
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "pix3d.json").write_text(json.dumps([entry, entry | {key: name}]))
    with pytest.raises(DataError, match=rf"pix3d\.json: entry 1: '{key}'"):
        find_photographs(tmp_path)
    (tmp_path / "pix3d.json").unlink()
    (tmp_path / "chair_final.txt").write_text(f"a.png\n{name}\n")
    with pytest.raises(DataError, match=r"chair_final\.txt: line 2"):
        find_photographs(tmp_path)


def test_checkpoints(tmp_path):
    with pytest.raises(CheckpointError, match=r"iteration '\.\./\.\./x' is not a number"):
        load_training_state(tmp_path, None, None, "../../x")


def test_overwriting_follows_no_link(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.ply").write_bytes(b"")
    out = tmp_path / "generation"
    out.mkdir()
    (out / "generation.json").write_text("{}")
    (out / "meshes").symlink_to(tmp_path / "other", target_is_directory=True)
    generation_folder.clear(out)
    assert list(out.iterdir()) == []
    assert (tmp_path / "other" / "mine.ply").exists()


def test_keys_of_names():
    assert portable_key("É") == portable_key(unicodedata.normalize("NFD", "é"))
    assert portable_key("c/a. ") == portable_key("C/A")
    assert portable_key("a.b") != portable_key("ab")
    assert np.unique([portable_key(name) for name in STORABLE]).size == len(STORABLE)
