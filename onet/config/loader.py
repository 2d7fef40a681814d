"""Read configurations: YAML files that inherit from one another, and dotted overrides.

Files and overrides are laid over the defaults of the schema one after the other. Dictionaries are
merged key by key, except that a component section `{type: name, ...}` that names another type than
the one it is laid over replaces it, since the old options belong to the old type.
"""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from onet.config.renamed_keys import RENAMED, with_present_names
from onet.config.schema import Config
from onet.errors import ConfigError
from onet.mistaken import mistaken_for
from onet.registry import nearest
from onet.safe_yaml import DEEPEST, read_yaml, read_yaml_file

S = TypeVar("S", bound=BaseModel)

_INHERIT = "inherit"
_GENERATIONS = 50
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 200
_repr.maxdict = _repr.maxlist = 20


def load_config(
    config: str | os.PathLike[str] | Config, overrides: Sequence[str] | Mapping[str, Any] = ()
) -> Config:
    """Read a configuration, or change one.

        load_config("pointcloud", ["training.batch_size=32"])
        load_config("mine.yaml", {"training.batch_size": 32, "data": {"path": "prepared"}})

    Args:
        config: a YAML file, or the name of a packaged configuration without suffix (`pointcloud`).
            Its key `inherit` names another file, relative to its own folder, with or without the
            suffix, or a packaged configuration, that it builds on; or a list of them, of which the
            later ones are laid over the earlier ones. Or a configuration in memory.
        overrides: `section.key=value` with the value in YAML (`training.batch_size=32`,
            `data.categories=[chair, table]`), applied in order after the files; or a dictionary of
            dotted keys, or of dictionaries, with the values themselves.

    Raises:
        ConfigError: missing or unreadable file, circular inheritance, unknown key, wrong type of
            value. The message names the file, the dotted key and the nearest valid key.
    """
    result = Config()
    for _, laid in _laid(_layers(config), overrides):
        result = laid
    return result


@dataclass(frozen=True)
class Explained:
    """A configuration, and where its values come from.

    Attributes:
        config: all of it.
        values: each value as JSON has it, by its dotted key; sections are taken apart as far as
            they have keys.
        origins: of each, `DEFAULT`, the file that says it, or the change, as errors name it.
    """

    config: Config
    values: dict[str, Any]
    origins: dict[str, str]


DEFAULT = "default"


def explain_config(
    config: str | os.PathLike[str] | Config, overrides: Sequence[str] | Mapping[str, Any] = ()
) -> Explained:
    """Read a configuration as `load_config` does, and say where each value comes from.

    Raises:
        ConfigError: see `load_config`.
    """
    result, said = Config(), dict[str, str]()
    for (source, layer), laid in _laid(_layers(config), overrides):
        said |= dict.fromkeys(_leaves(layer), source)
        result = laid
    values = _leaves(result.model_dump(mode="json"))
    return Explained(result, values, {key: said.get(key, DEFAULT) for key in values})


def packaged_configs() -> dict[str, str]:
    """Return what each packaged configuration is, the first sentence of its file, by name."""
    from onet.resources import configs_dir

    return {name: _described(configs_dir() / f"{name}.yaml") for name in _names()}


