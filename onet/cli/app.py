"""The command line itself, and the arguments that several commands have."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from onet import machine

app = typer.Typer(
    help="Learned 3D reconstruction with implicit functions: from a folder of meshes to a trained "
    "network, and from an observation to a closed mesh.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random in this command.")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes; default as many as there are cores and memory for. 1 works in this "
        "process.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Address of a running dask scheduler, instead of --workers (extra: cluster)."
    ),
]


def _version(show: bool) -> None:
    if show:
        from onet._version import __version__

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
    if (limit := machine.quota()) is not None:  # which OpenMP does not look at
        os.environ.setdefault("OMP_NUM_THREADS", str(min(limit, machine.cores())))
    if not verbose:
        for name in ("distributed", "matplotlib", "PIL", "trimesh", "lightning", "asyncio"):
            logging.getLogger(name).setLevel(logging.WARNING)
