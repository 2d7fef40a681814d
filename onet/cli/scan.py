"""The command that reconstructs scans of anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onet.cli.app import (
    RECONSTRUCT,
    Device,
    DeviceOption,
    Json,
    Scheduler,
    Seed,
    Threads,
    command,
    out_option,
)
from onet.cli.surface import MeshFormat


@command(
    RECONSTRUCT,
    "onet scan scan.ply -o mesh.ply",
    "onet scan scans/*.e57 room -o meshes --format glb --report",
)
def scan(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Point clouds, meshes (their vertices), patterns such as '*.e57', or folders."
        ),
    ],
    out: Annotated[
        Path,
        out_option("Folder of the meshes; or of one scan the mesh file."),
    ],
    format: Annotated[
        MeshFormat, typer.Option(help="Of meshes in a folder; PLY and GLB keep all attributes.")
    ] = MeshFormat.ply,
    resolution: Annotated[
        int | None,
        typer.Option(help="Cells along the longest side; default as fine as the points lie."),
    ] = None,
    trim: Annotated[
        float | None,
        typer.Option(
            metavar="DISTANCE",
            help="Remove surface farther than that from every point, in the unit of the file.",
        ),
    ] = None,
    closed: Annotated[
        bool,
        typer.Option("--closed/--open", help="Keep, or remove, surface that the scan lacks."),
    ] = True,
    sensor: Annotated[
        str | None,
        typer.Option(metavar="X,Y,Z", help="Where the sensor was, in the frame of the file."),
    ] = None,
    texture: Annotated[
        int | None,
        typer.Option(
            metavar="SIZE",
            help="Bake colours into so many texels squared (glb, obj); else vertices have them.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Name or file of a network for scans, see `onet models`.")
    ] = "scan",
    device: DeviceOption = Device.auto,
    scheduler: Scheduler = None,
    threads: Threads = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write dimensions, area and volume as JSON, too.")
    ] = False,
    json: Json = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results that are there.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Reconstruct the surface of anything that was scanned, in the frame of its file.

    With --json one object a line for each scan, as it is finished.
    """
    from onet.errors import ConfigError
    from onet.inference.scan_files import ScanOptions, scan_files
    from onet.storage import check_writable

    options = ScanOptions(resolution, trim, closed, seed, _place(sensor, ConfigError), texture)
    check_writable(out.parent if out.suffix else out)
    done = scan_files(
        files,
        out,
        options,
        network=model,
        format=format.value,
        report=report,
        overwrite=overwrite,
        device=device.value,
        scheduler=scheduler,
        told=_print_json if json else _print_line,
    )
    if not json and len(done.rows) > 1:
        typer.echo(done.summary())
    for row in done.failures:
        known = Path(row["source"]).name in row["reason"]
        typer.echo("failed: " + ("" if known else f"{row['source']}: ") + row["reason"], err=True)
    if not done.ok:
        raise typer.Exit(1)


def _place(text: str | None, error: type[Exception]) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise error(f"--sensor {text}: give three numbers X,Y,Z without blanks") from None
    return x, y, z


def _print_json(row: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps({key: value for key, value in row.items() if value != ""}))


def _print_line(row: dict[str, Any]) -> None:
    if row["status"] != "ok":
        return  # told at the end
    closed = "closed" if row["watertight"] else "open"
    typer.echo(
        f"{row['mesh']}: {row['faces']:,} faces from {row['points']:,} points, "
        f"{row['seen']:.0%} seen, {closed}, {row['seconds']:.1f} s"
    )
