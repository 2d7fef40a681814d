"""Pictures of a generator of pictures.

    OUT/generation.json             checkpoint and settings
    OUT/pictures/000000.png, ...    without classes
    OUT/pictures/CATEGORY/...       with classes
    OUT/results.csv                 one row per picture
    OUT/samples.png                 some of them on one sheet

Each picture depends on the seed, its class and its number alone, not on how many are made.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from onet._version import __version__
from onet.checkpoints.checkpoint import checksum, resolve_checkpoint, restored
from onet.checkpoints.published_weights import read_checkpoint
from onet.checkpoints.trained_config import trained_config
from onet.errors import ConfigError
from onet.files import replacing
from onet.inference import generation_folder as folder
from onet.inference.devices import choose_device
from onet.inference.targets import SAMPLES
from onet.locks import hold, writer
from onet.models import MODELS, AdversarialPictureNetwork, build_model
from onet.names import checked_path
from onet.progress import Progress, listener, reports_progress
from onet.records import Row, write_csv
from onet.registry import nearest

logger = logging.getLogger(__name__)

COLUMNS = ("category", "model", "status", "picture")
DEFAULT = 64
"""Samples of each class, where nothing else is asked for."""
_BATCH = 32
_PLACES = 6  # digits of the number of a picture


@dataclass(frozen=True)
class PictureReport:
    """What a call of `generate_pictures` left behind.

    Attributes:
        out: the folder.
        rows: one row per picture, keys as in `COLUMNS`.
        ok: true; there is nothing that could fail for one picture alone.
    """

    out: Path
    rows: list[Row]
    shown = folder.SAMPLE_SHEET
    ok = True

    def summary(self) -> str:
        """What is there, in a few words."""
        classes = {row["category"] for row in self.rows}
        among = f" of {len(classes)} classes" if len(classes) > 1 else ""
        return f"{self.out}: {len(self.rows)} pictures{among}"


def holds_pictures(path: str | os.PathLike[str]) -> bool:
    """Whether there is a trained generator of pictures; False for what cannot be read."""
    config = trained_config(path)
    kind: Any = None if config is None else MODELS[config.model["type"]]
    return getattr(kind, "learns_from", None) == "pictures"


class PictureSampler:
    """A trained generator of pictures.

    Args:
        model: in evaluation mode, on its device.
        classes: their names, in the order of their numbers; empty without classes.
    """

    def __init__(self, model: AdversarialPictureNetwork, classes: Sequence[str] = ()) -> None:
        self.model, self.classes = model, tuple(classes)
        self.device = next(model.parameters()).device

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> PictureSampler:
        """Load a run folder or a checkpoint.

        Raises:
            CheckpointError: nothing there, unreadable, or weights of another network.
            ConfigError: a model of something else, or no such device.
        """
        chosen = choose_device(device)
        checkpoint = read_checkpoint(path)
        model = restored(checkpoint, build_model)
        if not isinstance(model, AdversarialPictureNetwork):
            raise ConfigError(
                f"{path}: makes no pictures; name a run of gan_images or of another configuration "
                "with model.type=picture_gan"
            )
        given = (checkpoint.config.data.categories or ()) if model.classes else ()
        names = [checked_path(name, f"{checkpoint.path}: data.categories") for name in given]
        return cls(model.to(chosen).eval().requires_grad_(False), names)

    def numbers(self, categories: Sequence[str] | None) -> list[int | None]:
        """Return the numbers of some classes, or of all; None stands for a model without.

        Raises:
            ConfigError: an unknown class, or a model without.
        """
        if not self.classes:
            if categories:
                raise ConfigError("category: the model has no classes; leave it out")
            return [None]
        for name in categories or ():
            if name not in self.classes:
                raise ConfigError(f"category: {name!r}; {nearest(name, list(self.classes))}")
        return [self.classes.index(name) for name in categories or self.classes]

    def pictures(
        self, count: int, seed: int = 0, label: int | None = None
    ) -> Iterator[NDArray[np.uint8]]:  # (S, S, 3) each
        """Yield samples one after the other, in memory for a few."""
        for start in range(0, count, _BATCH):
            numbers = range(start, min(start + _BATCH, count))
            codes = [
                np.random.default_rng([seed, label or 0, number]).standard_normal(self.model.z_dim)
                for number in numbers
            ]
            latent = torch.from_numpy(np.stack(codes)).float().to(self.device)
            labels = None if label is None else torch.full((len(codes),), label).to(self.device)
            with torch.no_grad():
                made = self.model.sample(latent, labels)
            yield from (made * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


@reports_progress
@writer
def generate_pictures(
    source: str | os.PathLike[str],
    *,
    samples: int | None = None,
    categories: Sequence[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> PictureReport:
    """Make pictures from random codes of a trained generator.

    Args:
        source: run folder or checkpoint file.
        samples: so many, of each class; default 64.
        categories: names of classes; default all.
        out: default `generation-samples` in the run folder, or in the working directory where
            `source` is a file.
        seed: of the codes.
        overwrite: delete what was generated in `out` before.
        device: see `onet.load`.
        progress: see `onet.progress`.

    Raises:
        CheckpointError, ConfigError: nothing can be made with these arguments; among them a folder
            that was made with other settings.
        FolderInUse: another process writes to the folder.
    """
    sampler = PictureSampler.load(source, device)
    labels = sampler.numbers(categories)
    count = DEFAULT if samples is None else samples
    if count < 1:
        raise ConfigError(f"samples: {count}; give at least 1")
    base = Path(source) if Path(source).is_dir() else Path.cwd()
    out = folder.default_folder(base, Path(SAMPLES)) if out is None else Path(out)
    hold(out)
    if overwrite:
        folder.clear(out)
    checkpoint = resolve_checkpoint(source)
    settings = {
        folder.PICTURES: True,
        "checkpoint": {"path": str(checkpoint.resolve()), "sha256": checksum(checkpoint)},
        "seed": seed, "samples": count, "classes": [*(categories or sampler.classes)],
        "version": __version__,
    }  # fmt: skip
    folder.goes_on(out, settings)
    folder.write_settings(out, settings)
    rows: list[Row] = []
    told = listener()
    for label in labels:
        category = "" if label is None else sampler.classes[label]
        for number, picture in enumerate(sampler.pictures(count, seed, label)):
            place = Path(folder.PICTURES, category, f"{number:0{_PLACES}d}.png")
            (out / place).parent.mkdir(parents=True, exist_ok=True)
            with replacing(out / place) as temporary:
                Image.fromarray(picture).save(temporary, format="PNG")
            rows.append({"category": category, "model": place.stem, "status": folder.OK,
                         "picture": place.as_posix()})  # fmt: skip
            if told is not None:
                told(len(rows), count * len(labels), "sampling")
    write_csv(out / folder.RESULTS, COLUMNS, rows)
    return PictureReport(out, rows)
