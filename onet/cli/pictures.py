"""`onet picture-eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import SCORE, Json, Seed, Threads, command, echo_json, out_option
from onet.names import printable


@command(
    SCORE,
    "onet picture-eval runs/gan_images_small/generation-samples",
    "onet picture-eval made --data store --category chair --folder image",
    name="picture-eval",
)
def picture_eval(
    made: Annotated[Path, typer.Argument(help="Folder of pictures, or of `onet generate`.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the true ones; default what the generator was trained on."),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(help="Folder in the data to compare with; may be repeated; default all."),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(help="Only pictures of the data that lie in folders of this name."),
    ] = None,
    features: Annotated[
        str,
        typer.Option(help="efficientnet-lite0 (extra: features), or a ResNet-18 of torchvision."),
    ] = "efficientnet-lite0",
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Pixels that all are brought to; default those of the made ones."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=4, help="At most so many pictures of each set.")
    ] = None,
    out: Annotated[Path | None, out_option("Folder of the table; default MADE.")] = None,
    threads: Threads = None,
    json: Json = False,
    seed: Seed = 0,
) -> None:
    """Compare a set of pictures with the true ones: FID and KID.

    Exits with 1 when a picture could not be read; the others are counted.
    """
    from onet.evaluation.picture_sets import TABLE, compare_pictures
    from onet.report.tables import print_table

    scores = compare_pictures(
        made,
        data,
        features=features,
        categories=category,
        folder=folder,
        size=size,
        limit=limit,
        out=out,
        seed=seed,
    )
    if json:
        failed = {str(path): reason for path, reason in scores.failures.items()}
        echo_json({"table": scores.rows, "file": scores.folder / TABLE, "failures": failed})
    else:
        print_table(scores.rows, f"features of {scores.features}, {scores.size} pixels")
        typer.echo(f"see {scores.folder / TABLE}")
        for reason in scores.failures.values():
            typer.echo(f"failed: {printable(reason)}", err=True)
    if scores.failures:
        raise typer.Exit(1)
