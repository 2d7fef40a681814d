"""ResNets for images: those of torchvision, without their last layers.

Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016; in the bottleneck blocks
the stride is in the 3x3 convolution.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import URLError

import torch
from torch import Tensor, nn

from onet.errors import ConfigError
from onet.nn.code import ObservationKind
from onet.nn.encoders._registry import ENCODERS
from onet.nn.encoders.pretrained import IMAGENET, load_trunk, read_weights

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in [0, 1]
_STAGES = ("layer1", "layer2", "layer3", "layer4")


def _trunk(name: str) -> nn.Module:
    """Return torchvision's ResNet `name` with random weights, without its last layer."""
    from torchvision.models import get_model  # a second to import: for networks that have one

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
        trunk: nn.Module = get_model(name, weights=None, num_classes=0)
    trunk.fc = nn.Identity()
    return trunk


class ResnetFeatures(nn.Module):
    """A ResNet without its last layers, whose weights may start from those trained elsewhere.

    Normalisation by mean and deviation of ImageNet happens here. Any image size will do.

    Args:
        pretrained: weights of the trunk that training starts from: `imagenet` (torchvision's
            IMAGENET1K_V1, downloaded when training starts), a file (`.pth` or `.safetensors`) with
            torchvision's keys, or null for random ones.
    """

    observes: ClassVar[ObservationKind] = "image"

    network: str  # its name in torchvision
    mean: Tensor
    std: Tensor

    def __init__(self, pretrained: str | None) -> None:
        super().__init__()
        self.pretrained = pretrained
        self.features = _trunk(self.network)
        shape = (3, 1, 1)
        self.register_buffer("mean", torch.tensor(_MEAN).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(shape), persistent=False)

    @property
    def width(self) -> int:
        """Number of features F that the last stage makes."""
        norms = [part for part in self.features.modules() if isinstance(part, nn.BatchNorm2d)]
        return norms[-1].num_features

    def maps(
        self,
        images: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> Tensor:  # (B, F, H/32, W/32), rounded up
        return self.pyramid(images)[-1]

    def pyramid(
        self,
        images: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> list[Tensor]:
        """Features of the four stages, with H/4 to H/32 rows, rounded up."""
        trunk: Any = self.features
        net = trunk.relu(trunk.bn1(trunk.conv1((images - self.mean) / self.std)))
        nets = [trunk.maxpool(net)]
        for stage in _STAGES:
            nets.append(getattr(trunk, stage)(nets[-1]))
        return nets[1:]

    def load_pretrained(self) -> None:
        """Replace the trunk's weights by those that `pretrained` names, if any.

        Raises:
            ConfigError: the file does not exist, or the weights cannot be downloaded.
            CheckpointError: they are unreadable or of another network.
        """
        if self.pretrained is None:
            return
        if self.pretrained == IMAGENET:
            source = _url(self.network)
            state = _download(source)
        else:
            source = self.pretrained
            state = read_weights(Path(source), "torchvision's weights")
        state = {key: value for key, value in state.items() if not key.startswith("fc.")}
        remedy = f"give torchvision's {_url(self.network).rpartition('/')[2]}"
        load_trunk(self.features, state, source, remedy)


class _ResnetEncoder(ResnetFeatures):
    """A ResNet, the mean over the picture, and a linear layer to the code.

    Args:
        c_dim: size of the code.
        pretrained: see `ResnetFeatures`.
    """

    def __init__(self, c_dim: int, pretrained: str | None = None) -> None:
        super().__init__(pretrained)
        self.fc = nn.Linear(self.width, c_dim)

    def forward(
        self,
        inputs: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> Tensor:  # (B, c_dim)
        code: Tensor = self.fc(self.maps(inputs).mean(dim=(2, 3)))
        return code


def _url(network: str) -> str:
    """Address of torchvision's first weights, trained on ImageNet."""
    from torchvision.models import get_model_weights

    return str(get_model_weights(network)["IMAGENET1K_V1"].url)


def _download(url: str) -> dict[str, Tensor]:
    """Return a file of torchvision's weights, from torch's cache if it is there."""
    try:
        state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (URLError, OSError, RuntimeError) as error:  # no network, or a damaged file
        name = url.rpartition("/")[2]
        raise ConfigError(
            f"model.encoder.pretrained: {url} cannot be downloaded ({error}). On a machine without "
            f"network, copy {name} there and set model.encoder.pretrained=PATH/{name}, or set "
            "model.encoder.pretrained=null to start from random weights"
        ) from None
    return state


class Resnet18Features(ResnetFeatures):
    """ResNet-18 without its last layers."""

    network = "resnet18"


@ENCODERS.register("resnet18")
class Resnet18Encoder(Resnet18Features, _ResnetEncoder):
    """ResNet-18, the published encoder of images. Source: Occupancy Networks, section 4.2."""


@ENCODERS.register("resnet34")
class Resnet34Encoder(_ResnetEncoder):
    """ResNet-34."""

    network = "resnet34"


@ENCODERS.register("resnet50")
class Resnet50Encoder(_ResnetEncoder):
    """ResNet-50."""

    network = "resnet50"


@ENCODERS.register("resnet101")
class Resnet101Encoder(_ResnetEncoder):
    """ResNet-101. (The published code builds a ResNet-50 under this name.)"""

    network = "resnet101"
