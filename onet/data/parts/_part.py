"""What an optional part of a prepared item has to offer."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from onet.files import remove

if TYPE_CHECKING:
    import trimesh

    from onet.data.closed_mesh import ClosedMesh
    from onet.data.settings import PrepareSettings

PARTS_KEY = "extras"
"""Key of `item.json` under which the settings of each part are."""


@dataclass(frozen=True)
class Shape:
    """What the parts of one item are made from.

    Attributes:
        name: `category/model`; with the seed it decides all that is random.
        mesh: as it was read, in the source frame; with its colours if a part needs them.
        closed: the watertight mesh, in the unit frame; None if no part needs it.
        padding: the cube of query points is this much larger than the unit cube.
        path: the file that the mesh was read from.
    """

    name: str
    mesh: trimesh.Trimesh
    closed: ClosedMesh | None
    padding: float
    path: Path

    def require_closed(self) -> ClosedMesh:
        """Return the watertight mesh.

        Raises:
            ValueError: the part that asks for it does not say `needs_closed_mesh`.
        """
        if self.closed is None:
            raise ValueError(f"{self.name}: the mesh was not closed, as no part needs it")
        return self.closed

    def rng(self, seed: int, part: str) -> np.random.Generator:
        """Return the generator of a part: one of its own, so that parts do not change others."""
        return np.random.default_rng(
            [seed, zlib.crc32(self.name.encode()), zlib.crc32(part.encode())]
        )


class Part(ABC):
    """A file or folder that an item holds where it was asked for.

    A part is a frozen dataclass; its fields are its settings, as `item.json` has them. It is made
    again when they differ.

    Attributes:
        name: of its file or folder in the item, under which `item.json` has settings, size, hash.
        fields_of: the field of `PrepareSettings` that each of its own is taken from. The first is
            None where the part is not wanted.
        needs_closed_mesh: whether it is made from the watertight mesh.
        needs_colors: whether it shows the colours of the mesh as it was read.
    """

    name: ClassVar[str]
    fields_of: ClassVar[Mapping[str, str]]
    needs_closed_mesh: ClassVar[bool] = True
    needs_colors: ClassVar[bool] = False

    @classmethod
    def wanted(cls, settings: PrepareSettings) -> Self | None:
        """Return the part that the settings ask for, if they do."""
        values = {own: getattr(settings, name) for own, name in cls.fields_of.items()}
        return None if next(iter(values.values())) is None else cls(**values)

    @classmethod
    def settings_of(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of `PrepareSettings` that ask for the part that an item has.

        Args:
            record: the content of its `item.json`.
        """
        made = record.get(PARTS_KEY, {}).get(cls.name)
        if made is None:
            return {}
        return {name: made[own] for own, name in cls.fields_of.items() if own in made}

    @classmethod
    def remove(cls, folder: Path) -> None:
        """Delete the part of an item, which belongs to another mesh or other settings."""
        remove(folder / cls.name)

    def settings(self) -> dict[str, Any]:
        """Return the settings of the part, as `item.json` has them."""
        return asdict(self)  # type: ignore[call-overload]  # subclasses are dataclasses

    def present(self, record: Mapping[str, Any]) -> bool:
        """Return whether an item has this very part, as its `item.json` says."""
        return bool(record.get(PARTS_KEY, {}).get(self.name) == self.settings())

    @abstractmethod
    def write(self, folder: Path, shape: Shape) -> None:
        """Make the part in the folder of an item.

        Raises:
            DataError: it cannot be made of this shape.
        """


@dataclass(frozen=True)
class ColoredPart(Part):
    """A part that shows the mesh's own colours: it is asked for by `--colours`."""

    needs_closed_mesh: ClassVar[bool] = False
    needs_colors: ClassVar[bool] = True

    @classmethod
    def wanted(cls, settings: PrepareSettings) -> Self | None:
        """Return the part if colours are asked for."""
        return super().wanted(settings) if settings.colours else None

    @classmethod
    def settings_of(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that ask for the part; see `Part`."""
        found = super().settings_of(record)
        return found | {"colours": True} if found else {}
