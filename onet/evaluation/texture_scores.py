"""Scores of a texture network on pictures of a split."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import default_collate

from onet.config import load_config
from onet.data.build import build_views
from onet.data.store import Store
from onet.data.view_files import view_pictures
from onet.data.views import ViewDataset
from onet.errors import ConfigError
from onet.inference.painting import Painter
from onet.metrics.picture_features import PictureFeatures, feature_scores
from onet.metrics.picture_scores import PUBLISHED_RANGE, picture_scores
from onet.records import Row, write_csv

TABLE, ITEMS = "texture_scores.csv", "texture_scores_items.csv"
Protocol = Literal["masked", "texturefields"]
_KEYS = ("ssim", "l1", "psnr")


@dataclass
class TextureScores:
    """Scores by category, and of all pictures.

    Attributes:
        rows: `category`, `pictures`, then the scores; the last row is the mean over pictures.
        folder: of the tables.
        features: the network of `feature_l1` and `fid`, or None.
    """

    rows: list[Row]
    folder: Path
    features: str | None = None
    pictures: dict[str, list[NDArray[Any]]] = field(default_factory=dict, repr=False)


def score_textures(
    run: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    split: str | None = None,
    protocol: Protocol = "masked",
    features: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    device: str = "auto",
) -> TextureScores:
    """Compare each picture of a split with what the network makes of the same view.

    A network that observes pictures sees its input of the item; an autoencoder infers the
    appearance from the picture itself; samples of a GAN are drawn, one an item.

    Args:
        run: a run of a texture network, a checkpoint, or a published file.
        data: prepared data; default what the run was trained with.
        split: default the configured test split.
        protocol: `masked`, scores over the object's pixels, with `full_ssim` over the whole picture
            beside them; `texturefields`, as published: whole pictures, SSIM with the range 2.
        features: torchvision's weights of a ResNet-18, for `feature_l1` and `fid`; None for none.
        out: folder of the tables; default the run, if it is a folder.
        seed: of samples and points.
        device: where the network works.

    Raises:
        ConfigError: no place for the tables, or weights that are not there.
        DataError: data that is missing or damaged.
    """
    painter = Painter.load(run, device)
    folder = Path(out) if out is not None else Path(run)
    if out is None and not folder.is_dir():
        raise ConfigError(f"out: {run} is a file; say where the tables go")
    network = None if features is None else PictureFeatures(os.fspath(features))
    config = painter.config
    if data is not None:
        config = load_config(config, {"data.path": os.fspath(data)})
    dataset = build_views(
        config, Store(config.data.path), painter.input, split or config.data.test_split
    )
    items: list[Row] = []
    made: dict[str, list[NDArray[Any]]] = {}
    true: dict[str, list[NDArray[Any]]] = {}
    for index, item in enumerate(dataset.items):
        for view in range(len(view_pictures(item.path))):
            picture, truth, mask = _compared(painter, dataset, index, view, seed)
            scores = _scores(picture, truth, mask, protocol)
            items.append({"category": item.category, "model": item.model, "view": view, **scores})
            made.setdefault(item.category, []).append(picture)
            true.setdefault(item.category, []).append(truth)
    rows = [_mean(items, category, made, true, network) for category in [*made, None]]
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / ITEMS, list(items[0]), items)
    write_csv(folder / TABLE, list(rows[0]), rows)
    return TextureScores(rows, folder, network and network.name, made)


@torch.no_grad()
def _compared(
    painter: Painter, dataset: ViewDataset, index: int, view: int, seed: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Return what the network makes of a view, the truth, and where the object is."""
    item = dataset.view_of(index, view, np.random.default_rng([seed, index, view]))
    batch = default_collate([item])
    batch = {k: _to(v, painter.device) for k, v in batch.items()}
    model = painter.model
    geometry = model.geometry_code(batch["surface"], batch["normals"])
    z, local = model.observe(batch["inputs"])
    if model.encoder is None and model.encoder_latent is not None:
        z = model.infer(batch, geometry).mean
    elif model.encoder is None:
        z = painter.sample(seed + index).z
    pixels = model.render(batch["points"], batch["mask"], geometry, z, local)
    size = dataset.settings.size
    shape = (size, size, 3)
    return (
        pixels[0].cpu().numpy().reshape(shape),
        item["colors"].numpy().reshape(shape),
        item["mask"].numpy().reshape(size, size),
    )


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, dict):
        return {name: part.to(device) for name, part in value.items()}
    return value.to(device)


def _scores(
    picture: NDArray[Any], truth: NDArray[Any], mask: NDArray[np.bool_], protocol: Protocol
) -> dict[str, float]:
    if protocol == "texturefields":
        return picture_scores(picture, truth, data_range=PUBLISHED_RANGE)
    whole = picture_scores(picture, truth)
    return picture_scores(picture, truth, mask) | {f"full_{k}": whole[k] for k in _KEYS}


def _mean(
    items: list[Row],
    category: str | None,
    made: dict[str, list[NDArray[Any]]],
    true: dict[str, list[NDArray[Any]]],
    network: PictureFeatures | None,
) -> Row:
    """Return the row of a category, or of all."""
    chosen = [row for row in items if category in (None, row["category"])]
    keys = [key for key in chosen[0] if key not in ("category", "model", "view")]
    row: Row = {"category": category or "all", "pictures": len(chosen)}
    row |= {key: float(np.mean([r[key] for r in chosen])) for key in keys}
    if network is not None:
        names = list(made) if category is None else [category]
        pair = [network([p for n in names for p in pictures[n]]) for pictures in (made, true)]
        row |= {"feature_l1": None, "fid": None} | feature_scores(*pair)
    return row
