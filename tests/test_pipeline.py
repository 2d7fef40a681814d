"""The whole way from Python: docs/python.md as it stands there, on a tiny case."""

from __future__ import annotations

import functools
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import trimesh

import onet
from onet.config import Config
from onet.data import prepare as preparing
from onet.errors import ConfigError
from onet.pipeline import train as training

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TINY = {
    "model": {"encoder": {"hidden_dim": 8}, "decoder": {"hidden_size": 8}, "c_dim": 8},
    "training": {"batch_size": 2, "device": "cpu", "threads": 1},
    "generation.resolution": 16,
}


def make_meshes(folder: Path) -> None:
    for number in range(3):
        mesh = trimesh.creation.box((1, 1 + 0.2 * number, 0.7))
        (folder / "meshes/box").mkdir(parents=True, exist_ok=True)
        mesh.export(folder / f"meshes/box/{number}.ply")
    (folder / "scans").mkdir()
    for number in range(2):
        points = trimesh.sample.sample_surface(mesh, 400, seed=number)[0] * 3 + 1000
        trimesh.PointCloud(points).export(folder / f"scans/{number}.ply")
        trimesh.PointCloud(points).export(folder / "scan.ply")
    (folder / "scans/broken.ply").write_text("ply")
    mesh.export(folder / "truth.ply")


def test_the_page_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With smaller shapes and networks, and an iteration in place of an hour."""
    make_meshes(tmp_path)
    monkeypatch.chdir(tmp_path)
    small = {"workers": 1, "points": 500, "surface": 500, "resolution": 32, "split": (1, 1, 1)}
    monkeypatch.setattr(preparing, "prepare", functools.partial(preparing.prepare, **small))
    whole = training.load_config

    def tiny(config: Config | str, overrides: object = ()) -> Config:
        settings = TINY | {"training.max_iterations": 3, "training.validate_every": 3}
        return whole(whole(config, overrides), settings)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "load_config", tiny)
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(block, names)
    said = capsys.readouterr().out
    assert "3 shapes, 0 failed" in said
    assert (tmp_path / "runs/mine/generation/report.html").is_file()
    assert (tmp_path / "runs/mine/generation/eval.csv").is_file()
    assert "scans/broken.ply: DataError" in said
    assert "evaluating: 0 of 1" in said and "evaluating: 1 of 1" in said
    assert "all points coincide" in said
    assert names["inside"].shape == (1000,)  # type: ignore[attr-defined]
    assert isinstance(names["mesh"], trimesh.Trimesh)


def test_every_long_call_takes_progress() -> None:
    (sentence,) = re.findall(r"^(`prepare`.*?) take `progress`", PAGE, re.MULTILINE | re.DOTALL)
    for name in re.findall(r"`(\w+)`", sentence):
        function = getattr(onet, name, None) or getattr(onet.Reconstructor, name)
        assert "progress" in inspect.signature(function).parameters


# -- training -------------------------------------------------------------------------------------


def test_train_takes_names_files_and_configurations(sample_store: Path, tmp_path: Path) -> None:
    changes = TINY | {"data": {"path": sample_store}, "training.max_iterations": np.int64(2)}
    heard: list[tuple[int, int | None, str]] = []
    result = onet.train(
        "pointcloud", changes, run=tmp_path / "a", progress=lambda *a: heard.append(a)
    )
    assert result.iterations == 2
    assert heard == [(done, 2, "training") for done in range(3)]
    config = onet.load_config("pointcloud", changes)
    assert onet.load_config(config) == config
    (tmp_path / "mine.yaml").write_text(config.to_yaml())
    onet.train(tmp_path / "mine.yaml", run=tmp_path / "b")
    weights = [
        onet.load(tmp_path / run, "cpu").model.state_dict()["decoder.fc_out.weight"] for run in "ab"
    ]
    assert (weights[0] == weights[1]).all()
    with pytest.raises(ConfigError, match="already holds"):
        onet.train(config, run=tmp_path / "b", resume=False)
    more = onet.train(config, ["training.max_iterations=3"], run=tmp_path / "b")
    assert more.iterations == 3


def test_the_run_is_named_after_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(training.loop, "train", lambda config, run, **more: seen.append(run))
    onet.train("pointcloud")
    onet.train(Path("configs") / "voxels.yaml" if Path("configs").is_dir() else "voxels")
    assert seen == [Path("runs/pointcloud"), Path("runs/voxels")]
    with pytest.raises(ConfigError, match="run:"):
        onet.train(Config())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"training.batch_sise": 3}, "batch_size"),
        ({"training": 3}, "section"),
        ({"training": {"batch_size": "many"}}, "batch_size"),
        ({"": 3}, "name a section"),
        ({3: 3}, "name a section"),
        ([3], "no text"),
        ("training.batch_size", "section.key=value"),
    ],
)
def test_overrides_that_cannot_be_used_are_named(overrides: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        onet.load_config("pointcloud", overrides)  # type: ignore[arg-type]


def test_the_forms_of_overrides_mean_the_same() -> None:
    forms = [
        ["training.batch_size=3", "data.path=x", "data.categories=[a, b]"],
        {"training.batch_size": 3, "data.path": Path("x"), "data.categories": ("a", "b")},
        {"training": {"batch_size": 3}, "data": {"path": "x", "categories": ["a", "b"]}},
    ]
    assert len({onet.load_config("pointcloud", form).to_yaml() for form in forms}) == 1
    one = onet.load_config("pointcloud", "training.batch_size=3")
    assert one == onet.load_config("pointcloud", ["training.batch_size=3"])


def test_evaluate_run_refuses_other_protocols(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="onet2019"):
        onet.evaluate_run(tmp_path, protocol="onet2020")  # type: ignore[arg-type]
