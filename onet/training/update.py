"""One update of the weights: what the loop leaves to the kind of training."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from onet.config import TrainingConfig
from onet.errors import ConfigError
from onet.training.optimizer import build_optimizer
from onet.training.synchronized import parts, synchronize


class Update(Protocol):
    """Changes the model's weights by one batch.

    Attributes:
        optimizer: of all parameters, whose state is saved and restored with the run's.
    """

    optimizer: torch.optim.Optimizer

    def __call__(self, batch: dict[str, Any], iteration: int, rate: float) -> dict[str, Tensor]:
        """Make update number `iteration` at a learning rate; scalars to log, `loss` among them.

        The batch is on the device; torch's generator is seeded for this update.
        """

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs beside weights and the optimiser's state; mostly nothing."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""


class GradientUpdate:
    """Follows the gradient of the model's loss.

    Args:
        fabric: processes and precision; the model is moved to its device.
        model: what is trained.
        settings: optimiser and clipping.
    """

    def __init__(self, fabric: Fabric, model: nn.Module, settings: TrainingConfig) -> None:
        self.fabric, self.clip = fabric, settings.clip
        self.parts = settings.accumulate
        if settings.synchronize and fabric.world_size > 1:
            synchronize(model)
        self.optimizer = build_optimizer(model.parameters(), settings)
        self.objective, self.wrapped = fabric.setup(_Objective(model), self.optimizer)

    def __call__(self, batch: dict[str, Any], iteration: int, rate: float) -> dict[str, Tensor]:
        for group in self.wrapped.param_groups:
            group["lr"] = rate
        losses = self._accumulate(batch)
        if self.clip is not None:  # NaN is reported by the checks of loss and weights
            self.fabric.clip_gradients(
                self.objective, self.wrapped, max_norm=self.clip, error_if_nonfinite=False
            )
        self.wrapped.step()
        self.wrapped.zero_grad(set_to_none=True)
        return losses

    def _accumulate(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Add up the gradients of the parts of a batch; returns the means of their losses."""
        total: dict[str, Tensor] = {}
        for number, part in enumerate(parts(batch, self.parts), start=1):
            with self.fabric.no_backward_sync(self.objective, enabled=number < self.parts):
                losses: dict[str, Tensor] = self.objective(part)
                loss = losses["loss"]
                self.fabric.backward(loss if self.parts == 1 else loss / self.parts)
            for key, value in losses.items():
                mean = value.detach() if self.parts == 1 else value.detach() / self.parts
                total[key] = total[key] + mean if key in total else mean
        return total

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is nothing to take up."""


class _Objective(nn.Module):
    """The model's loss as a forward pass, for wrappers that only know forward passes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.model.loss(batch)  # type: ignore[operator]
        return losses


def build_update(fabric: Fabric, model: nn.Module, settings: TrainingConfig) -> Update:
    """Return the update that a model is trained with: adversarial where it has a discriminator.

    Raises:
        ConfigError: `training.adversarial` for a model without one, or settings that do not go
            with the update.
    """
    if hasattr(model, "discriminator_module"):
        from onet.training.adversarial_update import AdversarialUpdate

        if settings.accumulate > 1:
            raise ConfigError(
                "training.accumulate: an adversarial update takes its batch as one; set it to 1"
            )
        return AdversarialUpdate(fabric, model, settings)
    if settings.adversarial is not None:
        raise ConfigError(
            "training.adversarial: the model has no discriminator; choose model.type=occupancy_gan "
            "(see the configurations gan and vae_gan), or set training.adversarial=null"
        )
    return GradientUpdate(fabric, model, settings)
