"""Files of networks for scans: safetensors with the options of the network, and no run around."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from onet.errors import CheckpointError

OPTIONS = "options"
"""Entry of the header: what `onet.models.scan_networks.build_scan_network` takes, as JSON."""


def holds_scan_network(path: Path) -> bool:
    """Whether a file is one of a network for scans; nothing but its header is read."""
    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="numpy") as file:
            return is_scan_header(file.metadata() or {})
    except (SafetensorError, OSError, RuntimeError):
        return False  # whoever reads it says what it is


def is_scan_header(header: Mapping[str, str]) -> bool:
    """Whether the header of a safetensors file is that of a network for scans."""
    return OPTIONS in header and "config" not in header


def scan_options(header: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Return the options of the network, from the header of its file.

    Raises:
        CheckpointError: there are none, or they are no JSON object.
    """
    if not is_scan_header(header):
        raise CheckpointError(f"{path}: is no network for scans; see `onet models`")
    try:
        options = json.loads(header[OPTIONS])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its options are not JSON ({error})") from None
    if not isinstance(options, dict):
        raise CheckpointError(f"{path}: its options are {type(options).__name__}, not names")
    return options


def refuse_scan_network(path: Path, header: Mapping[str, str]) -> None:
    """Refuse a network for scans where a model with one code for each object is needed.

    Raises:
        CheckpointError: the header is that of one.
    """
    if is_scan_header(header):
        raise CheckpointError(
            f"{path}: is a network for scans of anything, which has no configuration and no codes "
            "of objects; use `onet scan FILE -o mesh.ply`, or onet.load and its `reconstruct`"
        )
