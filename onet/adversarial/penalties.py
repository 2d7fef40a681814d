"""What keeps a discriminator's slope in check, and what else is added to the players' losses.

`gamma` is the factor of the thesis: gamma/2 * E||grad D||^2. Published training code leaves out the
half and calls its factor `reg_param`; a penalty takes either name, and reg_param 10 is gamma 20.

A penalty is differentiated twice, so the discriminator has to be: no operation without a second
derivative, and no batch normalisation, which couples the samples of a batch, so that there is no
gradient of one sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from onet.adversarial.factors import gamma_of_reg_param, require_non_negative
from onet.errors import ConfigError, DataError
from onet.registry import nearest

Discriminator = Callable[[Tensor], Tensor]
"""Samples (B, ...) -> logits (B,). Conditions are part of it: they are never penalised."""

Measure = Literal["real", "fake", "both", "interpolated", "midpoint", "anchor", "neighbours"]
Norm = Literal["sum", "mean", "field"]
Weighting = Literal["none", "sigmoid"]


@dataclass(frozen=True)
class GradientPenalty:
    """gamma/2 * E_mu[(||grad D(x)|| - centre)^2] on a measure mu, or one of its relatives.

    Attributes:
        measure: where it is taken. `real` (R1), `fake` (R2), `both` (their sum); `interpolated`,
            uniformly on the segment from each real to one fake sample; `midpoint`, its middle;
            `anchor`, uniformly on the segment from each fake sample to `anchor`; `neighbours`, real
            samples with Gaussian noise.
        gamma: factor of the thesis; see the module.
        reg_param: factor of published code, instead of gamma.
        centre: wanted norm of the gradient. Only 0 makes the equilibrium stable ([M] chapter 6).
        one_sided: no penalty below the centre (Petzka et al., WGAN-LP).
        weighting: `sigmoid` weighs the squared norms by (1 - s(D))^2 on real and s(D)^2 on fake
            samples, without the half (Roth et al., 2017; [M] (6.44)).
        norm: of the gradient by a sample of n numbers. `sum`, the Euclidean one, as published;
            `mean`, its square divided by n; `field`, its square times n, which is the norm of the
            functional derivative where the numbers are values of a function at random points: a
            discriminator that averages over points has gradients 1/n by each, so that this gamma
            does not depend on n.
        spread: standard deviation of the noise of `neighbours`.
        anchor: value of all numbers of the anchor, or the anchor itself: as many numbers as a
            sample has, in its order.

    Raises:
        ConfigError: a negative gamma, gamma and reg_param, an anchor that is no finite number or
            numbers, or options that exclude one another.
    """

    measure: Measure = "real"
    gamma: float | None = None
    reg_param: float | None = None
    centre: float = 0.0
    one_sided: bool = False
    weighting: Weighting = "none"
    norm: Norm = "sum"
    spread: float = 0.5
    anchor: float | Sequence[float] = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "anchor", _anchor(self.anchor))
        if self.gamma is not None and self.reg_param is not None:
            raise ConfigError(
                "penalty: gamma and reg_param are two names of one factor (gamma = 2 reg_param); "
                "give one of them"
            )
        require_non_negative("gamma", self.factor)
        require_non_negative("spread", self.spread)
        if self.weighting == "sigmoid" and (self.measure != "both" or self.centre):
            raise ConfigError("penalty: weighting=sigmoid needs measure=both and centre=0")
        for name, valid in (("measure", Measure), ("norm", Norm), ("weighting", Weighting)):
            value = getattr(self, name)
            if value not in get_args(valid):
                hint = nearest(str(value), list(get_args(valid)))
                raise ConfigError(f"penalty: unknown {name} {value!r}; {hint}")

    @property
    def factor(self) -> float:
        """gamma, by whichever name it was given; 10 if by none."""
        if self.reg_param is not None:
            return gamma_of_reg_param(self.reg_param)
        return 10.0 if self.gamma is None else self.gamma

    def __call__(
        self,
        discriminator: Discriminator,
        real: Tensor,  # (B, ...)
        fake: Tensor,  # (B, ...)
    ) -> Tensor:
        """Return the penalty, a scalar to be differentiated by the discriminator's parameters.

        It depends on the generator's as well where `fake` has not been detached. Random measures
        draw from torch's generator.

        Raises:
            DataError: logits do not depend on the samples, real and fake differ in size where they
                are mixed, or an anchor has another number of numbers than a sample.
        """
        if self.weighting == "sigmoid":
            total = real.new_zeros(())
            for samples, sign in ((real, -1), (fake, 1)):
                gradients, logits = input_gradients(discriminator, samples)
                squares = self._scale(gradients) * gradients.square().sum(1)
                total = total + (torch.sigmoid(sign * logits).square() * squares).mean()
            return self.factor * total
        if self.measure == "both":
            return self._at(discriminator, real) + self._at(discriminator, fake)
        return self._at(discriminator, self.samples(real, fake))

    def samples(self, real: Tensor, fake: Tensor) -> Tensor:
        """Samples of the measure, as many as there are real ones (fake ones for `anchor`)."""
        if self.measure in ("interpolated", "midpoint") and real.shape != fake.shape:
            raise DataError(
                f"penalty: measure={self.measure} mixes real and fake samples, which are "
                f"{tuple(real.shape)} and {tuple(fake.shape)}; draw as many of both"
            )
        match self.measure:
            case "real":
                return real
            case "fake":
                return fake
            case "interpolated":
                return torch.lerp(fake, real, _parts(real))
            case "midpoint":
                return (real + fake) / 2
            case "anchor":
                return torch.lerp(fake, self._anchor_of(fake), _parts(fake))
            case "neighbours":
                return real + self.spread * torch.randn_like(real)
            case "both":
                return torch.cat([real, fake])

    def _anchor_of(self, fake: Tensor) -> Tensor:
        anchor = torch.as_tensor(self.anchor, dtype=fake.dtype, device=fake.device)
        if anchor.ndim == 0:
            return anchor.expand_as(fake)
        if anchor.numel() != fake[0].numel():
            raise DataError(
                f"penalty: the anchor has {anchor.numel()} numbers and a sample "
                f"{fake[0].numel()} ({tuple(fake.shape[1:])}); give as many, or one for all"
            )
        return anchor.reshape(fake.shape[1:]).expand_as(fake)

    def _at(self, discriminator: Discriminator, samples: Tensor) -> Tensor:
        gradients, _ = input_gradients(discriminator, samples)
        scale = self._scale(gradients)
        if self.centre == 0:
            return self.factor / 2 * (scale * gradients.square().sum(1)).mean()
        # vector_norm has the derivative 0 at 0; that of a root is infinite
        excess = scale**0.5 * torch.linalg.vector_norm(gradients, dim=1) - self.centre
        if self.one_sided:
            excess = excess.clamp(min=0)
        return self.factor / 2 * excess.square().mean()

    def _scale(self, gradients: Tensor) -> float:
        """Factor of the squared norm."""
        return {"sum": 1.0, "mean": 1 / gradients.shape[1], "field": gradients.shape[1]}[self.norm]


def _anchor(value: object) -> float | tuple[float, ...]:
    """One number, or the numbers of an anchor one after another."""
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.size == 0 or not np.isfinite(numbers).all():
        raise ConfigError(
            f"penalty: anchor {value!r}: give a finite number, or as many as a sample has"
        )
    return float(numbers) if numbers.ndim == 0 else tuple(numbers.ravel().tolist())


NAMED: dict[str, dict[str, object]] = {
    "r1": {"measure": "real"},  # Mescheder et al., Which Training Methods ..., 2018
    "r2": {"measure": "fake"},
    "r1_r2": {"measure": "both"},
    "roth": {"measure": "both", "weighting": "sigmoid"},
    "wgan_gp": {"measure": "interpolated", "centre": 1.0},  # Gulrajani et al., 2017
    "wgan_gp0": {"measure": "interpolated"},
    "wgan_lp": {"measure": "interpolated", "centre": 1.0, "one_sided": True},
    "dragan": {"measure": "neighbours", "centre": 1.0},  # Kodali et al., 2017
    "midpoint": {"measure": "midpoint"},  # [P]: best of the measures on pictures
    "anchor": {"measure": "anchor"},
}


def named_penalty(name: str, **options: object) -> GradientPenalty:
    """Return a penalty of `NAMED`, with other values for some options.

    Raises:
        ConfigError: an unknown name or option, or a value that it cannot have.
    """
    if name not in NAMED:
        raise ConfigError(f"unknown penalty {name!r}: {nearest(name, [*NAMED, 'none'])}")
    fields = list(GradientPenalty.__dataclass_fields__)
    for option in options:
        if option not in fields:
            raise ConfigError(
                f"penalty {name!r}: unknown option {option!r}: {nearest(option, fields)}"
            )
    return GradientPenalty(**{**NAMED[name], **options})  # type: ignore[arg-type]


def input_gradients(
    discriminator: Discriminator,
    samples: Tensor,  # (B, ...)
) -> tuple[Tensor, Tensor]:
    """Gradients (B, n) of the logits by the samples, to be differentiated further; logits (B,).

    Raises:
        DataError: the logits do not depend on the samples.
    """
    if not samples.requires_grad:
        samples = samples.detach().requires_grad_(True)
    logits = discriminator(samples)
    gradient = None
    if logits.requires_grad:
        (gradient,) = torch.autograd.grad(
            logits.sum(), samples, create_graph=True, allow_unused=True
        )
    if gradient is None:
        raise DataError(
            "penalty: the discriminator's logits have no gradient by its input; do not detach the "
            "input, compute it in no_grad, or look only at something else"
        )
    return gradient.flatten(1), logits


def consensus(
    gradients: Sequence[Tensor | None],  # of each player's loss by its own parameters
    gamma: float,
    others: Sequence[Tensor | None] | None = None,  # the same on a second batch
) -> Tensor:
    """gamma/2 * ||v||^2 of the joint field v, which both players minimise as well ([M] 2.4).

    The gradients must have been computed with `create_graph`. At large values it has attractors of
    its own, and it does not go with batch normalisation in the generator either.

    On a batch ||v||^2 is on average that of the mean field and the variance of v, which the players
    then minimise too. With `others`, from a batch drawn independently, it is gamma/2 * v . v', on
    average that of the mean field alone.

    Raises:
        ConfigError: gamma below 0.
        DataError: `others` are of other parameters.
    """
    factor = require_non_negative("gamma", gamma) / 2
    if others is None:
        return factor * _sum_of_squares(gradients)
    if len(gradients) != len(others):
        raise DataError(
            f"consensus: {len(gradients)} and {len(others)} gradients; give those of the same "
            "parameters on two batches"
        )
    both = [
        (a * b).sum()
        for a, b in zip(gradients, others, strict=True)
        if a is not None and b is not None
    ]
    if not both:
        raise DataError("consensus: no parameter has a gradient on both batches")
    return factor * torch.stack(both).sum()


def nagarajan_kolter(
    gradients: Sequence[Tensor | None],  # of the discriminator's loss by its own parameters
    eta: float,
) -> Tensor:
    """eta * ||grad_psi L||^2, which the generator minimises as well.

    Nagarajan and Kolter, Gradient Descent GAN Optimization is Locally Stable, 2017. The gradients
    must have been computed with `create_graph`.

    Raises:
        ConfigError: eta below 0.
    """
    return require_non_negative("eta", eta) * _sum_of_squares(gradients)


@dataclass(frozen=True)
class InstanceNoise:
    """Gaussian noise on the samples of both kinds, whose deviation falls to 0.

    Attributes:
        sigma: standard deviation at the start.
        steps: iterations over which it falls; None keeps it.
        schedule: `linear`, or `cosine`, which is slow at both ends.

    Raises:
        ConfigError: a negative sigma, or no steps.
    """

    sigma: float = 0.1
    steps: int | None = None
    schedule: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        require_non_negative("noise.sigma", self.sigma)
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"noise.steps: {self.steps}; give at least 1, or null for no end")

    def deviation(self, iteration: int) -> float:
        """Standard deviation at an iteration."""
        if self.steps is None:
            return self.sigma
        part = min(1.0, iteration / self.steps)
        left = 1 - part if self.schedule == "linear" else (1 + math.cos(math.pi * part)) / 2
        return self.sigma * left

    def __call__(self, samples: Tensor, iteration: int) -> Tensor:
        """Samples with noise from torch's generator."""
        sigma = self.deviation(iteration)
        return samples + sigma * torch.randn_like(samples) if sigma > 0 else samples


