"""Training of the network for scans: on scans that are simulated while it trains.

Learning follows the clock, not a number of steps: the rate falls to 0 when the minutes are over.
The state is written every so often, and training goes on from it.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from onet.files import replacing
from onet.models.scan_model import ScanModel
from onet.training.scan_batches import LabelledScan, ScanBatch, make_batch

NextBatch = Callable[[], ScanBatch]
Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class ScanTraining:
    """Settings.

    Attributes:
        minutes: of training in all, validations included.
        learning_rate: the largest.
        warmup: steps until it is reached.
        average: weight of the past in the averaged network, which is what is kept.
        validate_seconds: between validations.
        save_seconds: between states.
        clock: tells the seconds that are counted; `time.process_time` where trainings of one
            thread are compared.
    """

    minutes: float
    learning_rate: float = 1.5e-3
    warmup: int = 300
    average: float = 0.9995
    validate_seconds: float = 60
    save_seconds: float = 120
    clock: Callable[[], float] = time.monotonic


class ScanTrainer:
    """The network, its optimiser and the scans it has been shown."""

    def __init__(
        self,
        network: ScanModel,
        settings: ScanTraining,
        next_batch: NextBatch,
        validation: list[LabelledScan],
    ) -> None:
        self.network, self.settings, self.next_batch = network, settings, next_batch
        self.validation = validation
        self.device = next(network.parameters()).device
        self.optimizer = torch.optim.AdamW(
            network.parameters(), settings.learning_rate, (0.9, 0.98), weight_decay=0.01,
            fused=self.device.type == "cuda",
        )  # fmt: skip
        self.averaged = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self.steps, self.seconds = 0, 0.0
        self.losses: list[Tensor] = []

    def run(self, state: Path, log: Path, report: Report) -> None:
        """Train until the minutes are over, from the state that is there, if any."""
        if state.exists():
            self.restore(state)
        clock = self.settings.clock
        begun = clock() - self.seconds
        validated = saved = self.seconds
        while self.seconds < 60 * self.settings.minutes:
            self.step()
            self.seconds = clock() - begun
            last = self.seconds >= 60 * self.settings.minutes
            if last or self.seconds - validated > self.settings.validate_seconds:
                row = self.validate()
                _append(log, row)
                report(row)
                validated = self.seconds
            if last or self.seconds - saved > self.settings.save_seconds:
                self.save(state)
                saved = self.seconds

    def step(self) -> None:
        """Show one batch."""
        batch = self.next_batch().to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        with self._autocast():
            code = self.network.encode(batch.points, batch.scans, batch.normals, batch.sensors)
            logits = self.network.decode(batch.queries, batch.query_scans, code)
        loss = F.binary_cross_entropy_with_logits(logits, batch.occupancies)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.steps += 1
        weight = min(self.settings.average, (self.steps + 1) / (self.steps + 10))
        current = self.network.state_dict()
        torch._foreach_lerp_(
            list(self.averaged.values()), [current[k] for k in self.averaged], 1 - weight
        )
        self.losses.append(loss.detach())

    def rate(self) -> float:
        """Return the learning rate of now."""
        passed = min(1.0, self.seconds / (60 * self.settings.minutes))
        warm = min(1.0, (self.steps + 1) / self.settings.warmup)
        return self.settings.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * passed))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the mean IoU of the averaged network on held-out scans."""
        kept = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.averaged)
        generator = torch.Generator().manual_seed(0)
        values = []
        for item in self.validation:
            batch = make_batch([item], self.network.pad, generator)
            with self._autocast():
                code = self.network.encode(batch.points, batch.scans, batch.normals, batch.sensors)
                logits = self.network.decode(batch.queries, batch.query_scans, code)
            inside, truth = logits > 0, batch.occupancies > 0.5
            union = (inside | truth).sum().clamp(min=1)
            values.append((inside & truth).sum() / union)
        self.network.load_state_dict(kept)
        row = {
            "seconds": round(self.seconds, 1),
            "steps": self.steps,
            "loss": torch.stack(self.losses).mean().item(),
            "iou": torch.stack(values).mean().item(),
        }
        self.losses.clear()
        return row

    def save(self, path: Path) -> None:
        """Write what training goes on from."""
        with replacing(path) as temporary:
            torch.save(
                {
                    "network": self.network.state_dict(),
                    "averaged": self.averaged,
                    "optimizer": self.optimizer.state_dict(),
                    "steps": self.steps,
                    "seconds": self.seconds,
                },
                temporary,
            )

    def restore(self, path: Path) -> None:
        """Go on from a state; the scans shown before are simulated anew."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged = state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps, self.seconds = state["steps"], state["seconds"]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")


def _append(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
