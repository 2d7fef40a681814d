"""Commands of models of shapes that move."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import (
    RECONSTRUCT,
    Device,
    DeviceOption,
    Seed,
    Threads,
    command,
    group,
    out_option,
)
from onet.cli.surface import Probability, Resolution, Run

motion_app = group(RECONSTRUCT, "motion", help="Transfer and blend motions.")

Out = Annotated[Path, out_option("Folder of the results.")]
Input = Annotated[Path, typer.Argument(help="A sequence, as for `onet generate --input`.")]


class What(StrEnum):
    """See `onet.inference.motion_blending.blend_motions`."""

    shape = "shape"
    motion = "motion"
    both = "both"


@command(
    RECONSTRUCT,
    "onet motion transfer runs/flow cat dog -o walking-cat",
    "onet motion transfer runs/flow cat.npz dog.npz -o out --resolution 64",
    parent=motion_app,
)
def transfer(
    model: Run,
    shape: Input,
    motion: Input,
    out: Out,
    resolution: Resolution = None,
    probability: Probability = None,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    seed: Seed = 0,
) -> None:
    """Let the shape of the first sequence move as the second one does."""
    from onet.inference.motion_blending import transfer_motion
    from onet.report.motion_sheet import MOTION_SHEET, motion_sheet

    made = transfer_motion(
        model, shape, motion, out, seed=seed, device=device.value, resolution=resolution,
        probability=probability,
    )  # fmt: skip
    typer.echo(f"see {motion_sheet(made.meshes, made.names, made.out / MOTION_SHEET)}")


@command(
    RECONSTRUCT,
    "onet motion blend runs/flow walk run -o between",
    "onet motion blend runs/flow walk run -o between --steps 9 --what motion",
    parent=motion_app,
)
def blend(
    model: Run,
    start: Input,
    end: Input,
    out: Out,
    steps: Annotated[int, typer.Option(min=2, help="Moving meshes from end to end.")] = 5,
    what: Annotated[What, typer.Option(help="What changes on the way.")] = What.both,
    resolution: Resolution = None,
    probability: Probability = None,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    seed: Seed = 0,
) -> None:
    """Make what lies between two sequences, in shape, in motion, or in both."""
    from onet.inference.motion_blending import blend_motions
    from onet.report.motion_sheet import MOTION_SHEET, motion_sheet

    made = blend_motions(
        model, start, end, out, steps=steps, what=what.value, seed=seed, device=device.value,
        resolution=resolution, probability=probability,
    )  # fmt: skip
    typer.echo(f"see {motion_sheet(made.meshes, made.names, made.out / MOTION_SHEET)}")
