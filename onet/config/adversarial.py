"""The section `training.adversarial` of a configuration."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

NonNegative = Annotated[float, Field(ge=0)]


class AdversarialSettings(BaseModel):
    """How a model with a discriminator is trained.

    See `onet.adversarial.trainer.AdversarialOptions`.

    The optimiser, its learning rate, the moving average and clipping are those of the section
    `training`; clipping concerns each network by itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    loss: str = Field(default="non_saturating", description="A key of LOSSES.")
    penalty: dict[str, Any] | None = Field(
        default_factory=lambda: {"type": "r1"},
        description="{type, **options} of a named penalty, of GradientPenalty; null for none.",
    )
    update: str = Field(default="alternating", description="Order of the updates.")
    discriminator_steps: int = Field(default=1, ge=1, description="For each of the generator.")
    generator_steps: int = Field(default=1, ge=1, description="Before those of the discriminator.")
    discriminator_rate: float = Field(
        default=1.0, gt=0, description="Its learning rate, as a multiple of the generator's."
    )
    same_latent: bool = Field(default=True, description="Both networks see the same codes.")
    weight: NonNegative = Field(
        default=1.0, description="Of the adversarial loss beside that of an autoencoder."
    )
    augmentation: dict[str, Any] | None = Field(
        default=None,
        description="{type, strength} of what real and generated samples undergo, such as {type: "
        "mixup, strength: 0.5}, the options of onet.adversarial.augmentation.Augmentation; null "
        "for nothing.",
    )
    noise: dict[str, Any] | None = Field(
        default=None, description="Options of InstanceNoise; null for none."
    )
    consensus: NonNegative = Field(default=0.0, description="gamma of consensus optimisation.")
    nagarajan_kolter: NonNegative = Field(default=0.0, description="eta of the penalty.")
    watch: int = Field(
        default=500,
        ge=0,
        description="Iterations that the watch for collapse looks at; 0 for none.",
    )
    rollback: bool = Field(
        default=False,
        description="Go back to the last healthy weights when the discriminator has saturated.",
    )
