"""The command that chooses the probability on the surface of a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import (
    SCORE,
    Device,
    DeviceOption,
    Json,
    Seed,
    Threads,
    command,
    echo_json,
    out_option,
)


@command(
    SCORE,
    "onet threshold runs/mine --apply",
    "onet threshold runs/mine --at 0.2 --at 0.4 --meshes 10 -o threshold",
)
def threshold(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a checkpoint (with --out).")],
    data: Annotated[Path | None, typer.Option(help="Prepared data, instead of the run's.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the data; default the validation split.")
    ] = None,
    at: Annotated[
        list[float] | None,
        typer.Option(help="Try this probability; repeat for more. Default 0.01, 0.02, ... 0.99."),
    ] = None,
    meshes: Annotated[
        int,
        typer.Option(min=0, help="Also mesh so many items: accuracy against completeness."),
    ] = 0,
    mesh_at: Annotated[
        list[float] | None,
        typer.Option(help="Mesh at this probability; repeat for more. Default 0.1, 0.2, ... 0.6."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many items.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Surface samples a mesh.")] = 100_000,
    seed: Seed = 0,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply",
            help="Use the best probability whenever this run folder is loaded from now on.",
        ),
    ] = False,
    out: Annotated[
        Path | None, out_option("Folder of the results; default the run folder.")
    ] = None,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Find the probability on the surface with the highest IoU on the validation split.

    Writes threshold.json, threshold.csv and threshold.png.
    """
    from onet.evaluation.threshold_search import GRID, MESH_GRID, search_threshold
    from onet.report.tables import print_table
    from onet.report.threshold_curves import draw_threshold
    from onet.storage import check_writable

    check_writable(out or (run.parent if run.is_file() else run))
    report = search_threshold(
        run,
        data=data,
        split=split,
        limit=limit,
        probabilities=at or GRID,
        meshes=meshes,
        mesh_probabilities=mesh_at or MESH_GRID,
        samples=samples,
        seed=seed,
        out=out,
        apply=apply,
        device=device.value,
    )
    picture = draw_threshold(report)
    if json:
        echo_json({"best": report.best, "table": report.table(), "folder": report.out})
        return
    print_table(report.table(), report.title)
    typer.echo(f"{report.summary()}, {picture}")
