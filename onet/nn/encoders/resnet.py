"""ResNets for images, with the parameter names of torchvision's.

Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016; in the bottleneck blocks
the stride is in the 3x3 convolution, as in torchvision.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import ClassVar
from urllib.error import URLError

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import CheckpointError, ConfigError
from onet.nn.code import ObservationKind
from onet.nn.encoders._registry import ENCODERS

IMAGENET = "imagenet"
_URL = "https://download.pytorch.org/models/{file}"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in [0, 1]


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    expansion = 1

    def __init__(self, in_features: int, features: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_features, features, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.downsample = _shortcut(in_features, features, stride)

    def forward(self, x: Tensor) -> Tensor:
        net = F.relu(self.bn1(self.conv1(x)), inplace=True)
        net = self.bn2(self.conv2(net))
        return F.relu(net + (x if self.downsample is None else self.downsample(x)), inplace=True)


class _Bottleneck(nn.Module):
    """A 3x3 convolution of few features between two 1x1 ones, with a shortcut."""

    expansion = 4

    def __init__(self, in_features: int, features: int, stride: int) -> None:
        super().__init__()
        out_features = features * self.expansion
        self.conv1 = nn.Conv2d(in_features, features, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.conv3 = nn.Conv2d(features, out_features, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_features)
        self.downsample = _shortcut(in_features, out_features, stride)

    def forward(self, x: Tensor) -> Tensor:
        net = F.relu(self.bn1(self.conv1(x)), inplace=True)
        net = F.relu(self.bn2(self.conv2(net)), inplace=True)
        net = self.bn3(self.conv3(net))
        return F.relu(net + (x if self.downsample is None else self.downsample(x)), inplace=True)


def _shortcut(in_features: int, out_features: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_features == out_features:
        return None
    return nn.Sequential(
        nn.Conv2d(in_features, out_features, 1, stride, bias=False), nn.BatchNorm2d(out_features)
    )


class _Trunk(nn.Module):
    """A ResNet without its last layers: images (B, 3, H, W) to features (B, F, H/32, W/32)."""

    def __init__(self, block: type[_BasicBlock | _Bottleneck], depths: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        stages, width = [], 64
        for i, depth in enumerate(depths):
            blocks = []
            for j in range(depth):
                blocks.append(block(width, 64 * 2**i, stride=2 if i and not j else 1))
                width = 64 * 2**i * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.out_features = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        return self.scales(images)[-1]

    def scales(self, images: Tensor) -> list[Tensor]:
        """What each stage makes: H/4, H/8, H/16 and H/32 rows."""
        net = F.relu(self.bn1(self.conv1(images)), inplace=True)
        nets = [F.max_pool2d(net, 3, stride=2, padding=1)]
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            nets.append(stage(nets[-1]))
        return nets[1:]


class ResnetFeatures(nn.Module):
    """A ResNet without its last layers, whose weights may start from those trained elsewhere.

    Normalisation by mean and deviation of ImageNet happens here. Any image size will do.

    Args:
        pretrained: weights of the trunk that training starts from: `imagenet` (torchvision's
            IMAGENET1K_V1, downloaded when training starts), a file (`.pth` or `.safetensors`) with
            torchvision's keys, or null for random ones.
    """

    observes: ClassVar[ObservationKind] = "image"

    block: type[_BasicBlock | _Bottleneck]
    depths: tuple[int, ...]
    file: str  # of the weights on the server
    mean: Tensor
    std: Tensor

    def __init__(self, pretrained: str | None) -> None:
        super().__init__()
        self.pretrained = pretrained
        self.features = _Trunk(self.block, self.depths)
        shape = (3, 1, 1)
        self.register_buffer("mean", torch.tensor(_MEAN).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(shape), persistent=False)

    def maps(
        self,
        images: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> Tensor:  # (B, F, H/32, W/32), rounded up
        features: Tensor = self.features((images - self.mean) / self.std)
        return features

    def pyramid(
        self,
        images: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> list[Tensor]:
        """Features of the four stages, with H/4 to H/32 rows, rounded up."""
        return self.features.scales((images - self.mean) / self.std)

    def load_pretrained(self) -> None:
        """Replace the trunk's weights by those that `pretrained` names, if any.

        Raises:
            ConfigError: the file does not exist, or the weights cannot be downloaded.
            CheckpointError: they are unreadable or of another network.
        """
        if self.pretrained is None:
            return
        if self.pretrained == IMAGENET:
            source = _URL.format(file=self.file)
            state = _download(source)
        else:
            source = self.pretrained
            state = _read(Path(source))
        state = {key: value for key, value in state.items() if not key.startswith("fc.")}
        # Files of the first releases of torchvision have no counters.
        wanted = self.features.state_dict()
        missing = [k for k in wanted.keys() - state.keys() if not k.endswith("batches_tracked")]
        wrong = [k for k in state if k not in wanted or state[k].shape != wanted[k].shape]
        if missing or wrong:
            named = ", ".join(sorted([*missing, *wrong])[:3])
            raise CheckpointError(
                f"{source}: not the weights of this network ({len(missing)} keys missing, "
                f"{len(wrong)} unexpected or of another shape: {named}, ...); give torchvision's "
                f"{self.file}"
            )
        self.features.load_state_dict(state, strict=False)


class _ResnetEncoder(ResnetFeatures):
    """A ResNet, the mean over the picture, and a linear layer to the code.

    Args:
        c_dim: size of the code.
        pretrained: see `ResnetFeatures`.
    """

    def __init__(self, c_dim: int, pretrained: str | None = None) -> None:
        super().__init__(pretrained)
        self.fc = nn.Linear(self.features.out_features, c_dim)

    def forward(
        self,
        inputs: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> Tensor:  # (B, c_dim)
        code: Tensor = self.fc(self.maps(inputs).mean(dim=(2, 3)))
        return code


def _download(url: str) -> dict[str, Tensor]:
    """A file of torchvision's weights, from torch's cache if it is there."""
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


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ConfigError(
            f"model.encoder.pretrained: {path}: no such file; give {IMAGENET!r}, a file with "
            "torchvision's weights, or null"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a readable file of weights ({error})") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path}: not a dictionary of tensors as torchvision saves it")
    return state


class Resnet18Features(ResnetFeatures):
    """ResNet-18 without its last layers."""

    block, depths, file = _BasicBlock, (2, 2, 2, 2), "resnet18-f37072fd.pth"


@ENCODERS.register("resnet18")
class Resnet18Encoder(Resnet18Features, _ResnetEncoder):
    """ResNet-18, the published encoder of images. Source: Occupancy Networks, section 4.2."""


@ENCODERS.register("resnet34")
class Resnet34Encoder(_ResnetEncoder):
    """ResNet-34."""

    block, depths, file = _BasicBlock, (3, 4, 6, 3), "resnet34-b627a593.pth"


@ENCODERS.register("resnet50")
class Resnet50Encoder(_ResnetEncoder):
    """ResNet-50."""

    block, depths, file = _Bottleneck, (3, 4, 6, 3), "resnet50-0676ba61.pth"


@ENCODERS.register("resnet101")
class Resnet101Encoder(_ResnetEncoder):
    """ResNet-101. (The published code builds a ResNet-50 under this name.)"""

    block, depths, file = _Bottleneck, (3, 4, 23, 3), "resnet101-63fe2227.pth"
