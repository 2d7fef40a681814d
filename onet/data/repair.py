"""What to run so that a damaged item of a store is made again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from onet.data import integrity
from onet.data.prepare import Settings
from onet.data.store import NEAR_SURFACE, RECORD, RENDERINGS, VOXELS, Item
from onet.geometry.cameras import PUBLISHED_SIZE
from onet.names import printable

CHOICES = "with the --split, --listing, --category and --max-per-category that it had, if any"
"""What records do not tell, and what decides which items are in which list."""

_NO_OPTIONS = {name: getattr(Settings(), name) for name in ("padding", "stored_faces")}
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
    """The command that prepares an item with the settings that its record tells.

    MESHES stands for the folder of meshes, which the record does not tell.
    """
    words = ["onet prepare MESHES", shlex.quote(str(root))]
    for option in ("points", "surface", "resolution", "thickness", "seed"):
        value = record["settings"].get(option)
        if value is not None and value != getattr(Settings(), option):
            words.append(f"--{option} {_word(value)}")
    extras = record.get("extras", {})
    if pictures := extras.get(RENDERINGS):
        words.append(f"--render {_word(pictures['count'])}")
        words += [f"--views {_word(pictures['views'])}"] * (pictures["views"] != "ring")
        words += [f"--render-size {_word(pictures['size'])}"] * (pictures["size"] != PUBLISHED_SIZE)
        words += ["--alpha"] * pictures["alpha"]
    if grid := extras.get(VOXELS):
        words.append(f"--voxels {_word(grid['resolution'])}")
    if near := extras.get(NEAR_SURFACE):
        words.append(f"--near-surface {_word(near['noise'])}")
    return " ".join(words)


def _word(value: Any) -> str:
    """A value from a record, which may be anybody's, as one word of a command."""
    return shlex.quote(printable(str(value)))
