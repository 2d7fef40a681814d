"""Posteriors of a latent code of appearance from a picture."""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributions import Normal

from onet.nn.color._registry import PICTURE_ENCODERS
from onet.nn.layers import rectifier
from onet.nn.picture_trunk import PictureTrunk


@PICTURE_ENCODERS.register("resnet")
class ResnetPictureEncoder(nn.Module):
    """Residual blocks on the picture, to which a linear map of the geometry's code is added.

    Source: Oechsle et al., Texture Fields, ICCV 2019; names and shapes of the weights are those of
    the published code.

    Args:
        c_dim: size of the geometry's code.
        z_dim: size of the latent code.
        size: pixels along an edge of a picture.
        width, widest, leaky: see `PictureTrunk`.

    Raises:
        ConfigError: see `PictureTrunk`.
    """

    def __init__(
        self,
        c_dim: int,
        z_dim: int,
        size: int = 128,
        width: int = 32,
        widest: int = 1024,
        leaky: bool = True,
    ) -> None:
        super().__init__()
        self.size, self.activation = size, rectifier(leaky)
        self.conv_img = nn.Conv2d(3, width, 3, padding=1)
        self.resnet = PictureTrunk(size, width, widest, leaky)
        self.fc_mean = nn.Linear(self.resnet.outputs, z_dim)
        self.fc_logstd = nn.Linear(self.resnet.outputs, z_dim)
        self.fc_inject_c = nn.Linear(c_dim, width)

    def forward(
        self,
        pictures: Tensor,  # (B, 3, size, size) RGB in [0, 1]
        code: Tensor,  # (B, c_dim)
    ) -> Normal:
        net = self.conv_img(pictures) + self.fc_inject_c(code)[:, :, None, None]
        net = self.activation(self.resnet(net).flatten(1))
        return Normal(self.fc_mean(net), self.fc_logstd(net).exp())
