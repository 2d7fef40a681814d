"""Scores of a texture network on pictures of a split."""

from __future__ import annotations

import os
from collections.abc import Callable
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
from onet.inference.painting import Painter, with_fitted_camera
from onet.metrics.picture_features import PictureFeatures, feature_scores
from onet.metrics.picture_scores import PUBLISHED_RANGE, picture_scores
from onet.nn.code import CAMERA
from onet.records import Row, write_csv

TABLE, ITEMS = "texture_scores.csv", "texture_scores_items.csv"
Protocol = Literal["masked", "texturefields"]
CameraSource = Literal["known", "fitted", "estimated"]
Features = dict[str, tuple[NDArray[Any], NDArray[Any]]]
"""Of made and of true pictures, by category."""

Make = Callable[[dict[str, Any], int, int], Any]
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
    from_first: bool = False,
    camera: CameraSource = "known",
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
        features: torchvision's weights of a ResNet-18, or `efficientnet-lite0`, for `feature_l1`
            and `fid`; None for none.
        out: folder of the tables; default the run, if it is a folder.
        seed: of samples and points.
        device: where the network works.
        from_first: an autoencoder infers the appearance from the item's first picture, for all.
        camera: of local features of a picture: `known`, that of the item; `fitted` by the outline
            of the shape, as that of a photograph; or `estimated` from the picture alone.

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
    make = ViewMaker(painter, dataset, seed, from_first=from_first, camera=camera)
    return score_views(dataset, make, folder, protocol=protocol, network=network, seed=seed)


def score_views(
    dataset: ViewDataset,
    make: Make,
    folder: Path,
    *,
    protocol: Protocol = "masked",
    network: PictureFeatures | None = None,
    seed: int = 0,
) -> TextureScores:
    """Compare each picture of a split with what is made of the same view.

    Args:
        dataset: of the pictures.
        make: item of the dataset, its index and the number of the picture -> pixels (P, 3), those
            of the background too.
        folder: of the tables.
        protocol: see `score_textures`.
        network: of `feature_l1` and `fid`.
        seed: of the points of the geometry.

    Raises:
        DataError: data that is missing or damaged.
    """
    shape = (dataset.settings.size,) * 2
    items: list[Row] = []
    made: dict[str, list[NDArray[Any]]] = {}
    true: dict[str, list[NDArray[Any]]] = {}
    for index, item in enumerate(dataset.items):
        for view in range(len(view_pictures(item.path))):
            seen = dataset.view_of(index, view, np.random.default_rng([seed, index, view]))
            picture = np.asarray(make(seen, index, view)).reshape(*shape, 3)
            truth, mask = (seen[key].numpy().reshape(*shape, -1) for key in ("colors", "mask"))
            scores = _scores(picture, truth, mask[..., 0], protocol)
            items.append({"category": item.category, "model": item.model, "view": view, **scores})
            made.setdefault(item.category, []).append(picture)
            true.setdefault(item.category, []).append(truth)
    features: Features = {}
    if network is not None:
        features = {name: (network(made[name]), network(true[name])) for name in made}
    rows = [_mean(items, category, features) for category in [*made, None]]
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / ITEMS, list(items[0]), items)
    write_csv(folder / TABLE, list(rows[0]), rows)
    return TextureScores(rows, folder, None if network is None else network.name, made)


class ViewMaker:
    """What a network makes of the views of a dataset, see `Make`."""

    def __init__(
        self,
        painter: Painter,
        dataset: ViewDataset,
        seed: int,
        *,
        from_first: bool,
        camera: CameraSource,
    ) -> None:
        self.painter, self.dataset, self.seed = painter, dataset, seed
        self.from_first, self.camera = from_first, camera

    @torch.no_grad()
    def __call__(self, item: dict[str, Any], index: int, view: int) -> NDArray[Any]:
        painter, model = self.painter, self.painter.model
        batch = self._batch(item)
        geometry = model.geometry_code(batch["surface"], batch["normals"])
        inputs = batch["inputs"]
        if self.camera != "known" and isinstance(inputs, dict) and CAMERA in inputs:
            inputs = inputs["image"]
        z, local = model.observe(inputs)
        if self.camera == "fitted":
            local = with_fitted_camera(local, batch["surface"])
        local = model.placed(local, batch["surface"])
        if model.encoder is None and model.encoder_latent is not None:
            seen = batch
            if self.from_first and view:
                rng = np.random.default_rng([self.seed, index, 0])
                seen = self._batch(self.dataset.view_of(index, 0, rng))
            z = model.infer(seen, geometry).mean
        elif model.encoder is None:
            z = painter.sample(self.seed + index).z
        pixels = model.render(batch["points"], batch["mask"], geometry, z, local)
        return np.asarray(pixels[0].cpu().numpy())

    def _batch(self, item: dict[str, Any]) -> dict[str, Any]:
        return {k: _to(v, self.painter.device) for k, v in default_collate([item]).items()}


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
    features: Features,
) -> Row:
    """Return the row of a category, or of all."""
    chosen = [row for row in items if category in (None, row["category"])]
    keys = [key for key in chosen[0] if key not in ("category", "model", "view")]
    row: Row = {"category": category or "all", "pictures": len(chosen)}
    row |= {key: float(np.mean([r[key] for r in chosen])) for key in keys}
    if features:
        pairs = [pair for name, pair in features.items() if category in (None, name)]
        made, true = (np.concatenate(side) for side in zip(*pairs, strict=True))
        row |= {"feature_l1": None, "fid": None} | feature_scores(made, true)
    return row
