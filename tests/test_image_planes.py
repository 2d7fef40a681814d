"""Planes of local features from an image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from random_weights import randomise

from onet.errors import ConfigError
from onet.nn.encoders import ENCODERS, Resnet18Encoder


def encoder(**options: Any) -> Any:
    torch.manual_seed(0)
    section = {"plane_resolution": 8, "tokens": 4, "hidden_dim": 16, "heads": 2, "layers": 1}
    section |= {"type": "resnet18_planes", **options}
    return ENCODERS.build(section, "model.encoder", c_dim=6)


@pytest.mark.parametrize(("size", "resolution"), [((48, 40), 4), ((64, 64), 8), ((33, 100), 16)])
def test_pictures_of_any_size_make_three_planes(size: tuple[int, int], resolution: int) -> None:
    planes = encoder(plane_resolution=resolution).eval()(torch.rand(2, 3, *size))
    assert list(planes) == ["xz", "xy", "yz"]
    for plane in planes.values():
        assert plane.shape == (2, 6, resolution, resolution)
        assert torch.isfinite(plane).all()


def test_planes_tell_pictures_and_places_in_them_apart() -> None:
    """Without the places, a picture with its parts exchanged would give the same planes."""
    module = randomise(encoder()).eval()
    features = torch.randn(1, 512, 2, 2)
    module.maps = lambda pictures: pictures
    planes = module(features)
    for other in (features.flip(-1), features.flip(-2), 2 * features):
        assert (module(other)["xz"] - planes["xz"]).abs().max() > 0.01
    assert (planes["xz"] - planes["xy"]).abs().max() > 0.01
    cells = planes["xz"].flatten(2)
    assert (cells - cells.mean(2, keepdim=True)).abs().max() > 0.01


def test_the_trunk_starts_from_the_weights_of_any_resnet18(tmp_path: Any) -> None:
    trunk = randomise(Resnet18Encoder(6)).features.state_dict()
    torch.save(trunk, tmp_path / "w.pth")
    module = encoder(pretrained=str(tmp_path / "w.pth"))
    module.load_pretrained()
    assert all(map(torch.equal, module.features.state_dict().values(), trunk.values()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"plane_resolution": 12}, r"plane_resolution: 12 cells from 4 tokens"),
        ({"plane_resolution": 2}, r"plane_resolution: 2 cells"),
        ({"plane_resolution": 9}, r"plane_resolution: 9 cells"),
        ({"tokens": 0}, "from 0 tokens"),
        ({"layers": 0}, r"model\.encoder\.layers: 0"),
        ({"heads": 3}, "3 attention heads cannot share 16"),
    ],
)
def test_sizes_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encoder(**options)


@pytest.mark.slow
@pytest.mark.parametrize("gradients", [False, True])
def test_more_tokens_than_memory_are_refused_with_the_number_that_fits(gradients: bool) -> None:
    def planes(tokens: int, pictures: int = 1) -> Any:
        module = encoder(tokens=tokens, plane_resolution=2 * tokens, memory_gib=0.002).eval()
        with torch.set_grad_enabled(gradients):
            return module(torch.rand(pictures, 3, 32, 32))["xy"]

    def fitting(**options: int) -> int:
        with pytest.raises(ConfigError, match=r"model\.encoder: attention of 3 x 64\^2") as caught:
            planes(64, **options)
        return int(str(caught.value).split("at most ")[1].split()[0])

    most = fitting()
    assert planes(most).shape == (1, 6, 2 * most, 2 * most)
    with pytest.raises(ConfigError, match=f"at most {most} tokens along an edge"):
        planes(most + 1)
    assert fitting(pictures=4) == pytest.approx(most / 2, abs=1)
