"""The command line: parses arguments, calls the API, prints what it returns.

A command is a function decorated with `@app.command()` in a module of this folder that is imported
below. What it calls is imported within it, so that `onet --help` stays quick.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import NoReturn

import typer

from onet.cli import (  # noqa: F401
    bake,
    calibration,
    classical,
    data,
    evaluation,
    fit,
    inference,
    latent,
    models,
    motion,
    scan,
    scene,
    solid,
    stability,
    texture,
    threshold,
    training,
    view,
)
from onet.cli.app import app
from onet.errors import OnetError
from onet.stopping import Stopped, stoppable
from onet.storage import explain

logger = logging.getLogger(__name__)


def main() -> None:
    """Entry point: errors that a person can act on are printed without a traceback.

    Exits with 128 + its number after a signal: 130 after Ctrl-C, 143 after SIGTERM.
    """
    try:
        with stoppable():
            app()
    except Stopped as stopped:
        _say(f"stopped by {stopped.signal.name}; what was finished is kept")
        raise
    except OnetError as error:
        _fail(str(error), error)
    except BrokenPipeError:  # as of `| head`
        _fail("nobody reads the output any more")
    except OSError as error:
        _fail(explain(error), error)
    except MemoryError as error:
        _fail("out of memory; use fewer workers, a lower resolution or smaller batches", error)
    finally:
        if parallel := sys.modules.get("onet.parallel"):
            parallel.end_processes()


def _fail(message: str, error: BaseException | None = None) -> NoReturn:
    logger.debug("where it happened", exc_info=error)
    _say("error: " + " ".join(line.strip() for line in message.splitlines()))
    sys.exit(1)


def _say(message: str) -> None:
    with contextlib.suppress(OSError):  # nobody to tell
        typer.echo(message, err=True)
