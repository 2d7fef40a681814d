"""What to run so that a damaged item of a store is made again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from onet.data import integrity
from onet.data.parts import PARTS
from onet.data.settings import PrepareSettings
from onet.data.store import Item
from onet.data.store_folder import RECORD
from onet.data.truth import labels_of
from onet.names import printable

CHOICES = "with the --split, --listing, --category and --max-per-category that it had, if any"
"""What records do not tell, and what decides which items are in which list."""

_NO_OPTIONS = {name: getattr(PrepareSettings, name) for name in ("padding", "stored_faces")}
"""Settings that only callers of `onet.data.prepare` can choose."""


def remake(item: Item, name: str, record: dict[str, Any] | None, root: Path) -> str:
    """Advice that repairs the file or folder `name` of an item.

    `onet prepare` makes again what it can see to be damaged; of anything else it has to be told, by
    deleting the record of the item.

    Args:
        record: the content of its `item.json`; None if that is damaged or missing.
        root: of the store.
    """
    if record is None or not all(
        record["settings"].get(key, default) == default for key, default in _NO_OPTIONS.items()
    ):
        again = f"run the `onet prepare` that made {root} again"
        if record is None:
            return f"{again}: it makes the item anew"
    else:
        again = f"run `{command(record, root)}` again, {CHOICES}"
    advice = f"{again}: it makes what is damaged anew"
    if integrity.damage(item.path, name, record) is not None:
        return advice
    return f"delete {item.path / RECORD} and {advice}"


def command(record: dict[str, Any], root: Path) -> str:
    """Return the command that prepares an item with the settings that its record tells.

    MESHES stands for the folder of meshes, which the record does not tell.
    """
    names = ("points", "surface", "resolution", "thickness", "seed")
    changes = {"labels": labels_of(record)}
    changes |= {name: record["settings"].get(name) for name in names}
    for part in PARTS:
        changes |= part.settings_of(record)
    words = ["onet prepare MESHES", shlex.quote(str(root))]
    for name, value in changes.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value != getattr(PrepareSettings, name):
            words.append(f"{option} {_word(value)}")
    return " ".join(words)


def _word(value: Any) -> str:
    """Return a value from a record, which may be anybody's, as one word of a command."""
    return shlex.quote(printable(str(value)))
