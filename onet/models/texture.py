"""Texture network: the colours of a surface as a function of its points.

Source: Oechsle et al., Texture Fields: Learning Texture Representations in Function Space, ICCV
2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from onet.config import GenerationConfig
from onet.errors import ConfigError
from onet.models._registry import MODELS
from onet.nn.code import CAMERA, ESTIMATED_CAMERA, FRONT, Code, kind_made, kinds_taken
from onet.nn.color import COLOR_DECODERS, GEOMETRY_ENCODERS, PICTURE_ENCODERS
from onet.nn.encoders import ENCODERS
from onet.nn.precision import at_least_single
from onet.nn.projection import camera_distances, front_depths

Batch = dict[str, Any]
WHITE = {"white": 1.0, "black": 0.0}
LARGEST_PSNR = 100.0
"""Of equal pictures, in dB: means cannot take infinity."""


@MODELS.register("texture")
class TextureNetwork(nn.Module):
    """Colours of surface points from codes of the geometry and of the appearance.

    The appearance is observed by an encoder (of one picture, say; trained by the difference of
    pictures), or inferred from the picture itself by a picture encoder, which makes it a
    variational autoencoder with the prior N(0, 1). An encoder of local features has no code of the
    appearance, but features at places; the decoder is `local` then.

    A batch is a dictionary with `points` (B, P, 3) float32 in the unit frame, what each pixel
    shows; `mask` (B, P) bool, where it shows the object; `colors` (B, P, 3) float32 sRGB in [0, 1];
    `surface` (B, T, 3) and `normals` (B, T, 3), points of the geometry; `inputs`, what an encoder
    observes. Of a whole square picture the pixels are in rows from the top.

    Args:
        decoder: section of a colour decoder.
        geometry_encoder: section of a geometry encoder, or null.
        encoder: section of an encoder of the appearance, or null.
        encoder_latent: section of a picture encoder, or null.
        c_dim: size of the geometry's code; 0 without its encoder.
        z_dim: size of the code of the appearance; 0 with local features.
        features: of local features; 0 without.
        difference: of pictures that the conditional network is trained with.
        kl_weight: factor of the divergence of the latent codes from their prior.
        weight: factor of the whole loss of the autoencoder; published is 10.
        camera_weight: factor of the logarithm of 1 and the error of an estimated camera, which is
            that of `OccupancyNetwork`.
        background: of the pictures.

    Raises:
        ConfigError: unknown part or option, a code without its encoder, or a decoder that does not
            take the encoder's codes.
    """

    generative = False
    learns_from = "views"

    def __init__(
        self,
        decoder: dict[str, Any],
        geometry_encoder: dict[str, Any] | None = None,
        encoder: dict[str, Any] | None = None,
        encoder_latent: dict[str, Any] | None = None,
        c_dim: int = 512,
        z_dim: int = 512,
        features: int = 0,
        difference: Literal["l1", "l2"] = "l1",
        kl_weight: float = 1.0,
        weight: float = 1.0,
        camera_weight: float = 1.0,
        background: Literal["white", "black"] = "white",
    ) -> None:
        super().__init__()
        if encoder is None and encoder_latent is None and not self.generative:
            raise ConfigError(
                "model: nothing says what the appearance is; name model.encoder or "
                "model.encoder_latent, or take model.type=texture_gan"
            )
        if (geometry_encoder is None) != (c_dim == 0):
            raise ConfigError(
                "model.c_dim: the geometry's code and model.geometry_encoder go together; set "
                "both, or model.c_dim=0 model.geometry_encoder=null"
            )
        local = _is_local(encoder, decoder)
        _check_sizes(z_dim, features, local, of_more=bool(encoder_latent) or self.generative)
        self.c_dim, self.z_dim, self.features = c_dim, z_dim, features
        self.difference = difference
        self.kl_weight, self.weight, self.camera_weight = kl_weight, weight, camera_weight
        self.background = WHITE[background]
        self.decoder = COLOR_DECODERS.build(
            decoder, "model.decoder", code_dim=c_dim + z_dim, features=features
        )
        self.encoder: Any = encoder and ENCODERS.build(
            encoder, "model.encoder", c_dim=features if local else z_dim
        )
        self.geometry_encoder: Any = geometry_encoder and GEOMETRY_ENCODERS.build(
            geometry_encoder, "model.geometry_encoder", c_dim=c_dim
        )
        self.encoder_latent: Any = encoder_latent and PICTURE_ENCODERS.build(
            encoder_latent, "model.encoder_latent", c_dim=c_dim, z_dim=z_dim
        )
        self.local = local

    # -- codes -------------------------------------------------------------------------------------

    def geometry_code(self, surface: Tensor, normals: Tensor) -> Tensor:
        """Return the code (B, c_dim) of surface points with normals, (B, T, 3) each."""
        if self.geometry_encoder is None:
            return surface.new_empty(len(surface), 0)
        code: Tensor = self.geometry_encoder(surface, normals)
        return code

    def infer(self, batch: Batch, geometry: Tensor) -> Normal:
        """Return the posterior of the latent code from the pictures of the batch.

        Raises:
            ConfigError: there is no picture encoder, or pictures are of another size.
        """
        if self.encoder_latent is None:
            raise ConfigError(
                "model.encoder_latent: the model has none, so it infers no appearance from a "
                "picture; sample it, or take a variational autoencoder"
            )
        posterior: Normal = self.encoder_latent(
            as_pictures(batch["colors"], self.encoder_latent.size), geometry
        )
        return posterior

    def observe(self, inputs: Code) -> tuple[Tensor | None, Code | None]:
        """Return the code (B, z_dim) of the appearance observed, or the local one."""
        if self.encoder is None:
            return None, None
        code: Code = self.encoder(inputs)
        return (None, code) if self.local else (code, None)  # type: ignore[return-value]

    def placed(self, local: Code | None, surface: Tensor) -> Code | None:
        """Return a local code that knows what points (B, T, 3) of the surface hide, if it is asked.

        The decoder asks for it; see `onet.nn.color.local`.
        """
        if not getattr(self.decoder, "occlusion", False) or not isinstance(local, dict):
            return local
        if CAMERA not in local:  # the decoder says what is missing
            return local
        return {**local, FRONT: front_depths(surface, local[CAMERA])}

    def sample_prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Return latent codes (count, z_dim) from N(0, 1), drawn on the CPU."""
        z = torch.randn(count, self.z_dim, generator=generator)
        return z.to(next(self.parameters()).device)

    # -- colours -----------------------------------------------------------------------------------

    def colors(
        self,
        points: Tensor,  # (B, T, 3) float32 in the unit frame
        geometry: Tensor,  # (B, c_dim)
        z: Tensor | None = None,  # (B, z_dim)
        local: Code | None = None,
    ) -> Tensor:  # (B, T, 3) sRGB in [0, 1]
        """Return the colours of points of the surface."""
        code = geometry if z is None else torch.cat([geometry, z], -1)
        colors: Tensor = self.decoder(points, code, local)
        return at_least_single(colors)

    def render(
        self,
        points: Tensor,  # (B, P, 3)
        mask: Tensor,  # (B, P) bool
        geometry: Tensor,
        z: Tensor | None = None,
        local: Code | None = None,
    ) -> Tensor:  # (B, P, 3)
        """Return the pixels of pictures: colours where the object is, else the background.

        Only points of the object go through the decoder.
        """
        count = max(1, int(mask.sum(1).max()))
        chosen = torch.sort(mask.long(), dim=1, descending=True, stable=True).indices[
            :, :count, None
        ]
        rows = chosen.expand(-1, -1, 3)
        shown = mask.gather(1, chosen[..., 0])[..., None]
        colors = self.colors(points.gather(1, rows), geometry, z, local)
        colors = torch.where(shown, colors, self.background)
        picture = colors.new_full(points.shape, self.background)
        return picture.scatter(1, rows, colors)

    # -- what training asks for --------------------------------------------------------------------

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return `loss`: the difference of pictures, or the autoencoder's bound, per pixel."""
        geometry = self.geometry_code(batch["surface"], batch["normals"])
        if self.encoder_latent is not None:
            return self._bound(batch, geometry)
        z, local = self.observe(batch["inputs"])
        local = self.placed(local, batch["surface"])
        pixels = self.render(batch["points"], batch["mask"], geometry, z, local)
        distance = F.l1_loss if self.difference == "l1" else F.mse_loss
        total = distance(pixels, batch["colors"])
        losses: dict[str, Tensor] = {self.difference: total.detach()}
        if isinstance(local, dict) and ESTIMATED_CAMERA in local and self._knows_camera(batch):
            apart = camera_distances(local[ESTIMATED_CAMERA], local[CAMERA])
            # At first one step may put the camera far away, and the square of that is a gradient
            # that the optimizer would not forget.
            total = total + self.camera_weight * torch.log1p(apart).mean()
            losses["camera"] = apart.mean().detach()
        return {"loss": total, **losses}

    def _knows_camera(self, batch: Batch) -> bool:
        return isinstance(batch["inputs"], dict) and CAMERA in batch["inputs"]

    def _bound(self, batch: Batch, geometry: Tensor) -> dict[str, Tensor]:
        """Mean square error and divergence, both per number of a picture."""
        posterior = self.infer(batch, geometry)
        pixels = self.render(batch["points"], batch["mask"], geometry, posterior.rsample())
        error = F.mse_loss(pixels, batch["colors"])
        prior = Normal(torch.zeros_like(posterior.mean), torch.ones_like(posterior.mean))
        numbers = batch["colors"][0].numel()
        divergence = kl_divergence(posterior, prior).sum(-1).mean() / numbers
        total = self.weight * (error + self.kl_weight * divergence)
        return {"loss": total, "l2": error.detach(), "kl": divergence.detach()}

    @torch.no_grad()
    def validate(self, batch: Batch, settings: GenerationConfig | None = None) -> dict[str, Tensor]:
        """Per item (B,), over the pixels of the object: `l1` and `psnr` in dB.

        An autoencoder shows the picture again from the mean of its posterior.
        """
        geometry = self.geometry_code(batch["surface"], batch["normals"])
        z, local = self.observe(batch["inputs"])
        local = self.placed(local, batch["surface"])
        if self.encoder_latent is not None:
            z = self.infer(batch, geometry).mean
        pixels = self.render(batch["points"], batch["mask"], geometry, z, local)
        difference = pixels - batch["colors"]
        square = masked_mean(difference.square(), batch["mask"])
        psnr = -10 / math.log(10) * square.log()
        l1 = masked_mean(difference.abs(), batch["mask"])
        return {"l1": l1, "psnr": psnr.clamp(max=LARGEST_PSNR)}

    def field(
        self,
        geometry: Tensor,  # (1, c_dim)
        z: Tensor | None = None,  # (1, z_dim)
        local: Code | None = None,  # of a batch of one
        batch_size: int = 65536,
    ) -> Callable[[Any], Any]:
        """Return the colour field of one object: points (N, 3) in the unit frame -> (N, 3).

        Points are an array or a tensor; what comes back is a float32 NumPy array in [0, 1].
        """
        device = geometry.device

        @torch.no_grad()
        def color(points: Any) -> Any:
            places = torch.as_tensor(points, dtype=torch.float32, device=device)
            parts = [
                self.colors(part[None], geometry, z, local)[0] for part in places.split(batch_size)
            ]
            return torch.cat(parts).cpu().numpy() if parts else places.cpu().numpy()

        return color


