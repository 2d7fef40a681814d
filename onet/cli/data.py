"""Commands that make training data and look after it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import Scheduler, Seed, Workers, app
from onet.names import printable

data_app = typer.Typer(help="Look after prepared data.", no_args_is_help=True)
app.add_typer(data_app, name="data")


class Views(StrEnum):
    ring = "ring"
    random = "random"


class SplitBy(StrEnum):
    item = "item"
    source = "source"


@app.command()
def prepare(
    meshes: Annotated[Path, typer.Argument(help="Folder of meshes; subfolders are categories.")],
    out: Annotated[Path, typer.Argument(help="Folder of the prepared data.")],
    workers: Workers = None,
    scheduler: Scheduler = None,
    resolution: Annotated[int, typer.Option(help="Grid that makes meshes watertight.")] = 256,
    thickness: Annotated[
        float | None,
        typer.Option(help="Outward offset in units of the longest edge; default 1.5 / resolution."),
    ] = None,
    points: Annotated[int, typer.Option(help="Query points a shape.")] = 100_000,
    surface: Annotated[int, typer.Option(help="Surface points a shape.")] = 100_000,
    split: Annotated[
        tuple[float, float, float], typer.Option(help="Shares of train, val and test.")
    ] = (0.7, 0.1, 0.2),
    split_by: Annotated[
        SplitBy, typer.Option(help="'source' keeps groups of models in one split.")
    ] = SplitBy.item,
    group_pattern: Annotated[
        str, typer.Option(help="Regular expression that finds the group in a model's name.")
    ] = r"^(.+?)__",
    listing: Annotated[
        Path | None,
        typer.Option(help="CSV with columns file, group, split: use these meshes that way."),
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="Use this category only; may be repeated.")
    ] = None,
    max_per_category: Annotated[
        int | None, typer.Option(help="At most so many shapes each.")
    ] = None,
    render: Annotated[
        int | None, typer.Option(help="Also draw so many pictures of each mesh, with cameras.")
    ] = None,
    views: Annotated[
        Views, typer.Option(help="'ring' goes around as in the published data (24 pictures).")
    ] = Views.ring,
    render_size: Annotated[int, typer.Option(help="Pixels along the edge of a picture.")] = 137,
    alpha: Annotated[
        bool, typer.Option(help="Pictures as PNG with alpha, not JPEG on white.")
    ] = False,
    voxels: Annotated[
        int | None, typer.Option(help="Also write occupancy grids of this resolution.")
    ] = None,
    near_surface: Annotated[
        float | None,
        typer.Option(help="Also write points, half of them so far from the surface (thesis: 0.1)."),
    ] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option(help="Prepare finished shapes again.")] = False,
) -> None:
    """Turn a folder of meshes, in any condition, into training data.

    Each mesh is made watertight and sampled. Finished shapes are kept when the command is repeated.
    Exits with 1 when a mesh failed, or a file has a format that is not read; the others are there.
    """
    from onet.data.prepare import prepare
    from onet.data.sources import summary
    from onet.report.tables import print_table

    report = prepare(
        meshes,
        out,
        workers=workers,
        scheduler=scheduler,
        points=points,
        surface=surface,
        resolution=resolution,
        thickness=thickness,
        split=split,
        split_by=split_by.value,
        group_pattern=group_pattern,
        listing=listing,
        categories=category,
        max_per_category=max_per_category,
        render=render,
        views=views.value,
        render_size=render_size,
        alpha=alpha,
        voxels=voxels,
        near_surface=near_surface,
        seed=seed,
        overwrite=overwrite,
    )
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
