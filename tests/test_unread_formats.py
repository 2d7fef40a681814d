"""A folder with files that are not read says so."""

from __future__ import annotations

import csv

import pytest
import trimesh
from typer.testing import CliRunner

from onet.cli import app
from onet.data.mesh_files import find_meshes
from onet.data.prepare import prepare
from onet.errors import DataError

FEW = {"points": 500, "surface": 100, "resolution": 32, "workers": 1}
OPTIONS = ["--points", "500", "--surface", "100", "--resolution", "32", "--workers", "1"]


@pytest.fixture
def meshes(tmp_path):
    folder = tmp_path / "meshes"
    (folder / "cat").mkdir(parents=True)
    trimesh.creation.box().export(folder / "cat" / "a.ply")
    for name in ("cat/b.fbx", "cat/c.STEP", "d.obj.gz", "cat/e.unheard"):
        (folder / name).write_text("x")
    for name in ("cat/a.mtl", "cat/a.PNG", "README.md", "LICENSE", "list.csv", ".hidden.fbx"):
        (folder / name).write_text("x")
    return folder


def test_files_of_formats_that_are_not_read_are_named(meshes, tmp_path):
    report = prepare(meshes, tmp_path / "out", **FEW)
    assert report.prepared == 1 and not report.failures and not report.ok
    assert {file.file: file.format for file in report.skipped} == {
        "cat/b.fbx": ".fbx", "cat/c.STEP": ".step", "d.obj.gz": ".obj.gz",
        "cat/e.unheard": ".unheard",
    }  # fmt: skip
    with (tmp_path / "out" / "failures.csv").open(newline="") as stream:
        rows = {row["file"]: row["reason"] for row in csv.DictReader(stream)}
    assert {*rows} == {file.file for file in report.skipped}
    assert all("is not read" in reason for reason in rows.values())
    again = prepare(meshes, tmp_path / "out", categories=["cat"], **FEW)
    assert again.kept == 1 and len(again.skipped) == 3


def test_a_listing_says_which_files_are_meant(meshes, tmp_path):
    (tmp_path / "list.csv").write_text("file\ncat/a.ply\n")
    report = prepare(meshes, tmp_path / "out", listing=tmp_path / "list.csv", **FEW)
    assert report.ok and not (tmp_path / "out" / "failures.csv").exists()


def test_the_command_says_how_many_and_which_and_fails(meshes, tmp_path):
    result = CliRunner().invoke(app, ["prepare", str(meshes), str(tmp_path / "out"), *OPTIONS])
    assert result.exit_code == 1
    for said in ("1 prepared", "4 files have a format", ".fbx", "cat/c.STEP", "d.obj.gz"):
        assert said in result.output


def test_a_folder_without_meshes_says_what_is_there(meshes):
    (meshes / "cat" / "a.ply").unlink()
    with pytest.raises(DataError, match=r"no meshes in it.*4 files have a format.*\.fbx"):
        find_meshes(meshes)
