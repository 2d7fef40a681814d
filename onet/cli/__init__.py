"""The command line: parses arguments, calls the API, prints what it returns.

A command is a function decorated with `@app.command()` in a module of this folder that is imported
below. What it calls is imported within it, so that `onet --help` stays quick.
"""

from __future__ import annotations

import sys

import typer

from onet.cli import (  # noqa: F401
    calibration,
    data,
    fit,
    inference,
    latent,
    scene,
    stability,
    threshold,
    training,
)
from onet.cli.app import app
from onet.errors import OnetError


def main() -> None:
    """Entry point: errors that a person can act on are printed without a traceback."""
    try:
        app()
    except OnetError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
