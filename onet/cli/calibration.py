"""The command that says how far a network can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onet.cli.app import SCORE, Device, DeviceOption, Json, Seed, Threads, command, echo_json


@command(
    SCORE,
    "onet calibrate runs/mine",
    "onet calibrate runs/mine --data prepared --items 50 --device cpu",
)
def calibrate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    data: Annotated[Path | None, typer.Option(help="Prepared data, instead of the run's.")] = None,
    items: Annotated[int, typer.Option(min=1, help="At most so many of each split.")] = 200,
    points: Annotated[int, typer.Option(min=1, help="At most so many of each item.")] = 10_000,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
    json: Json = False,
    seed: Seed = 0,
) -> None:
    """Fit the probabilities of a network on validation data and measure them on test data.

    Reconstruction uses the result from then on, and warns of inputs unlike the training data.
    """
    from onet.checkpoints.run_folder import CALIBRATION_PICTURE
    from onet.evaluation.calibrate import calibrate
    from onet.report.reliability_diagram import draw_reliability
    from onet.report.tables import print_table
    from onet.storage import check_writable

    check_writable(run.parent if run.is_file() else run)
    result = calibrate(
        run,
        data=data,
        items=items,
        points=points,
        seed=seed,
        device=device.value,
        draw=draw_reliability,
    )
    if json:
        fitted = {"temperature": result.temperature, "offset": result.offset}
        echo_json({"run": run, **fitted, "errors": result.errors})
        return
    print_table(
        result.errors, "Held-out points; cross-entropy in nats, calibration error of 15 bins"
    )
    scaling = f"temperature {result.temperature:.3f}, offset {result.offset:.3f}"
    typer.echo(f"{scaling}; see {run / CALIBRATION_PICTURE}")
