"""An occupancy network that is trained against a discriminator."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from onet.adversarial.discriminators import DISCRIMINATORS
from onet.adversarial.penalties import spectrally_normalised
from onet.config import GenerationConfig
from onet.errors import ConfigError
from onet.models._registry import MODELS
from onet.models.adversarial import Adversarial, check_validation_samples, codes_generator
from onet.models.occupancy import OccupancyNetwork
from onet.nn.precision import at_least_single


@MODELS.register("occupancy_gan")
class AdversarialOccupancyNetwork(Adversarial, OccupancyNetwork):
    """A generative model of shapes: a decoder of latent codes, judged by a discriminator.

    The discriminator sees a shape as occupancies at the query points of the batch, real and
    generated ones at the same points. Generated occupancies are probabilities. Real ones are 0 or
    1, by which alone they could be told apart, so they are softened: `sigmoid(d / softness)` with
    the distance d to the surface, positive inside. That is a function which the decoder can be; its
    level 1/2 is the surface, so take `generation.probability: 0.5`.

    With a latent encoder it is a variational autoencoder as well, and its loss the negative
    evidence lower bound plus `training.adversarial.weight` times the generator's loss on samples of
    the prior. There is no observation.

    A batch is that of `OccupancyNetwork` with `distances` (B, T), unsigned, in the unit frame
    (`data.distances`). Trained by `onet.training.adversarial_update.AdversarialUpdate`.

    Args:
        decoder: section of a decoder.
        discriminator: section of a discriminator.
        encoder_latent: section of a latent encoder, or null.
        z_dim: size of the latent code.
        kl_weight, infer_points: as in `OccupancyNetwork`; validation also compares samples with
            items at the first `infer_points` points.
        softness: distance over which real occupancies rise from 1/2 to 0.73; about the spacing of
            the detail that shall be seen. 0 leaves them hard.
        validation_samples: samples of the prior that validation compares each item with.
        spectral_norm: divide each weight of the discriminator by its largest singular value.

    Raises:
        ConfigError: unknown part or option, or a value that cannot be.
    """

    latent_needs_encoder = False

    def __init__(
        self,
        decoder: dict[str, Any],
        discriminator: dict[str, Any],
        encoder_latent: dict[str, Any] | None = None,
        z_dim: int = 128,
        kl_weight: float = 1.0,
        infer_points: int = 2048,
        softness: float = 0.02,
        validation_samples: int = 32,
        spectral_norm: bool = False,
    ) -> None:
        if z_dim < 1:
            raise ConfigError(f"model.z_dim: {z_dim}; a generator needs a latent code")
        if not softness >= 0:
            raise ConfigError(f"model.softness: {softness}; give 0 or more")
        check_validation_samples(validation_samples)
        super().__init__(
            decoder,
            None,
            encoder_latent,
            c_dim=0,
            z_dim=z_dim,
            kl_weight=kl_weight,
            infer_points=infer_points,
        )
        self.softness, self.validation_samples = softness, validation_samples
        self.discriminator = DISCRIMINATORS.build(discriminator, "model.discriminator")
        if spectral_norm:
            spectrally_normalised(self.discriminator)

    # -- what `onet.adversarial.networks.AdversarialNetworks` asks for -----------------------------

    def latent(self, batch: dict[str, Tensor]) -> Tensor:
        points = batch["points"]
        return torch.randn(len(points), self.z_dim, dtype=points.dtype, device=points.device)

    def real(self, batch: dict[str, Tensor]) -> Tensor:
        """Softened occupancies (B, T).

        Raises:
            ConfigError: the batch has no distances.
        """
        occupancies = batch["occupancies"]
        if self.softness == 0:
            return occupancies
        if "distances" not in batch:
            raise ConfigError(
                "model.softness: soft occupancies need distances to the surface; set "
                "data.distances=true, or model.softness=0"
            )
        return torch.sigmoid((2 * occupancies - 1) * batch["distances"] / self.softness)

    def fake(self, batch: dict[str, Tensor], latent: Tensor) -> Tensor:
        points = batch["points"]
        logits = self.decode(points, points.new_empty(len(points), 0), latent)
        return torch.sigmoid(at_least_single(logits))

    def discriminate(self, batch: dict[str, Tensor], samples: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(batch["points"], samples)
        return at_least_single(logits)

    def auxiliary_loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the autoencoder's loss, where it is one."""
        return {} if self.encoder_latent is None else OccupancyNetwork.loss(self, batch)

    # -- what training asks for --------------------------------------------------------------------

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Tensor], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """Per item (B,): how samples of the prior compare with it; no discriminator is asked.

        With d = 1 - IoU at the query points and the same `validation_samples` codes for every item:
        `energy_score`, the mean d between item and samples minus half the mean d between samples,
        which on the average over items is least where the samples are distributed as the items are
        (Gneiting and Raftery, Strictly Proper Scoring Rules, 2007); `sample_distance`, the mean d
        between samples, which falls to 0 in a collapse; and `nearest_iou`, of the best sample. Also
        what an autoencoder's validation gives, where it is one.
        """
        settings = settings or GenerationConfig()
        metrics = {} if self.encoder_latent is None else super().validate(batch, settings)
        points = batch["points"][:, : self.infer_points]
        truth = batch["occupancies"][:, : self.infer_points] > 0.5
        z = self.sample_prior(self.validation_samples, codes_generator())
        rows = [
            _scores(self._inside(p, z, settings), t) for p, t in zip(points, truth, strict=True)
        ]
        names = ("energy_score", "sample_distance", "nearest_iou")
        return metrics | dict(zip(names, torch.stack(rows, 1), strict=True))

    def _inside(
        self,
        points: Tensor,  # (T, 3)
        z: Tensor,  # (S, Z)
        settings: GenerationConfig,
    ) -> Tensor:  # (S, T) bool
        parts = [
            self.decode(points.expand(len(some), -1, -1), some.new_empty(len(some), 0), some)
            for some in z.split(max(1, settings.batch_size // len(points)))
        ]
        return torch.cat(parts) > settings.level


def _scores(
    samples: Tensor,  # (S, T) bool
    item: Tensor,  # (T,) bool
) -> Tensor:  # (3,)
    """Energy score, mean distance of two samples, IoU of the nearest sample."""
    shapes = torch.cat([samples, item[None]]).float()
    both = shapes @ shapes.T
    sizes = both.diagonal()
    either = sizes[:, None] + sizes - both
    iou = torch.where(either > 0, both / either.clamp(min=1), 1.0)
    count = len(samples)
    to_item = iou[-1, :-1]
    among = (iou[:-1, :-1].sum() - count) / (count * (count - 1))
    return torch.stack([(1 - to_item).mean() - (1 - among) / 2, 1 - among, to_item.max()])
