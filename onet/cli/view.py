"""The command that shows things."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import SCORE, command


class Up(StrEnum):
    x = "x"
    y = "y"
    z = "z"


@command(
    SCORE,
    "onet view scan.ply mesh.ply",
    "onet view runs/mine",
    "onet view runs/mine --export page.html",
)
def view(
    what: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE|RUN|FOLDER...",
            help="Meshes, clouds, pictures; folders of them; runs; folders that commands wrote.",
        ),
    ],
    export: Annotated[
        Path | None,
        typer.Option(help="Write a page that needs no server and no network: page.html."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="At most so many things on the page. With --export.")
    ] = 20,
    up: Annotated[Up, typer.Option(help="Axis that points upward.")] = Up.y,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Of the server; the next free one if taken.")
    ] = 8080,
    host: Annotated[
        str, typer.Option(help="Address of the server; 0.0.0.0 lets the network in.")
    ] = "127.0.0.1",
) -> None:
    """Look at meshes, clouds and results in the browser (extra: viewer).

    Files lie beside one another; of a run what was observed, made and true, with sliders.
    """
    from onet.viewer import export as write_page
    from onet.viewer import view as show

    if export is not None:
        typer.echo(f"see {write_page(what, export, limit=limit, up=up.value)}")
        return
    show(what, port=port, host=host, up=up.value, started=typer.echo)
