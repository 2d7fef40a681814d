"""Commands that use trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onet.cli.app import Seed, app
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
            help="Fuse so many observations of each object, by the mean of their codes or as the "
            "model does; with --input the files of each folder show one object.",
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
    texture: Annotated[
        Path | None,
        typer.Option(
            help="Run of a texture network: one --input, a picture, becomes the file --out."
        ),
    ] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace the results that are there.")] = False,
) -> None:
    """Reconstruct closed meshes, or moving ones, in the frame of what was observed."""
    surface: dict[str, Any] = {
        "resolution": resolution,
        "probability": probability,
        "mode": mode.value if mode else None,
        "precision": precision.value if precision else None,
        "sharp": sharp,
        "refine": refine.value if refine else None,
        "simplify": simplify,
        "normals": normals,
        "uncertainty": uncertainty,
    }
    several: dict[str, Any] = {
        "samples": samples,
        "views": views,
        "data": data,
        "split": split,
        "format": format.value if format else None,
        "limit": limit,
    }
    times = _given(frames=frames, fps=fps)
    if texture is not None:
        useless = [f"--{name}" for name in _given(**several) | times]
        _generate_textured(model, texture, input, out, seed, _given(**surface), useless)
        return
    from onet.pipeline.generate import generate

    report = generate(
        model, input=input, out=out, seed=seed, overwrite=overwrite, **several, **surface, **times
    )
    typer.echo(f"{report.summary()}; see {report.out / report.shown}")
    if not report.ok:
        raise typer.Exit(1)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _generate_textured(
    model: Path,
    texture: Path,
    input: Path | None,
    out: Path | None,
    seed: int,
    surface: dict[str, Any],
    useless: list[str],
) -> None:
    """`onet generate --texture`: one picture to one textured file."""
    from onet.errors import ConfigError
    from onet.pipeline.texture import textured_reconstruction

    if input is None or out is None:
        raise ConfigError("texture: give one picture as --input and a file as --out, car.glb")
    if useless:
        raise ConfigError(f"{', '.join(useless)}: not with --texture, which makes one file")
    file = textured_reconstruction(model, texture, input, out, seed=seed, **surface)
    typer.echo(f"see {file}")


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
