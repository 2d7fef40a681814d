"""What a new user gets wrong: one line that says what to do, the right exit code, no traceback."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from onet import cli

Run = Callable[[str], tuple[int, list[str]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies around on the desk of a new user."""
    place = tmp_path_factory.mktemp("desk")
    ball = trimesh.creation.icosphere(subdivisions=2)
    ball.export(place / "mesh.ply")
    trimesh.creation.box().export(place / "box.obj")
    np.savetxt(place / "cloud.xyz", ball.vertices)
    for name in ("photo.jpg", "other.png"):
        Image.new("RGB", (32, 32), (200, 30, 30)).save(place / name)
    for name, content in {
        "mine.yaml": "training: {batch_size: 3}\n",
        "broken.yaml": "training: [\n",
        "page.ply": "<!doctype html><html>sign in</html>",
        "part.step": "ISO-10303-21;",
        "letter.docx": "Dear",
        "grid.binvox": "#binvox 1\n",
        "scan.laz": "LASF",
    }.items():
        (place / name).write_text(content, encoding="utf-8")
    (place / "empty").mkdir()
    return place


@pytest.fixture
def onet(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line among these files; the exit code, and the lines on stderr."""

    def run(line: str) -> tuple[int, list[str]]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["onet", *shlex.split(line)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert isinstance(stop.value.code, int)
        return stop.value.code, capsys.readouterr().err.strip().splitlines()

    return run


TAKES_PICTURES = "packaged models that take pictures: photo; try `onet generate photo photo.jpg`"
USE_SCAN = "`onet scan {} -o out.ply`"

MISTAKES = {
    # a wrong kind of input
    "generate photo.jpg": (2, "is a picture", TAKES_PICTURES),
    "generate demo photo.jpg": (2, "is a picture", "observes point clouds", TAKES_PICTURES),
    "generate demo --input photo.jpg": (2, "is a picture", TAKES_PICTURES),
    "generate demo photo.jpg other.png": (2, "is a picture", TAKES_PICTURES),
    "generate demo grid.binvox": (2, "voxel grid", "`onet train voxels data.path=PREPARED`"),
    "generate mine.yaml": (2, "is a configuration", "`onet train mine.yaml`"),
    "scan photo.jpg -o out.ply": (2, "is a picture", TAKES_PICTURES),
    "scan part.step -o out": (2, "'.step'", "convert it to one of .ply"),
    "scan page.ply -o out.ply": (1, "is a web page", "download the file itself"),
    "solid mesh.ply -o out --wall 2": (2, "at most 0.2", "2mm"),
    "solid photo.jpg -o solids": (2, "is a picture", TAKES_PICTURES),
    "solid cloud.xyz -o solids": (2, "is a point cloud", USE_SCAN.format("cloud.xyz")),
    "check photo.jpg": (2, "is a picture, not a mesh", TAKES_PICTURES),
    "fit photo.jpg": (2, "is a picture, not a mesh", TAKES_PICTURES),
    "scene demo photo.jpg": (2, "is a picture", TAKES_PICTURES),
    # arguments in the wrong order
    "generate mesh.ply demo": (2, "is a mesh, no trained network", USE_SCAN.format("mesh.ply")),
    "generate cloud.xyz": (2, "is a point cloud", "scan, demo"),
    "train data.path=prepared pointcloud": (2, "is a change", "onet train pointcloud data.path"),
    "prepare mesh.ply prepared": (2, "is a file, no folder", "give the folder"),
    # paths
    "generate img photo.jpg": (2, "img: is a configuration", "`onet train img data.path=PREPARED`"),
    "generate missing": (2, "no such file or run folder", "there are: demo, photo, scan"),
    "generate empty": (2, "best.safetensors", "name a run folder written by `onet train`"),
    "generate demo missing.ply": (2, "missing.ply: no such file"),
    "generate demo '*.e57'": (2, "no file fits this pattern", "check it"),
    "generate demo empty": (2, "holds no scans", "put files of .ply"),
    "scan missing.ply -o out.ply": (2, "missing.ply: no such file", "check the path"),
    "scan empty -o out": (2, "holds no scans", "put files of .ply"),
    "solid missing.stl -o solids": (2, "no such file or folder", "check the path"),
    "solid empty -o solids": (2, "no meshes", "formats"),
    "prepare missing prepared": (2, "no such folder", "give the folder that holds the meshes"),
    "prepare empty prepared": (2, "no meshes in it", ".obj"),
    "eval missing": (2, "no such file", "--truth FOLDER"),
    "data check empty": (2, "make one with `onet prepare"),
    "calibrate demo": (2, "is not in a run folder", "give one `onet train` wrote"),
    # where nothing can be written
    "scan cloud.xyz -o mesh.ply/out": (2, "mesh.ply/out", "a file is where a folder should be"),
    "solid mesh.ply -o box.obj/out": (2, "box.obj", "a file is where a folder should be"),
    "scan cloud.xyz -o mesh.docx": (2, "no mesh is written as .docx", "name a folder"),
    "convert demo photo.jpg": (2, "name the result .safetensors"),
    "convert demo": (2, "name the result: onet convert demo RESULT.safetensors"),
    "bake mesh.ply box.obj --colours cloud.xyz -o a.glb": (2, "is one file", "name a folder"),
    # configurations
    "train pointclowd": (2, "did you mean 'pointcloud'?"),
    "train mine.yml": (2, "no such configuration file", "did you mean 'mine.yaml'?"),
    "train broken.yaml": (2, "broken.yaml", "is not valid YAML", "line 2"),
    "train photo.jpg": (2, "photo.jpg", "give a YAML file"),
    "train pointcloud training.batchsize=3": (
        2,
        "training.batchsize",
        "did you mean 'training.batch_size'?",
    ),
    "train pointcloud training.batch_size=many": (2, "valid integer", "'many'"),
    "train pointcloud batch_size": (2, "'batch_size'", "write it as section.key=value"),
    "train pointcloud data.path=nowhere --run r": (2, "nowhere: no such folder", "onet prepare"),
    "configs diff img": (2, "name two, or one with changes", "`onet configs diff --help`"),
    # options and commands
    "trian pointcloud": (2, "'trian'", "Did you mean 'train'?"),
    "data chek prepared": (2, "'chek'", "Did you mean 'check'?"),
    "generate demo --sampels 3": (2, "--sampels", "--samples"),
    "generate demo --samples three": (2, "--samples", "integer"),
    "generate demo --samples 3": (2, "the model observes something", "give it as input"),
    "scan cloud.xyz": (2, "Missing option", "'--out'", "`onet scan --help`"),
    "scan cloud.xyz -o out.ply --device gpu": (2, "--device", "'auto', 'cpu', 'cuda', 'mps'"),
    "scan cloud.xyz -o out.ply --model demo": (2, "is no network for scans", "`onet models`"),
    "generate scan mesh.ply": (2, "is a network for scans", "use `onet scan FILE"),
    "texture demo mesh.ply --image photo.jpg": (2, "not of colours", "name a run of texture"),
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_told_on_one_line_with_what_to_do(line: str, onet: Run) -> None:
    code, *words = MISTAKES[line]
    got, lines = onet(line)
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: " if code == 2 else "failed: ")
    assert [word for word in words if str(word) not in lines[0]] == [], lines[0]
    assert got == code


def test_a_device_that_is_not_there(onet: Run) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    code, (line,) = onet("scan cloud.xyz -o out.ply --device cuda")
    assert code == 2 and "use device cpu" in line


def test_a_missing_extra_is_named(onet: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "laspy", None)
    code, (line,) = onet("scan scan.laz -o out")
    assert code == 1 and "pip install 'onet[las]'" in line
    monkeypatch.setitem(sys.modules, "open3d", None)
    code, (line,) = onet("classical cloud.xyz -o classical")
    assert code == 2 and "pip install 'onet[open3d]'" in line


def test_a_folder_that_may_not_be_written(onet: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    def refuse(**where: object) -> None:
        raise PermissionError(13, "Permission denied", "anywhere")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    code, (line,) = onet("scan cloud.xyz -o locked/out")
    assert code == 2 and "locked/out: permission denied; change its permissions" in line


def test_of_several_files_the_good_ones_are_made(onet: Run, folder: Path) -> None:
    code, lines = onet("scan cloud.xyz photo.jpg missing.ply -o several --resolution 16")
    assert code == 1
    assert [line for line in lines if line.startswith("failed: photo.jpg: is a picture")]
    assert [line for line in lines if line.startswith("failed: missing.ply: no such file")]
    assert len(lines) == 2
    assert (folder / "several" / "cloud.ply").is_file()


def test_nothing_is_left_by_what_was_refused(onet: Run, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    for line in ("scan photo.jpg -o left.ply", "solid photo.jpg -o left", "fit photo.jpg -o left"):
        assert onet(line)[0] == 2
    assert sorted(folder.rglob("*")) == before