def _described(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = " ".join(line[1:].strip() for line in takewhile(lambda x: x.startswith("#"), lines))
    return re.split(r"(?<=[.:]) (?=[A-Z`])", comment)[0].rstrip(".:")


def _leaves(tree: dict[str, Any], where: str = "") -> dict[str, Any]:
    """Return the values of a tree by dotted keys; an empty section is a value."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            found |= _leaves(value, f"{where}{key}.")
        else:
            found[f"{where}{key}"] = value
    return found


def _layers(config: str | os.PathLike[str] | Config) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(config, Config):
        return [("configuration", config.model_dump())]
    return _chain(_find(config), (), {})


def _laid(
    layers: list[tuple[str, dict[str, Any]]], overrides: Sequence[str] | Mapping[str, Any]
) -> Iterator[tuple[tuple[str, dict[str, Any]], Config]]:
    """Yield each layer, and what there is with it laid over those before."""
    tree = Config().model_dump()
    for source, given in [*layers, *_overrides(overrides)]:
        layer = with_present_names(given, source)
        _check_keys(layer, source)
        tree = _merge(tree, layer)
        try:
            yield (source, layer), Config.model_validate(tree)
        except ValidationError as error:
            raise ConfigError(_explain(error, source)) from None


def parse_config(text: str, source: str) -> Config:
    """Read a complete configuration from YAML or JSON text; `source` names it in errors."""
    tree = with_present_names(_parse(text, source), source)
    _check_keys(tree, source)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error, source)) from None


def with_changes(section: S, changes: dict[str, Any], source: str) -> S:
    """Return a section with other values for some keys, checked as if they came from a file.

    Raises:
        ConfigError: an unknown key or an unfit value; the message begins with `source`.
    """
    try:
        return type(section).model_validate(section.model_dump() | changes)
    except ValidationError as error:
        raise ConfigError(_explain(error, source)) from None


def _find(path: str | os.PathLike[str]) -> Path:
    """Return the file that is meant on the command line: as named, or a packaged one."""
    path = Path(path)
    if path.is_file():
        return path
    packaged = _packaged(os.fspath(path))
    if packaged is not None:
        return packaged
    if path.suffix or len(path.parts) > 1:
        known = {name: f"{name}.yaml" for name in _names()}
        known |= {one.stem: str(one) for one in sorted(path.parent.glob("*.y*ml"))}
        near = get_close_matches(path.stem, known, 1, 0.8)
        remedy = f"give a YAML file, or one of the packaged {', '.join(_names())}"
        if near:
            remedy = f"did you mean {known[near[0]]!r}?"
        raise ConfigError(f"{path}: no such configuration file; {remedy}")
    raise ConfigError(
        f"{path}: neither a file nor a packaged configuration; {nearest(path.name, _names())}"
    )


def _names() -> list[str]:
    from onet.resources import configs_dir

    return sorted(path.stem for path in configs_dir().glob("*.yaml"))


def _packaged(name: str) -> Path | None:
    """Return the packaged configuration called `name` (`pointcloud` or `pointcloud.yaml`)."""
    from onet.resources import configs_dir

    stem = name.removesuffix(".yaml")
    return configs_dir() / f"{stem}.yaml" if stem in _names() else None


def _parent(name: str, heir: Path) -> Path:
    """Return the file that `heir` inherits from: beside it, with or without suffix, or packaged.

    A file that inherits from its own name means the packaged configuration of that name.
    """
    packaged = _packaged(name)
    for candidate in (heir.parent / name, heir.parent / f"{name}.yaml"):
        if candidate.is_file() and not (packaged and candidate.resolve() == heir):
            return candidate
    if packaged is None:
        raise ConfigError(
            f"{heir}: {_INHERIT} names {name}, which does not exist: there is no file "
            f"{heir.parent / name}, nor with .yaml after it, and no packaged configuration of that "
            f"name; {nearest(name, _names())}; packaged are {', '.join(_names())}"
        )
    return packaged


_Chain = dict[str, dict[str, Any]]


def _chain(
    path: Path, seen: tuple[Path, ...], done: dict[Path, _Chain]
) -> list[tuple[str, dict[str, Any]]]:
    """Return the layers of `path` and of what it inherits from, the most basic first.

    Args:
        path: a file.
        seen: what is being read because it inherits from `path`.
        done: the layers of the files that were read before; a file is read once.
    """
    path = path.resolve()
    if path in seen:
        names = " -> ".join(p.name for p in (*seen, path))
        raise ConfigError(f"{path}: {_INHERIT} goes in a circle ({names}); remove one of them")
    if path in done:
        return [*done[path].items()]
    if len(seen) >= _GENERATIONS:
        raise ConfigError(
            f"{seen[0]}: {_INHERIT} goes through more than {_GENERATIONS} files; write them into "
            "fewer"
        )
    layer = _read(path)
    parents = layer.pop(_INHERIT, None) or []
    if isinstance(parents, str):
        parents = [parents]
    if not isinstance(parents, list) or not all(isinstance(name, str) for name in parents):
        raise ConfigError(
            f"{path}: {_INHERIT} must be the name of a YAML file, or a list of names, not "
            f"{_short(parents)}"
        )
    layers: _Chain = {}
    for parent in parents:
        for source, below in _chain(_parent(parent, path), (*seen, path), done):
            layers.setdefault(source, below)  # what two parents build on is laid down once
    layers[str(path)] = layer
    done[path] = layers
    return [*layers.items()]


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = read_yaml_file(path)
    except ValueError as error:
        what = mistaken_for(path)
        remedy = "" if path.suffix in (".yaml", ".yml") else "; give a YAML file"
        raise ConfigError(f"{path}: {what or error}{remedy}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from None
    return _checked(tree, str(path))


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        tree = read_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None
    return _checked(tree, source)


def _checked(tree: Any, source: str) -> dict[str, Any]:
    """Return a mapping whose keys are text all the way down."""
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{source}: must contain `section: ...` lines, not {type(tree).__name__}")
    todo: list[Any] = [tree]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    raise ConfigError(
                        f"{source}: the key {key!r} is no name but {type(key).__name__}; keys are "
                        "those of the configuration"
                    )
        if isinstance(value, dict | list):
            todo += value.values() if isinstance(value, dict) else value
    return tree


def _overrides(given: Any) -> list[tuple[str, dict[str, Any]]]:
    """Layers of changes, in whichever form they were given."""
    if isinstance(given, Mapping):
        return [_change(key, value) for key, value in given.items()]
    if isinstance(given, str):
        given = [given]
    layers = []
    for text in given:
        if not isinstance(text, str):
            raise ConfigError(f"overrides: {_short(text)} is no text such as 'section.key=value'")
        layers.append(_override(text))
    return layers


def _change(key: Any, value: Any) -> tuple[str, dict[str, Any]]:
    source = f"override {_short(key)}"
    if not isinstance(key, str) or not all(key.split(".")) or key.count(".") >= DEEPEST:
        raise ConfigError(f"{source}: name a section and a key, 'training.batch_size' for instance")
    layer = _plain(value, 0)
    for part in reversed(key.split(".")):
        layer = {part: layer}
    return source, _checked(layer, source)


def _plain(value: Any, depth: int) -> Any:
    """Return the value as YAML gives it: paths as text, numbers of NumPy as those of Python."""
    if depth > DEEPEST:
        raise ConfigError(f"overrides: nested more than {DEEPEST} times; write less deeply")
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _plain(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, depth + 1) for one in value]
    if hasattr(value, "tolist"):  # arrays, numbers of NumPy
        return value.tolist()
    return value


def _override(text: str) -> tuple[str, dict[str, Any]]:
    source = f"override {_short(text)}"
    key, equals, value = text.partition("=")
    keys = key.strip().split(".")
    if not equals or not all(keys) or len(keys) > DEEPEST:
        raise ConfigError(f"{source}: write it as section.key=value")
    try:
        layer: Any = read_yaml(value)
    except ValueError as error:
        raise ConfigError(f"{source}: the value {error}") from None
    for part in reversed(keys):
        layer = {part: layer}
    return source, _checked(layer, source)


def _check_keys(layer: dict[str, Any], source: str) -> None:
    """Refuse keys that the typed sections do not have, naming the nearest valid one."""

    def walk(tree: dict[str, Any], schema: type[BaseModel], where: str) -> None:
        for key, value in tree.items():
            dotted = f"{where}{key}"
            if key not in schema.model_fields:
                remedy = _suggest(key, list(schema.model_fields), where)
                raise ConfigError(f"{source}: unknown key {dotted!r}; {remedy}")
            annotation = schema.model_fields[key].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                if not isinstance(value, dict):
                    raise ConfigError(
                        f"{source}: {dotted} is a section, not a value: {_short(value)}"
                    )
                walk(value, annotation, f"{dotted}.")

    walk(layer, Config, "")


def _suggest(name: str, siblings: list[str], where: str) -> str:
    """Return a key of the same name in another section; failing that, the nearest sibling."""
    known = {key: key for key in _dotted_keys(Config, "")} | RENAMED
    elsewhere = [now for key, now in known.items() if key.rpartition(".")[2] == name]
    return f"did you mean {elsewhere[0]!r}?" if elsewhere else nearest(name, siblings, where)


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
    return f"{source}: {key}: {' or '.join(messages)}, not {_short(first['input'])}"


def _short(value: Any) -> str:
    """Return the value as Python writes it, of long ones the beginning and the end."""
    return _repr.repr(value)
