"""Prepared data: the items of a store, read.

What lies where: see `onet.data.store_folder`; files of points are written by `item_writing`.
"""

from __future__ import annotations

import bisect
import itertools
import operator
import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from onet.archives import read_member
from onet.data.lists import read_list
from onet.data.packed.path import PackedPath, opened
from onet.data.packed.reading import Pack, pack_at
from onet.data.rows import bits_at
from onet.data.store_folder import (
    CAMERAS,
    MESH,
    NEAR_SURFACE,
    POINT_COLORS,
    POINTCLOUD,
    POINTS,
    RECORD,
    RENDERINGS,
    SPLITS,
    VOXELS,
    list_file,
    read_metadata,
    read_record,
)
from onet.errors import DataError
from onet.geometry.cameras import Camera, read_cameras
from onet.geometry.labels import as_occupancies
from onet.geometry.normalization import UnitFrame
from onet.geometry.voxels import read_voxels
from onet.mistaken import mistaken_for
from onet.names import checked_path, printable
from onet.registry import nearest

NAMED = 10  # absent models, in an error message
_PREPARE_AGAIN = "delete it and prepare the item again with `onet prepare`"
_PICTURES = (".jpg", ".jpeg", ".png")


def read_array(path: Path, key: str) -> NDArray[Any]:
    """One array of an npz file, as stored.

    Raises:
        DataError: the file is missing or corrupt, or has no such array.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            if key not in archive:
                raise DataError(
                    f"{path}: has no array {key!r} (found: {', '.join(archive.files) or 'none'}); "
                    "prepare the item again with `onet prepare`"
                )
            return read_member(archive, key, path, _PREPARE_AGAIN)
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; prepare the item again with `onet prepare`, "
            "or take it out of the .lst files"
        ) from None
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        if what := mistaken_for(path):
            raise DataError(
                f"{path}: array {key!r} cannot be read, the file {what}; or prepare the item again "
                "with `onet prepare`"
            ) from error
        raise DataError(
            f"{path}: array {key!r} cannot be read ({error}); the file is damaged, delete it and "
            "prepare the item again with `onet prepare`"
        ) from error


@dataclass(eq=False)
class Item:
    """One prepared shape.

    Attributes:
        category: name of its category's folder.
        model: name of its own folder.
        path: its folder.
        cached: keep the arrays read, as stored (half precision, packed bits), in memory.
        index: its place in the list that it was taken from.
        pack: the packed store that it is in.
        keeper: items that are given again, among which is this one as soon as it keeps something.
    """

    category: str
    model: str
    path: Path
    cached: bool = False
    index: int = 0
    pack: Pack | None = None
    keeper: dict[int, Item] | None = field(default=None, repr=False)
    _arrays: dict[tuple[str, str], NDArray[Any]] = field(default_factory=dict, repr=False)
    _pictures: dict[str, list[Path]] = field(default_factory=dict, repr=False)
    _cameras: dict[str, list[Camera]] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """What processes get of it: not the other items of its list."""
        return vars(self) | {"keeper": None}

    @property
    def name(self) -> str:
        """`category/model`."""
        return f"{self.category}/{self.model}"

    def file(self, name: str) -> Path:
        """Return the file or folder `name` of this item.

        Raises:
            DataError: the name, which may be that of a foreign configuration, leads elsewhere.
        """
        return self.path / checked_path(name, f"{self.path}: file of an item")

    def size(self, name: str) -> int:
        """Return the bytes of the file `name`; -1 where there is none.

        Raises:
            DataError: see `file`.
        """
        entry = self.pack and self.pack.entry(self.category, self.model)
        if entry:
            place = entry.files.get(name)
            return -1 if place is None else place.size
        path = self.file(name)
        return path.stat().st_size if path.is_file() else -1

    @property
    def mesh_path(self) -> Path:
        """The watertight mesh in the unit frame; absent in the published download."""
        return self.path / MESH

    def array(self, file: str, key: str) -> NDArray[Any]:
        """Return the array `key` of the npz `file` of this item, as stored; see `read_array`."""
        if (file, key) in self._arrays:
            return self._arrays[file, key]
        if self.pack is not None:
            mapped = self.pack.array(self.category, self.model, file, key)
            if mapped is not None:  # nothing to keep: the system does
                return mapped
        array = read_array(self.file(file), key)
        self._keep((file, key), array)
        return array

    def _keep(self, key: tuple[str, str], array: NDArray[Any]) -> None:
        if self.cached:
            self._arrays[key] = array
            self._stay()

    def _stay(self) -> None:
        if self.cached and self.keeper is not None:
            self.keeper[self.index] = self

    def points(self, file: str = POINTS) -> NDArray[Any]:
        """Points (N, 3) of `file` as stored, float16 or float32, unit frame.

        Raises:
            DataError: also when the shape is not (N, 3).
        """
        points = self.array(file, "points")
        if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
            raise DataError(
                f"{self.path / file}: 'points' has shape {points.shape}, expected (N, 3); "
                "prepare the item again with `onet prepare`"
            )
        return points

    def occupancies(
        self, index: NDArray[np.int64] | None = None, file: str = POINTS
    ) -> NDArray[np.bool_]:
        """Occupancies of the points `index` (T,), or of all, from packed or unpacked bits.

        Raises:
            DataError: the file is damaged, its length fits neither form, or values are no
                occupancies (see `as_occupancies`: of probabilities 1/2 and more are inside).
        """
        count = len(self.points(file))
        stored = self.array(file, "occupancies")
        if stored.shape == (count,):
            chosen = stored if index is None else stored.take(index)
            return as_occupancies(chosen, source=f"{self.path / file}: 'occupancies'")
        if stored.dtype == np.uint8 and stored.shape == ((count + 7) // 8,):
            if index is None:
                return np.unpackbits(stored, count=count).astype(bool)
            return bits_at(stored, count, index)
        raise DataError(
            f"{self.path / file}: 'occupancies' has shape {stored.shape} and type {stored.dtype} "
            f"for {count} points, expected ({count},) or, as packed bits, ({(count + 7) // 8},) "
            "uint8; prepare the item again with `onet prepare`"
        )

    def weights(self, file: str = NEAR_SURFACE) -> NDArray[np.float16]:
        """Weights (N,) of the points of `file`, with which they stand for uniform ones.

        See `onet.data.importance`. They take a tenth of a second to compute, from the surface
        points and the deviation that `item.json` tells.

        Raises:
            DataError: the item does not tell the deviation, or it is too small.
        """
        key = (file, "weights")
        if key in self._arrays:
            return self._arrays[key]
        from onet.data.importance import LEAST_NOISE, importance_weights

        path = self.path / RECORD
        try:
            record = read_record(self.path)
            noise, padding = record["extras"][file]["noise"], record["settings"]["padding"]
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError(
                f"{path}: does not tell how {file} was drawn, which data.importance needs; make "
                f"the points with `onet prepare --near-surface 0.05` and set data.points_file="
                f"{NEAR_SURFACE}, or set data.importance=false"
            ) from None
        if noise < LEAST_NOISE:
            raise DataError(
                f"{path}: near-surface points of deviation {noise} are too near for weights; "
                f"prepare them with at least {LEAST_NOISE}, or set data.importance=false"
            )
        surface = self.points(POINTCLOUD)
        weights = importance_weights(self.points(file), surface, noise, padding).astype(np.float16)
        self._keep(key, weights)
        return weights

    def distances(self, file: str = POINTS) -> NDArray[np.float16]:
        """Distances (N,) of the points of `file` to the nearest stored surface point.

        Unit frame. They take a fraction of a second to compute.
        """
        key = (file, "distances")
        if key in self._arrays:
            return self._arrays[key]
        from onet.geometry.nearest import NearestNeighbors

        surface = NearestNeighbors(self.points(POINTCLOUD).astype(np.float64), threads=1)
        found, _ = surface.query(self.points(file).astype(np.float64), threads=1)
        distances = found.astype(np.float16)
        self._keep(key, distances)
        return distances

    def load_points(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return all query points (N, 3) float32, unit frame, and their occupancies (N,) bool."""
        return self.points().astype(np.float32), self.occupancies()

    def load_pointcloud(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return all surface points (M, 3) float32, unit frame, and their unit normals (M, 3)."""
        points, normals = self.surface()
        return points.astype(np.float32), normals.astype(np.float32)

    def surface(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return all surface points (M, 3) and their unit normals (M, 3) as stored.

        Raises:
            DataError: missing or damaged, or shapes that differ.
        """
        points, normals = self.points(POINTCLOUD), self.array(POINTCLOUD, "normals")
        if normals.shape != points.shape:
            raise DataError(
                f"{self.path / POINTCLOUD}: 'normals' has shape {normals.shape}, 'points' "
                f"{points.shape}; prepare the item again with `onet prepare`"
            )
        return points, normals

    def load_colors(self) -> NDArray[np.uint8]:
        """Return the colours (M, 3) uint8 RGB of the surface points.

        Raises:
            DataError: missing, damaged, or not one for each point.
        """
        if not self.file(POINT_COLORS).is_file():
            raise DataError(
                f"{self.path / POINT_COLORS}: no such file; make it from meshes with colours by "
                "`onet prepare --render 12 --colours`"
            )
        colors = self.array(POINT_COLORS, "colors")
        if colors.shape != self.points(POINTCLOUD).shape or colors.dtype != np.uint8:
            raise DataError(
                f"{self.path / POINT_COLORS}: 'colors' has shape {colors.shape} and type "
                f"{colors.dtype}, expected uint8 RGB for each point of {POINTCLOUD}; prepare the "
                "item again with `onet prepare --render 12 --colours`"
            )
        return colors

    def pictures(self, folder: str = RENDERINGS) -> list[Path]:
        """Return the picture files of `folder`, by name.

        Raises:
            DataError: there are none.
        """
        if folder not in self._pictures:
            directory = self.file(folder)
            files = sorted(directory.iterdir()) if directory.is_dir() else []
            pictures = [f for f in files if f.suffix.lower() in _PICTURES and f.name[0] != "."]
            if not pictures:
                raise DataError(
                    f"{directory}: no pictures; make them with `onet prepare --render`, or correct "
                    "data.input.folder"
                )
            self._pictures[folder] = pictures
        return self._pictures[folder]

    def cameras(self, folder: str = RENDERINGS) -> list[Camera]:
        """Return the cameras of the pictures of `folder`, in order, for points in the unit frame.

        Raises:
            DataError: missing or damaged, or not as many as pictures.
        """
        if folder not in self._cameras:
            path, pictures = self.file(folder) / CAMERAS, self.pictures(folder)
            cameras = read_cameras(path)
            if len(cameras) != len(pictures):
                raise DataError(
                    f"{path}: has {len(cameras)} cameras for {len(pictures)} pictures; render the "
                    "item again with `onet prepare --render`"
                )
            frame = self.frame()
            self._cameras[folder] = [camera.in_frame(frame) for camera in cameras]
            self._stay()
        return self._cameras[folder]

    def voxels(self, file: str = VOXELS) -> NDArray[np.bool_]:
        """Return the grid (R, R, R) of the unit cube, indexed [x, y, z].

        The cube is the unit cube whatever place the file gives, as in the published loader.

        Raises:
            DataError: missing or damaged.
        """
        key = (file, "voxels")
        if key in self._arrays:
            return self._arrays[key]
        path = self.file(file)
        if not path.is_file():
            raise DataError(
                f"{path}: no such file; make it with `onet prepare --voxels 32`, or correct "
                "data.input.file"
            )
        full = read_voxels(path).full
        self._keep(key, full)
        return full

    def frame(self) -> UnitFrame:
        """Return the frame that takes this item's unit coordinates to the source frame."""
        loc = self.array(POINTS, "loc").astype(np.float64)
        scale = self.array(POINTS, "scale").astype(np.float64)
        if loc.shape != (3,) or scale.size != 1 or not (np.isfinite(loc).all() and scale > 0):
            raise DataError(
                f"{self.path / POINTS}: 'loc' {loc} or 'scale' {scale} is not a frame, expected "
                "3 finite numbers and a positive one; prepare the item again with `onet prepare`"
            )
        return UnitFrame(loc, float(scale))


class ItemList(Sequence[Item]):
    """The items that lists name, made when they are asked for.

    Args:
        root: the store.
        names: categories, in order, and the models of each.
        pack: the packed store, where it is one.

    Attributes:
        cached: of items that are made from now on. An item that was made is given again, with what
            it keeps; of a packed store only where it does: what is mapped the system keeps.
    """

    def __init__(
        self, root: Path, names: Sequence[tuple[str, list[str]]], pack: Pack | None = None
    ) -> None:
        self.root, self.names, self.pack = root, names, pack
        self.ends = [*itertools.accumulate(len(models) for _, models in names)]
        self.cached = False
        self._made: dict[int, Item] = {}

    @property
    def categories(self) -> set[str]:
        """Those that have items."""
        return {category for category, models in self.names if models}

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        """Return an item, or a list of some."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        place = operator.index(index)
        place += len(self) if place < 0 else 0
        if not 0 <= place < len(self):
            raise IndexError(index)
        if place in self._made:
            return self._made[place]
        number = bisect.bisect_right(self.ends, place)
        category, models = self.names[number]
        model = models[place - self.ends[number]]
        path = self.root / category / model
        item = Item(category, model, path, self.cached, place, self.pack, self._made)
        if self.pack is None:
            self._made[place] = item
        return item


class Store:
    """A folder of prepared shapes, read only.

    Args:
        root: the folder that holds one folder per category.

    Raises:
        DataError: no such folder, or no category in it.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = opened(Path(root))
        self.pack = pack_at(Path(root)) if isinstance(self.root, PackedPath) else None
        if not self.root.is_dir():
            raise DataError(
                f"{self.root}: no such folder; make one with `onet prepare MESHES {self.root}` "
                "or correct data.path"
            )
        self.categories: list[str] = sorted(
            folder.name
            for folder in self.root.iterdir()
            if folder.is_dir() and any(list_file(folder, split).is_file() for split in SPLITS)
        )
        if not self.categories:
            raise DataError(
                f"{self.root}: no category folder with train.lst, val.lst or test.lst in it; "
                f"make one with `onet prepare MESHES {self.root}`"
            )
        self.labels: dict[str, str] = {name: name for name in self.categories}
        for name, entry in read_metadata(self.root).items():
            if name in self.labels and isinstance(entry, dict) and entry.get("name"):
                self.labels[name] = str(entry["name"])

    def names(self, category: str, split: str) -> list[str]:
        """Return the model names that CATEGORY/SPLIT.lst gives, in its order.

        Raises:
            DataError: the list is missing or no text, or a name leads out of the category.
        """
        folder = self.root / checked_path(category, f"{self.root}: category")
        path = list_file(folder, checked_path(split, f"{folder}: split"))
        try:
            return read_list(path)
        except FileNotFoundError:
            present = [p.stem for p in sorted(path.parent.glob("*.lst"))]
            raise DataError(
                f"{path}: no such list; this category has {', '.join(present)}. "
                "Write the names of its models there, one a line, or choose another split"
            ) from None

    def items(self, split: str, categories: Iterable[str] | None = None) -> list[Item]:
        """Return the items of a split, in the order of the categories and of their lists.

        Args:
            split: name of the lists to read: `train`, `val` or `test`.
            categories: folders or display names of the categories; None means all.

        Raises:
            DataError: an unknown category, a missing list, or lists naming absent folders.
        """
        return [*self.listed(split, categories)]

    def listed(self, split: str, categories: Iterable[str] | None = None) -> ItemList:
        """Return the same as a sequence that makes its items when they are asked for."""
        chosen = self.categories if categories is None else [self.folder(c) for c in categories]
        found: list[tuple[str, list[str]]] = []
        absent: list[str] = []
        for category in chosen:
            there = self._models(category)
            names = self.names(category, split)
            known = [name for name in names if there(name)]
            found.append((category, known))
            if len(known) < len(names):
                absent += [f"{category}/{name}" for name in names if not there(name)]
        if absent:
            lists = ", ".join(
                str(list_file(self.root / name, split))
                for name in dict.fromkeys(name.partition("/")[0] for name in absent)
            )
            named = ", ".join(map(printable, absent[:NAMED]))
            named += ", ..." if len(absent) > NAMED else ""
            count = len(absent) + sum(len(names) for _, names in found)
            raise DataError(
                f"{lists}: {len(absent)} of {count} models have no folder in "
                f"{self.root}: {named}; take the lines out, or prepare the models again"
            )
        return ItemList(self.root, found, self.pack)

    def _models(self, category: str) -> Callable[[str], bool]:
        """Return what tells whether a category has a model."""
        if self.pack is None:
            folder = self.root / category
            return lambda name: (folder / name).is_dir()
        return {*self.pack.index.models(category)}.__contains__

    def folder(self, category: str) -> str:
        """Return the folder of a category, of its folder or display name.

        Raises:
            DataError: there is none; names those that there are.
        """
        for folder, label in self.labels.items():
            if category in (folder, label):
                return folder
        known = sorted({*self.labels, *self.labels.values()})
        raise DataError(f"{self.root}: no category {category!r}; {nearest(category, known)}")
