"""The command line: parses arguments, calls the API, prints what it returns.

A command is a function decorated with `@command(PANEL, EXAMPLES...)` in a module of this folder
that is imported below. What it calls is imported within it, so that `onet --help` stays quick.
docs/commands.md is written by `python tools/commands.py`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
from typing import Any, NoReturn

import typer

from onet.cli import (  # noqa: F401
    bake,
    calibration,
    classical,
    configs,
    data,
    doctor,
    evaluation,
    fit,
    inference,
    latent,
    models,
    motion,
    pictures,
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
from onet.errors import OnetError, StorageError, TrainingError
from onet.stopping import Stopped, stoppable
from onet.storage import explain

logger = logging.getLogger(__name__)

INCOMPLETE, REFUSED = 1, 2
"""Exit codes, beside 0: not all of it succeeded; it cannot be done as it was asked for."""

_USAGE_ERROR: Any = typer.BadParameter.__base__  # typer has a click of its own, or takes click's
_LATER = (StorageError, TrainingError)
"""What comes to light when the work has begun."""
_ASKED_WRONGLY = {
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST),
    *(errno.EISDIR, errno.ENAMETOOLONG),
}


def main() -> None:
    """Entry point: errors that a person can act on are printed on one line, without a traceback.

    Exits with 0 where everything was done, with 1 where something of it failed or was found wrong
    (the rest is there), with 2 where it cannot be done as asked: unknown options, input and
    configurations that cannot be used, folders that cannot be written. After a signal with 128 +
    its number: 130 after Ctrl-C, 143 after SIGTERM. docs/commands.md tells the same.
    """
    try:
        with stoppable():
            sys.exit(app(standalone_mode=False, prog_name="onet") or 0)
    except Stopped as stopped:
        _say(f"stopped by {stopped.signal.name}; what was finished is kept")
        raise
    except _USAGE_ERROR as error:
        _refuse(error)
    except OnetError as error:
        _fail(str(error), error, INCOMPLETE if isinstance(error, _LATER) else REFUSED)
    except BrokenPipeError:  # as of `| head`
        _fail("nobody reads the output any more", None, INCOMPLETE)
    except OSError as error:
        _fail(explain(error), error, REFUSED if error.errno in _ASKED_WRONGLY else INCOMPLETE)
    except MemoryError as error:
        text = "out of memory; use fewer workers, a lower resolution or smaller batches"
        _fail(text, error, INCOMPLETE)
    finally:
        if parallel := sys.modules.get("onet.parallel"):
            parallel.end_processes()


def _refuse(error: Any) -> NoReturn:
    """Say on one line what is wrong with the arguments, and where to look."""
    if type(error).__name__ == "NoArgsIsHelpError":  # a group of commands, without one
        error.show()
        sys.exit(error.exit_code)
    path = error.ctx.command_path if error.ctx else "onet"
    message = error.format_message().rstrip(".").removeprefix("Invalid value: ")
    message = message.replace("Value error, ", "")  # of pydantic, in some versions of typer
    _fail(f"{message}; see `{path} --help`", error, REFUSED)


def _fail(message: str, error: BaseException | None, code: int) -> NoReturn:
    logger.debug("where it happened", exc_info=error)
    _say("error: " + " ".join(line.strip() for line in message.splitlines()))
    sys.exit(code)


def _say(message: str) -> None:
    with contextlib.suppress(OSError):  # nobody to tell
        typer.echo(message, err=True)
