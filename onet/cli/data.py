"""Commands that make training data and look after it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onet.cli.app import Scheduler, Seed, Workers, app
from onet.cli.settings import with_options
from onet.data.settings import PrepareSettings
from onet.names import printable

data_app = typer.Typer(help="Look after prepared data.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@app.command()
@with_options(
    PrepareSettings,
    names={"categories": "--category"},
    shared={"seed": Seed},
    left_out=("padding", "stored_faces"),
)
def prepare(
    meshes: Annotated[Path, typer.Argument(help="Folder of meshes; subfolders are categories.")],
    out: Annotated[Path, typer.Argument(help="Folder of the prepared data.")],
    settings: PrepareSettings,
    sequences: Annotated[
        bool,
        typer.Option(
            help="Moving shapes: folders of meshes (a frame each), npz files with vertices "
            "(T, V, 3) and faces, animated glTF files."
        ),
    ] = False,
    frames: Annotated[
        int | None, typer.Option(min=2, help="Of sequences: resample each to so many frames.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.001, help="Of sequences: so many frames a second.")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Turn a folder of meshes, in any condition, or of moving ones, into training data.

    Each mesh is made watertight and sampled. Finished shapes are kept when the command is repeated.
    Exits with 1 when a mesh failed, or a file has a format that is not read; the others are there.
    """
    from onet.data.mesh_files import summary
    from onet.data.prepare import prepare
    from onet.data.sequences import prepare_sequences
    from onet.report.tables import print_table

    how: dict[str, Any] = {"workers": workers, "scheduler": scheduler}
    if sequences:
        report = prepare_sequences(meshes, out, settings, frames=frames, fps=fps, **how)
    elif frames is not None or fps is not None:
        raise typer.BadParameter("--frames and --fps are of sequences; add --sequences")
    else:
        report = prepare(meshes, out, settings, **how)
    rows = [{"category": name, **counts} for name, counts in sorted(report.splits.items())]
    print_table(rows, f"{report.out}: shapes per split")
    typer.echo(
        f"{report.prepared} prepared, {report.kept} kept from before, "
        f"{len(report.failures)} failed, {len(report.skipped)} of formats that are not read, "
        f"{report.seconds:.0f} s"
    )
    for failure in report.failures:
        typer.echo(f"failed: {printable(failure.file)}: {failure.reason}", err=True)
    if report.skipped:
        typer.echo(f"skipped: {summary(report.skipped)}; see failures.csv", err=True)
    if not report.ok:
        raise typer.Exit(1)


@data_app.command()
def check(root: Annotated[Path, typer.Argument(help="Folder written by `onet prepare`.")]) -> None:
    """Name every file of prepared data that cannot be used, and its remedy."""
    from onet.data.check import check_store

    problems = check_store(root)
    for problem in problems:
        where = printable(f"{problem.file}: {problem.field}")
        typer.echo(f"{where}: {printable(problem.message)}; {problem.remedy}")
    if problems:
        typer.echo(f"{len(problems)} problems in {root}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{root}: no problems")
