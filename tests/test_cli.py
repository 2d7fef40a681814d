"""The command line: quick to start, and clear about mistakes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from onet import cli

HEAVY = ("torch", "trimesh", "scipy", "dask", "matplotlib", "pydantic", "numpy")


def run(*arguments: object) -> None:
    cli.app([str(a) for a in arguments], standalone_mode=False)


def fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command, which must be refused with an error message; returns that message."""
    monkeypatch.setattr(sys, "argv", ["onet", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize("arguments", [["-c", "import onet"], ["-m", "onet.cli", "--help"]])
def test_start_imports_nothing_heavy(arguments: list[str]) -> None:
    code = [sys.executable, "-X", "importtime", *arguments]
    result = subprocess.run(code, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "onet" in imported
    assert imported.isdisjoint(HEAVY)


@pytest.mark.parametrize("command", sorted(typer.main.get_command(cli.app).commands))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(command, "--help")
    assert "Usage" in capsys.readouterr().out


def test_unknown_key_names_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = fails(
        monkeypatch, capsys, "train", "pointcloud", "training.batchsize=3", f"--run={tmp_path}"
    )
    assert "training.batchsize" in message
    assert "batch_size" in message


def test_unknown_config_lists_the_packaged_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = fails(monkeypatch, capsys, "train", "pointclowd")
    assert "pointclowd" in message
    assert "pointcloud" in message.replace("pointclowd", "")


@pytest.mark.parametrize(
    "command", ["prepare", "generate", "threshold", "eval", "sample-grid", "diversity"]
)
def test_missing_input_is_named(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = str(tmp_path / "absent")
    more = [str(tmp_path / "out")] if command == "prepare" else []
    assert missing in fails(monkeypatch, capsys, command, missing, *more)


def test_empty_folder_of_meshes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = fails(monkeypatch, capsys, "prepare", str(tmp_path), str(tmp_path / "out"))
    assert str(tmp_path) in message


def test_what_is_not_asked_for_is_left_to_the_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from onet.errors import OnetError
    from onet.pipeline import generate

    asked = {}

    def record(source: Path, **options: object) -> None:
        asked.update(options)
        raise OnetError("enough")

    monkeypatch.setattr(generate, "generate", record)
    with pytest.raises(OnetError, match="enough"):
        run("generate", tmp_path)
    assert all(asked[key] is None for key in ("split", "format", "resolution", "probability"))


def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from onet.config import load_config
    from onet.models import build_model

    state = build_model(load_config("unconditional").model).state_dict()
    torch.save({"model": state, "it": 12}, tmp_path / "a.pt")
    run("convert", tmp_path / "a.pt", tmp_path / "b.safetensors")
    assert "40 tensors, iteration 12, input none" in capsys.readouterr().out
    run("convert", tmp_path / "b.safetensors", tmp_path / "c.pt")
    again = torch.load(tmp_path / "c.pt", weights_only=True)
    assert again["it"] == 12
    assert all(torch.equal(again["model"][key], value) for key, value in state.items())


DOCUMENTED = [
    line
    for block in re.findall(
        r"^```bash\n(.*?)^```",
        (Path(__file__).parents[1] / "docs" / "reproduce.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )
    for line in block.splitlines()
    if line
]


def test_there_are_documented_commands() -> None:
    assert len(DOCUMENTED) > 15


@pytest.mark.parametrize("line", DOCUMENTED)
def test_documented_commands_and_configurations_exist(line: str) -> None:
    from onet.config import load_config

    program, *words = shlex.split(line)
    assert program == "onet"
    command: Any = typer.main.get_command(cli.app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    given = command.make_context(line, words).params  # refuses unknown options and arguments
    if given.get("config"):
        load_config(given["config"], given.get("overrides") or [])
