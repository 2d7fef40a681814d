"""`onet texture` and `onet texture-eval`."""

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
    Seed,
    Threads,
    command,
    echo_json,
    out_option,
)
from onet.names import printable


class TextureProtocol(StrEnum):
    """See `onet.evaluation.texture_scores`."""

    masked = "masked"
    texturefields = "texturefields"


TextureRun = Annotated[
    Path, typer.Argument(help="Run of a texture network, a checkpoint, or a published file.")
]


@command(
    RECONSTRUCT,
    "onet texture runs/texture chair.ply --image chair.png",
    "onet texture runs/texture meshes/*.ply --samples 4 -o textured",
)
def texture(
    run: TextureRun,
    mesh: Annotated[
        list[str],
        typer.Argument(help="Meshes to colour, patterns such as '*.ply', or folders."),
    ],
    image: Annotated[
        Path | None, typer.Option(help="A picture, for a network that observes one.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="So many samples of a generative network.")
    ] = None,
    like: Annotated[
        list[Path] | None,
        typer.Option(help="A textured mesh whose appearance is taken over; may be repeated."),
    ] = None,
    between: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Two pictures or textured meshes, with steps from one to the other."),
    ] = None,
    scan: Annotated[
        Path | None,
        typer.Option(help="Points with colours in the meshes' frame, for texture_points."),
    ] = None,
    steps: Annotated[int, typer.Option(min=2, help="Of --between, with both ends.")] = 6,
    size: Annotated[int, typer.Option(help="Texels along the edge of a texture.")] = 1024,
    out: Annotated[Path, out_option("Folder of the results.")] = Path("textured"),
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    seed: Seed = 0,
) -> None:
    """Give meshes colours: GLB files with textures, and one picture of them all."""
    from onet.pipeline.solid import find_meshes
    from onet.pipeline.texture import texture

    report = texture(
        run,
        find_meshes(mesh, out),
        image=image,
        samples=samples,
        like=like or (),
        between=between,
        scan=scan,
        steps=steps,
        size=size,
        out=out,
        seed=seed,
        device=device.value,
    )
    typer.echo(f"{report.summary()}; see {report.sheet}")
    for path, reason in report.failures.items():
        typer.echo(f"failed: {printable(str(path))}: {printable(reason)}", err=True)
    if report.failures:
        raise typer.Exit(1)


@command(
    SCORE,
    "onet texture-eval runs/texture",
    "onet texture-eval runs/texture --protocol texturefields --split val",
    name="texture-eval",
)
def texture_eval(
    run: TextureRun,
    data: Annotated[Path | None, typer.Option(help="Prepared data, instead of the run's.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the data; default the configured test split.")
    ] = None,
    protocol: Annotated[
        TextureProtocol,
        typer.Option(help="texturefields: whole pictures and the published, larger SSIM."),
    ] = TextureProtocol.masked,
    features: Annotated[
        str | None,
        typer.Option(
            help="A ResNet-18 of torchvision, or efficientnet-lite0, for feature_l1 and fid."
        ),
    ] = None,
    out: Annotated[Path | None, out_option("Folder of the tables; default RUN.")] = None,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    json: Json = False,
    seed: Seed = 0,
) -> None:
    """Compare pictures in a network's colours with the true ones: SSIM, L1, PSNR."""
    from onet.evaluation.texture_scores import TABLE, score_textures
    from onet.report.tables import print_table

    scores = score_textures(
        run,
        data=data,
        split=split,
        protocol=protocol.value,
        features=features,
        out=out,
        seed=seed,
        device=device.value,
    )
    if json:
        echo_json({"table": scores.rows, "file": scores.folder / TABLE})
        return
    by = f", features of {scores.features}" if scores.features else ""
    print_table(scores.rows, f"pictures, {protocol.value}{by}")
    typer.echo(f"see {scores.folder / TABLE}")
