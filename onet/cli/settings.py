"""Options of a command from the fields of a settings object."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import typer
from annotated_types import DocInfo

R = TypeVar("R")


def with_options(
    settings: type[Any],
    *,
    names: Mapping[str, str] | None = None,
    shared: Mapping[str, Any] | None = None,
    left_out: Collection[str] = (),
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Decorate a command that takes `settings`: it gets one option for each field.

    Types, defaults and help are those of the dataclass, whose fields are declared as
    `Annotated[type, ..., doc(help)]`; the object checks the bounds when it is made.

    Args:
        settings: the dataclass; the command's argument of the name `settings` is one.
        names: what to call an option, where not by its field.
        shared: annotations of options that other commands have too.
        left_out: fields that are no option and keep their default.
    """
    options = [
        option
        for option in _options(settings, names or {}, shared or {})
        if option.name not in left_out
    ]

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(command)
        def parsed(**given: Any) -> R:
            chosen = {option.name: _plain(given.pop(option.name)) for option in options}
            return command(**given, settings=settings(**chosen))

        own = inspect.signature(command, eval_str=True).parameters.values()
        kept = [parameter for parameter in own if parameter.name != "settings"]
        parsed.__signature__ = inspect.Signature([*kept, *options])  # type: ignore[attr-defined]
        parsed.__annotations__ = {p.name: p.annotation for p in [*kept, *options]}
        return parsed

    return decorate


def _options(
    settings: type[Any], names: Mapping[str, str], shared: Mapping[str, Any]
) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(settings, include_extras=True)
    for field in fields(settings):
        name, kind = field.name, inspect.Parameter.KEYWORD_ONLY
        switch = f"--{name.replace('_', '-')}" if field.default is False else None
        annotation = shared.get(name, _option(hints[name], names.get(name, switch)))
        yield inspect.Parameter(name, kind, default=field.default, annotation=annotation)


def _option(annotation: Any, name: str | None) -> Any:
    """Return the annotation of an option for that of a field."""
    kind: Any
    kind, *details = get_args(annotation)
    (text,) = [detail.documentation for detail in details if isinstance(detail, DocInfo)]
    if get_origin(kind) is Literal:
        kind = _choice(get_args(kind))
    option = typer.Option(help=text) if name is None else typer.Option(name, help=text)
    return Annotated[kind, option]


def _choice(values: Iterable[str]) -> Any:
    make: Any = StrEnum
    return make("Choice", {value: value for value in values})


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
