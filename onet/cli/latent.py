"""Commands that look at what a generative model has learned."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import (
    RECONSTRUCT,
    SCORE,
    Device,
    DeviceOption,
    Json,
    Scheduler,
    Seed,
    Threads,
    Workers,
    command,
    echo_json,
    out_option,
)
from onet.cli.surface import Probability, Resolution, Run

Size = Annotated[int, typer.Option(min=16, help="Pixels along the edge of a mesh's picture.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the results that are there.")]


class Kind(StrEnum):
    """See `onet.inference.latent.blend`."""

    linear = "linear"
    spherical = "spherical"


@command(
    RECONSTRUCT,
    "onet interpolate runs/cars --from 3 --to 8",
    "onet interpolate runs/mine --from a.ply --to b.ply --steps 5 -o between",
)
def interpolate(
    model: Run,
    start: Annotated[
        list[str],
        typer.Option(
            "--from",
            help="Number of a sample or of a training shape, or a file that the model observes; "
            "repeat it, and --to, for more rows.",
        ),
    ],
    end: Annotated[list[str], typer.Option("--to", help="The other end.")],
    steps: Annotated[int, typer.Option(min=2, help="Meshes from end to end.")] = 7,
    kind: Annotated[
        Kind | None,
        typer.Option(help="Default spherical between samples, linear between observations."),
    ] = None,
    out: Annotated[
        Path | None, out_option("Folder of the results; default RUN/interpolation.")
    ] = None,
    resolution: Resolution = None,
    probability: Probability = None,
    size: Size = 192,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Make meshes on the way from one shape to another, and one picture of all."""
    from onet.errors import ConfigError
    from onet.inference.latent import interpolate
    from onet.report.latent_sheet import latent_sheet

    if len(start) != len(end):
        raise ConfigError(f"--from is given {len(start)} times and --to {len(end)} times")
    report = interpolate(
        model,
        list(zip(start, end, strict=True)),
        steps=steps,
        kind=kind.value if kind else None,
        out=out,
        seed=seed,
        device=device.value,
        overwrite=overwrite,
        resolution=resolution,
        probability=probability,
    )
    typer.echo(f"{report.summary()}; see {latent_sheet(report.out, size)}")


@command(
    RECONSTRUCT,
    "onet sample-grid runs/cars --rows 2 --columns 8",
    "onet sample-grid runs/cars --corners 0 1 2 3 -o grid",
)
def sample_grid(
    model: Run,
    rows: Annotated[int, typer.Option(min=1, help="Meshes from top to bottom.")] = 4,
    columns: Annotated[int, typer.Option(min=1, help="Meshes from left to right.")] = 6,
    corners: Annotated[
        tuple[int, int, int, int] | None,
        typer.Option(
            help="Blend between these samples, at the top left, top right, bottom left and bottom "
            "right; default samples in their order."
        ),
    ] = None,
    kind: Annotated[Kind, typer.Option(help="Of blends.")] = Kind.spherical,
    out: Annotated[
        Path | None, out_option("Folder of the results; default RUN/sample-grid.")
    ] = None,
    resolution: Resolution = None,
    probability: Probability = None,
    size: Size = 192,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Make a grid of samples of an unconditional model, and one picture of all."""
    from onet.inference.latent import sample_grid
    from onet.report.latent_sheet import latent_sheet

    report = sample_grid(
        model,
        rows,
        columns,
        corners=corners,
        kind=kind.value,
        out=out,
        seed=seed,
        device=device.value,
        overwrite=overwrite,
        resolution=resolution,
        probability=probability,
    )
    typer.echo(f"{report.summary()}; see {latent_sheet(report.out, size)}")


@command(
    SCORE,
    "onet diversity runs/cars/generation-samples",
    "onet diversity meshes --data prepared --category chair --normalize",
)
def diversity(
    generated: Annotated[
        Path,
        typer.Argument(help="Folder of `onet generate --samples`, or of meshes in the unit frame."),
    ],
    data: Annotated[
        Path | None, typer.Option(help="Prepared data; default what the model was trained with.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split to compare with; default the configured test split.")
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(help="Of the data; may be repeated; default those of the model, or all."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Run of a point cloud network, for the Fréchet distance."),
    ] = None,
    points: Annotated[int, typer.Option(min=1, help="Points a shape.")] = 2048,
    emd_points: Annotated[
        int, typer.Option(min=0, help="Of these for the earth mover's distance; 0 leaves it out.")
    ] = 512,
    normalize: Annotated[
        bool,
        typer.Option("--normalize", help="Bring each mesh to the unit frame by its bounding box."),
    ] = False,
    pictures: Annotated[int, typer.Option(min=1, help="Pairs in nearest.png.")] = 12,
    out: Annotated[Path | None, out_option("Folder of the results; default GENERATED.")] = None,
    device: DeviceOption = Device.auto,
    json: Json = False,
    seed: Seed = 0,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Compare a set of generated shapes with real ones: quality, diversity, copies."""
    from onet.evaluation.diversity import evaluate_diversity
    from onet.report.nearest_sheet import nearest_sheet
    from onet.report.tables import print_table
    from onet.storage import check_writable

    check_writable(out or generated)
    report = evaluate_diversity(
        generated,
        data=data,
        split=split,
        categories=category,
        features=features,
        points=points,
        emd_points=emd_points,
        normalize=normalize,
        out=out,
        seed=seed,
        device=device.value,
        workers=workers,
        scheduler=scheduler,
    )
    if json:
        nearest_sheet(report.out, pictures)
        echo_json({"folder": report.out, "table": report.table()})
        return
    print_table(report.table(), report.title)
    typer.echo(f"{report.summary()}; see {nearest_sheet(report.out, pictures)}")
