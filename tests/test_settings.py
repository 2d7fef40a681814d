"""Settings of `prepare` stand once: what Python takes, the command line takes too."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import trimesh
import typer
import typer.main
from annotated_types import Ge, doc
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from onet import cli
from onet.cli.settings import with_options
from onet.data import prepare as preparing
from onet.data.prepare import PrepareReport, prepare
from onet.data.settings import PrepareSettings
from onet.errors import DataError
from onet.geometry.cameras import PUBLISHED_SIZE
from onet.geometry.mesh_io import save_mesh


def test_defaults_are_those_published() -> None:
    settings = PrepareSettings()
    assert settings.render_size == PUBLISHED_SIZE
    assert (settings.points, settings.padding) == (100_000, 0.1)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("points", 0, "at least 1"),
        ("points", "many", "integer"),
        ("points", 2.5, "integer"),
        ("resolution", 7, "at least 8"),
        ("thickness", 0.0, "above 0"),
        ("padding", -0.1, "at least 0"),
        ("padding", float("nan"), "number"),
        ("near_surface", float("inf"), "finite"),
        ("near_surface", -1, "above 0"),
        ("seed", -1, "at least 0"),
        ("stored_faces", -1, "at least 0"),
        ("views", "up", "'ring' or 'random'"),
        ("split_by", "kit", "'item' or 'source'"),
        ("split", (1, 2), "as many numbers"),
        ("split", (1, 2, 3, 4), "as many numbers"),
        ("split", (0, 1, 1), "first above 0"),
        ("categories", "chair", "list"),
        ("max_per_category", 0, "at least 1"),
        ("render", 0, "at least 1"),
        ("voxels", 0, "at least 1"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_what_is_wrong(
    name: str, value: Any, says: str
) -> None:
    with pytest.raises(DataError, match=says) as error:
        PrepareSettings(**{name: value})
    assert name in str(error.value)


def test_values_get_the_declared_types() -> None:
    given: dict[str, Any] = {
        "points": np.int64(5),
        "padding": 1,
        "split": np.array([1, 0, 1]),
        "listing": "a.csv",
        "categories": ("a",),
    }
    settings = PrepareSettings(**given)
    assert type(settings.points) is int and type(settings.padding) is float
    assert settings.split == (1.0, 0.0, 1.0)
    assert settings.listing == Path("a.csv") and settings.categories == ["a"]
    with pytest.raises(FrozenInstanceError):
        settings.points = 3  # type: ignore[misc]


@given(st.integers(1, 10**6), st.floats(0, 10), st.none() | st.floats(1e-6, 1))
def test_settings_are_kept_as_they_are(points: int, padding: float, noise: float | None) -> None:
    settings = PrepareSettings(points=points, padding=padding, near_surface=noise)
    assert (settings.points, settings.padding, settings.near_surface) == (points, padding, noise)
    assert replace(settings) == settings


def test_the_object_and_keywords_are_the_same(tmp_path: Path) -> None:
    save_mesh(trimesh.creation.icosphere(subdivisions=1), tmp_path / "meshes/a.ply")
    settings = PrepareSettings(points=200, surface=50, resolution=16, voxels=8)
    prepare(tmp_path / "meshes", tmp_path / "out", settings)
    keywords: dict[str, Any] = {"points": 200, "surface": 50, "resolution": 16, "voxels": 8}
    assert prepare(tmp_path / "meshes", tmp_path / "out", **keywords).kept == 1
    assert prepare(tmp_path / "meshes", tmp_path / "out", settings, points=201).prepared == 1
    with pytest.raises(TypeError, match="pionts"):
        prepare(tmp_path / "meshes", tmp_path / "out", pionts=3)


LINE: dict[str, tuple[list[str], Any]] = {
    "resolution": (["--resolution", "64"], 64),
    "thickness": (["--thickness", "0.25"], 0.25),
    "points": (["--points", "7"], 7),
    "surface": (["--surface", "8"], 8),
    "split": (["--split", "1", "2", "3"], (1.0, 2.0, 3.0)),
    "split_by": (["--split-by", "source"], "source"),
    "group_pattern": (["--group-pattern", "x"], "x"),
    "listing": (["--listing", "l.csv"], Path("l.csv")),
    "categories": (["--category", "a", "--category", "b"], ["a", "b"]),
    "max_per_category": (["--max-per-category", "3"], 3),
    "render": (["--render", "4"], 4),
    "views": (["--views", "random"], "random"),
    "render_size": (["--render-size", "9"], 9),
    "alpha": (["--alpha"], True),
    "voxels": (["--voxels", "16"], 16),
    "near_surface": (["--near-surface", "0.5"], 0.5),
    "seed": (["--seed", "2"], 2),
    "overwrite": (["--overwrite"], True),
}


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings that the command passes on."""
    seen: list[Any] = []

    def instead(meshes: Path, out: Path, settings: PrepareSettings, **how: Any) -> PrepareReport:
        seen.append((settings, how))
        return PrepareReport(out)

    monkeypatch.setattr(preparing, "prepare", instead)
    return seen


@pytest.mark.parametrize("name", sorted(LINE))
def test_each_option_reaches_its_setting(name: str, received: list[Any]) -> None:
    words, value = LINE[name]
    result = CliRunner().invoke(cli.app, ["prepare", "meshes", "out", *words])
    assert result.exit_code == 0, result.output
    ((settings, how),) = received
    assert settings == replace(PrepareSettings(), **{name: value})
    assert how == {"workers": None, "scheduler": None}


def test_without_options_the_command_has_the_defaults(received: list[Any]) -> None:
    line = ["prepare", "meshes", "out", "--workers", "2", "--scheduler", "tcp://here:1"]
    CliRunner().invoke(cli.app, line)
    assert received == [(PrepareSettings(), {"workers": 2, "scheduler": "tcp://here:1"})]


def test_each_setting_has_an_option() -> None:
    command = typer.main.get_command(cli.app).commands["prepare"]  # type: ignore[attr-defined]
    options = {parameter.name for parameter in command.params}
    missing = {field.name for field in fields(PrepareSettings)} - options
    assert missing == {"padding", "stored_faces"}
    assert all(parameter.help for parameter in command.params)


@dataclass(frozen=True)
class Bread:
    grains: Annotated[int, Ge(1), doc("How many.")] = 3
    hidden: Annotated[int, doc("For nobody.")] = 1


def test_options_of_any_settings() -> None:
    @with_options(Bread, names={"grains": "--corn"}, left_out=("hidden",))
    def bake(settings: Any, loud: bool = False) -> tuple[Any, bool]:
        return settings, loud

    assert list(inspect.signature(bake).parameters) == ["loud", "grains"]
    assert bake(loud=True, grains=4) == (Bread(4), True)