def require_no_batch_norm(discriminator: nn.Module) -> None:
    """Refuse a discriminator whose logit of a sample depends on the others of the batch.

    Raises:
        ConfigError: it has a batch normalisation; the layer is named.
    """
    for name, module in discriminator.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise ConfigError(
                f"discriminator: layer {name or '(itself)'} is a {type(module).__name__}, which "
                "couples the samples of a batch, so that no gradient belongs to one sample; "
                "remove it, or use layer normalisation or spectral_norm"
            )


def spectrally_normalised(module: nn.Module) -> nn.Module:
    """Return the module, each linear and convolutional weight over its largest singular value.

    Miyato et al., Spectral Normalization for GANs, 2018; one step of power iteration per forward
    pass in training mode. State dictionaries get the keys of torch's parametrisations.
    """
    layers = [m for m in module.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]
    for layer in layers:
        spectral_norm(layer)
    return module


def _parts(samples: Tensor) -> Tensor:
    """One number in [0, 1) for each sample, shaped to be multiplied with it."""
    shape = (len(samples), *(1,) * (samples.ndim - 1))
    return torch.rand(shape, dtype=samples.dtype, device=samples.device)


def _sum_of_squares(gradients: Sequence[Tensor | None]) -> Tensor:
    present = [g for g in gradients if g is not None]
    return torch.stack([g.square().sum() for g in present]).sum()
