"""The command that turns one mesh into a function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import RECONSTRUCT, Device, DeviceOption, Seed, Threads, command, out_option
from onet.cli.surface import (
    FormatOption,
    Normals,
    PrecisionOption,
    RefineOption,
    Resolution,
    Sharp,
    Simplify,
)


@command(
    RECONSTRUCT,
    "onet fit mesh.obj",
    "onet fit mesh.obj --model runs/mine -o fits/chair --resolution 128",
)
def fit(
    mesh: Annotated[Path, typer.Argument(help="A mesh file, in any condition.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Changes of --config, such as model.decoder.hidden_size=64."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a run, a checkpoint, or a name of `onet models`, whose decoder the "
            "shape gets a code for; default a network of its own."
        ),
    ] = None,
    config: Annotated[
        str, typer.Option(help="YAML file or packaged name, of the shape's own network.")
    ] = "fit",
    out: Annotated[Path | None, out_option("Folder of the results; default fits/NAME.")] = None,
    closed: Annotated[
        bool, typer.Option("--closed", help="The mesh is watertight: take it as it is.")
    ] = False,
    watertight_resolution: Annotated[
        int, typer.Option(help="Grid that makes the mesh watertight.")
    ] = 256,
    steps: Annotated[int | None, typer.Option(min=1, help="Of the optimiser.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the optimiser.")] = None,
    format: FormatOption = None,
    resolution: Resolution = None,
    probability: Annotated[
        float | None, typer.Option(help="Probability on the surface; default 0.5.")
    ] = None,
    precision: PrecisionOption = None,
    sharp: Sharp = None,
    refine: RefineOption = None,
    simplify: Simplify = None,
    normals: Normals = None,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    seed: Seed = 0,
) -> None:
    """Turn one mesh into a function: its code under a trained decoder, or its own network."""
    from onet.config import load_config
    from onet.errors import ConfigError
    from onet.inference.fit import fit

    if model is not None and (overrides or config != "fit"):
        raise ConfigError("--config and its changes are for a network of its own, not with --model")
    place = [] if device is Device.auto else [f"training.device={device.value}"]
    result = fit(
        mesh,
        model,
        config=load_config(config, [*(overrides or []), *place]),
        out=out or Path("fits") / mesh.stem,
        closed=closed,
        watertight_resolution=watertight_resolution,
        steps=steps,
        learning_rate=learning_rate,
        format=format.value if format else None,
        seed=seed,
        device=device.value,
        resolution=resolution,
        probability=probability,
        precision=precision.value if precision else None,
        sharp=sharp,
        refine=refine.value if refine else None,
        simplify=simplify,
        normals=normals,
    )
    typer.echo(f"{result.out}: {result.summary()}")
