"""Features of pictures by a network whose weights lie in a file, and distances of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from onet.errors import ConfigError
from onet.metrics.distribution_distances import frechet_distance
from onet.nn.encoders.resnet import Resnet18Features, ResnetFeatures

_BATCH = 16


class PictureFeatures:
    """Mean features of the last stage of a ResNet, as pictures are resized to 224 pixels.

    Scores of different networks cannot be compared: `name` belongs beside every number.

    Args:
        weights: a file of torchvision's ResNet-18, with its keys.

    Raises:
        ConfigError: no such file.
        CheckpointError: weights of another network.
    """

    def __init__(self, weights: str | Path) -> None:
        if not Path(weights).is_file():
            raise ConfigError(
                f"features: {weights}: no such file; give torchvision's weights of a ResNet-18"
            )
        self.network: ResnetFeatures = Resnet18Features(str(weights))
        self.network.load_pretrained()
        self.network.eval()
        self.name = f"resnet18 ({Path(weights).name})"

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
            found.append(self.network.maps(resized.clamp(0, 1)).mean((2, 3)).double().numpy())
        return np.concatenate(found)


def feature_scores(made: NDArray[np.float64], true: NDArray[np.float64]) -> dict[str, float]:
    """Return `feature_l1`, the mean absolute difference of paired features (N, F), and `fid`."""
    scores = {"feature_l1": float(np.abs(made - true).mean())}
    if len(made) > 1:
        scores["fid"] = frechet_distance(made, true)
    return scores
