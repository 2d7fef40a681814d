"""The command line itself, and the arguments that several commands have."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from onet import machine

DATA, TRAIN, RECONSTRUCT = "Data", "Train", "Reconstruct"
SCORE, THEORY, INSTALLATION = "Score", "Theory", "This installation"
PANELS = (DATA, TRAIN, RECONSTRUCT, SCORE, THEORY, INSTALLATION)
"""What commands are for, in the order of `onet --help`."""
FIRST = (
    *("prepare", "data", "solid", "check", "train", "configs"),
    *("demo", "scan", "generate", "scene", "eval", "models"),
)
"""Commands that come first in their panels."""

FORMER = {"--probability": "--threshold"}
"""Names of options, present: former."""

_TAKEN: dict[Any, str] = {
    **{int: "N", float: "X", str: "TEXT", Path: "PATH"},
    **{list[float]: "X", list[str]: "TEXT", list[Path]: "PATH"},
}
"""What help says that an option takes, by its type."""

F = TypeVar("F", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command; options that had other names formerly take those too, which no help lists.

    So do switches that are off by default: `--no-NAME` leaves them off. Help has short words for
    what options take, so that it fits 80 columns.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        options: list[Any] = self.params
        for option in (option for option in options if option.metavar is None):
            kind = getattr(getattr(option, "type_descriptor", None), "annotation", None)
            if option.param_type_name == "argument":
                option.metavar = option.name.upper()
            elif kind in _TAKEN:
                option.metavar = _TAKEN[kind]

    def make_parser(self, ctx: Any) -> Any:  # the context and parser of click, or of typer's own
        """Return the parser of the command line, with the former names."""
        parser: Any = super().make_parser(ctx)
        options: list[Any] = self.get_params(ctx)
        for option in options:
            for old in (FORMER[name] for name in option.opts if name in FORMER):
                parser.add_option(option, opts=[old], dest=option.name)
            if getattr(option, "is_flag", False) and not option.secondary_opts:
                for name in (name for name in option.opts if name.startswith("--")):
                    off: dict[str, Any] = {"action": "store_const", "const": False}
                    parser.add_option(option, opts=[f"--no-{name[2:]}"], dest=option.name, **off)
        return parser

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, one a line."""
        with formatter.section("Examples"):
            for line in (self.epilog or "").splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Group(TyperGroup):
    """The commands, by what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each panel, with the first sentence of each command's help."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.commands[name]
            if not command.hidden:
                first = (command.help or "").partition("\n\n")[0]
                panel = getattr(command, "rich_help_panel", None) or "Commands"
                sections.setdefault(panel, []).append((name, " ".join(first.split())))
        width = max(len(name) for rows in sections.values() for name, _ in rows)
        for panel, rows in sections.items():
            with formatter.section(panel):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of `PANELS`; those of other panels come last."""

        def place(name: str) -> tuple[int, int]:
            panel = getattr(self.commands[name], "rich_help_panel", None)
            return (
                PANELS.index(panel) if panel in PANELS else len(PANELS),
                FIRST.index(name) if name in FIRST else len(FIRST),
            )

        return sorted(super().list_commands(ctx), key=place)


app = typer.Typer(
    cls=Group,
    help="Learned 3D reconstruction with implicit functions: from a folder of meshes to a trained "
    "network, and from an observation to a closed mesh.",
    epilog="Try `onet demo`, then `onet COMMAND --help`: each has examples.",
    rich_markup_mode=None,  # plain text: whole names at 80 columns, and quick
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def command(
    panel: str, *examples: str, name: str | None = None, parent: typer.Typer = app
) -> Callable[[F], F]:
    """Decorate a function that is a command.

    Args:
        panel: what it is for, one of `PANELS`.
        examples: whole lines, `onet ...`, that its help ends with; the tests parse each of them.
        name: of the command, where not that of the function.
        parent: the group that it belongs to.
    """
    shelf = panel if parent is app else None
    return parent.command(name, cls=Command, epilog="\n".join(examples), rich_help_panel=shelf)


def group(panel: str, name: str, help: str) -> typer.Typer:
    """Return a new group of commands, of `onet NAME COMMAND`."""
    made = typer.Typer(cls=Group, help=help, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(made, name=name, rich_help_panel=panel)
    return made


class Device(StrEnum):
    """Where networks work."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


def _limit_threads(count: int | None) -> int | None:
    if count is not None:
        machine.limit_threads(count)
    return count


Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random in this command.")]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where the network works; auto takes a GPU.")
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        callback=_limit_threads,
        help="Threads of this process; default OMP_NUM_THREADS, else as many as cores.",
    ),
]
"""The number is set when it is parsed, before anything that computes is imported."""
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, and nothing else there.")
]
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


def out_option(help: str) -> Any:
    """Return the option `--out`, `-o`: where results go, which `help` says."""
    return typer.Option("--out", "-o", help=help)


def wrapped(text: str, hanging: int = 0) -> str:
    """Return a text as indented lines that fit the terminal, those after the first by more."""
    import shutil
    import textwrap

    width = min(shutil.get_terminal_size((80, 24)).columns, 100)
    after = " " * (4 + hanging)
    return textwrap.fill(text, width, initial_indent="    ", subsequent_indent=after)


def echo_json(value: Any) -> None:
    """Print a value as JSON; paths become text, numbers that are none become null."""
    import json

    typer.echo(json.dumps(_plain(value), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # arrays and numbers of NumPy
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


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
