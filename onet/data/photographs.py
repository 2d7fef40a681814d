"""Collections of photographs in the layouts that they are published in.

    Pix3D             pix3d.json with entries {img, category, mask, ...}; files are named from there
    KITTI             cropped_images/FOLDER/NAME.png, one object each; made for Occupancy Networks
                      from the pictures in image_2/
    Online Products   CLASS_final.txt with names of files in CLASS_final/; chosen for Occupancy
                      Networks from Stanford Online Products

None of them says where in space the object is, so meshes made from them are in the unit frame.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onet.data.images import IMAGE_SUFFIXES
from onet.data.lists import read_list
from onet.errors import DataError
from onet.names import checked_path, told_apart

PIX3D = "pix3d.json"
KITTI = "cropped_images"
PRODUCTS = "_final.txt"
NAMED = 10  # absent files, in an error message


@dataclass(frozen=True)
class Photograph:
    """A picture of one object.

    Attributes:
        category: what it shows, or the collection's name.
        model: its name, unique in the category.
        image: the file.
        mask: file of its mask, white on the object, where there is one.
    """

    category: str
    model: str
    image: Path
    mask: Path | None = None


def find_photographs(root: Path) -> list[Photograph] | None:
    """Return the photographs of a collection by category and name; None where `root` is none.

    Raises:
        DataError: the collection is damaged or empty, or files that it names are absent.
    """
    if (root / PIX3D).is_file():
        found = _pix3d(root)
    elif (root / KITTI).is_dir():
        found = _kitti(root)
    elif lists := sorted(root.glob(f"*{PRODUCTS}")):
        found = [photograph for path in lists for photograph in _products(path)]
    else:
        return None
    if not found:
        raise DataError(f"{root}: the collection names no photographs; is it complete?")
    files = [file for p in found for file in (p.image, p.mask) if file is not None]
    absent = [str(file.relative_to(root)) for file in files if not file.is_file()]
    if absent:
        named = f"{', '.join(absent[:NAMED])}{', ...' if len(absent) > NAMED else ''}"
        raise DataError(
            f"{root}: {len(absent)} of {len(files)} files are absent: {named}; complete the "
            "collection, or take their names out"
        )
    return sorted(_told_apart(found), key=lambda p: (p.category, p.model))


def _pix3d(root: Path) -> list[Photograph]:
    path = root / PIX3D
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [_pix3d_entry(entry, root, f"{path}: entry {i}") for i, entry in enumerate(entries)]
    except DataError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: expected a list of entries with 'img' and 'category' "
            f"({type(error).__name__}: {error}); download it again"
        ) from None


def _pix3d_entry(entry: dict[str, Any], root: Path, where: str) -> Photograph:
    image = checked_path(entry["img"], f"{where}: 'img'")
    mask = checked_path(entry["mask"], f"{where}: 'mask'") if entry.get("mask") else None
    return Photograph(
        checked_path(str(entry["category"]), f"{where}: 'category'"),
        Path(image).stem,
        root / image,
        root / mask if mask else None,
    )


def _kitti(root: Path) -> list[Photograph]:
    files = (root / KITTI).rglob("*")
    return [Photograph("kitti", path.stem, path) for path in files if _is_picture(path)]


def _products(path: Path) -> list[Photograph]:
    name = path.name.removesuffix(PRODUCTS)
    folder = path.with_suffix("")
    return [Photograph(name, Path(file).stem, folder / file) for file in read_list(path)]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."


def _told_apart(found: Iterable[Photograph]) -> list[Photograph]:
    """Pictures with the same name get that of their folder in front, then their suffix behind."""
    photographs = list(found)
    for rename in (
        lambda p: f"{p.image.parent.name}__{p.image.stem}",
        lambda p: f"{p.image.parent.name}__{p.image.name}",
    ):
        counts = Counter((p.category, p.model) for p in photographs)
        photographs = [
            replace(p, model=rename(p)) if counts[p.category, p.model] > 1 else p
            for p in photographs
        ]
    names = [f"{p.category}/{p.model}" for p in photographs]
    names = told_apart(names, names, [str(p.image) for p in photographs])
    return [
        replace(p, model=name[len(p.category) + 1 :])
        for p, name in zip(photographs, names, strict=True)
    ]
