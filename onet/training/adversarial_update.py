"""The adversarial update of the training loop: the trainer, with the watch for collapse."""

from __future__ import annotations

import logging
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from lightning_fabric import Fabric
from torch import Tensor

from onet.adversarial.augmentation import Augmentation
from onet.adversarial.collapse import CollapseWatch, Snapshot
from onet.adversarial.penalties import InstanceNoise, named_penalty
from onet.adversarial.trainer import AdversarialOptions, AdversarialTrainer
from onet.config import AdversarialSettings, TrainingConfig, with_changes
from onet.errors import ConfigError
from onet.registry import nearest
from onet.training.optimizer import build_optimizer

logger = logging.getLogger(__name__)

T = TypeVar("T")

_WHERE = "training.adversarial"


def options_of(settings: AdversarialSettings, clip: float | None = None) -> AdversarialOptions:
    """Return the options that the configuration's section states.

    Raises:
        ConfigError: unknown names or options, or values that they cannot have.
    """
    penalty = None
    if settings.penalty is not None:
        options = dict(settings.penalty)
        name = options.pop("type", None)
        if name is None:
            raise ConfigError(f"{_WHERE}.penalty.type is missing; name a penalty, such as r1")
        penalty = named_penalty(name, **options)
    noise = _optional(InstanceNoise, settings.noise, "noise")
    augmentation = _optional(Augmentation, settings.augmentation, "augmentation")
    return AdversarialOptions(
        loss=settings.loss,
        penalty=penalty,
        update=settings.update,
        discriminator_steps=settings.discriminator_steps,
        generator_steps=settings.generator_steps,
        same_latent=settings.same_latent,
        augmentation=augmentation,
        noise=noise,
        consensus=settings.consensus,
        nagarajan_kolter=settings.nagarajan_kolter,
        weight=settings.weight,
        clip=clip,
    )


def _optional(kind: type[T], section: dict[str, Any] | None, name: str) -> T | None:
    """Return what a section of the configuration describes, or None without one.

    Raises:
        ConfigError: an unknown or a missing key, or a value that cannot be.
    """
    if section is None:
        return None
    known = fields(kind)  # type: ignore[arg-type]
    for key in section:
        if key not in {field.name for field in known}:
            remedy = nearest(key, [field.name for field in known])
            raise ConfigError(f"{_WHERE}.{name}: unknown key {key!r}; {remedy}")
    for field in known:
        if field.default is MISSING and field.name not in section:
            raise ConfigError(f"{_WHERE}.{name}.{field.name} is missing")
    return kind(**section)


class AdversarialUpdate:
    """Updates both networks of a model that is `AdversarialNetworks`.

    See `onet.training.update.Update`.

    Args:
        fabric: one process; the model is moved to its device.
        model: an `nn.Module` that offers what `onet.adversarial.networks.AdversarialNetworks` says.
        settings: optimiser, clipping, and `training.adversarial`.

    Raises:
        ConfigError: more than one process, or settings that cannot be.
    """

    def __init__(self, fabric: Fabric, model: Any, settings: TrainingConfig) -> None:
        if fabric.world_size > 1:
            raise ConfigError(
                "training.devices: adversarial training takes gradients of gradients, which are "
                "not shared between processes; train on one device"
            )
        section = with_changes(AdversarialSettings(), settings.adversarial or {}, _WHERE)
        self.fabric, self.model = fabric, fabric.to_device(model)
        discriminator = list(model.discriminator_module().parameters())
        self.optimizer = build_optimizer(model.generator_parameters(), settings)
        self.factors = [1.0] * len(self.optimizer.param_groups)
        for group in build_optimizer(discriminator, settings).param_groups:
            self.optimizer.add_param_group(group)
            self.factors.append(section.discriminator_rate)
        options = options_of(section, settings.clip)
        augmented = section.augmentation
        if augmented and augmented.get("type") != "noise" and not model.aligned:
            raise ConfigError(
                f"{_WHERE}.augmentation: numbers of these samples belong to places that differ "
                "from one to the next, so only noise can be added; give type: noise, or null"
            )
        self.trainer = AdversarialTrainer(model, self.optimizer, options=options)
        self.watch = CollapseWatch(options.loss, section.watch) if section.watch else None
        self.snapshot = None
        if section.rollback:
            if self.watch is None:
                raise ConfigError(f"{_WHERE}.rollback: needs the watch; give {_WHERE}.watch")
            self.snapshot = Snapshot({"model": model, "optimizer": self.optimizer})

    def __call__(self, batch: dict[str, Any], iteration: int, rate: float) -> dict[str, Tensor]:
        for group, factor in zip(self.optimizer.param_groups, self.factors, strict=True):
            group["lr"] = rate * factor
        with self.fabric.autocast():
            report = self.trainer.step(batch, iteration)
        if self.watch is not None:
            for alarm in self.watch.observe(report, iteration):
                logger.warning("iteration %d: %s: %s", iteration, alarm.kind, alarm.message)
                if alarm.kind == "saturation" and self.snapshot and self.snapshot.restore():
                    logger.warning("went back to the weights of %d", self.snapshot.iteration)
            if self.snapshot and iteration % self.watch.window == 0 and self.watch.healthy:
                self.snapshot.take(iteration)
        return report

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        if self.watch is not None:
            state["watch"] = self.watch.state_dict()
        if self.snapshot is not None:
            state["snapshot"] = self.snapshot.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.watch is not None and "watch" in state:
            self.watch.load_state_dict(state["watch"])
        if self.snapshot is not None and "snapshot" in state:
            self.snapshot.load_state_dict(state["snapshot"])
