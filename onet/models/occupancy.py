"""Occupancy network: the surface of a shape as the decision boundary of a classifier of points.

Source: Mescheder et al., Occupancy Networks: Learning 3D Reconstruction in Function Space, CVPR
2019.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from onet.config import GenerationConfig
from onet.errors import ConfigError, FieldError
from onet.models._registry import MODELS
from onet.models.matching import check_match
from onet.nn.code import CAMERA, ESTIMATED_CAMERA, Code
from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS
from onet.nn.latent_encoders import LATENT_ENCODERS
from onet.nn.precision import at_least_single
from onet.nn.projection import camera_distances


@MODELS.register("occupancy")
class OccupancyNetwork(nn.Module):
    """Encoder and decoder trained with the cross-entropy of occupancies at query points.

    With a latent encoder it is a variational autoencoder: each shape has a latent code z with prior
    N(0, 1), inferred from query points in training. With an encoder as well it is a conditional
    one. Without an encoder the code c has length 0.

    An encoder may estimate the camera of a picture; it is trained with the known ones.

    A batch is a dictionary with `inputs` (the observation, as the encoder wants it, one tensor or
    several by name; (B, 0) without encoder), `points` (B, T, 3) float32 in the unit frame,
    `occupancies` (B, T) float32 in [0, 1] and `index` (B,), the number of the item. A batch to
    train on may have `weights` (B, T), factors of the cross-entropy of each point.

    Args:
        decoder: section of a decoder.
        encoder: section of an encoder of the observation, or null.
        encoder_latent: section of a latent encoder, or null.
        c_dim: size of the observation's code; 0 without encoder.
        z_dim: size of the latent code; 0 without latent encoder.
        kl_weight: factor of the divergence of the latent codes from their prior in the loss.
        camera_weight: factor of the error of an estimated camera, the mean square of the distance
            between the corners of the unit cube as both cameras see them, in the loss.
        infer_points: query points from which validation infers z; should be the number that
            training sees (`data.points_subsample`), which a maximum over points depends on.

    Raises:
        ConfigError: unknown part or option, a code without its encoder, or a decoder or latent
            encoder that does not take the encoder's codes.
    """

    latent_needs_encoder = True

    def __init__(
        self,
        decoder: dict[str, Any],
        encoder: dict[str, Any] | None = None,
        encoder_latent: dict[str, Any] | None = None,
        c_dim: int = 512,
        z_dim: int = 0,
        kl_weight: float = 1.0,
        camera_weight: float = 30.0,
        infer_points: int = 2048,
    ) -> None:
        super().__init__()
        _check_code("c_dim", c_dim, "encoder", encoder)
        if self.latent_needs_encoder or encoder_latent:
            _check_code("z_dim", z_dim, "encoder_latent", encoder_latent)
        for key, weight in (("kl_weight", kl_weight), ("camera_weight", camera_weight)):
            if not weight >= 0:
                raise ConfigError(f"model.{key}: {weight}; give 0 or more")
        if infer_points < 1:
            raise ConfigError(f"model.infer_points: {infer_points}; give at least 1")
        self.c_dim, self.z_dim = c_dim, z_dim
        self.kl_weight, self.camera_weight = kl_weight, camera_weight
        self.infer_points = infer_points
        self.decoder = DECODERS.build(decoder, "model.decoder", c_dim=c_dim, z_dim=z_dim)
        self.encoder_latent = (
            LATENT_ENCODERS.build(encoder_latent, "model.encoder_latent", c_dim=c_dim, z_dim=z_dim)
            if encoder_latent
            else None
        )
        self.encoder = ENCODERS.build(encoder, "model.encoder", c_dim=c_dim) if encoder else None
        if encoder:
            check_match(encoder, decoder, DECODERS, "model.decoder")
            if encoder_latent:
                check_match(encoder, encoder_latent, LATENT_ENCODERS, "model.encoder_latent")

    def encode(self, inputs: Code) -> Code:
        """Return the codes of observations: (B, C), local features, or (B, 0) without encoder."""
        if self.encoder is None:
            assert isinstance(inputs, Tensor)
            return inputs.new_empty((len(inputs), 0), dtype=torch.float32)
        code: Code = self.encoder(inputs)
        return code

    def decode(
        self,
        points: Tensor,  # (B, T, 3) in the unit frame
        c: Code,
        z: Tensor | None = None,  # (B, Z)
    ) -> Tensor:
        """Logits of occupancy (B, T).

        Raises:
            ValueError: the model has a latent code and none is given, or the other way round.
        """
        if (z is None) != (self.z_dim == 0):
            raise ValueError(
                f"z: the model has a latent code of {self.z_dim} numbers and "
                f"{'none' if z is None else tuple(z.shape)} is given; see sample_prior and infer_z"
            )
        logits: Tensor = self.decoder(points, z, c)
        return logits

    def sample_prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latent codes (count, Z) drawn from N(0, 1), on the model's device.

        Args:
            count: how many.
            generator: of the CPU, so that a seed means the same codes on every device.
        """
        codes = torch.randn(count, self.z_dim, generator=generator)
        return codes.to(next(self.parameters()).device)

    def infer_z(
        self,
        points: Tensor,  # (B, T, 3) in the unit frame
        occupancies: Tensor,  # (B, T) in [0, 1]
        c: Code,
    ) -> Normal:
        """Return the posterior q(z | points, occupancies, c): mean and deviation (B, Z), float32.

        Raises:
            ValueError: the model has no latent encoder.
            FieldError: mean or deviation is not finite.
        """
        if self.encoder_latent is None:
            raise ValueError("the model has no latent encoder; train one with model.encoder_latent")
        mean, logstd = self.encoder_latent(points, occupancies, c)
        mean, logstd = at_least_single(mean), at_least_single(logstd)
        posterior = Normal(mean, logstd.exp(), validate_args=False)
        if not (torch.isfinite(posterior.mean).all() and torch.isfinite(posterior.stddev).all()):
            raise FieldError(
                "model.encoder_latent: mean or deviation of a latent code is NaN or infinite "
                f"(largest log deviation {logstd.max().item():.4g}); lower training.learning_rate, "
                "and look for NaN in the data with `onet data check`"
            )
        return posterior

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """What is minimised, summed over query points and averaged over items.

        Without latent code the cross-entropy (equation 3), with one the negative evidence lower
        bound (equation 4): cross-entropy for one z drawn from the posterior, plus `kl_weight` times
        `kl`. With an estimated camera, `camera_weight` times `camera`, its error, is added. Also
        `loss_per_point`, the mean cross-entropy of a point.

        Raises:
            ConfigError: the encoder estimates cameras and the batch does not know them.
        """
        points, occupancies = batch["points"], batch["occupancies"]
        weights = batch.get("weights")
        c = self.encode(batch["inputs"])
        latent = self.encoder_latent is not None
        posterior = self.infer_z(points, occupancies, c) if latent else None
        logits = self.decode(points, c, posterior.rsample() if posterior else None)
        loss = _cross_entropy(logits, occupancies, weights).mean()
        losses = {"loss": loss, "loss_per_point": loss.detach() / points.shape[1]}
        if posterior:
            losses["kl"] = _divergence(posterior).mean()
            losses["loss"] = losses["loss"] + self.kl_weight * losses["kl"]
        if isinstance(c, dict) and ESTIMATED_CAMERA in c:
            if not isinstance(batch["inputs"], dict) or CAMERA not in batch["inputs"]:
                raise ConfigError(
                    "model.encoder: estimates cameras, which is trained with known ones; set "
                    "data.input.camera=true"
                )
            losses["camera"] = camera_distances(c[ESTIMATED_CAMERA], c[CAMERA]).mean()
            losses["loss"] = losses["loss"] + self.camera_weight * losses["camera"]
        return {key: loss if key == "loss" else loss.detach() for key, loss in losses.items()}

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Any], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """Per item (B,): `iou` at the probability of `generation`, `loss` and `loss_per_point`.

        IoU is over the query points; it is 1 where neither truth nor prediction has any inside.
        Points are decoded `settings.batch_size` at a time. The model must be in eval mode.

        With a latent code, `iou` is that of the reconstruction: z is the mean of the posterior. The
        posterior, `loss`, `loss_per_point` and `kl` are those of the first `infer_points` points,
        as in training, with noise that depends on the item alone. A model with both codes also has
        `iou_prior_mean`, for z = 0, which uses nothing but the observation. A purely unconditional
        model has no such metric: a sample of it is not meant to resemble any item.

        With an estimated camera there are also its error `camera`, and `iou_estimated_camera`, of
        what is reconstructed with it.
        """
        settings = settings or GenerationConfig()
        c = self.encode(batch["inputs"])
        if self.encoder_latent is None:
            metrics = self._compare(batch, c, None, settings)
            if isinstance(c, dict) and ESTIMATED_CAMERA in c:
                blind = c | {CAMERA: c[ESTIMATED_CAMERA]}
                metrics["iou_estimated_camera"] = self._compare(batch, blind, None, settings)["iou"]
                metrics["camera"] = camera_distances(c[ESTIMATED_CAMERA], c[CAMERA])
            return metrics
        points = batch["points"][:, : self.infer_points]
        occupancies = batch["occupancies"][:, : self.infer_points]
        posterior = self.infer_z(points, occupancies, c)
        z = posterior.mean + posterior.stddev * _noise(batch["index"], self.z_dim).to(points.device)
        loss = _cross_entropy(self.decode(points, c, z), occupancies)
        kl = _divergence(posterior)
        metrics = {
            "iou": self._compare(batch, c, posterior.mean, settings)["iou"],
            "loss": loss + self.kl_weight * kl,
            "loss_per_point": loss / points.shape[1],
            "kl": kl,
        }
        if self.c_dim:
            prior_mean = torch.zeros_like(posterior.mean)
            metrics["iou_prior_mean"] = self._compare(batch, c, prior_mean, settings)["iou"]
        return metrics

    def _compare(
        self,
        batch: dict[str, Any],
        c: Code,
        z: Tensor | None,  # (B, Z)
        settings: GenerationConfig,
    ) -> dict[str, Tensor]:
        """IoU and cross-entropy over all query points, for given codes."""
        items, device = len(batch["points"]), batch["points"].device
        chunk = max(1, settings.batch_size // items)
        loss = torch.zeros(items, device=device)
        both, either = loss.clone(), loss.clone()
        pairs = zip(
            batch["points"].split(chunk, 1), batch["occupancies"].split(chunk, 1), strict=True
        )
        for points, occupancies in pairs:
            logits = self.decode(points, c, z)
            loss += _cross_entropy(logits, occupancies)
            predicted, truth = logits > settings.level, occupancies > 0.5
            both += (predicted & truth).sum(1)
            either += (predicted | truth).sum(1)
        iou = torch.where(either > 0, both / either.clamp(min=1), 1.0)
        return {"iou": iou, "loss": loss, "loss_per_point": loss / batch["points"].shape[1]}


def _check_code(key: str, size: int, part: str, section: dict[str, Any] | None) -> None:
    """Refuse a code without its encoder, and an encoder without a code."""
    if size < 0:
        raise ConfigError(f"model.{key}: {size}; give the size of the code, or 0")
    if size and not section:
        raise ConfigError(
            f"model.{key}: a code of {size} numbers needs an encoder, and model.{part} is "
            f"missing; name one there, or set model.{key}=0"
        )
    if section and not size:
        raise ConfigError(
            f"model.{key}: must be at least 1 with model.{part}; set it, or model.{part}=null"
        )


def _cross_entropy(
    logits: Tensor,  # (B, T)
    occupancies: Tensor,  # (B, T)
    weights: Tensor | None = None,  # (B, T)
) -> Tensor:
    """Binary cross-entropy (B,), summed over points in float32, each times its weight."""
    losses = F.binary_cross_entropy_with_logits(
        at_least_single(logits), occupancies, weights, reduction="none"
    )
    return losses.sum(-1)


def _divergence(posterior: Normal) -> Tensor:
    """Kullback-Leibler divergence (B,) of the posterior from N(0, 1), summed over numbers of z."""
    prior = Normal(torch.zeros_like(posterior.mean), torch.ones_like(posterior.mean))
    return kl_divergence(posterior, prior).sum(-1)


def _noise(index: Tensor, size: int) -> Tensor:
    """Standard normal numbers (B, size) on the CPU, those of an item a function of its number."""
    rows = [torch.randn(size, generator=torch.Generator().manual_seed(int(item))) for item in index]
    return torch.stack(rows)
