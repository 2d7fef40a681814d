"""A generator of pictures that is trained against a discriminator."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from onet.adversarial.class_discriminators import CLASS_DISCRIMINATORS
from onet.adversarial.penalties import spectrally_normalised
from onet.config import GenerationConfig
from onet.errors import ConfigError
from onet.models._registry import MODELS
from onet.models.adversarial import Adversarial, check_validation_samples, codes_generator
from onet.nn.picture_generators import PICTURE_GENERATORS
from onet.nn.precision import at_least_single

Batch = dict[str, Any]


@MODELS.register("picture_gan")
class AdversarialPictureNetwork(Adversarial, nn.Module):
    """Pictures from latent codes, of several classes or of one, judged by a discriminator.

    What the two networks pass one another are pictures (B, 3, S, S) in [-1, 1]. A batch is a
    dictionary with `pictures` (B, 3, S, S) float32 in [0, 1] and, with classes, `labels` (B,)
    int64. Codes are drawn from N(0, 1).

    Args:
        generator: section of a picture generator.
        discriminator: section of a discriminator of classes, of the same size.
        z_dim: size of the latent code.
        classes: number of classes, each a folder that `data.categories` names; 0 without.
        validation_samples: samples that validation compares each picture with.
        spectral_norm: divide each weight of the discriminator by its largest singular value.

    Raises:
        ConfigError: unknown part or option, sizes that differ, or values that cannot be.
    """

    learns_from = "pictures"
    aligned = True

    def __init__(
        self,
        generator: dict[str, Any],
        discriminator: dict[str, Any],
        z_dim: int = 256,
        classes: int = 0,
        validation_samples: int = 8,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_validation_samples(validation_samples)
        if z_dim < 1:
            raise ConfigError(f"model.z_dim: {z_dim}; a generator needs a latent code")
        if classes < 0:
            raise ConfigError(f"model.classes: {classes}; give 0 or more")
        self.z_dim, self.classes, self.validation_samples = z_dim, classes, validation_samples
        self.generator = PICTURE_GENERATORS.build(
            generator, "model.generator", z_dim=z_dim, classes=classes
        )
        self.discriminator = CLASS_DISCRIMINATORS.build(
            discriminator, "model.discriminator", classes=classes
        )
        if self.generator.size != self.discriminator.size:
            raise ConfigError(
                f"model.discriminator.size: {self.discriminator.size} pixels, and the generator "
                f"makes {self.generator.size}; give both the same"
            )
        if spectral_norm:
            spectrally_normalised(self.discriminator)

    def check_pictures(self, settings: dict[str, Any]) -> None:
        """Refuse pictures of another size.

        Raises:
            ConfigError: with both sizes.
        """
        size, own = settings.get("size", 64), self.generator.size
        if size != own:
            raise ConfigError(
                f"data.pictures.size: {size} pixels, and the networks are of {own}; give "
                "data.pictures, model.generator and model.discriminator the same size"
            )

    def sample(
        self,
        latent: Tensor,  # (B, Z)
        labels: Tensor | None = None,  # (B,), with classes
    ) -> Tensor:  # (B, 3, S, S) in [0, 1]
        """Return pictures of latent codes."""
        made: Tensor = at_least_single(self.generator(latent, labels))
        return ((made + 1) / 2).clamp(0, 1)

    # -- what `onet.adversarial.networks.AdversarialNetworks` asks for -----------------------------

    def latent(self, batch: Batch) -> Tensor:
        pictures = batch["pictures"]
        return torch.randn(len(pictures), self.z_dim, dtype=pictures.dtype, device=pictures.device)

    def real(self, batch: Batch) -> Tensor:
        pictures: Tensor = batch["pictures"]
        return 2 * pictures - 1

    def fake(self, batch: Batch, latent: Tensor) -> Tensor:
        made: Tensor = self.generator(latent, batch.get("labels"))
        return at_least_single(made)

    def discriminate(self, batch: Batch, samples: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(samples, batch.get("labels"))
        return at_least_single(logits)

    def auxiliary_loss(self, batch: Batch) -> dict[str, Tensor]:
        return {}

    # -- what training asks for --------------------------------------------------------------------

    @torch.no_grad()
    def validate(self, batch: Batch, settings: GenerationConfig | None = None) -> dict[str, Tensor]:
        """Per picture (B,): how samples compare with it; no discriminator is asked.

        With d, the root of the mean squared difference of pixels, and the same `validation_samples`
        codes for every picture of a class: `energy_score`, the mean d between picture and samples
        minus half the mean d between samples, least on average where samples are distributed as the
        pictures are; `sample_distance`, the mean d between samples, which falls to 0 in a collapse;
        `nearest_distance`, of the best sample.
        """
        pictures = batch["pictures"]
        codes = torch.randn(self.validation_samples, self.z_dim, generator=codes_generator())
        codes = codes.to(pictures)
        numbers = batch["labels"].tolist() if self.classes else [0] * len(pictures)
        samples = {number: self._of_class(codes, number) for number in sorted({*numbers})}
        among = {number: _among(made) for number, made in samples.items()}
        rows = []
        for number, picture in zip(numbers, pictures, strict=True):
            to_item = _distance(samples[number], picture.flatten()[None])
            spread = among[number]
            rows.append(torch.stack([to_item.mean() - spread / 2, spread, to_item.min()]))
        names = ("energy_score", "sample_distance", "nearest_distance")
        return dict(zip(names, torch.stack(rows, 1), strict=True))

    def _of_class(self, codes: Tensor, number: int) -> Tensor:  # (K, 3 S S)
        labels = torch.full((len(codes),), number, device=codes.device) if self.classes else None
        return self.sample(codes, labels).flatten(1)


def _among(samples: Tensor) -> Tensor:
    """Mean distance between two of some samples (K, D)."""
    count = len(samples)
    pairs = torch.cdist(samples, samples, compute_mode="donot_use_mm_for_euclid_dist")
    among: Tensor = pairs.sum() / (count * (count - 1)) / samples.shape[1] ** 0.5
    return among


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).square().mean(1).sqrt()
