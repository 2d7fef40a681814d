"""What to run so that a damaged item of a store is made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onet.data import integrity
from onet.data.prepare import Settings
from onet.data.store import NEAR_SURFACE, RECORD, RENDERINGS, VOXELS, Item
from onet.geometry.cameras import PUBLISHED_SIZE


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
    words = ["onet prepare MESHES", str(root)]
    for option in ("points", "surface", "resolution", "thickness", "seed"):
        value = record["settings"].get(option)
        if value is not None and value != getattr(Settings(), option):
            words.append(f"--{option} {value}")
    extras = record.get("extras", {})
    if pictures := extras.get(RENDERINGS):
        words.append(f"--render {pictures['count']}")
        words += [f"--views {pictures['views']}"] * (pictures["views"] != "ring")
        words += [f"--render-size {pictures['size']}"] * (pictures["size"] != PUBLISHED_SIZE)
        words += ["--alpha"] * pictures["alpha"]
    if grid := extras.get(VOXELS):
        words.append(f"--voxels {grid['resolution']}")
    if near := extras.get(NEAR_SURFACE):
        words.append(f"--near-surface {near['noise']}")
    return " ".join(words)
