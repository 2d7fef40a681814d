"""Commands that use trained networks."""

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
    echo_json,
    out_option,
)
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
)


@command(
    RECONSTRUCT,
    "onet generate runs/mine",
    "onet generate demo scans/*.ply -o meshes --format glb",
    "onet generate runs/cars --samples 20 --resolution 128",
    "onet generate runs/gan_images_small --samples 64",
)
def generate(
    model: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="What the model observes (point clouds, pictures, voxel grids), patterns such as "
            "'*.ply', or folders; default the test split of the data."
        ),
    ] = None,
    input: Annotated[
        list[str] | None, typer.Option(help="The same as an option; may be repeated.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="So many samples of an unconditional model; with --input so many hypotheses of "
            "each observation, by a model with a latent code.",
        ),
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Fuse so many observations of each object, by the mean of their codes or as the "
            "model does; with --input the files of each folder show one object.",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="Mask of the --input, white on the object; or a folder of such masks."),
    ] = None,
    remove_background: Annotated[
        bool, typer.Option(help="Find the object in pictures without a mask (extra: segment).")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Prepared data, instead of the run's.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the data; default the configured test split.")
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(
            help="Category of the data, or class of a generator of pictures; may be repeated; "
            "default all."
        ),
    ] = None,
    out: Annotated[
        Path | None, out_option("Folder of the results; default RUN/generation.")
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
        typer.Option(help="Run of a texture network: one picture becomes the textured file --out."),
    ] = None,
    device: DeviceOption = Device.auto,
    scheduler: Scheduler = None,
    threads: Threads = None,
    json: Json = False,
    seed: Seed = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results that are there.")
    ] = False,
) -> None:
    """Reconstruct closed meshes, or moving ones, in the frame of what was observed.

    Exits with 1 when a mesh failed; the others are there.
    """
    inputs = [*(files or []), *(input or [])]
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
        "mask": mask,
        "remove_background": remove_background or None,  # None is not asked for
        "data": data,
        "split": split,
        "category": category or None,
        "format": format.value if format else None,
        "limit": limit,
        "scheduler": scheduler,
    }
    times = _given(frames=frames, fps=fps)
    if texture is not None:
        several["overwrite"] = overwrite or None
        useless = [f"--{name.replace('_', '-')}" for name in _given(**several) | times]
        chosen = _given(**surface) | {"device": device.value}
        file = _generate_textured(model, texture, inputs, out, seed, chosen, useless)
        if json:
            echo_json({"file": file})
        else:
            typer.echo(f"see {file}")
        return
    from onet.pipeline.generate import generate

    categories = several.pop("category")
    report = generate(
        model,
        input=inputs or None,
        categories=categories,
        out=out,
        seed=seed,
        overwrite=overwrite,
        device=device.value,
        **several,
        **surface,
        **times,
    )
    if json:
        echo_json({"folder": report.out, "items": report.rows})
    else:
        typer.echo(f"{report.summary()}; see {report.out / report.shown}")
    if not report.ok:
        raise typer.Exit(1)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _generate_textured(
    model: Path,
    texture: Path,
    inputs: list[str],
    out: Path | None,
    seed: int,
    options: dict[str, Any],
    useless: list[str],
) -> Path:
    """Return the textured file that `onet generate --texture` makes of one picture."""
    from onet.errors import ConfigError
    from onet.pipeline.texture import textured_reconstruction

    if len(inputs) != 1 or out is None:
        raise ConfigError("texture: give one picture and a file as --out, car.glb")
    if useless:
        raise ConfigError(f"{', '.join(useless)}: not with --texture, which makes one file")
    return textured_reconstruction(model, texture, inputs[0], out, seed=seed, **options)


@command(RECONSTRUCT, "onet demo", "onet demo -o /tmp/demo --json")
def demo(
    out: Annotated[Path, out_option("Folder of the results.")] = Path("demo-output"),
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    json: Json = False,
    seed: Seed = 0,
) -> None:
    """Reconstruct an embedded scan of each of four kinds, and compare with the truth."""
    from onet.demo import run_demo
    from onet.report.tables import print_table

    report = run_demo(out, seed=seed, device=device.value)
    if json:
        echo_json({"folder": out, "table": report.rows})
        return
    print_table(report.rows, report.title)
    typer.echo(report.summary())
