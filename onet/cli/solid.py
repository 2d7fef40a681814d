"""Commands that make solids of meshes, and say what meshes are like as solids."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import DATA, Json, Scheduler, Threads, Workers, command, echo_json, out_option
from onet.cli.surface import MeshFormat
from onet.names import printable


class Cavities(StrEnum):
    """See `onet.make_solid`."""

    fill = "fill"
    keep = "keep"


@command(
    DATA,
    "onet solid broken.obj -o solids",
    "onet solid meshes/*.stl folder -o solids --wall 2mm --units mm --format glb",
)
def solid(
    files: Annotated[
        list[str], typer.Argument(help="Meshes, patterns such as '*.stl', or folders of meshes.")
    ],
    out: Annotated[Path, out_option("Folder of the solids.")],
    resolution: Annotated[
        int, typer.Option(min=8, help="Cells along the longest edge, where a lattice is needed.")
    ] = 256,
    wall: Annotated[
        str,
        typer.Option(help="Thickness of sheets: part of the longest edge, or a length as 2mm."),
    ] = "0.004",
    holes: Annotated[
        str | None,
        typer.Option(
            help="Widest holes that are closed, likewise; default 0.3, and ends cut off flat."
        ),
    ] = None,
    cavities: Annotated[
        Cavities, typer.Option(help="Enclosed ones are filled, or kept as the winding number says.")
    ] = Cavities.fill,
    faces: Annotated[int | None, typer.Option(min=4, help="Budget of faces.")] = None,
    units: Annotated[
        str | None, typer.Option(help="Of the files, where they do not say: um, mm, cm, m, in, ft.")
    ] = None,
    format: Annotated[MeshFormat, typer.Option(help="Of the solids.")] = MeshFormat.ply,
    texture: Annotated[
        int | None,
        typer.Option(
            metavar="SIZE",
            help="Bake materials and textures of the files into so many texels squared (glb, obj).",
        ),
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    json: Json = False,
) -> None:
    """Make the solid that each mesh stands for: closed, manifold, without crossing faces.

    Any mesh will do. The surface stays where it was; sheets become walls, holes are closed. Solids
    that are finished are kept when the command is repeated. Exits with 1 when a mesh failed; the
    others are there.
    """
    from onet.pipeline.solid import SolidSettings, make_solids
    from onet.report.tables import print_table

    settings = SolidSettings(
        resolution=resolution,
        wall=wall,
        holes=holes,
        cavities=cavities.value,
        faces=faces,
        units=units,
        format=format.value,
        texture=texture,
    )
    report = make_solids(files, out, settings, workers=workers, scheduler=scheduler)
    if json:
        echo_json({"folder": report.out, "solids": report.solids, "failures": report.failures})
        raise typer.Exit(1 if report.failures else 0)
    rows = [{"solid": name, **record["row"]} for name, record in sorted(report.solids.items())]
    if rows:
        print_table(rows, f"{report.out}: solids; lengths in units of the files")
    for name, record in sorted(report.solids.items()):
        for doubt in record["report"]["doubtful"]:
            typer.echo(f"doubtful: {printable(name)}: {doubt}")
    typer.echo(
        f"{report.made} made, {report.kept} kept from before, {len(report.failures)} failed, "
        f"{report.seconds:.0f} s"
    )
    for file, reason in sorted(report.failures.items()):
        typer.echo(f"failed: {file}: {printable(reason)}", err=True)
    if report.failures:
        raise typer.Exit(1)


@command(DATA, "onet check mesh.ply", "onet check solids 'parts/*.stl' --json")
def check(
    meshes: Annotated[
        list[str], typer.Argument(help="Meshes, patterns such as '*.stl', or folders of meshes.")
    ],
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Say what meshes are like as solids: closed, manifold, crossing faces, thinnest wall, volume.

    Nothing is changed. Exits with 1 where one is no solid, or cannot be read.
    """
    from onet.errors import DataError
    from onet.geometry.mesh_io import load_mesh
    from onet.geometry.solid.check import check_mesh
    from onet.pipeline.solid import find_meshes
    from onet.report.tables import print_table

    found, failures = [], []
    for path in find_meshes(meshes):
        try:
            found.append((path, check_mesh(load_mesh(path), str(path))))
        except DataError as error:
            failures.append(str(error))
    if json:
        echo_json([{"file": str(path), **told.as_dict()} for path, told in found])
    elif found:
        rows = [{"file": printable(str(path)), **told.row()} for path, told in found]
        print_table(rows, "meshes as solids; lengths in units of the files")
        for path, told in found:
            for what, places in (
                ("faces cross", told.crossing_places),
                ("an open edge", told.open_places),
            ):
                for place in places:
                    at = ", ".join(f"{value:.6g}" for value in place)
                    typer.echo(f"{printable(str(path))}: {what} at ({at})")
    for failure in failures:
        typer.echo(f"failed: {printable(failure)}", err=True)
    if failures or not all(told.ok for _, told in found):
        raise typer.Exit(1)
