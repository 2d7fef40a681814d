"""Colours of held-out objects by texture networks, trained alike on one store.

Every network is trained for the same minutes of processor time on one thread, and scored on all
pictures of the test split at one size: a network that observes a picture, and everything without
a network, sees the first picture of the item alone, in light and shade; the truth has neither. The
store needs pictures in colours (`onet prepare --render 12 --colours`). What was done is kept: when
it is called again, it goes on.

Rows without a network: the mean colour of the training pictures; the mean colour of the observed
picture, times the factors that fit the training split best; and the pixel that shows a point, by
the known camera, where nothing hides it, with those factors, else their mean.

Local features are scored with the known camera of the picture, with the one that the outline of the
shape tells, and with the one estimated from the picture alone. The autoencoder infers the
appearance from the first true picture for all views, and once from every picture itself, which is
what it was trained for. Of the GAN, samples of the prior are scored, which know nothing of the
item; its alarms and the distance between its samples say whether it collapsed.

Writes texture.csv, texture.md, and sheet.png: what some held-out objects look like.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._runs import finished, keep

if TYPE_CHECKING:
    from onet.data.views import ViewDataset
    from onet.evaluation.texture_scores import TextureScores

Row = dict[str, Any]

METHODS: dict[str, str] = {
    "Texture Fields, one picture": "texture_small",
    "the same with 8 octaves": "texture_small model.decoder.octaves=8",
    "local features": "texture_local_small",
    "autoencoder": "texture_vae_small",
    "GAN": "texture_gan_small",
}
"""Configurations with their changes, by the names of the methods."""

SCORES = ("ssim", "psnr", "l1", "feature_l1")
RESULT = "benchmark.json"
_SHOWN = 128  # pixels of a picture on the sheet
_VIEWS_APART = 4  # of those whose features are compared
_WHITE = 0.98  # of a picture, from where on it is background


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", type=Path, help="prepared data with pictures in colours")
    parser.add_argument("--minutes", type=float, default=30.0, help="of processor time a network")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--size", type=int, default=64, help="pixels along an edge, for scores")
    parser.add_argument("--features", help="for feature_l1, as of `onet texture-eval`")
    parser.add_argument("--pictures", type=int, default=8, help="objects on the sheet")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of all networks")
    parser.add_argument("--out", type=Path, default=Path("out/texture"))


def run(arguments: argparse.Namespace) -> None:
    from onet.report.tables import print_table

    features = _Features(arguments) if arguments.features else None
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = list(_without_network(arguments, features))
    for method in arguments.methods:
        rows += _scored(method, arguments, features)
        _write(arguments, rows)
    _draw(arguments)
    print_table(rows, f"Test split, {arguments.size} pixels, {arguments.minutes:g} minutes each")


# -- without a network -----------------------------------------------------------------------------


def _without_network(arguments: argparse.Namespace, features: _Features | None) -> Iterable[Row]:
    from onet.evaluation.texture_scores import score_views

    test = _views(arguments, arguments.size, "test")
    mean, factors = _fit(_views(arguments, arguments.size, "train"))

    def mean_of_all(item: Row, index: int, view: int) -> Any:
        return _on_white(item, np.broadcast_to(mean, (len(item["mask"]), 3)))

    def mean_of_picture(item: Row, index: int, view: int) -> Any:
        color = np.clip(_observed_mean(item) * factors, 0, 1)
        return _on_white(item, np.broadcast_to(color, (len(item["mask"]), 3)))

    def pixels(item: Row, index: int, view: int) -> Any:
        colors, seen = _projected(item)
        colors[~seen] = _observed_mean(item)
        return _on_white(item, np.clip(colors * factors, 0, 1))

    trivial: dict[str, Callable[[Row, int, int], Any]] = {
        "mean colour of the training set": mean_of_all,
        "mean colour of the picture": mean_of_picture,
        "the picture's pixels": pixels,
    }
    for name, make in trivial.items():
        folder = arguments.out / name.replace(" ", "_").replace("'", "")
        score = partial(score_views, test, make, folder)
        yield {"method": name, **_kept(folder, arguments, score, features)}


def _views(arguments: argparse.Namespace, size: int, split: str) -> ViewDataset:
    """Return all pixels of the pictures of a split, with the observed picture and its camera."""
    from onet.config import load_config
    from onet.data.build import build_input, build_views
    from onet.data.store import Store

    config = load_config("texture_local_small", _settings(arguments, size))
    return build_views(config, Store(config.data.path), build_input(config), split)


def _settings(arguments: argparse.Namespace, size: int) -> list[str]:
    return [f"data.path={arguments.store.resolve()}", f"data.views.size={size}", *arguments.set]


def _fit(train: ViewDataset) -> tuple[Any, Any]:
    """Return the mean colour of the objects, and factors from observed to true mean colours."""
    observed, true = [], []
    for index in range(len(train)):
        item = train.view_of(index, 0, np.random.default_rng(index))
        observed.append(_observed_mean(item))
        true.append(item["colors"].numpy()[item["mask"].numpy()].mean(0))
    one, other = np.stack(observed), np.stack(true)
    return other.mean(0), (one * other).sum(0) / (one * one).sum(0)


def _observed_mean(item: Row) -> Any:
    picture = item["inputs"]["image"].numpy().reshape(3, -1)
    shown = picture.min(0) < _WHITE
    return picture[:, shown].mean(1) if shown.any() else np.ones(3)


def _projected(item: Row) -> tuple[Any, Any]:
    """Return the observed pixels (P, 3) of all points, and which of them (P,) are not hidden."""
    from onet.nn.projection import PixelFeatures, depths_behind, front_depths

    picture, camera = (item["inputs"][key][None] for key in ("image", "camera"))
    camera = camera / camera.new_tensor([picture.shape[3], picture.shape[2], 1])[:, None]
    points = item["points"][None]
    colors = PixelFeatures(picture, camera)(points)[0, :, :3].numpy()
    behind = depths_behind(points, camera, front_depths(item["surface"][None], camera))
    return colors, ((behind[0] < 0.1).numpy() & (colors.min(1) < _WHITE))


def _on_white(item: Row, colors: Any) -> Any:
    return np.where(item["mask"].numpy()[:, None], colors, 1)


# -- networks --------------------------------------------------------------------------------------


class _Alarms(logging.Handler):
    """Counts what the watch for collapse says."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _folder(method: str, arguments: argparse.Namespace) -> Path:
    folder: Path = arguments.out / METHODS[method].replace(" ", "_")
    return folder


