"""Whether the files of a prepared item are those that were written.

`item.json` has for each file, and for a folder of pictures as a whole, its size and SHA-256. A file
that was cut, emptied or changed differs in one of them. Sizes are compared first; a file whose size
is right is read, since times of modification say nothing of what a crash or a copy left out.

Items of earlier versions have no such entries. Their files are opened in full, which also compares
the checksums that npz archives hold, and have to be of the recorded lengths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from onet.data.store import Item
from onet.data.store_folder import (
    CAMERAS,
    MESH,
    NEAR_SURFACE,
    POINTCLOUD,
    POINTS,
    RENDERINGS,
    VOXELS,
)
from onet.errors import DataError
from onet.geometry.cameras import read_cameras

CORE = (POINTS, POINTCLOUD, MESH)
"""Files that each prepared item has."""

FILES = "files"
"""Key of `item.json` under which sizes and hashes are."""


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def describe(path: Path) -> dict[str, Any]:
    """Size and hash of a file, or of a folder's files with their names.

    Raises:
        OSError: it is not there or cannot be read.
    """
    if path.is_file():
        return {"size": path.stat().st_size, "sha256": sha256(path)}
    digest = hashlib.sha256()
    for file in _members(path):
        digest.update(f"{file.name}\0{file.stat().st_size}\0{sha256(file)}\n".encode())
    return {"size": _size(path), "sha256": digest.hexdigest()}


def damage(folder: Path, part: str, record: dict[str, Any]) -> str | None:
    """What is wrong with a file, or a folder of pictures, of an item; None if nothing.

    Args:
        folder: of the item.
        part: name of the file or folder in it.
        record: the content of its `item.json`.
    """
    path = folder / part
    try:
        written = record.get(FILES, {}).get(part)
        if written is None:
            return _implausible(Item("", folder.name, folder), part, record)
        if not path.exists():
            return "is missing"
        if (size := _size(path)) != written["size"]:
            return f"has {size} bytes, but {written['size']} were written"
        if describe(path)["sha256"] != written["sha256"]:
            return "has changed since it was written: its hash is another one"
    except DataError as error:
        return str(error).removeprefix(f"{path}: ").rsplit("; ", 1)[0]
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    except (KeyError, TypeError, AttributeError) as error:
        return f"is not what item.json tells, which is damaged ({type(error).__name__}: {error})"
    return None


def _members(folder: Path) -> list[Path]:
    """Pictures and cameras in a folder by name; others, as of file managers, are left alone."""
    return sorted(
        path for path in folder.iterdir() if path.suffix in (".jpg", ".png", ".npz", ".exr")
    )


def _size(path: Path) -> int:
    files = [path] if path.is_file() else _members(path)
    return sum(file.stat().st_size for file in files)


# -- items of versions that recorded neither size nor hash ----------------------------------------


def _implausible(item: Item, part: str, record: dict[str, Any]) -> str | None:
    """What is wrong with a file that is only known by what it should hold."""
    path = item.path / part
    if not path.exists():
        return "is missing"
    settings = record["settings"] | record.get("extras", {}).get(part, {})
    found, expected = _LENGTHS[part](item, settings, record)
    if found != expected:
        return f"holds {found}, but {expected} were asked for"
    return None


def _labelled(file: str) -> Callable[[Item, dict[str, Any], dict[str, Any]], tuple[Any, Any]]:
    def lengths(item: Item, settings: dict[str, Any], record: dict[str, Any]) -> tuple[Any, Any]:
        item.frame()
        return len(item.occupancies(file=file)), settings["points"]

    return lengths


def _surface(item: Item, settings: dict[str, Any], record: dict[str, Any]) -> tuple[Any, Any]:
    return len(item.load_pointcloud()[0]), settings["surface"]


def _mesh(item: Item, settings: dict[str, Any], record: dict[str, Any]) -> tuple[Any, Any]:
    from onet.geometry.mesh_io import load_mesh

    return len(load_mesh(item.mesh_path).faces), record["mesh"]["faces"]


def _grid(item: Item, settings: dict[str, Any], record: dict[str, Any]) -> tuple[Any, Any]:
    return len(item.voxels()), settings["resolution"]


def _pictures(item: Item, settings: dict[str, Any], record: dict[str, Any]) -> tuple[Any, Any]:
    for path in item.pictures():
        try:
            with Image.open(path) as image:
                image.load()
        except Exception as error:  # damaged files raise whatever the codecs like
            raise DataError(f"{path}: is no picture ({error}); make it again") from None
    cameras = len(read_cameras(item.path / RENDERINGS / CAMERAS))
    return (len(item.pictures()), cameras), (settings["count"], settings["count"])


_LENGTHS = {
    POINTS: _labelled(POINTS),
    NEAR_SURFACE: _labelled(NEAR_SURFACE),
    POINTCLOUD: _surface,
    MESH: _mesh,
    VOXELS: _grid,
    RENDERINGS: _pictures,
}
