"""Commands that use trained networks."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import Seed, Workers, app
from onet.cli.surface import (
    FormatOption,
    ModeOption,
    Normals,
    PrecisionOption,
    Probability,
    RefineOption,
    Resolution,
    Run,
    Sharp,
    Simplify,
    SurfaceCommand,
)


class Protocol(StrEnum):
    """See `onet.evaluation.onet2019` and `onet.evaluation.motion`."""

    onet2019 = "onet2019"
    oflow = "oflow"


@app.command(cls=SurfaceCommand)
def generate(
    model: Run,
    input: Annotated[
        Path | None,
        typer.Option(
            help="What the model observes (point cloud, picture, voxel grid), or a folder of such "
            "files; default the test split of the data."
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="So many samples of an unconditional model.")
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Average the codes of so many observations of each object; with --input the files "
            "of each folder show one object.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Prepared data, instead of the run's.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the data; default the configured test split.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; default RUN/generation.")
    ] = None,
    format: FormatOption = None,
    resolution: Resolution = None,
    probability: Probability = None,
    mode: ModeOption = None,
    precision: PrecisionOption = None,
    sharp: Sharp = None,
    refine: RefineOption = None,
    simplify: Simplify = None,
    normals: Normals = None,
    uncertainty: Annotated[
        bool | None, typer.Option(help="Write how uncertain the surface's place is (ply, glb).")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=2, help="Of models of motion: so many times, evenly.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.001, help="Of models of motion: so many times a second.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many items.")] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace the results that are there.")] = False,
) -> None:
    """Reconstruct closed meshes, or moving ones, in the frame of what was observed."""
    from onet.pipeline.generate import generate

    report = generate(
        model,
        input=input,
        samples=samples,
        views=views,
        data=data,
        split=split,
        out=out,
        format=format.value if format else None,
        resolution=resolution,
        probability=probability,
        mode=mode.value if mode else None,
        precision=precision.value if precision else None,
        sharp=sharp,
        refine=refine.value if refine else None,
        simplify=simplify,
        normals=normals,
        uncertainty=uncertainty,
        limit=limit,
        seed=seed,
        overwrite=overwrite,
        **{name: value for name, value in (("frames", frames), ("fps", fps)) if value is not None},
    )
    typer.echo(f"{report.summary()}; see {report.out / report.shown}")
    if not report.ok:
        raise typer.Exit(1)


@app.command("eval")
def evaluate(
    results: Annotated[Path, typer.Argument(help="Folder that `onet generate` wrote, or its run.")],
    data: Annotated[
        Path | None, typer.Option(help="Prepared data, if it is no longer where it was.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Surface samples a mesh.")] = 100_000,
    seed: Seed = 0,
    workers: Workers = 1,
    protocol: Annotated[
        Protocol | None,
        typer.Option(
            help="onet2019: the table of the publication, its units, and nothing left to choose; "
            "oflow: that of moving meshes."
        ),
    ] = None,
) -> None:
    """Measure reconstructions against the truth."""
    from onet.pipeline.evaluate import evaluate_run
    from onet.report.tables import print_table

    measured = evaluate_run(
        results,
        data=data,
        samples=samples,
        seed=seed,
        workers=workers,
        protocol=protocol.value if protocol else None,
    )
    print_table(measured.table(), measured.title)
    typer.echo(f"{measured.summary()}; see {measured.folder / measured.shown}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("demo-output"),
    seed: Seed = 0,
) -> None:
    """Reconstruct meshes from the embedded scans and compare them with the truth."""
    from onet.demo import run_demo
    from onet.report.tables import print_table

    report = run_demo(out, seed=seed)
    print_table(report.rows, report.title)
    typer.echo(report.summary())
