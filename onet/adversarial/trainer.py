"""Training of two networks against each other. Knows nothing of what they generate.

Each network's gradient is taken of its own loss by its own parameters alone. Sources: [M]
Algorithms 1 to 5 and section 8.2; Mescheder et al., Which Training Methods for GANs do actually
Converge?, 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from onet.adversarial.losses import AdversarialLoss, find_loss
from onet.adversarial.networks import AdversarialNetworks, Batch
from onet.adversarial.penalties import (
    GradientPenalty,
    InstanceNoise,
    consensus,
    nagarajan_kolter,
    require_no_batch_norm,
)
from onet.errors import ConfigError, TrainingError
from onet.registry import nearest

Gradients = list[Tensor | None]

# Stages of the integrators on the joint field: where each further slope is taken, in steps along
# the one before, and how the slopes are weighed.
INTEGRATORS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "extragradient": ((1.0,), (0.0, 1.0)),
    "heun": ((1.0,), (0.5, 0.5)),
    "rk4": ((0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}
UPDATES = ("alternating", "simultaneous", "optimistic", *INTEGRATORS)
PREVIOUS = "previous_gradient"  # in the optimiser's state, so that it is saved with it


@dataclass(frozen=True)
class AdversarialOptions:
    """How the two networks are trained.

    Attributes:
        loss: a key of `LOSSES`, or a loss.
        penalty: of the discriminator, or None.
        update: `alternating`, the generator first; `simultaneous`; `optimistic`, with twice the
            gradient minus the one before; `extragradient`, `heun` or `rk4` on the joint field. The
            last four are integrators of the plain gradient: they need `torch.optim.SGD`.
        discriminator_steps, generator_steps: of each network before it is the other's turn, all on
            the same real samples; alternating updates only.
        same_latent: the discriminator sees what the generator has just made of the same codes
            ([M] 8.2 finds this better than new ones). Further steps draw new ones in any case.
        augmentation: of real and fake samples, such as `Augmentation`, or None; it also gets the
            real samples.
        noise: on real and fake samples, after that, or None.
        consensus: gamma of consensus optimisation, 0 for none.
        nagarajan_kolter: eta of the generator's penalty, 0 for none.
        weight: of the adversarial loss beside the generator's auxiliary loss.
        clip: largest norm of each network's gradient, or None.

    Raises:
        ConfigError: an unknown name, or options that exclude one another.
    """

    loss: str | AdversarialLoss = "non_saturating"
    penalty: GradientPenalty | None = None
    update: str = "alternating"
    discriminator_steps: int = 1
    generator_steps: int = 1
    same_latent: bool = True
    augmentation: Callable[[Tensor, Tensor], Tensor] | None = None
    noise: InstanceNoise | None = None
    consensus: float = 0.0
    nagarajan_kolter: float = 0.0
    weight: float = 1.0
    clip: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", find_loss(self.loss))
        if self.update not in UPDATES:
            raise ConfigError(f"unknown update {self.update!r}: {nearest(self.update, [*UPDATES])}")
        for name in ("discriminator_steps", "generator_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)}; give at least 1")
            if getattr(self, name) > 1 and self.update != "alternating":
                raise ConfigError(
                    f"{name}: further steps of one network belong to update=alternating, "
                    f"not to {self.update!r}"
                )
        for name in ("consensus", "nagarajan_kolter", "weight"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} = {getattr(self, name):g}: it must be 0 or more")


class AdversarialTrainer:
    """Updates a generator and a discriminator.

    Args:
        networks: the generator and the discriminator.
        optimizer_g, optimizer_d: of the generator's and the discriminator's parameters; one
            optimiser of both will do. [M] 8.2 recommends `torch.optim.RMSprop` with its defaults
            and a learning rate of 1e-4 for both.
        options: loss, penalty and order of the updates.

    Raises:
        ConfigError: batch normalisation in the discriminator (the layer is named), an integrator
            with another optimiser than plain gradient descent, parameters of both networks.
    """

    def __init__(
        self,
        networks: AdversarialNetworks,
        optimizer_g: torch.optim.Optimizer,
        optimizer_d: torch.optim.Optimizer | None = None,
        options: AdversarialOptions | None = None,
    ) -> None:
        self.networks, self.options = networks, options or AdversarialOptions()
        require_no_batch_norm(networks.discriminator_module())
        self.optimizer_g, self.optimizer_d = optimizer_g, optimizer_d or optimizer_g
        self.parameters_g = _trainable(networks.generator_parameters())
        self.parameters_d = _trainable(networks.discriminator_module().parameters())
        if {id(p) for p in self.parameters_g} & {id(p) for p in self.parameters_d}:
            raise ConfigError("networks: generator and discriminator share parameters; part them")
        if self.options.update not in ("alternating", "simultaneous"):
            _require_plain_descent(self.optimizer_g, self.options.update)
            _require_plain_descent(self.optimizer_d, self.options.update)

    def step(self, batch: Batch, iteration: int = 0) -> dict[str, Tensor]:
        """`generator_steps` of the generator and `discriminator_steps` of the discriminator.

        Everything random is drawn from torch's generator.

        Args:
            batch: for the networks.
            iteration: number of the step, which instance noise falls with and errors name.

        Returns:
            Detached scalars: `loss` (the generator's, all in all), `loss_g` and `loss_d` (the
            adversarial losses), `penalty`, `d_real` and `d_fake` (mean logits), `d_accuracy`,
            `gradient_g` and `gradient_d` (norms), and what the networks' auxiliary loss logs.

        Raises:
            TrainingError: a loss is NaN or infinite; no parameter has been changed by that step.
        """
        latent = self.networks.latent(batch)
        if self.options.update == "alternating":
            for repeat in range(self.options.generator_steps):
                if repeat:
                    latent = self.networks.latent(batch)
                report, gradients, _ = self._evaluate(batch, latent, iteration, discriminator=False)
                self._descend(self.optimizer_g, self.parameters_g, gradients)
            for repeat in range(self.options.discriminator_steps):
                if repeat or not self.options.same_latent:
                    latent = self.networks.latent(batch)
                found, _, gradients = self._evaluate(batch, latent, iteration, generator=False)
                self._descend(self.optimizer_d, self.parameters_d, gradients)
            return report | found
        if self.options.update in INTEGRATORS:
            report, of_g, of_d = self._integrate(batch, latent, iteration)
        else:
            report, of_g, of_d = self._evaluate(batch, latent, iteration)
        if self.options.update == "optimistic":
            of_g = _optimistic(self.optimizer_g, self.parameters_g, of_g)
            of_d = _optimistic(self.optimizer_d, self.parameters_d, of_d)
        self._descend(self.optimizer_g, self.parameters_g, of_g)
        self._descend(self.optimizer_d, self.parameters_d, of_d)
        return report

    def losses(
        self, batch: Batch, latent: Tensor, iteration: int = 0
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Total losses of generator and discriminator as functions of all parameters.

        Consensus optimisation and Nagarajan and Kolter's penalty are not part of them: they are
        made of their gradients. Beside them what `step` logs, without norms of gradients.
        """
        of_g, report = self._generator_loss(batch, latent, iteration)
        of_d, more = self._discriminator_loss(batch, latent, iteration, attached=True)
        return of_g, of_d, report | more

    # -- losses -----------------------------------------------------------------------------------

    def _shown(self, samples: Tensor, batch: Batch, iteration: int) -> Tensor:
        """What the discriminator sees of real or generated samples."""
        noise, augmentation = self.options.noise, self.options.augmentation
        if augmentation is not None:
            samples = augmentation(samples, self.networks.real(batch))
        return samples if noise is None else noise(samples, iteration)

    def _generator_loss(
        self, batch: Batch, latent: Tensor, iteration: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        networks, loss = self.networks, find_loss(self.options.loss)
        fake = self._shown(networks.fake(batch, latent), batch, iteration)
        real_logits = None
        if loss.paired:
            real = self._shown(networks.real(batch), batch, iteration)
            real_logits = networks.discriminate(batch, real)
        adversarial = loss.generator(networks.discriminate(batch, fake), real_logits)
        more = networks.auxiliary_loss(batch)
        total = self.options.weight * adversarial
        if "loss" in more:
            total = total + more.pop("loss")
        return total, {"loss": total, "loss_g": adversarial, **more}

    def _discriminator_loss(
        self, batch: Batch, latent: Tensor, iteration: int, attached: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """`attached` keeps the dependence on the generator, which its own step has no use for."""
        networks, loss = self.networks, find_loss(self.options.loss)
        with torch.set_grad_enabled(attached):
            fake = networks.fake(batch, latent)
        if not attached:  # a view of a parameter asks for gradients even so
            fake = fake.detach()
        real, fake = (self._shown(s, batch, iteration) for s in (networks.real(batch), fake))
        real_logits, fake_logits = (
            networks.discriminate(batch, real),
            networks.discriminate(batch, fake),
        )
        adversarial = loss.discriminator(real_logits, fake_logits)
        report = {
            "loss_d": adversarial,
            "d_real": real_logits.mean(),
            "d_fake": fake_logits.mean(),
            "d_accuracy": ((real_logits > 0).float().mean() + (fake_logits < 0).float().mean()) / 2,
        }
        total = adversarial
        penalty = self.options.penalty
        if penalty is not None:
            cost = penalty(lambda samples: networks.discriminate(batch, samples), real, fake)
            total = total + cost
            report["penalty"] = cost
        return total, report

    def _evaluate(
        self,
        batch: Batch,
        latent: Tensor,
        iteration: int,
        *,
        generator: bool = True,
        discriminator: bool = True,
    ) -> tuple[dict[str, Tensor], Gradients, Gradients]:
        """What to log, and each network's gradients at the present point."""
        options = self.options
        coupled = options.consensus > 0 or (options.nagarajan_kolter > 0 and generator)
        report: dict[str, Tensor] = {}
        of_g: Gradients = []
        of_d: Gradients = []
        if generator or coupled:
            loss, more = self._generator_loss(batch, latent, iteration)
            report |= more if generator else {}
            self._require_finite(more, iteration)
            of_g = _gradients(loss, self.parameters_g, create_graph=coupled)
        if discriminator or coupled:
            loss, more = self._discriminator_loss(batch, latent, iteration, attached=coupled)
            report |= more if discriminator else {}
            self._require_finite(more, iteration)
            of_d = _gradients(loss, self.parameters_d, create_graph=coupled)
        if coupled:
            of_g, of_d = self._coupled(of_g, of_d, generator, discriminator)
        if generator:
            report["gradient_g"] = _norm(of_g)
        if discriminator:
            report["gradient_d"] = _norm(of_d)
        return {key: value.detach() for key, value in report.items()}, of_g, of_d

    def _coupled(
        self, of_g: Gradients, of_d: Gradients, generator: bool, discriminator: bool
    ) -> tuple[Gradients, Gradients]:
        """Return both gradients with those of the costs that are made of them.

        Costs: consensus, for both networks; Nagarajan and Kolter's penalty, for the generator.
        """
        options = self.options
        costs: list[Tensor] = []
        more_d: Gradients | None = None
        if options.consensus:
            costs.append(consensus([*of_g, *of_d], options.consensus))
            if discriminator:
                more_d = _gradients(costs[0], self.parameters_d, retain_graph=True)
        if options.nagarajan_kolter:
            costs.append(nagarajan_kolter(of_d, options.nagarajan_kolter))
        if generator:
            more_g = _gradients(torch.stack(costs).sum(), self.parameters_g)
            of_g = _sums([(1.0, of_g), (1.0, more_g)])
        if more_d is not None:
            of_d = _sums([(1.0, of_d), (1.0, more_d)])
        return _detached(of_g), _detached(of_d)

    def _require_finite(self, values: dict[str, Tensor], iteration: int) -> None:
        if bool(torch.stack([v.detach().float().isfinite() for v in values.values()]).all()):
            return
        bad = {k: float(v.detach()) for k, v in values.items() if not bool(v.isfinite())}
        named = ", ".join(f"{key} = {value:g}" for key, value in bad.items())
        raise TrainingError(
            f"adversarial training: {named} at iteration {iteration}; lower the learning rate, "
            "raise gamma of the penalty, take a loss without exponentials, or set "
            "training.precision=32-true"
        )

    # -- steps ------------------------------------------------------------------------------------

    def _integrate(
        self, batch: Batch, latent: Tensor, iteration: int
    ) -> tuple[dict[str, Tensor], Gradients, Gradients]:
        """Weighted slopes of the joint field; every stage draws the same random numbers."""
        places, weights = INTEGRATORS[self.options.update]
        parameters = [*self.parameters_g, *self.parameters_d]
        sizes = _learning_rates(self.optimizer_g) | _learning_rates(self.optimizer_d)
        start = [p.detach().clone() for p in parameters]
        seed = int(torch.randint(2**62, ()))
        slopes: list[Gradients] = []
        report: dict[str, Tensor] = {}
        count = len(self.parameters_g)
        try:
            for place in (0.0, *places):
                if slopes:
                    _move(parameters, start, slopes[-1], [place * sizes[id(p)] for p in parameters])
                torch.manual_seed(seed)
                found, of_g, of_d = self._evaluate(batch, latent, iteration)
                report = report or found
                slopes.append([*of_g, *of_d])
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, start, strict=True):
                    parameter.copy_(value)
        total = _sums(list(zip(weights, slopes, strict=True)))
        return report, total[:count], total[count:]

    def _descend(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: Sequence[nn.Parameter],
        gradients: Gradients,
    ) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        if self.options.clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, self.options.clip)
        optimizer.step()
        for parameter in parameters:
            parameter.grad = None  # an optimiser of both players skips those without gradient


