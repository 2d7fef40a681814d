"""Commands that show configurations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onet.cli.app import TRAIN, Json, command, echo_json, group, wrapped

if TYPE_CHECKING:
    from onet.config import Explained

configs_app = group(TRAIN, "configs", help="List, show and compare configurations of training.")

_COMMENTS = 48
"""Column that comments begin at."""


@command(
    TRAIN,
    "onet configs list",
    "onet configs list small --parameters",
    name="list",
    parent=configs_app,
)
def list_configs(
    word: Annotated[
        str | None, typer.Argument(help="Only those with this in their name or description.")
    ] = None,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="Count the numbers that are learned, too.")
    ] = False,
    json: Json = False,
) -> None:
    """List the configurations that come with the package, and what each observes.

    Their names stand wherever a configuration can. Those without an input are to be inherited.
    """
    from onet.config import packaged_configs
    from onet.errors import ConfigError

    rows = [
        _row(name, what, parameters)
        for name, what in sorted(packaged_configs().items(), key=_ablations_last)
        if word is None or word.lower() in f"{name} {what}".lower()
    ]
    if not rows:
        raise ConfigError(f"{word}: no packaged configuration has this word; leave it out")
    if json:
        echo_json(rows)
        return
    for row in rows:
        about = row["input"] or "to be inherited"
        if row.get("parameters") is not None:
            about += f", {row['parameters']:,} parameters"
        typer.echo(f"{row['name']}  ({about})")
        typer.echo(wrapped(row["what"]))


def _ablations_last(item: tuple[str, str]) -> tuple[bool, str]:
    return item[0].startswith("ablation_"), item[0]


def _row(name: str, what: str, parameters: bool) -> dict[str, Any]:
    from onet.config import DEFAULT, explain_config

    told = explain_config(name)
    alone = any(
        origin != DEFAULT and key.startswith(("model.", "data.input."))
        for key, origin in told.origins.items()
    )
    row: dict[str, Any] = {"name": name, "input": told.values["data.input.type"] if alone else None}
    if parameters:
        row["parameters"] = _parameters(told) if alone else None
    return row | {"what": what}


def _parameters(told: Explained) -> int | None:
    """How many numbers a network has; None where the data decide."""
    from onet.errors import ConfigError
    from onet.models import build_model
    from onet.models.sizes import without_memory

    try:
        network = without_memory(lambda: build_model(told.config.model))
    except ConfigError:
        return None
    return sum(parameter.numel() for parameter in network.parameters())


@command(
    TRAIN,
    "onet configs show pointcloud",
    "onet configs show img data.path=prepared training.batch_size=16 > mine.yaml",
    parent=configs_app,
)
def show(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a packaged one.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Changes, such as training.batch_size=32."),
    ] = None,
    json: Json = False,
) -> None:
    """Print a whole configuration as YAML, with the file that each value comes from.

    Values without a comment are defaults. What is printed is a configuration itself.
    """
    from onet.config import explain_config

    told = explain_config(config, overrides or [])
    if json:
        echo_json({"values": told.values, "origins": _named(told)})
        return
    tree = told.config.model_dump(mode="json")
    typer.echo("\n".join(_lines(tree, _named(told), "", 0)))


def _named(told: Explained) -> dict[str, str]:
    """Return short names of origins: files without their folders."""
    return {
        key: "changed here" if origin.startswith("override ") else Path(origin).name
        for key, origin in told.origins.items()
    }


def _lines(tree: dict[str, Any], origins: dict[str, str], where: str, depth: int) -> Any:
    from onet.config import DEFAULT

    for key, value in tree.items():
        dotted = f"{where}{key}"
        if dotted not in origins:
            yield f"{'  ' * depth}{key}:"
            yield from _lines(value, origins, f"{dotted}.", depth + 1)
            continue
        text = f"{'  ' * depth}{key}: {_flow(value)}"
        origin = origins[dotted]
        yield text if origin == DEFAULT else f"{text:<{_COMMENTS}}  # {origin}"


def _flow(value: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")


@command(
    TRAIN,
    "onet configs diff img img_small",
    "onet configs diff pointcloud pointcloud training.batch_size=16",
    parent=configs_app,
)
def diff(
    configs: Annotated[
        list[str],
        typer.Argument(
            metavar="A [CHANGES] B [CHANGES]",
            help="Two configurations; changes belong to the one before them. Without B the changed "
            "A is compared with A.",
        ),
    ],
    json: Json = False,
) -> None:
    """Print the values in which two configurations differ, one key a line."""
    from onet.config import explain_config

    (first, changes), (second, others) = _two(configs)
    one, other = explain_config(first, changes).values, explain_config(second, others).values
    keys = [key for key in {**one, **other} if (key in one) != (key in other)
            or one.get(key) != other.get(key)]  # fmt: skip
    if json:
        echo_json({key: [one.get(key), other.get(key)] for key in keys})
        return
    for key in keys:
        left, right = (_flow(side[key]) if key in side else "-" for side in (one, other))
        typer.echo(f"{key}: {left} -> {right}")
    if not keys:
        typer.echo("no difference")


def _two(words: Any) -> tuple[tuple[str, Any], tuple[str, Any]]:
    """Return two configurations, each with its changes."""
    sides: Any = []
    for word in words:
        if "=" in word and sides and not Path(word).exists():
            sides[-1][1].append(word)
        else:
            sides.append((word, []))
    if len(sides) == 1 and sides[0][1]:
        return (sides[0][0], []), sides[0]
    if len(sides) != 2:
        raise typer.BadParameter(
            f"{len(sides)} configurations: name two, or one with changes (key=value)"
        )
    return sides[0], sides[1]
