"""Occupancy flow: a shape at the first time, and a velocity field that carries it along.

Source: Niemeyer et al., Occupancy Flow: 4D Reconstruction by Learning Particle Dynamics, ICCV 2019.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.distributions import Normal

from onet.config import GenerationConfig
from onet.data.inputs import INPUTS
from onet.errors import ConfigError, FieldError
from onet.models._registry import MODELS
from onet.models.motion_code import (
    MotionCode,
    check_sequence_input,
    cross_entropy,
    divergence,
    encoded,
    overlap,
)
from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS
from onet.nn.integration import Integration, Velocity, carry
from onet.nn.precision import at_least_single
from onet.nn.sequence_encoders import SEQUENCE_ENCODERS, SEQUENCE_LATENT_ENCODERS
from onet.nn.velocity import VelocityField
from onet.registry import Registry


@MODELS.register("flow")
class OccupancyFlow(nn.Module):
    """Occupancy at time 0 and velocities in between, trained with occupancies, points or both.

    Times of a sequence go from 0 to 1. A batch has `inputs`, a dictionary with `frames`
    (B, L, N, 3), or (B, L, 3, H, W), and `times` (B, L); without an encoder (B, 0). For occupancies
    `points` (B, T, 3) and `occupancies` (B, T) at time 0, `later_points`, `later_occupancies` and
    `later_time` (B,) at a random one; for correspondences `trajectories` (B, K, M, 3) of surface
    points and their `trajectory_times` (B, K), the first of them 0. All in the unit frame of the
    first frame. A batch to validate has `frame_points` (B, K, T, 3) and `frame_occupancies`
    (B, K, T) at `trajectory_times` in place of the points at two times.

    Args:
        decoder: section of a decoder, of occupancy at time 0; null for a motion without a shape.
        encoder: section of an encoder of the first frame, or null.
        encoder_temporal: section of a sequence encoder, of the motion, or null.
        encoder_latent, encoder_latent_temporal: sections of sequence latent encoders, of shape and
            motion, or null. Without the second the motion is told by the shape's latent code.
        velocity: options of `VelocityField`.
        solver: options of `Integration`, its solver as `type`.
        c_dim: size of both codes; 0 without encoders.
        z_dim: size of both latent codes; 0 without latent encoders.
        kl_weight: factor of the mean divergence of a number of the latent codes from their prior.
        reconstruction: learn from occupancies; `start` from those at time 0 alone, which with
            `velocities` is training without integration.
        correspondence: learn from points that correspond: carried `forward` from the first frame,
            in `both` directions, also backward from the last one, or from their `velocities`
            between frames, which needs no integration.
        correspondence_weight: factor of these distances beside the cross-entropies; 1 as published.

    Raises:
        ConfigError: unknown part or option, a code without its encoder, or nothing to learn from.
    """

    moves = True

    def __init__(
        self,
        decoder: dict[str, Any] | None = None,
        encoder: dict[str, Any] | None = None,
        encoder_temporal: dict[str, Any] | None = None,
        encoder_latent: dict[str, Any] | None = None,
        encoder_latent_temporal: dict[str, Any] | None = None,
        velocity: dict[str, Any] | None = None,
        solver: dict[str, Any] | None = None,
        c_dim: int = 512,
        z_dim: int = 0,
        kl_weight: float = 1e-4,
        reconstruction: bool | Literal["start"] = True,
        correspondence: Literal["none", "forward", "both", "velocities"] = "none",
        correspondence_weight: float = 1.0,
    ) -> None:
        super().__init__()
        _check(c_dim, z_dim, encoder, encoder_temporal, encoder_latent, encoder_latent_temporal)
        if reconstruction and not decoder:
            raise ConfigError("model.reconstruction: occupancies need model.decoder; name one")
        if not reconstruction and correspondence == "none":
            raise ConfigError(
                "model.correspondence: none, without reconstruction: nothing to learn"
            )
        if reconstruction == "start" and correspondence == "none":
            raise ConfigError(
                "model.correspondence: none, with reconstruction at the start: nothing tells how "
                "shapes move; set reconstruction to true, or a correspondence"
            )
        for name, factor in (("kl", kl_weight), ("correspondence", correspondence_weight)):
            if not (factor >= 0 and math.isfinite(factor)):
                raise ConfigError(f"model.{name}_weight: {factor}; give 0 or more")
        self.c_dim, self.z_dim = c_dim, z_dim
        self.weights = {
            "kl": kl_weight, "reconstruction": 1.0,
            "correspondence": correspondence_weight, "backward": correspondence_weight,
        }  # fmt: skip
        self.reconstruction, self.correspondence = reconstruction, correspondence
        self.integration = integration(solver or {})
        sizes = {"c_dim": c_dim, "z_dim": z_dim}
        self.decoder = _part(DECODERS, decoder, "decoder", **sizes)
        self.encoder = _part(ENCODERS, encoder, "encoder", c_dim=c_dim)
        self.encoder_temporal = _part(
            SEQUENCE_ENCODERS, encoder_temporal, "encoder_temporal", c_dim=c_dim
        )
        latent = SEQUENCE_LATENT_ENCODERS
        self.encoder_latent = _part(latent, encoder_latent, "encoder_latent", **sizes)
        self.encoder_latent_temporal = _part(
            latent, encoder_latent_temporal, "encoder_latent_temporal", **sizes
        )
        self.vector_field = _part(
            _VELOCITIES, {"type": "concat", **(velocity or {})}, "velocity", **sizes
        )

    def check_observation(self, input: Any) -> None:
        """Refuse an input that the encoders do not take; see `check_sequence_input`."""
        names = ("encoder", "encoder_temporal", "encoder_latent", "encoder_latent_temporal")
        parts = {name: getattr(self, name) for name in names}
        check_sequence_input(input, parts, INPUTS.name_of(input))

    # -- codes ------------------------------------------------------------------------------------

    def encode(self, inputs: Any) -> MotionCode:
        """Return the codes of observed sequences, without latent ones."""
        if not isinstance(inputs, dict):
            nothing = encoded(None, inputs)
            return MotionCode(nothing, nothing)
        frames, times = inputs["frames"], inputs["times"]
        first = () if self.encoder is None else (frames[:, 0],)
        return MotionCode(
            encoded(self.encoder, *(first or (frames,))),
            encoded(self.encoder_temporal, frames, times),
        )

    def posteriors(self, inputs: dict[str, Tensor], code: MotionCode) -> list[Normal]:
        """Return the posterior of the shape's latent code, and that of the motion's if it has one.

        Raises:
            FieldError: a mean or deviation is not finite.
        """
        result = []
        parts = (
            (self.encoder_latent, code.shape),
            (self.encoder_latent_temporal, code.motion),
        )
        for part, c in parts:
            if part is None:
                continue
            mean, logstd = part(inputs["frames"], inputs["times"], c)
            q = Normal(at_least_single(mean), at_least_single(logstd).exp(), validate_args=False)
            if not (torch.isfinite(q.mean).all() and torch.isfinite(q.stddev).all()):
                raise FieldError(
                    "model.encoder_latent: mean or deviation of a latent code is NaN or infinite; "
                    "lower training.learning_rate"
                )
            result.append(q)
        return result

    def with_latent(self, code: MotionCode, codes: list[Tensor]) -> MotionCode:
        """Return the code with latent codes (B, Z): of the shape, and of the motion.

        One alone is used for both.
        """
        if not codes:
            return code
        return MotionCode(code.shape, code.motion, codes[0], codes[-1])

    def observe(self, inputs: Any) -> MotionCode:
        """Return the codes of observed sequences, latent ones by the means of their posteriors."""
        code = self.encode(inputs)
        if not self.z_dim:
            return code
        return self.with_latent(code, [q.mean for q in self.posteriors(inputs, code)])

    def sample_prior(self, count: int, generator: torch.Generator | None = None) -> MotionCode:
        """Codes of shapes and motions drawn from N(0, 1), on the model's device.

        Raises:
            ConfigError: the model has no latent code, or needs an observation.
        """
        if not self.z_dim or self.c_dim:
            raise ConfigError("samples: the model reconstructs what it observes; give an input")
        device = next(self.parameters()).device
        drawn = [
            torch.randn(count, self.z_dim, generator=generator).to(device)
            for _ in range(1 + (self.encoder_latent_temporal is not None))
        ]
        nothing = drawn[0].new_empty(count, 0)
        return self.with_latent(MotionCode(nothing, nothing), drawn)

    # -- fields -----------------------------------------------------------------------------------

    def velocity(self, code: MotionCode) -> Velocity:
        """Return `v(points, times, item)`, the velocities of motions."""
        z = code.latent_motion
        added = self.vector_field.added(code.motion, z)

        def v(points: Tensor, times: Tensor, item: int | None) -> Tensor:
            own = added if item is None else [a if not a.ndim else a[item, None] for a in added]
            result: Tensor = self.vector_field(points, times, own)
            return result

        return v

    def flow(
        self,
        points: Tensor,  # (B, T, 3) at `start`
        start: Tensor,  # (B,)
        times: Tensor,  # (B, K)
        code: MotionCode,
    ) -> Tensor:  # (B, K, T, 3)
        """Return where points are at other times, before or after."""
        parts = (*self.vector_field.parameters(), code.motion)
        if code.latent_motion is not None:
            parts = (*parts, code.latent_motion)
        return carry(self.velocity(code), points, start, times, self.integration, parts)

    def decode(self, points: Tensor, code: MotionCode) -> Tensor:
        """Logits of occupancy (B, T) at time 0.

        Raises:
            ConfigError: the model knows motions only.
        """
        if self.decoder is None:
            raise ConfigError("model.decoder: null, so the model carries shapes along and has none")
        logits: Tensor = self.decoder(points, code.latent_shape, code.shape)
        return logits

    def occupancy(
        self,
        points: Tensor,  # (B, T, 3)
        times: Tensor,  # (B,)
        code: MotionCode,
    ) -> Tensor:  # (B, T) logits
        """Return occupancy at any time: that at time 0 of the places where the points come from."""
        zero = torch.zeros_like(times)
        return self.decode(self.flow(points, times, zero[:, None], code)[:, 0], code)

    # -- what training asks for -------------------------------------------------------------------

    def loss(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """What is minimised: the sum of the parts that the model learns from.

        `reconstruction` is the mean cross-entropy at time 0 plus, if wanted, that at a random time,
        `correspondence` the mean distance between points carried along and where they are, over the
        frames after the first (`backward` that of points carried back from the last one), or the
        mean error of velocities, `kl` the divergence of the latent codes, each once.

        Raises:
            ConfigError: the data do not have what the model learns from.
        """
        code = self.encode(batch["inputs"])
        parts: dict[str, Tensor] = {}
        if self.z_dim:
            posteriors = self.posteriors(batch["inputs"], code)
            code = self.with_latent(code, [q.rsample() for q in posteriors])
            parts["kl"] = torch.stack([divergence(q) for q in posteriors]).sum(0).mean()
        if self.reconstruction:
            found = cross_entropy(self.decode(batch["points"], code), batch["occupancies"])
            if self.reconstruction != "start":
                logits = self.occupancy(batch["later_points"], batch["later_time"], code)
                found = found + cross_entropy(logits, batch["later_occupancies"])
            parts["reconstruction"] = found.mean()
        if self.correspondence == "velocities":
            parts["correspondence"] = self._wrong_velocity(batch, code).mean()
        elif self.correspondence != "none":
            parts["correspondence"] = self._distance(batch, code, 1).mean()
        if self.correspondence == "both":
            parts["backward"] = self._distance(batch, code, -1).mean()
        total = sum(self.weights[key] * value for key, value in parts.items())
        assert isinstance(total, Tensor)
        return {"loss": total} | {key: value.detach() for key, value in parts.items()}

    def _distance(self, batch: dict[str, Any], code: MotionCode, way: Literal[1, -1]) -> Tensor:
        """Mean distance (B, K - 1) at each time of points carried forward, or backward."""
        paths, times = _paths(batch)
        if way < 0:
            paths, times = paths.flip(1), times.flip(1)
        carried = self.flow(paths[:, 0], times[:, 0], times[:, 1:], code)
        return (carried - paths[:, 1:]).norm(dim=-1).mean(-1)

    def _wrong_velocity(self, batch: dict[str, Any], code: MotionCode) -> Tensor:
        """Mean error (B, K - 1) of velocities between frames, at a random time between each two.

        Between two frames points move on straight lines, of which the velocity is known.
        """
        paths, times = _paths(batch)
        between = torch.rand_like(times[:, 1:])
        now = torch.lerp(times[:, :-1], times[:, 1:], between)
        places = torch.lerp(paths[:, :-1], paths[:, 1:], between[:, :, None, None])
        true = (paths[:, 1:] - paths[:, :-1]) / times.diff(dim=1)[:, :, None, None]
        each = code.repeated(now.shape[1])
        found = self.velocity(each)(places.flatten(0, 1), now.flatten(), None)
        return (found.view_as(true) - true).norm(dim=-1).mean(-1)

    @torch.no_grad()
    def validate(
        self, batch: dict[str, Any], settings: GenerationConfig | None = None
    ) -> dict[str, Tensor]:
        """Per item (B,): `iou` over all times, `l2` and `cycle`, as far as the data have it.

        `iou` is the mean over times at the probability of `generation`; `l2` the mean distance of
        points carried along from the first frame to where they are; `cycle` that of points which
        were carried to the last time and back. Latent codes are the means of their posteriors.
        """
        settings = settings or GenerationConfig()
        code = self.observe(batch["inputs"])
        metrics = {}
        times = batch["trajectory_times"]
        if self.decoder is not None and "frame_points" in batch:
            logits = torch.stack(
                [
                    self.occupancy(batch["frame_points"][:, k], times[:, k], code)
                    for k in range(times.shape[1])
                ],
                1,
            )
            truth = batch["frame_occupancies"]
            metrics["loss"] = cross_entropy(logits, truth)
            metrics["iou"] = overlap(logits > settings.level, truth > 0.5).mean(1)
            metrics["iou_end"] = overlap(logits > settings.level, truth > 0.5)[:, -1]
        if "trajectories" in batch:
            metrics["l2"] = self._distance(batch, code, 1).mean(1)
            first = batch["trajectories"][:, 0]
            both = torch.stack([times[:, -1], times[:, 0]], 1)
            back = self.flow(first, times[:, 0], both, code)[:, 1]
            metrics["cycle"] = (back - first).norm(dim=-1).mean(-1)
        return metrics


_VELOCITIES = Registry("velocity field")
_VELOCITIES.register("concat")(VelocityField)


def integration(section: dict[str, Any]) -> Integration:
    """Return what the section `model.solver` describes.

    Raises:
        ConfigError: an unknown option or an unfit value.
    """
    values = {"solver" if key == "type" else key: value for key, value in section.items()}
    unknown = values.keys() - Integration.__dataclass_fields__.keys()
    if unknown:
        raise ConfigError(
            f"model.solver.{min(unknown)}: unknown option; valid here: type, steps, rtol, atol, "
            "adjoint"
        )
    try:
        return TypeAdapter(Integration).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])).replace("solver", "type")
        raise ConfigError(f"model.solver.{key}: {first['msg']}") from None


def _paths(batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Return the ways (B, K, M, 3) of points, and the times (B, K) of their places.

    Raises:
        ConfigError: the data have none.
    """
    if "trajectories" not in batch:
        raise ConfigError(
            "model.correspondence: the data have no points that correspond over time; prepare "
            "meshes of one topology, or set model.correspondence=none"
        )
    return batch["trajectories"], batch["trajectory_times"]


def _part(registry: Any, section: dict[str, Any] | None, name: str, **given: Any) -> Any:
    if not section:
        return None
    return registry.build(section, f"model.{name}", **given)


def _check(c_dim: int, z_dim: int, *parts: dict[str, Any] | None) -> None:
    """Refuse a code without its encoder, and an encoder without a code."""
    shape, motion, latent, latent_motion = parts
    for key, size, given, names in (
        ("c_dim", c_dim, shape or motion, "encoder or model.encoder_temporal"),
        ("z_dim", z_dim, latent, "encoder_latent"),
    ):
        if bool(size) != bool(given):
            raise ConfigError(
                f"model.{key}: {size}; a code goes with model.{names}: give both or neither"
            )
    if latent_motion and not latent:
        raise ConfigError("model.encoder_latent_temporal: needs model.encoder_latent as well")
