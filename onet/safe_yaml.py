"""YAML of unknown origin: read without running anything, in little time and memory.

PyYAML's safe loader makes no objects of Python, but it follows what a few lines can unfold to:
aliases of aliases (a billion of them in ten lines), lists in lists until the stack ends, keys given
twice of which the last one counts. So the events of the text are counted before anything is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MOST_BYTES, MOST_VALUES = 2**20, 20_000
DEEPEST = 32
_MERGE = "tag:yaml.org,2002:merge"

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """The safe loader, except that a mapping has each key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        seen = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key_node.tag == _MERGE or not isinstance(key_node, yaml.ScalarNode):
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml_file(path: Path, most_bytes: int = MOST_BYTES, most_values: int = MOST_VALUES) -> Any:
    """What the YAML file says; see `read_yaml`.

    Raises:
        ValueError: too large, no UTF-8 text, or not what `read_yaml` takes; without the file's
            name.
        OSError: it cannot be read.
    """
    if path.stat().st_size > most_bytes:
        raise ValueError(_too_large(path.stat().st_size, most_bytes))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text ({error})") from None
    return read_yaml(text, most_bytes, most_values)


def read_yaml(text: str, most_bytes: int = MOST_BYTES, most_values: int = MOST_VALUES) -> Any:
    """What a YAML or JSON text says: dictionaries, lists, text, numbers, dates.

    Args:
        text: of one document.
        most_bytes: largest text.
        most_values: keys, values and lists in it, with aliases unfolded.

    Raises:
        ValueError: too large or too deep, aliases that unfold without end, a key given twice, a tag
            of Python's objects, or no YAML; the message is a sentence without a subject.
    """
    if len(text) > most_bytes:
        raise ValueError(_too_large(len(text), most_bytes))
    try:
        _count_values(text, most_values)
    except yaml.YAMLError as error:
        raise ValueError(f"is not valid YAML: {_plain(error)}") from None
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"is not valid YAML: {_plain(error)}") from None
    except (ValueError, TypeError, OverflowError) as error:  # numbers and dates that are none
        raise ValueError(f"is not valid YAML: {error}") from None


def _count_values(text: str, most: int) -> None:
    """Refuse what is nested too deeply or unfolds to more than `most` values."""
    sizes: dict[str | None, int] = {}  # of what an anchor names, with aliases unfolded
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, Loader=_Base):
        size = 0
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
            if len(open_nodes) > DEEPEST + 1:
                raise ValueError(f"is nested more than {DEEPEST} levels deep; write it flatter")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = size
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
            if event.anchor is not None:
                sizes[event.anchor] = size
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise ValueError(f"has an alias *{event.anchor} inside of what it stands for")
            size = sizes.get(event.anchor, 1)
        anchor, below = open_nodes[-1]
        open_nodes[-1] = anchor, below + size
        if below + size > most:
            raise ValueError(f"holds more than {most:,} values, counting what aliases stand for")


def _too_large(size: int, most: int) -> str:
    return f"is larger ({size:,} bytes) than the {most:,} bytes that are read"


def _plain(error: yaml.YAMLError) -> str:
    """Return the parser's message in one line, without its quotation of the text."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        location = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        return f"{error.problem or error.context}{location}"
    return " ".join(str(error).split())
