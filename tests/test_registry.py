"""Parts by name, built from configuration sections."""

from __future__ import annotations

import pytest

from onet.errors import ConfigError
from onet.registry import Registry, nearest


@pytest.fixture
def shapes() -> Registry:
    registry: Registry = Registry("shape")

    @registry.register("ball")
    class Ball:
        def __init__(self, dim: int, radius: float = 1.0, name: str | None = None) -> None:
            self.dim, self.radius, self.name = dim, radius, name

    @registry.register("box")
    class Box:
        def __init__(self, dim: int, edge: float) -> None:
            self.dim, self.edge = dim, edge

    return registry


def test_builds_with_defaults_options_and_given_arguments(shapes: Registry) -> None:
    ball = shapes.build({"type": "ball"}, "scene.shape", dim=3)
    assert (ball.dim, ball.radius, ball.name) == (3, 1.0, None)
    ball = shapes.build({"type": "ball", "radius": 2, "name": "b"}, "scene.shape", dim=2)
    assert (ball.dim, ball.radius, ball.name) == (2, 2.0, "b")
    assert list(shapes) == ["ball", "box"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"radius": 1}, r"scene\.shape\.type is missing.*ball, box"),
        ({"type": "bal"}, "unknown shape 'bal'.*did you mean 'ball'"),
        ({"type": "cone"}, "unknown shape 'cone'"),
        ({"type": "ball", "radios": 1}, r"scene\.shape\.radios.*did you mean 'radius'"),
        ({"type": "ball", "radius": "wide"}, r"scene\.shape\.radius.*number"),
        ({"type": "box"}, r"scene\.shape\.edge.*required"),
        ({"type": "ball", "dim": 3}, r"scene\.shape\.dim.*unknown option"),
    ],
)
def test_mistakes_name_the_place_and_the_remedy(
    shapes: Registry, section: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        shapes.build(section, "scene.shape", dim=3)


def test_a_name_is_taken_once(shapes: Registry) -> None:
    with pytest.raises(ValueError, match="'ball' is registered twice"):
        shapes.register("ball")(object)


def test_nearest() -> None:
    assert nearest("batchsize", ["batch_size", "seed"]) == "did you mean 'batch_size'?"
    assert nearest("zzz", ["b", "a"]) == "valid here: a, b"
    assert nearest("zzz", []) == "valid here: nothing"
