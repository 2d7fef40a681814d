"""The commands: their help, the options that they share, their page, their exit codes."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
import typer.main
from typer.testing import CliRunner

from onet import cli, machine
from onet.cli.app import PANELS
from onet.config import DEFAULT, Config, explain_config, load_config, packaged_configs
from onet.errors import (
    ConfigError,
    DataError,
    FolderInUse,
    MissingDependency,
    StorageError,
    TrainingError,
)

ROOT = Path(__file__).parents[1]
TOOL = runpy.run_path(str(ROOT / "tools" / "commands.py"))
COMMANDS = {line: command for line, command, _ in TOOL["commands"](typer.main.get_command(cli.app))}
SHARED = ("--device", "--threads", "--seed", "--json", "--workers", "--scheduler")


def onet(*words: object) -> Any:
    return CliRunner().invoke(cli.app, [str(word) for word in words], catch_exceptions=False)


def test_the_page_is_what_the_command_line_says() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == TOOL["page"](), "write it by python tools/commands.py"


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_has_examples_that_parse(line: str) -> None:
    examples = TOOL["examples"](COMMANDS[line])
    assert len(examples) >= 2
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])
        own = len(line.split())
        assert words[:own] == line.split() and len(example) <= 76
        given = COMMANDS[line].make_context(line, words[own:]).params  # refuses what is unknown
        for name in ("config", "configs"):
            if isinstance(given.get(name), str):
                load_config(given[name], given.get("overrides") or [])


@pytest.mark.parametrize("line", COMMANDS)
def test_help_fits_eighty_columns(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = onet(*line.split()[1:], "--help").output
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for option in COMMANDS[line].params:
        assert option.param_type_name == "argument" or option.opts[-1] in text  # whole
    for example in TOOL["examples"](COMMANDS[line]):
        assert f"  {example}" in text  # whole, on one line


def test_commands_are_grouped_by_what_they_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = onet("--help").output
    places = [text.index(f"\n{panel}:\n") for panel in PANELS]
    assert places == sorted(places)
    assert "\nCommands:" not in text  # where those of no group are


def test_options_that_commands_share_mean_one_thing() -> None:
    for name in SHARED:
        meanings = {
            re.sub(r"; default (as )?configured", "", option.help)
            for command in COMMANDS.values()
            for option in command.params
            if name in option.opts
        }
        assert len(meanings) == 1, (name, meanings)
    for line, command in COMMANDS.items():
        for option in command.params:
            assert ("--out" in option.opts) == ("-o" in option.opts), line


def test_whoever_uses_a_network_chooses_device_and_threads() -> None:
    for line in ("generate", "scan", "scene", "fit", "interpolate", "sample-grid", "texture",
                 "calibrate", "threshold", "texture-eval", "train", "demo", "motion blend",
                 "motion transfer"):  # fmt: skip
        names = {name for option in COMMANDS[f"onet {line}"].params for name in option.opts}
        assert {"--device", "--threads", "--seed"} <= names, line


def test_threads_are_set_where_the_line_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    before = torch.get_num_threads()
    COMMANDS["onet check"].make_context("onet check", ["a.ply", "--threads", "2"])
    assert os.environ["OMP_NUM_THREADS"] == "2" and machine.threads() == 2
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_the_former_spellings_go_on(tmp_path: Path) -> None:
    parse = COMMANDS["onet generate"].make_context
    given = parse("onet generate", ["run", "--input", "a.ply", "--threshold", "0.3"]).params
    assert given["input"] == ["a.ply"] and given["probability"] == 0.3
    given = COMMANDS["onet prepare"].make_context("onet prepare", ["meshes", "out"]).params
    assert given["place"] == Path("out")
    given = COMMANDS["onet convert"].make_context("onet convert", ["a.pt", "b.safetensors"]).params
    assert given["files"] == ["a.pt", "b.safetensors"]
    assert onet("prepare", "meshes").exit_code == 2


# -- configurations -------------------------------------------------------------------------------


def test_each_packaged_configuration_is_listed_with_what_it_is() -> None:
    rows = {row["name"]: row for row in json.loads(onet("configs", "list", "--json").output)}
    assert rows.keys() == {path.stem for path in (ROOT / "configs").glob("*.yaml")}
    assert all(len(row["what"]) > 20 for row in rows.values())
    assert rows["img"]["input"] == "image" and rows["recipe"]["input"] is None
    assert "img_small" in onet("configs", "list", "image").output
    (row,) = json.loads(
        onet("configs", "list", "pointcloud_thesis", "--parameters", "--json").output
    )
    assert row["parameters"] == 10_373_889


@pytest.mark.parametrize("name", ["img_small", "gan_small", "flow_small", "texture_local", "fit"])
def test_what_is_shown_is_the_configuration_itself(name: str, tmp_path: Path) -> None:
    shown = onet("configs", "show", name, "training.batch_size=6").output
    (tmp_path / "shown.yaml").write_text(shown, encoding="utf-8")
    wanted = load_config(name, ["training.batch_size=6"])
    assert load_config(tmp_path / "shown.yaml") == wanted
    assert "batch_size: 6" in shown and "# changed here" in shown


def test_each_value_comes_from_the_last_file_that_says_it() -> None:
    told = explain_config("img_small", {"data.path": "prepared"})
    origins = {key: Path(origin).name for key, origin in told.origins.items()}
    assert origins["training.max_minutes"] == "two_cores.yaml"
    assert origins["data.input.size"] == "img_small.yaml"
    assert origins["data.input.type"] == "img.yaml"
    assert origins["training.seed"] == DEFAULT
    assert origins["data.path"].startswith("override")
    assert told.config == load_config("img_small", {"data.path": "prepared"})


@pytest.mark.parametrize("name", sorted(packaged_configs()))
def test_values_that_differ_from_the_defaults_have_an_origin(name: str) -> None:
    told = explain_config(name)
    plain = explain_config(Config()).values
    for key, value in told.values.items():
        if key in plain and plain[key] != value:
            assert told.origins[key] != DEFAULT, key


def test_differences_of_configurations() -> None:
    same = onet("configs", "diff", "img", "img")
    assert same.output.strip() == "no difference" and same.exit_code == 0
    changed = onet("configs", "diff", "img", "training.batch_size=3", "model.c_dim=8").output
    assert changed.splitlines() == ["model.c_dim: 256 -> 8", "training.batch_size: 64 -> 3"]
    words = ("configs", "diff", "img", "model.c_dim=8", "img_small", "model.c_dim=8", "--json")
    told = json.loads(onet(*words).output)
    assert told["data.input.size"] == [None, 112] and "model.c_dim" not in told


# -- the installation -----------------------------------------------------------------------------


def test_the_doctor_finds_this_installation_in_order() -> None:
    result = onet("doctor", "--json")
    told = {finding["name"]: finding for finding in json.loads(result.output)}
    assert result.exit_code == 0
    for name in ("onet", "Python", "torch", "compiled part (onet._C)", "threads", "memory"):
        assert told[name]["status"] == "ok", told[name]
    assert all(bool(f["remedy"]) == (f["status"] != "ok") for f in told.values())


def test_the_doctor_says_what_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onet._C", None)
    result = onet("doctor")
    assert result.exit_code == 1
    assert "compiled part (onet._C): broken" in result.output
    assert "-> in the clone: pip install -e ." in result.output


def test_the_doctor_goes_on_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "torch.hub", None)
    result = onet("doctor")
    assert result.exit_code == 1 and "torch: broken" in result.output
    assert "\ndisk: " in result.output and "\ntemporary files: " in result.output


def test_the_doctor_knows_every_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util
    import tomllib

    from onet import doctor

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    collected = {"test", "lint", "scans"}
    assert doctor.EXTRAS.keys() == project["optional-dependencies"].keys() - collected
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for finding in doctor._extras():
        extra = finding.name.split()[1]
        assert finding.status == doctor.NOTE
        assert finding.remedy == f"pip install 'onet[{extra}]'"


def test_another_package_behind_the_command_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onet import doctor

    other = tmp_path / "other" / "onet"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("", encoding="utf-8")
    script = tmp_path / "onet"
    script.write_text(f"#!{sys.executable}\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert doctor._same_package().status == doctor.OK
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "other"))
    told = doctor._same_package()
    assert told.status == doctor.NOTE and "is another package" in told.found


# -- many files -----------------------------------------------------------------------------------


@pytest.fixture
def meshes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    ball = trimesh.creation.icosphere(subdivisions=2)
    for name in ("a.ply", "b.ply", "sub/a.obj"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        ball.export(tmp_path / name)
    np.save(tmp_path / "c.npy", np.asarray(ball.vertices))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_network_takes_many_files(meshes: Path) -> None:
    words = ("generate", "demo", "*.ply", "c.npy", "sub", "-o", "out", "--resolution", 16)
    result = onet(*words, "--json")
    assert result.exit_code == 0, result.output
    items = json.loads(result.stdout)["items"]
    assert {item["mesh"] for item in items} == {
        f"meshes/{name}.ply" for name in ("a.ply", "a.obj", "b", "c")
    }
    settings = json.loads((meshes / "out" / "generation.json").read_text(encoding="utf-8"))
    assert [Path(path).name for path in settings["input"]] == ["a.ply", "b.ply", "c.npy", "sub"]
    assert "(4 files)" in (meshes / "out" / "report.html").read_text(encoding="utf-8")
    again = onet(*words)
    assert again.exit_code == 0 and "(4 from before)" in again.output


def test_one_file_as_argument_or_option_is_the_same(meshes: Path) -> None:
    assert onet("generate", "demo", "a.ply", "-o", "one", "--resolution", 16).exit_code == 0
    words = ("generate", "demo", "--input", "a.ply", "--out", "two", "--resolution", 16)
    assert onet(*words).exit_code == 0
    one, two = ((meshes / name / "meshes" / "a.ply").read_bytes() for name in ("one", "two"))
    assert one == two


def test_an_empty_list_of_inputs_is_refused(meshes: Path) -> None:
    from onet import generate

    with pytest.raises(DataError, match="names nothing"):
        generate("demo", input=[])


def test_meshes_are_checked_and_baked_many_at_a_time(meshes: Path) -> None:
    told = json.loads(onet("check", "*.ply", "sub", "--json").stdout)
    assert [Path(entry["file"]).name for entry in told] == ["a.ply", "b.ply", "a.obj"]
    ball = trimesh.load(meshes / "a.ply")
    colours = np.full((len(ball.vertices), 4), 200, np.uint8)
    trimesh.PointCloud(ball.vertices, colours).export(meshes / "colours.ply")
    (meshes / "bad.ply").write_bytes(b"ply")
    result = onet("bake", "a.ply", "bad.ply", "sub", "--colours", "colours.ply", "-o", "baked",
                  "--size", 64)  # fmt: skip
    assert result.exit_code == 1 and "failed: bad.ply" in result.output
    assert {path.name for path in (meshes / "baked").glob("*.glb")} == {"a.ply.glb", "a.obj.glb"}


def test_results_are_no_inputs_and_missing_colours_are_told_once(meshes: Path) -> None:
    ball = trimesh.load(meshes / "a.ply")
    colours = np.full((len(ball.vertices), 4), 200, np.uint8)
    trimesh.PointCloud(ball.vertices, colours).export(meshes / "colours.npy.ply")
    bake = ("bake", "sub", "a.ply", "--colours", "colours.npy.ply", "-o", "sub/baked", "--size", 64)
    assert onet(*bake).exit_code == 0 and onet(*bake).exit_code == 0
    assert len([*(meshes / "sub/baked").glob("*.glb")]) == 2
    with pytest.raises(DataError, match=r"^none.ply: no such file"):  # not once for each mesh
        onet("bake", "a.ply", "sub", "--colours", "none.ply", "-o", "baked")


def test_converted_names_differ(tmp_path: Path) -> None:
    from onet.checkpoints.published_weights import converted_names

    (tmp_path / "v1.5").mkdir()
    files = ["a/best.safetensors", "b/best.safetensors", "c/best.PT", "d/x.pth", "v1.5"]
    assert converted_names([tmp_path / file for file in files]) == [
        "a__best.pt", "b__best.pt", "c__best.safetensors", "x.safetensors", "v1.5.pt"
    ]  # fmt: skip


def test_weights_are_converted_many_at_a_time(meshes: Path) -> None:
    assert onet("convert", "demo", "one.pt").exit_code == 0
    (meshes / "two.pt").write_bytes(b"nothing")
    result = onet("convert", "*.pt", "-o", "converted", "--config", "demo")
    assert result.exit_code == 1 and "failed: two.pt" in result.output
    assert [path.name for path in (meshes / "converted").iterdir()] == ["one.safetensors"]


# -- exit codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (DataError("x"), 2),
        (MissingDependency("x"), 2),
        (FolderInUse("x"), 2),
        (PermissionError(13, "no", "file"), 2),
        (TrainingError("x"), 1),
        (StorageError("x"), 1),
        (OSError(28, "No space left on device", "file"), 1),
        (MemoryError(), 1),
        (BrokenPipeError(), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_codes(error: Exception, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from onet.checkpoints import packaged

    def fail() -> None:
        raise error

    monkeypatch.setattr(packaged, "packaged_models", fail)
    monkeypatch.setattr(sys, "argv", ["onet", "models"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == code


def test_help_and_version_exit_with_nothing_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["--help"], ["--version"], ["scan", "-h"], ["models"]):
        monkeypatch.setattr(sys, "argv", ["onet", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 0
    monkeypatch.setattr(sys, "argv", ["onet"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2


@pytest.mark.slow
def test_the_program_itself(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "onet"]
    done = subprocess.run(
        [*run, "trian"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "error: No such command 'trian'. Did you mean 'train'?; see `onet --help`"
    ]
