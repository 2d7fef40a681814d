"""A texture network that is trained against a discriminator of pictures."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from onet.adversarial.penalties import spectrally_normalised
from onet.adversarial.picture_discriminators import PICTURE_DISCRIMINATORS
from onet.config import GenerationConfig
from onet.models._registry import MODELS
from onet.models.adversarial import Adversarial, check_validation_samples, codes_generator
from onet.models.texture import Batch, TextureNetwork, as_pictures, masked_mean
from onet.nn.precision import at_least_single


@MODELS.register("texture_gan")
class AdversarialTextureNetwork(Adversarial, TextureNetwork):
    """Appearances of a geometry, judged by a discriminator of pictures with their depth.

    A latent code is drawn from N(0, 1) for every picture, in training and later. With an encoder
    (of a picture) the appearance is observed instead, and the loss has the difference of pictures
    as well; with a picture encoder it is a variational autoencoder too.

    A batch is that of `TextureNetwork` with `depth` (B, P) float32, 0 where the object is not.

    Args:
        discriminator: section of a picture discriminator.
        validation_samples: samples of the prior that validation compares each item with.
        spectral_norm: divide each weight of the discriminator by its largest singular value.
        decoder, geometry_encoder, encoder, encoder_latent, c_dim, z_dim, features, difference,
            kl_weight, weight, camera_weight, background: see `TextureNetwork`.

    Raises:
        ConfigError: see `TextureNetwork`; or fewer than 2 samples.
    """

    def __init__(
        self,
        decoder: dict[str, Any],
        discriminator: dict[str, Any],
        geometry_encoder: dict[str, Any] | None = None,
        encoder: dict[str, Any] | None = None,
        encoder_latent: dict[str, Any] | None = None,
        c_dim: int = 512,
        z_dim: int = 64,
        difference: Literal["l1", "l2"] = "l1",
        kl_weight: float = 1.0,
        weight: float = 1.0,
        background: Literal["white", "black"] = "white",
        validation_samples: int = 8,
        spectral_norm: bool = False,
    ) -> None:
        check_validation_samples(validation_samples)
        super().__init__(
            decoder,
            geometry_encoder,
            encoder,
            encoder_latent,
            c_dim,
            z_dim,
            difference=difference,
            kl_weight=kl_weight,
            weight=weight,
            background=background,
        )
        self.validation_samples = validation_samples
        self.discriminator = PICTURE_DISCRIMINATORS.build(discriminator, "model.discriminator")
        if spectral_norm:
            spectrally_normalised(self.discriminator)

    # -- what `onet.adversarial.networks.AdversarialNetworks` asks for -----------------------------

    def latent(self, batch: Batch) -> Tensor:
        colors = batch["colors"]
        return torch.randn(len(colors), self.z_dim, dtype=colors.dtype, device=colors.device)

    def real(self, batch: Batch) -> Tensor:
        colors: Tensor = batch["colors"]
        return colors

    def fake(self, batch: Batch, latent: Tensor) -> Tensor:
        geometry = self.geometry_code(batch["surface"], batch["normals"])
        observed, _ = self.observe(batch["inputs"])
        z = latent if observed is None else observed
        return self.render(batch["points"], batch["mask"], geometry, z)

    def discriminate(self, batch: Batch, samples: Tensor) -> Tensor:
        size = self.discriminator.size
        pictures = as_pictures(samples, size)
        depth = batch["depth"].view(-1, 1, size, size)
        logits: Tensor = self.discriminator(pictures, depth)
        return at_least_single(logits)

    def auxiliary_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of what is observed or inferred, where something is."""
        if self.encoder is None and self.encoder_latent is None:
            return {}
        return TextureNetwork.loss(self, batch)

    # -- what training asks for --------------------------------------------------------------------

    @torch.no_grad()
    def validate(self, batch: Batch, settings: GenerationConfig | None = None) -> dict[str, Tensor]:
        """Per item (B,): how samples of the prior compare with it; no discriminator is asked.

        With the distance d, the mean absolute difference over the object's pixels, and the same
        `validation_samples` codes for every item: `energy_score`, the mean d between item and
        samples minus half the mean d between samples, least on average where samples are
        distributed as the items are; `sample_distance`, the mean d between samples, which falls to
        0 in a collapse; `nearest_l1`, of the best sample. With an encoder or a picture encoder
        also what `TextureNetwork` gives.
        """
        metrics = {}
        if self.encoder is not None or self.encoder_latent is not None:
            metrics = super().validate(batch, settings)
        if self.encoder is not None:
            return metrics
        geometry = self.geometry_code(batch["surface"], batch["normals"])
        codes = self.sample_prior(self.validation_samples, codes_generator())
        points, mask = batch["points"], batch["mask"]
        samples = [self.render(points, mask, geometry, z.expand(len(points), -1)) for z in codes]
        to_item = torch.stack([masked_mean((s - batch["colors"]).abs(), mask) for s in samples], 1)
        among = torch.stack(
            [
                masked_mean((a - b).abs(), mask)
                for number, a in enumerate(samples)
                for b in samples[:number]
            ],
            1,
        ).mean(1)
        return metrics | {
            "energy_score": to_item.mean(1) - among / 2,
            "sample_distance": among,
            "nearest_l1": to_item.min(1).values,
        }
