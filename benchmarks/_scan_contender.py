"""The reconstruction that a benchmark of scans is about: a network, or any function."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from benchmarks._scan_peers import Given, Method
from onet.errors import ConfigError

Reconstruct = Callable[..., trimesh.Trimesh]
"""`reconstruct(points, normals=None, sensors=None)`: points (N, 3) to a mesh in their frame."""

GIVEN = ("normals", "sensors")


def network(model: str, give: list[str], label: str | None) -> Method:
    """Return the reconstruction by a network, named after its file and its contents.

    Raises:
        CheckpointError: there is no such network.
        ConfigError: it does not come from a file, and has no label.
    """
    loaded, name, digest = known_network(model, label)
    return contender(loaded.reconstruct, name, digest, give)


def known_network(model: str, label: str | None) -> tuple[Any, str, str]:
    """Return a network, its name and the beginning of the checksum of its file, if it has one.

    Raises:
        CheckpointError: there is no such network.
        ConfigError: it does not come from a file, and has no label.
    """
    import onet

    loaded = onet.load(model, device="cpu")
    source = Path(loaded.source)
    if source.is_file():
        digest = hashlib.sha256(source.read_bytes()).hexdigest()[:8]
        return loaded, label or source.stem, digest
    if label is None:
        raise ConfigError(f"{model}: no file ({source}) tells it from others; give --label")
    return loaded, label, ""


def function(words: str, give: list[str], label: str | None) -> Method:
    """Return the reconstruction by a function `MODULE:NAME`; its label tells versions apart.

    Raises:
        ConfigError: there is no such function.
    """
    module, _, name = words.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"--function {words!r}: {error}; give MODULE:NAME") from error
    return contender(found, label or name, "", give)


def contender(reconstruct: Reconstruct, label: str, variant: str, give: list[str]) -> Method:
    """Return the method that calls a function with what may be given of a scan, and no more."""

    def run(given: Given) -> trimesh.Trimesh:
        options: dict[str, Any] = {}
        if "normals" in give:
            options["normals"] = given.scan.normals
        if "sensors" in give and given.scan.sensor is not None:
            options["sensors"] = np.broadcast_to(given.scan.sensor, given.scan.points.shape)
        return reconstruct(given.scan.points, **options)

    return Method(label + "".join(f" +{word}" for word in give), variant, run)
