"""The command that bakes textures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onet.cli.app import DATA, Threads, command, out_option
from onet.names import printable


@command(
    DATA,
    "onet bake mesh.ply --colours scan.ply -o mesh.glb",
    "onet bake parts/*.ply --colours scan.e57 -o baked --size 2048",
)
def bake(
    mesh: Annotated[
        list[str],
        typer.Argument(help="Meshes that get colours, patterns such as '*.ply', or folders."),
    ],
    colours: Annotated[
        Path,
        typer.Option(help="A coloured point cloud, or a mesh with colours or textures."),
    ],
    out: Annotated[Path, out_option("File, .glb, .obj or .ply; of several meshes a folder.")],
    size: Annotated[int, typer.Option(help="Texels along the edge of the texture.")] = 1024,
    max_faces: Annotated[
        int, typer.Option(min=4, help="A mesh with more faces is simplified before.")
    ] = 200_000,
    threads: Threads = None,
) -> None:
    """Give meshes the colours of a scan or of another mesh, as textures that open everywhere.

    Exits with 1 when one of several failed; the others are there.
    """
    from onet.pipeline.bake import bake_file, bake_files
    from onet.pipeline.solid import find_meshes

    meshes = find_meshes(mesh, out)
    if len(meshes) == 1 and out.suffix and not out.is_dir():
        _told(out, bake_file(meshes[0], colours, out, size, max_faces))
        return
    if out.suffix and not out.is_dir():
        raise typer.BadParameter(f"{out}: is one file, and there are {len(meshes)}; name a folder")
    report = bake_files(meshes, colours, out, size, max_faces, told=_told)
    for file, reason in report.failures.items():
        typer.echo(f"failed: {file}: {printable(reason)}", err=True)
    if report.failures:
        raise typer.Exit(1)


def _told(out: Path, baked: Any) -> None:
    report = baked.report
    size, fewer = report["size"], ""
    if report["faces"] < report["faces_before"]:
        fewer = f", simplified from {report['faces_before']:,}"
    typer.echo(
        f"{out}: {report['faces']:,} faces{fewer}, {size} x {size} texels, "
        f"{report['charts']} charts, {report['seconds']:.1f} s"
    )
