"""What had another name before is still taken: arguments, options, keys of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ball_model import load_ball

from onet.cli import app
from onet.config import GenerationConfig, load_config
from onet.config.loader import parse_config
from onet.data.inputs import Input
from onet.errors import ConfigError, DataError, OnetError
from onet.inference.generation_folder import read_settings
from onet.inference.run_threshold import read_applied
from onet.renamed import renamed_arguments


def test_a_former_argument_is_the_present_one_and_the_caller_is_warned():
    @renamed_arguments(threshold="probability", old="new")
    def function(first: int, *, probability: float | None = None, new: int = 0) -> object:
        return first, probability, new

    assert function(1, probability=0.5, new=2) == (1, 0.5, 2)
    with pytest.warns(DeprecationWarning, match="function: threshold is called prob") as warned:
        assert function(1, threshold=0.5) == (1, 0.5, 0)
    assert warned[0].filename == __file__
    with pytest.raises(TypeError, match="give probability alone"):
        function(1, threshold=0.5, probability=0.5)


@pytest.mark.parametrize("method", ["reconstruct", "extract", "reconstruct_multiview"])
def test_a_model_takes_the_former_name_of_the_probability(method):
    model = load_ball("pointcloud")
    points = np.random.default_rng(0).normal(size=(40, 3))
    cloud = (0.3 * points / np.linalg.norm(points, axis=1)[:, None]).astype(np.float32)
    given = [cloud] if method == "reconstruct_multiview" else cloud
    expected = getattr(model, method)(given, probability=0.4, resolution=16)
    with pytest.warns(DeprecationWarning, match="threshold is called probability") as warned:
        found = getattr(model, method)(given, threshold=0.4, resolution=16)
    assert len(warned) == 1
    np.testing.assert_array_equal(found.vertices, expected.vertices)


def test_the_former_name_of_a_reconstruction_from_many_views():
    model = load_ball("pointcloud")
    clouds = [np.random.default_rng(i).normal(size=(40, 3)).astype(np.float32) for i in (0, 1)]
    expected = model.reconstruct_multiview(clouds, resolution=16, probability=0.4)
    with pytest.warns(DeprecationWarning, match="reconstruct_multiview"):
        found = model.reconstruct_several(clouds, resolution=16, probability=0.4)
    np.testing.assert_array_equal(found.vertices, expected.vertices)


def test_an_input_that_says_several_is_understood():
    with pytest.warns(DeprecationWarning, match="several is called multiview"):

        class Single(Input):
            several = False

    assert not Single.multiview and Input.multiview


def test_former_keys_of_configurations_load(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("inherit: pointcloud\ngeneration: {threshold: 0.3, resolution: 64}\n")
    config = load_config(path)
    assert config.generation.probability == 0.3 and config.generation.resolution == 64
    assert config == load_config("pointcloud", {"generation": config.generation.model_dump()})
    assert load_config(path, ["generation.threshold=0.4"]).generation.probability == 0.4
    assert load_config(path, {"generation.threshold": 0.4}).generation.probability == 0.4
    assert load_config(path, ["generation.probability=0.4"]).generation.probability == 0.4
    tree = config.model_dump(mode="json")
    tree["generation"]["threshold"] = tree["generation"].pop("probability")
    assert parse_config(json.dumps(tree), "a checkpoint") == config
    with pytest.warns(DeprecationWarning, match="called probability"):
        assert config.generation.threshold == 0.3
    with pytest.warns(DeprecationWarning, match="called probability") as warned:
        assert GenerationConfig(threshold=0.3) == GenerationConfig(probability=0.3)
    assert warned[0].filename == __file__
    with pytest.raises(ValueError, match="threshold"):
        GenerationConfig(threshold=0.3, probability=0.3)


def test_a_key_by_both_names_is_refused() -> None:
    both = {"generation": {"threshold": 0.3, "probability": 0.3}}
    with pytest.raises(ConfigError, match=r"override 'generation'.*give generation\.probability"):
        load_config("pointcloud", both)


@pytest.mark.parametrize("option", ["--probability", "--threshold"])
def test_the_former_option_of_the_command_line(option, monkeypatch, tmp_path, capsys) -> None:
    from onet.pipeline import generate

    asked = {}

    def record(source: Path, **options: object) -> None:
        asked.update(options)
        raise OnetError("enough")

    monkeypatch.setattr(generate, "generate", record)
    for arguments in ([option, "0.4"], [f"{option}=0.4"]):
        asked.clear()
        with pytest.raises(OnetError, match="enough"):
            app(["generate", str(tmp_path), *arguments], standalone_mode=False)
        assert asked["probability"] == 0.4
    with pytest.raises(SystemExit):
        app(["generate", "--help"])
    shown = capsys.readouterr().out
    assert "--probability" in shown and "--threshold" not in shown


def test_settings_of_earlier_folders_are_read_by_their_present_names(tmp_path: Path) -> None:
    settings = {"checkpoint": {"path": "x", "sha256": "y"}, "threshold": 0.2, "resolution": 32}
    (tmp_path / "generation.json").write_text(json.dumps(settings))
    assert read_settings(tmp_path)["probability"] == 0.2
    applied = {"threshold": 0.3, "sha256": "y", "temperature": 1.0}
    (tmp_path / "threshold.json").write_text(json.dumps({"applied": applied}))
    assert read_applied(tmp_path) == {"probability": 0.3, "sha256": "y", "temperature": 1.0}
    (tmp_path / "threshold.json").write_text('{"applied": [0.3]}')
    with pytest.raises(DataError, match="damaged"):
        read_applied(tmp_path)
