"""Read configurations: YAML files that inherit from one another, and dotted overrides.

Files and overrides are laid over the defaults of the schema one after the other. Dictionaries are
merged key by key, except that a component section `{type: name, ...}` that names another type than
the one it is laid over replaces it, since the old options belong to the old type.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from onet.config.schema import Config
from onet.errors import ConfigError
from onet.registry import nearest

S = TypeVar("S", bound=BaseModel)

_INHERIT = "inherit"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration.

    Args:
        path: a YAML file, or the name of a packaged configuration without suffix (`pointcloud`).
            Its key `inherit` names another file, relative to its own folder, that it builds on, or
            a list of files, of which the later ones are laid over the earlier ones.
        overrides: `section.key=value` with the value in YAML (`training.batch_size=32`,
            `data.categories=[chair, table]`), applied in order after the files.

    Raises:
        ConfigError: missing or unreadable file, circular inheritance, unknown key, wrong type of
            value. The message names the file, the dotted key and the nearest valid key.
    """
    tree = Config().model_dump()
    for source, layer in [*_chain(_find(path), ()), *map(_override, overrides)]:
        _check_keys(layer, source)
        tree = _merge(tree, layer)
        try:
            config = Config.model_validate(tree)
        except ValidationError as error:
            raise ConfigError(_explain(error, source)) from None
    return config


def parse_config(text: str, source: str) -> Config:
    """Read a complete configuration from YAML or JSON text; `source` names it in errors."""
    tree = _parse(text, source)
    _check_keys(tree, source)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error, source)) from None


def with_changes(section: S, changes: dict[str, Any], source: str) -> S:
    """A section with other values for some keys, checked as if they came from a file.

    Raises:
        ConfigError: an unknown key or an unfit value; the message begins with `source`.
    """
    try:
        return type(section).model_validate(section.model_dump() | changes)
    except ValidationError as error:
        raise ConfigError(_explain(error, source)) from None


def _find(path: str | Path) -> Path:
    from onet.resources import config_path, configs_dir

    path = Path(path)
    if path.is_file():
        return path
    packaged = sorted(p.stem for p in configs_dir().glob("*.yaml"))
    if path.suffix or len(path.parts) > 1:
        raise ConfigError(
            f"{path}: no such configuration file; give a YAML file or one of the packaged "
            f"configurations {', '.join(packaged)}"
        )
    if path.name not in packaged:
        raise ConfigError(
            f"{path}: neither a file nor a packaged configuration; {nearest(path.name, packaged)}"
        )
    return config_path(path.name)


def _chain(path: Path, seen: tuple[Path, ...]) -> list[tuple[str, dict[str, Any]]]:
    """The layers of `path` and of what it inherits from, the most basic first."""
    path = path.resolve()
    if path in seen:
        names = " -> ".join(p.name for p in (*seen, path))
        raise ConfigError(f"{path}: {_INHERIT} goes in a circle ({names}); remove one of them")
    if not path.is_file():
        raise ConfigError(f"{seen[-1]}: {_INHERIT} names {path}, which does not exist")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    layer = _parse(text, str(path))
    parents = layer.pop(_INHERIT, None) or []
    if isinstance(parents, str):
        parents = [parents]
    if not isinstance(parents, list) or not all(isinstance(name, str) for name in parents):
        raise ConfigError(
            f"{path}: {_INHERIT} must be the name of a YAML file, or a list of names, not "
            f"{parents!r}"
        )
    layers: dict[str, dict[str, Any]] = {}
    for parent in parents:
        for source, below in _chain(path.parent / parent, (*seen, path)):
            layers.setdefault(source, below)  # what two parents build on is laid down once
    return [*layers.items(), (str(path), layer)]


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not valid YAML: {error}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{source}: must contain `section: ...` lines, not {type(tree).__name__}")
    return tree


def _override(text: str) -> tuple[str, dict[str, Any]]:
    source = f"override {text!r}"
    key, equals, value = text.partition("=")
    keys = key.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"{source}: write it as section.key=value")
    try:
        layer: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: the value is not valid YAML: {error}") from None
    for part in reversed(keys):
        layer = {part: layer}
    return source, layer


def _check_keys(layer: dict[str, Any], source: str) -> None:
    """Refuse keys that the typed sections do not have, naming the nearest valid one."""

    def walk(tree: dict[str, Any], schema: type[BaseModel], where: str) -> None:
        for key, value in tree.items():
            dotted = f"{where}{key}"
            if key not in schema.model_fields:
                remedy = _suggest(key, list(schema.model_fields))
                raise ConfigError(f"{source}: unknown key {dotted!r}; {remedy}")
            annotation = schema.model_fields[key].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                if not isinstance(value, dict):
                    raise ConfigError(f"{source}: {dotted} is a section, not a value: {value!r}")
                walk(value, annotation, f"{dotted}.")

    walk(layer, Config, "")


def _suggest(name: str, siblings: list[str]) -> str:
    """A key of the same name in another section; failing that, the nearest sibling."""
    elsewhere = [key for key in _dotted_keys(Config, "") if key.rpartition(".")[2] == name]
    return f"did you mean {elsewhere[0]!r}?" if elsewhere else nearest(name, siblings)


def _dotted_keys(schema: type[BaseModel], where: str) -> list[str]:
    keys = []
    for name, field in schema.model_fields.items():
        keys.append(f"{where}{name}")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _dotted_keys(field.annotation, f"{where}{name}.")
    return keys


def _merge(base: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    if "type" in layer and layer["type"] != base.get("type"):
        return dict(layer)
    merged = dict(base)
    for key, value in layer.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merge(old, value)
        merged[key] = value
    return merged


def _explain(error: ValidationError, source: str) -> str:
    first = error.errors()[0]
    loc = first["loc"][:2]  # section and key; what follows says where in the key's value
    messages = dict.fromkeys(e["msg"] for e in error.errors() if e["loc"][:2] == loc)
    key = ".".join(str(part) for part in loc)
    return f"{source}: {key}: {' or '.join(messages)}, not {first['input']!r}"
