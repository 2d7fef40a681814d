"""Keys of configurations that had other names before, which files and checkpoints still have."""

from __future__ import annotations

from typing import Any

from onet.errors import ConfigError

RENAMED = {"generation.threshold": "generation.probability"}
"""Dotted keys, former: present; both of one section."""


def with_present_names(tree: dict[str, Any], source: str) -> dict[str, Any]:
    """Return a configuration, or a part of one, with the present names of its keys.

    Raises:
        ConfigError: a key is there by both names; the message begins with `source`.
    """
    for former, present in RENAMED.items():
        section, _, old = former.partition(".")
        new = present.rpartition(".")[2]
        values = tree.get(section)
        if not isinstance(values, dict) or old not in values:
            continue
        if new in values:
            raise ConfigError(
                f"{source}: {former} is the former name of {present}; give {present} alone"
            )
        renamed = {new if key == old else key: value for key, value in values.items()}
        tree = tree | {section: renamed}
    return tree
