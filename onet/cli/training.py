"""Commands that make trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import app


@app.command()
def train(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a packaged one.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes, such as training.batch_size=32.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/NAME.")] = None,
) -> None:
    """Train a network; repeated with the same folder, it goes on where it stopped."""
    from onet.pipeline.train import train
    from onet.training.interruption import pass_on

    result = train(config, overrides or [], run=run)
    typer.echo(result.summary())
    if result.stopped == "interrupted":
        pass_on(result.signal)


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
    from onet.checkpoints.published_weights import convert

    checkpoint = convert(source, target, config)
    typer.echo(
        f"{target}: {len(checkpoint.state)} tensors, iteration "
        f"{checkpoint.metadata.get('iteration', 0)}, input {checkpoint.config.data.input['type']}"
    )
