"""What to run so that a damaged item of a store is made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onet.data import integrity
from onet.data.parts import PARTS
from onet.data.settings import PrepareSettings
from onet.data.store import RECORD, Item


def remake(item: Item, name: str, record: dict[str, Any] | None, root: Path) -> str:
    """Advice that repairs the file or folder `name` of an item.

    `onet prepare` makes again what it can see to be damaged; of anything else it has to be told, by
    deleting the record of the item.

    Args:
        record: the content of its `item.json`; None if that is damaged or missing.
        root: of the store.
    """
    if record is None:
        return f"run the `onet prepare` that made {root} again: it makes the item anew"
    advice = f"run `{command(record, root)}` again: it makes what is damaged anew"
    if integrity.damage(item.path, name, record) is not None:
        return advice
    return f"delete {item.path / RECORD} and {advice}"


def command(record: dict[str, Any], root: Path) -> str:
    """The command that prepares an item with the settings that its record tells.

    MESHES stands for the folder of meshes, which the record does not tell.
    """
    names = ("points", "surface", "resolution", "thickness", "seed")
    changes = {name: record["settings"].get(name) for name in names}
    for part in PARTS:
        changes |= part.settings_of(record)
    words = ["onet prepare MESHES", str(root)]
    for name, value in changes.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value != getattr(PrepareSettings, name):
            words.append(f"{option} {value}")
    return " ".join(words)
