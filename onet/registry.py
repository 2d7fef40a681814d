"""Names for the parts a configuration can choose: encoders, decoders, models, inputs.

A part is a class; its constructor's signature is its list of options. So a new part is one file
with one decorated class, and its options need no second declaration.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from onet.errors import ConfigError

T = TypeVar("T", bound=type)

MOST: dict[str, int] = {
    # how often something is repeated, in a loop that nothing else ends
    "blocks": 1000,
    "n_blocks": 1000,
    "layers": 1000,
    "unet_depth": 12,
    # cells or pixels along an edge
    "resolution": 512,
    "grid_resolution": 512,
    "plane_resolution": 4096,
    "map_resolution": 4096,
    "size": 8192,
    # points of an observation
    "count": 10**7,
}
"""Largest values of options, by their names: a configuration comes from anywhere, and a number in
it must not take all time and memory before anybody looks at it. Other numbers are below 2^31."""


def nearest(name: str, valid: list[str], where: str = "") -> str:
    """Return a remedy for a misspelt name: `did you mean 'x'?`, or the list of valid names.

    With `where` before the name that is meant, as `training.` before a key.
    """
    match = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    if match:
        return f"did you mean {where + match[0]!r}?"
    return f"valid here: {', '.join(sorted(valid)) or 'nothing'}"


def _digits(value: int) -> str:
    return f"{value:,}" if abs(value) < 10**15 else f"a number of {value.bit_length()} bits"


class Registry:
    """Classes of one kind by name, built from configuration sections `{type: name, **options}`.

    Arguments that only the caller knows (sizes derived from other sections) are passed to `build`
    as keywords and are not configurable.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Class decorator; refuses a name that is taken."""

        def decorate(cls: T) -> T:
            if name in self._classes:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._classes[name] = cls
            return cls

        return decorate

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def __getitem__(self, name: str) -> type:
        if not isinstance(name, str) or name not in self._classes:
            remedy = nearest(str(name), list(self._classes))
            raise ConfigError(f"unknown {self.kind} {name!r}: {remedy}")
        return self._classes[name]

    def name_of(self, part: object) -> str:
        """Return the name that a part was registered by, or that of its class if it was not."""
        kind = type(part)
        return next((name for name, cls in self._classes.items() if cls is kind), kind.__name__)

    def options(self, name: str, given: tuple[str, ...] = ()) -> type[BaseModel]:
        """Return the options of a part as a pydantic model, without the arguments in `given`."""
        parameters = inspect.signature(self[name].__init__, eval_str=True).parameters  # type: ignore[misc]
        fields: dict[str, Any] = {}
        for key, p in list(parameters.items())[1:]:
            if key in given or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                continue  # the latter: those of object, where a class has no constructor
            default = ... if p.default is inspect.Parameter.empty else p.default
            fields[key] = (p.annotation, default)
        return create_model(f"{self.kind} {name}", __config__=ConfigDict(extra="forbid"), **fields)

    def build(self, section: dict[str, Any], where: str, **given: Any) -> Any:
        """Construct the part that `section` describes.

        Args:
            section: `{"type": name, **options}`, as read from the configuration.
            where: the section's dotted path, for error messages (`model.encoder`).
            given: constructor arguments set by the caller, not by the configuration.

        Raises:
            ConfigError: unknown type or option, or an option of the wrong type.
        """
        options = dict(section)
        name = options.pop("type", None)
        if name is None:
            raise ConfigError(f"{where}.type is missing; valid {self.kind}s: {', '.join(self)}")
        schema = self.options(name, tuple(given))
        try:
            checked = schema(**options)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            hint = first["msg"]
            if first["type"] == "extra_forbidden":
                hint = f"unknown option; {nearest(key, list(schema.model_fields))}"
            raise ConfigError(f"{where}.{key} ({self.kind} {name!r}): {hint}") from None
        arguments = {key: getattr(checked, key) for key in schema.model_fields}
        for key, value in arguments.items():
            most = MOST.get(key, 2**31 - 1)
            if isinstance(value, int) and abs(value) > most:
                raise ConfigError(
                    f"{where}.{key} ({self.kind} {name!r}): {_digits(value)} is more than the "
                    f"{most:,} that are possible"
                )
        return self[name](**arguments, **given)
