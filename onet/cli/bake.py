"""The command that bakes textures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import app


@app.command()
def bake(
    mesh: Annotated[Path, typer.Argument(help="The mesh that gets colours.")],
    colours: Annotated[
        Path,
        typer.Option(help="A coloured point cloud, or a mesh with colours or textures."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File: .glb, .obj or .ply.")],
    size: Annotated[int, typer.Option(help="Texels along the edge of the texture.")] = 1024,
    max_faces: Annotated[
        int, typer.Option(min=4, help="A mesh with more faces is simplified before.")
    ] = 200_000,
) -> None:
    """Give a mesh the colours of a scan or of another mesh, as a texture that opens everywhere."""
    from onet.pipeline.bake import bake_file

    report = bake_file(mesh, colours, out, size, max_faces).report
    fewer = ""
    if report["faces"] < report["faces_before"]:
        fewer = f", simplified from {report['faces_before']:,}"
    typer.echo(
        f"{out}: {report['faces']:,} faces{fewer}, {size} x {size} texels, "
        f"{report['charts']} charts, {report['seconds']:.1f} s"
    )
