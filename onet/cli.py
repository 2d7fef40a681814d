"""The command line: parses arguments, calls the API, prints what it returns."""

from __future__ import annotations

import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onet.errors import OnetError

app = typer.Typer(
    help="Learned 3D reconstruction with implicit functions: from a folder of meshes to a trained "
    "network, and from an observation to a closed mesh.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Look after prepared data.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random in this command.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; default one a core. 1 works in this process.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Address of a running dask scheduler, instead of --workers (extra: cluster)."
    ),
]


INTERRUPTED = 130  # exit status of a command that Ctrl-C ended, as shells have it


class MeshFormat(StrEnum):
    ply = "ply"
    glb = "glb"
    obj = "obj"
    off = "off"
    stl = "stl"


class Mode(StrEnum):
    """See `onet.extract_mesh`."""

    exact = "exact"
    fast = "fast"


class Precision(StrEnum):
    """Arithmetic of the decoder."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class Views(StrEnum):
    ring = "ring"
    random = "random"


class Refine(StrEnum):
    none = "none"
    root = "root"
    published = "published"


class SplitBy(StrEnum):
    item = "item"
    source = "source"


def _version(show: bool) -> None:
    if show:
        from onet import __version__

        typer.echo(f"onet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log details.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    logging.captureWarnings(True)
    # Threads that wait for each other by spinning make training ten times slower on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if not verbose:
        for name in ("distributed", "matplotlib", "PIL", "trimesh", "lightning", "asyncio"):
            logging.getLogger(name).setLevel(logging.WARNING)


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
    Exits with 1 when a mesh failed; the others are there.
    """
    from onet.data.prepare import prepare
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
        f"{len(report.failures)} failed, {report.seconds:.0f} s"
    )
    for failure in report.failures:
        typer.echo(f"failed: {failure.file}: {failure.reason}", err=True)
    if not report.ok:
        raise typer.Exit(1)


@data_app.command()
def check(root: Annotated[Path, typer.Argument(help="Folder written by `onet prepare`.")]) -> None:
    """Name every file of prepared data that cannot be used, and its remedy."""
    from onet.data.check import check_store

    problems = check_store(root)
    for problem in problems:
        typer.echo(f"{problem.file}: {problem.field}: {problem.message}; {problem.remedy}")
    if problems:
        typer.echo(f"{len(problems)} problems in {root}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{root}: no problems")


@app.command()
def train(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a packaged one.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes, such as training.batch_size=32.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/NAME.")] = None,
) -> None:
    """Train a network; repeated with the same folder, it goes on where it stopped."""
    from onet.config import load_config
    from onet.training.loop import train

    result = train(load_config(config, overrides or []), run or Path("runs") / Path(config).stem)
    typer.echo(result.summary())
    if result.stopped == "interrupted":
        raise typer.Exit(INTERRUPTED)


@app.command()
def generate(
    model: Annotated[Path, typer.Argument(help="Folder of a run, or a checkpoint.")],
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
    data: Annotated[Path | None, typer.Option(help="Prepared data, instead of the run's.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the data; default the configured test split.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; default RUN/generation.")
    ] = None,
    format: Annotated[
        MeshFormat | None, typer.Option(help="Of the meshes; default as configured.")
    ] = None,
    resolution: Annotated[int | None, typer.Option(help="Cells along the box's edge.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Probability on the surface, between 0 and 1.")
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="fast evaluates half as many points; default as configured.")
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="Of the decoder; default as configured.")
    ] = None,
    sharp: Annotated[
        bool | None, typer.Option(help="Sharp edges and corners by dual contouring.")
    ] = None,
    refine: Annotated[
        Refine | None, typer.Option(help="Move vertices to the surface; default as configured.")
    ] = None,
    simplify: Annotated[
        int | None, typer.Option(help="Faces to simplify to, closed as before; 0 keeps all.")
    ] = None,
    normals: Annotated[
        bool | None, typer.Option(help="Write the field's normals (ply, glb, obj).")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many items.")] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace the results that are there.")] = False,
) -> None:
    """Reconstruct closed meshes, in the frame of what was observed."""
    from onet.inference.generate import generate
    from onet.report.html import write_report

    report = generate(
        model,
        input=input,
        samples=samples,
        data=data,
        split=split,
        out=out,
        format=format.value if format else None,
        resolution=resolution,
        threshold=threshold,
        mode=mode.value if mode else None,
        precision=precision.value if precision else None,
        sharp=sharp,
        refine=refine.value if refine else None,
        simplify=simplify,
        normals=normals,
        limit=limit,
        seed=seed,
        overwrite=overwrite,
    )
    typer.echo(f"{report.summary()}; see {write_report(report.out, data=data)}")
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
) -> None:
    """Measure reconstructions against the truth, by the published protocol."""
    from onet.inference.evaluation import evaluate_generation
    from onet.report.html import write_report
    from onet.report.tables import print_table

    report = evaluate_generation(results, data=data, samples=samples, seed=seed, workers=workers)
    print_table(report.table(), report.title)
    typer.echo(f"{report.summary()}; see {write_report(report.folder, data=data)}")


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(help="Published .pt file, checkpoint, or folder of a run.")
    ],
    target: Annotated[
        Path, typer.Argument(help="Result: .safetensors, or .pt in the published layout.")
    ],
    config: Annotated[
        str | None,
        typer.Option(help="Configuration of a .pt file; default recognised by its weights."),
    ] = None,
) -> None:
    """Convert weights between the published Occupancy Networks' files and this package's."""
    from onet.inference.published_weights import convert

    checkpoint = convert(source, target, config)
    typer.echo(
        f"{target}: {len(checkpoint.state)} tensors, iteration "
        f"{checkpoint.metadata.get('iteration', 0)}, input {checkpoint.config.data.input['type']}"
    )


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


def main() -> None:
    """Entry point: errors that a person can act on are printed without a traceback."""
    try:
        app()
    except OnetError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