def as_pictures(
    colors: Tensor,  # (B, P, 3), the rows of a square picture one after the other
    size: int,
) -> Tensor:  # (B, 3, size, size)
    """Return pixels as pictures.

    Raises:
        ConfigError: another number of pixels.
    """
    if colors.shape[1] != size * size:
        raise ConfigError(
            f"model: the network of pictures takes {size} x {size} pixels and the batch has "
            f"{colors.shape[1]}; give data.views.size the same number as the network, and leave "
            "data.views.pixels null"
        )
    return colors.transpose(1, 2).unflatten(-1, (size, size))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean (B,) of values (B, P, 3) over pixels (B, P) of the object; 0 without any."""
    total = (values.mean(-1) * mask).sum(-1)
    return total / mask.sum(-1).clamp(min=1)


def _is_local(encoder: dict[str, Any] | None, decoder: dict[str, Any]) -> bool:
    """Return whether the encoder makes local features.

    Raises:
        ConfigError: the decoder does not take its codes.
    """
    made = kind_made(ENCODERS[encoder["type"]]) if encoder and "type" in encoder else "global"
    if "type" in decoder and made not in kinds_taken(COLOR_DECODERS[decoder["type"]]):
        taken = [name for name in COLOR_DECODERS if made in kinds_taken(COLOR_DECODERS[name])]
        raise ConfigError(
            f"model.decoder.type: {decoder['type']!r} does not take codes of the kind {made!r}; "
            f"with this encoder goes the colour decoder {' or '.join(taken) or '(none)'}"
        )
    return made != "global"


def _check_sizes(z_dim: int, features: int, local: bool, of_more: bool) -> None:
    if local and of_more:
        raise ConfigError(
            "model.encoder: local features are observed, and have no latent code; take an encoder "
            "with one code for the object, or model.encoder=null"
        )
    if local and (z_dim or features < 1):
        raise ConfigError("model: with local features set model.features to 1 or more and z_dim=0")
    if not local and (z_dim < 1 or features):
        raise ConfigError("model: without local features set model.z_dim to 1 or more, features=0")
