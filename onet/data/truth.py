"""Which solid the labels of prepared data are of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from onet.data.store import Item
from onet.data.store_folder import RECORD

PUBLISHED = "published"

MEANING = {
    "solid": "the solid itself, its surface where the mesh has it",
    "published": "the solid with its surface moved outward, as in the published preprocessing",
    "winding": "where the winding number of the mesh is above a half",
    "auto": "the winding number where a mesh is closed, else the solid itself",
}
"""What the labels of each kind are true of."""


def labels_of(record: Mapping[str, Any]) -> str:
    """Return the kind of labels of an item, by its `item.json`.

    Those of versions that knew one kind only say nothing of it: they are `published`.
    """
    settings = record.get("settings", {})
    return str(settings.get("labels", PUBLISHED)) if isinstance(settings, Mapping) else PUBLISHED


def labels_of_items(items: Iterable[Item]) -> dict[str, int]:
    """Return the kinds of labels that items have, with the number of items of each.

    Items without a record are those of the published data.
    """
    return dict(Counter(labels_of(_record(item.path)) for item in items).most_common())


def describe(labels: Mapping[str, int]) -> str:
    """Return what items are true of, in words, with their numbers where there are several."""
    if len(labels) == 1:
        kind = next(iter(labels))
        return f"{kind} labels: {MEANING.get(kind, 'of a later version')}"
    return "labels of several kinds: " + ", ".join(f"{n} {kind}" for kind, n in labels.items())


def labels_below(store: Path) -> str | None:
    """Return the kind of labels of some item of a store; None if none has a record of it."""
    for path in sorted(store.glob(f"*/*/{RECORD}")):
        record = _record(path.parent)
        settings = record.get("settings")
        if isinstance(settings, Mapping) and "points" in settings:  # else it is damaged
            return labels_of(record)
    return None


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # the published data have none; `onet data check` names damaged ones
    return record if isinstance(record, dict) else {}
