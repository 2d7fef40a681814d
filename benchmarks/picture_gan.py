"""Generators of pictures with and without penalties at equal processor time: FID and KID.

Every method starts from the same networks and sees the same pictures. At each of `--stops` equal
parts of the time its checkpoint is kept, pictures are made with it (`onet generate`, the averaged
generator) and compared with those that it was trained on (`onet picture-eval`). "data fid" is
that of two halves of these, which have half as many.

Written to the folder: `METHOD/run`, `METHOD/STOP/` with the pictures and their sheet, `curves.csv`,
`curves.png`. A folder that holds some of it is completed; `--stages` makes a part of it.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks._runs import finished, keep

Row = dict[str, Any]

METHODS: dict[str, list[str]] = {
    "r1": [],
    "none": ["training.adversarial.penalty=null"],
    "wgan_gp": [
        "training.adversarial.loss=wasserstein",
        "training.adversarial.penalty={type: wgan_gp, gamma: 10}",
    ],
    "r1+noise": ["training.adversarial.augmentation={type: noise, strength: 0.5}"],
    "r1+mixup": ["training.adversarial.augmentation={type: mixup, strength: 0.5}"],
}
STAGES = ("train", "score")
SCORES = ("fid", "kid x 1000")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["r1", "none"])
    parser.add_argument("--config", default="gan_images_small")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="of all methods")
    parser.add_argument("--minutes", type=float, default=12.0, help="processor time of each")
    parser.add_argument("--stops", type=int, default=4)
    parser.add_argument("--samples", type=int, default=1000, help="made and true pictures")
    parser.add_argument("--features", default="efficientnet-lite0")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=[*STAGES])
    parser.add_argument("--out", type=Path, required=True)


def run(arguments: argparse.Namespace) -> None:
    rows: list[Row] = []
    for method in arguments.methods:
        for stop in range(1, arguments.stops + 1):
            minutes = arguments.minutes * stop / arguments.stops
            checkpoint = arguments.out / method / f"{minutes:g}.safetensors"
            if "train" in arguments.stages and not checkpoint.is_file():
                _train(arguments, method, minutes, checkpoint)
            if "score" in arguments.stages and checkpoint.is_file():
                rows.append(_scored(arguments, method, minutes, checkpoint))
                print(_line(rows[-1]), flush=True)
    if rows:
        _show(rows, arguments)


def _train(arguments: argparse.Namespace, method: str, minutes: float, checkpoint: Path) -> None:
    """Go on with the training of a method until so many minutes, and keep what it has then."""
    from onet.checkpoints.run_folder import CHECKPOINTS, LAST
    from onet.config import load_config
    from onet.files import replacing
    from onet.training.loop import train

    changes = [
        *arguments.set,
        *METHODS[method],
        f"data.path={arguments.data.resolve()}",
        f"training.max_minutes={minutes}",
        "training.max_iterations=null",
        f"training.seed={arguments.seed}",
        "training.threads=1",
    ]
    folder = arguments.out / method / "run"
    result = train(load_config(arguments.config, changes), folder, clock=time.process_time)
    if result.stopped == "interrupted":
        raise SystemExit(f"{folder}: interrupted; repeat the command to go on")
    with replacing(checkpoint) as temporary:
        shutil.copyfile(folder / CHECKPOINTS / LAST, temporary)


def _scored(arguments: argparse.Namespace, method: str, minutes: float, checkpoint: Path) -> Row:
    """Return the scores of a checkpoint, made unless they are there."""
    from onet.checkpoints.published_weights import read_checkpoint
    from onet.evaluation.picture_sets import compare_pictures
    from onet.inference.sample_pictures import generate_pictures
    from onet.report.sample_sheet import sheet_of_samples

    settings = {
        "samples": arguments.samples,
        "features": arguments.features,
        "seed": arguments.seed,
        "set": arguments.set,
    }
    out = checkpoint.with_suffix("")
    path = out.with_suffix(".json")
    row = finished(path, settings)
    if row is None:
        pictures = generate_pictures(
            checkpoint, samples=arguments.samples, out=out, device="cpu", seed=arguments.seed
        )
        sheet_of_samples(out, pictures.rows)
        scores = compare_pictures(
            out, features=arguments.features, limit=arguments.samples, seed=arguments.seed
        )
        made, halves = scores.rows
        row = keep(
            path,
            settings,
            {
                "method": method,
                "minutes": minutes,
                "steps": read_checkpoint(checkpoint).metadata["iteration"],
                **{key: made[key] for key in (*SCORES, "+-")},
                **{f"data {key}": halves[key] for key in SCORES},
            },
        )
    return {key: value for key, value in row.items() if key != "settings"}


def _line(row: Row) -> str:
    return f"{row['method']}, {row['minutes']:g} minutes: FID {row['fid']:.1f}"


def _show(rows: list[Row], arguments: argparse.Namespace) -> None:
    from matplotlib.figure import Figure

    from onet.records import write_csv
    from onet.report.tables import print_table

    write_csv(arguments.out / "curves.csv", rows[0], rows)
    print_table(rows, f"{arguments.config}, {arguments.samples} pictures, seed {arguments.seed}")
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, key in zip(figure.subplots(1, 2), SCORES, strict=True):
        for method in arguments.methods:
            own = [row for row in rows if row["method"] == method]
            axes.plot([r["minutes"] for r in own], [r[key] for r in own], ".-", label=method)
        axes.set(xlabel="minutes of the processor", ylabel=key.upper().replace(" X ", " x "))
        axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(arguments.out / "curves.png", dpi=110)
