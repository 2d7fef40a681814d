"""Commands that make trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import TRAIN, Device, Threads, command, out_option
from onet.cli.surface import Run


@command(
    TRAIN,
    "onet train pointcloud data.path=prepared --run runs/mine",
    "onet train img_small data.path=prepared training.max_minutes=60 -o runs/b",
)
def train(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a packaged one.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes, such as training.batch_size=32.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", "--out", "-o", help="Folder of the run; default runs/NAME."),
    ] = None,
    device: Annotated[
        Device | None,
        typer.Option(help="Where the network works; auto takes a GPU; default as configured."),
    ] = None,
    threads: Threads = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of everything random in this command; default configured."),
    ] = None,
) -> None:
    """Train a network; repeated with the same folder, it goes on where it stopped."""
    from onet.errors import ConfigError
    from onet.pipeline.train import train
    from onet.training.interruption import pass_on

    if "=" in config and not Path(config).exists():
        raise ConfigError(
            f"{config}: is a change; name the configuration first: onet train pointcloud {config}"
        )
    chosen = {"device": device and device.value, "threads": threads, "seed": seed}
    given = [f"training.{key}={value}" for key, value in chosen.items() if value is not None]
    result = train(config, [*(overrides or []), *given], run=run)
    typer.echo(result.summary())
    if result.stopped == "interrupted":
        pass_on(result.signal)


@command(
    TRAIN,
    "onet export runs/mine -o exported",
    "onet export demo -o exported --no-onnx",
)
def export(
    model: Run,
    out: Annotated[Path, out_option("Folder of the results.")],
    onnx: Annotated[
        bool | None,
        typer.Option(help="ONNX, too (extra: onnx); default where its packages are installed."),
    ] = None,
) -> None:
    """Write encoder and decoder for other programs: torch.export, ONNX, safetensors.

    The folder also loads as a checkpoint: config.json and model.safetensors.
    """
    from onet.inference.export import export

    typer.echo(export(model, out, onnx=onnx).summary())


@command(
    TRAIN,
    "onet convert onet_pcl2mesh.pt pcl2mesh.safetensors",
    "onet convert published/*.pt -o converted",
)
def convert(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Published .pt files, checkpoints, or folders of runs; without --out the last "
            "one is the result."
        ),
    ],
    out: Annotated[
        Path | None,
        out_option("Result: .safetensors, or .pt in the published layout; of several a folder."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(help="Configuration of a .pt file; default recognised by its weights."),
    ] = None,
) -> None:
    """Convert weights between the published Occupancy Networks' files and this package's.

    In a folder .pt files become .safetensors, and all others .pt.
    """
    from onet.checkpoints.published_weights import convert, converted_names
    from onet.errors import CheckpointError, ConfigError
    from onet.files import matching
    from onet.names import printable

    if out is None and len(files) < 2:
        raise typer.BadParameter(f"name the result: onet convert {files[0]} RESULT.safetensors")
    if out is None:
        *files, last = files
        out = Path(last)
    sources = [path for text in files for path in matching(text)]
    failures = []
    several = len(sources) > 1 or out.is_dir()
    for source, name in zip(sources, converted_names(sources), strict=True):
        target = out / name if several else out
        try:
            checkpoint = convert(source, target, config)
        except (CheckpointError, ConfigError) as error:
            if len(sources) == 1:
                raise
            failures.append(str(error))
            continue
        typer.echo(
            f"{target}: {len(checkpoint.state)} tensors, iteration "
            f"{checkpoint.metadata.get('iteration', 0)}, input "
            f"{checkpoint.config.data.input['type']}"
        )
    for failure in failures:
        typer.echo(f"failed: {printable(failure)}", err=True)
    if failures:
        raise typer.Exit(1)
