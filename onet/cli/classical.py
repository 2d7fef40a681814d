"""The command that makes meshes of scans without learning."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import RECONSTRUCT, Scheduler, Workers, command, out_option


class Method(StrEnum):
    """See `onet.geometry.classical.METHODS`."""

    poisson = "poisson"
    ball_pivoting = "ball-pivoting"
    alpha_shapes = "alpha-shapes"


@command(
    RECONSTRUCT,
    "onet classical scan.ply -o classical",
    "onet classical 'scans/*.ply' -o classical --method poisson --depth 9",
)
def classical(
    files: Annotated[
        list[str], typer.Argument(help="Scans, patterns such as '*.ply', or folders.")
    ],
    out: Annotated[Path, out_option("Folder of the results, one folder a method.")],
    method: Annotated[
        list[Method] | None, typer.Option(help="Repeat it for several; default all.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, max=12, help="Of Poisson's octree.")] = 8,
    neighbours: Annotated[
        int, typer.Option(min=3, help="Points that a normal is estimated from.")
    ] = 30,
    alpha: Annotated[
        float, typer.Option(min=0.1, help="Of alpha shapes, in distances of neighbouring points.")
    ] = 8.0,
    normals: Annotated[
        bool, typer.Option("--normals", help="Take the normals of files that have some.")
    ] = False,
    workers: Workers = 1,
    scheduler: Scheduler = None,
) -> None:
    """Reconstruct scans by classical methods (extra: open3d), to compare with by `onet eval`.

    Exits with 1 when a scan failed; the others are there.
    """
    from onet.geometry.classical import METHODS, ClassicalSettings
    from onet.pipeline.classical import reconstruct_scans

    report = reconstruct_scans(
        files,
        out,
        [chosen.value for chosen in method] if method else tuple(METHODS),
        ClassicalSettings(neighbours=neighbours, depth=depth, alpha=alpha),
        known_normals=normals,
        workers=workers,
        scheduler=scheduler,
    )
    typer.echo(f"{report.out}: {report.meshes} meshes, {len(report.failures)} failed")
    for name, reason in sorted(report.failures.items()):
        typer.echo(f"failed: {name}: {reason}", err=True)
    if report.failures:
        raise typer.Exit(1)