def _scored(method: str, arguments: argparse.Namespace, features: _Features | None) -> list[Row]:
    """Train and score; what an earlier call did is kept."""
    from onet.evaluation.texture_scores import score_textures

    trained = _trained(method, arguments)
    folder = _folder(method, arguments)
    kinds: dict[str, dict[str, Any]] = {method: {}}
    if method == "local features":
        kinds[f"{method}, camera from the outline"] = {"camera": "fitted"}
        kinds[f"{method}, camera estimated"] = {"camera": "estimated"}
    if method == "autoencoder":
        kinds = {
            f"{method}, from one picture": {"from_first": True},
            f"{method}, of the picture itself": {},
        }
    rows = []
    for name, options in kinds.items():
        out = folder / "scores" / name.replace(" ", "_")
        score = partial(score_textures, folder, split="test", out=out, device="cpu", **options)
        rows.append({"method": name, **_kept(out, arguments, score, features), **trained})
    return rows


def _trained(method: str, arguments: argparse.Namespace) -> Row:
    """Return what there is to say about the training, with the state of the GAN's samples."""
    from onet.config import load_config
    from onet.training.loop import train

    folder = _folder(method, arguments)
    name, *changes = METHODS[method].split()
    limits = [f"training.max_minutes={arguments.minutes}", "training.threads=1"]
    config = load_config(
        name,
        [*_settings(arguments, arguments.size), *changes, *limits, "training.device=cpu"],
    )
    kept = folder / RESULT
    settings = config.model_dump(mode="json")
    known = finished(kept, settings)
    if known is not None:
        return {key: value for key, value in known.items() if key != "settings"}
    alarms = _Alarms()
    logging.getLogger("onet.training.adversarial_update").addHandler(alarms)
    result = train(config, folder, clock=time.process_time)
    if result.stopped == "interrupted":
        raise SystemExit(f"{folder}: interrupted; the same command goes on from here")
    row = {
        "parameters": result.parameters,
        "steps": result.iterations,
        "ms_a_step": 60_000 * arguments.minutes / max(result.iterations, 1),  # of all sessions
    }
    if method == "GAN":
        last = result.last or {}
        row |= {"alarms": len(alarms.messages), "sample_distance": last.get("sample_distance")}
    keep(kept, settings, row)
    return row


# -- what comes out --------------------------------------------------------------------------------


def _kept(
    folder: Path,
    arguments: argparse.Namespace,
    score: Callable[[], TextureScores],
    features: _Features | None,
) -> Row:
    """Return the scores of a row, those of an earlier call if they are there."""
    settings = {
        "size": arguments.size,
        "store": str(arguments.store.resolve()),
        "features": arguments.features,
        "set": arguments.set,
    }
    path = folder / f"row_{Path(arguments.features or 'none').stem}.json"
    row = finished(path, settings)
    if row is None:
        scores = score()
        row = {key: scores.rows[-1][key] for key in SCORES if key in scores.rows[-1]}
        if features is not None:
            row["feature_l1"] = features.difference(scores)
        row = keep(path, settings, row)
    return {key: value for key, value in row.items() if key != "settings"}


