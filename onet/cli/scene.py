"""The command that reconstructs scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import RECONSTRUCT, Device, DeviceOption, Seed, Threads, command, out_option
from onet.cli.surface import ModeOption, PrecisionOption, Probability, Run, Simplify


@command(
    RECONSTRUCT,
    "onet scene runs/mine room.ply",
    "onet scene runs/mine room.e57 -o room.glb --window 2.5 --resolution 64",
)
def scene(
    model: Run,
    cloud: Annotated[Path, typer.Argument(help="Point cloud of any extent and size.")],
    out: Annotated[
        Path | None, out_option("Mesh to write; default CLOUD-mesh.ply beside the cloud.")
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            help="Edge of the cubes that are reconstructed at a time, in units of the cloud; "
            "default one that holds as many points as the model observes."
        ),
    ] = None,
    overlap: Annotated[
        float, typer.Option(help="Part of a window that it shares with the next, up to 0.5.")
    ] = 0.25,
    resolution: Annotated[int | None, typer.Option(help="Cells along a window's edge.")] = None,
    probability: Probability = None,
    mode: ModeOption = None,
    precision: PrecisionOption = None,
    simplify: Simplify = None,
    memory: Annotated[float, typer.Option(help="MiB for encoded windows.")] = 1024.0,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    seed: Seed = 0,
) -> None:
    """Reconstruct a scene of any extent as one closed mesh, by overlapping windows."""
    from onet.geometry.mesh_io import save_mesh
    from onet.inference.reconstructor import load
    from onet.inference.scene import reconstruct_scene
    from onet.locks import writing_file
    from onet.storage import check_writable

    out = out or cloud.with_name(f"{cloud.stem}-mesh.ply")
    check_writable(out.parent)
    with writing_file(out):
        mesh = reconstruct_scene(
            load(model, device.value),
            cloud,
            window=window,
            overlap=overlap,
            memory=memory,
            seed=seed,
            resolution=resolution,
            probability=probability,
            mode=mode.value if mode else None,
            precision=precision.value if precision else None,
            simplify=simplify,
        )
        save_mesh(mesh, out)
    done = mesh.metadata["scene"]
    typer.echo(
        f"{out}: {len(mesh.faces):,} faces from {done['points']:,} points in {done['windows']} "
        f"windows of {done['window']:.4g}, {done['seconds']:.1f} s"
    )