def _trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [p for p in parameters if p.requires_grad]


def _require_plain_descent(optimizer: torch.optim.Optimizer, update: str) -> None:
    plain = isinstance(optimizer, torch.optim.SGD) and not any(
        group["momentum"] or group["weight_decay"] for group in optimizer.param_groups
    )
    if not plain:
        raise ConfigError(
            f"update {update!r} integrates the plain gradient: use SGD without momentum and weight "
            f"decay, not {type(optimizer).__name__}, or update=alternating"
        )


def _gradients(
    loss: Tensor, parameters: Sequence[nn.Parameter], **options: Any
) -> list[Tensor | None]:
    """None for a parameter that the loss does not depend on."""
    if not loss.requires_grad:
        return [None for _ in parameters]
    return list(torch.autograd.grad(loss, parameters, allow_unused=True, **options))


def _sums(terms: list[tuple[float, Gradients]]) -> Gradients:
    """Weighted sums of gradients, parameter by parameter; None counts as 0."""
    result: Gradients = []
    for column in zip(*(gradients for _, gradients in terms), strict=True):
        present = [
            weight * g for (weight, _), g in zip(terms, column, strict=True) if g is not None
        ]
        result.append(torch.stack(present).sum(0) if present else None)
    return result


def _detached(gradients: Gradients) -> Gradients:
    return [g if g is None else g.detach() for g in gradients]


def _norm(gradients: Gradients) -> Tensor:
    present = [g for g in gradients if g is not None]
    norms = [torch.linalg.vector_norm(g) for g in present]
    return torch.linalg.vector_norm(torch.stack(norms)) if norms else torch.zeros(())


def _learning_rates(optimizer: torch.optim.Optimizer) -> dict[int, float]:
    return {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}


@torch.no_grad()
def _move(
    parameters: Sequence[nn.Parameter],
    start: Sequence[Tensor],
    slopes: Gradients,
    sizes: Sequence[float],
) -> None:
    for parameter, origin, slope, size in zip(parameters, start, slopes, sizes, strict=True):
        parameter.copy_(origin if slope is None else origin - size * slope)


def _optimistic(
    optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], gradients: Gradients
) -> Gradients:
    """Twice the gradients minus those before, which are kept in the optimiser's state."""
    result: Gradients = []
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            result.append(None)
            continue
        state = optimizer.state[parameter]
        result.append(2 * gradient - state.get(PREVIOUS, gradient))
        state[PREVIOUS] = gradient.clone()
    return result