class _Features:
    """Features of some true pictures, on white, and how far those of made ones are from them."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from onet.data.view_files import view_pictures
        from onet.metrics.picture_features import PictureFeatures

        self._network = PictureFeatures(arguments.features)
        test = _views(arguments, arguments.size, "test")
        shape = (arguments.size, arguments.size, -1)
        self._numbers, self._masks, true, number = [], [], [], 0
        for index, item in enumerate(test.items):
            for view in range(len(view_pictures(item.path))):
                if view % _VIEWS_APART == 0:
                    seen = test.view_of(index, view, np.random.default_rng(0))
                    self._masks.append(seen["mask"].numpy().reshape(shape))
                    picture = seen["colors"].numpy().reshape(shape)
                    true.append(np.where(self._masks[-1], picture, 1))
                    self._numbers.append(number)
                number += 1
        self._true = self._network(true)

    def difference(self, scores: TextureScores) -> float:
        """Return the mean absolute difference of features."""
        made = [picture for of_category in scores.pictures.values() for picture in of_category]
        chosen = [
            np.where(mask, made[number], 1)
            for number, mask in zip(self._numbers, self._masks, strict=True)
        ]
        return float(np.abs(self._network(chosen) - self._true).mean())


def _write(arguments: argparse.Namespace, rows: list[Row]) -> None:
    from onet.records import write_csv

    columns = list(dict.fromkeys(key for row in rows for key in row))
    write_csv(arguments.out / "texture.csv", columns, [dict.fromkeys(columns) | r for r in rows])
    shown = [key for key in (*SCORES, "steps") if key in columns]
    lines = [f"| method | {' | '.join(shown)} |", "|---|" + "---|" * len(shown)]
    for row in rows:
        cells = [_text(row.get(key)) for key in shown]
        lines.append(f"| {row['method']} | {' | '.join(cells)} |")
    (arguments.out / "texture.md").write_text("\n".join(lines) + "\n")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if value < 5 else f"{value:.1f}"
    )


def _draw(arguments: argparse.Namespace) -> None:
    """Held-out objects from the other side of the ring: observed, by every method, and true."""
    from onet.data.view_files import view_pictures
    from onet.inference.painting import Painter
    from onet.report.contact_sheet import draw_grid

    truth = _views(arguments, _SHOWN, "test")
    count = len(truth)
    chosen = np.unique(np.linspace(0, count - 1, min(arguments.pictures, count)).astype(int))
    views = {int(n): len(view_pictures(truth.items[n].path)) for n in chosen}
    pairs = [(n, view) for n, total in views.items() for view in (0, total // 3)]
    columns: dict[str, list[Any]] = {"observed": [_observed(truth, n) for n, _ in pairs]}
    for method in arguments.methods:
        painter = Painter.load(_folder(method, arguments), "cpu")
        columns[method] = [_made(painter, truth, arguments, *pair) for pair in pairs]
    columns["true"] = [_picture(truth, *pair) for pair in pairs]
    labels = [[truth.items[n].model.split("__")[-1], f"view {view}"] for n, view in pairs]
    titles = [title.replace("Texture Fields, ", "TF, ") for title in columns]
    grid = list(zip(*columns.values(), strict=True))
    draw_grid(grid, labels, titles, _SHOWN).save(arguments.out / "sheet.png")


def _observed(truth: ViewDataset, index: int) -> Any:
    from PIL import Image

    item = truth.view_of(index, 0, np.random.default_rng(0))
    picture = Image.fromarray(_bytes(np.moveaxis(item["inputs"]["image"].numpy(), 0, -1)))
    return np.asarray(picture.resize((_SHOWN, _SHOWN)))


def _picture(truth: ViewDataset, index: int, view: int) -> Any:
    colors = truth.view_of(index, view, np.random.default_rng(0))["colors"].numpy()
    return _bytes(colors.reshape(_SHOWN, _SHOWN, 3))


def _made(
    painter: Any, truth: ViewDataset, arguments: argparse.Namespace, index: int, view: int
) -> Any:
    """Return what a network makes of a view: from the first picture, or any sample."""
    from onet.data.build import build_views
    from onet.data.store import Store
    from onet.evaluation.texture_scores import ViewMaker

    size = None if painter.model.encoder_latent is None else painter.model.encoder_latent.size
    config, store = painter.config, Store(painter.config.data.path)
    own = build_views(config, store, painter.input, "test")
    own.settings.size = size or _SHOWN
    shown = truth.view_of(index, view, np.random.default_rng(0))
    inputs = own.view_of(index, 0, np.random.default_rng(0))["inputs"]
    maker = ViewMaker(painter, own, seed=0, from_first=True, camera="known")
    pixels = maker({**shown, "inputs": inputs}, index, max(view, 1))
    return _bytes(np.where(shown["mask"].numpy()[:, None], pixels, 1).reshape(_SHOWN, _SHOWN, 3))


def _bytes(picture: Any) -> Any:
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
