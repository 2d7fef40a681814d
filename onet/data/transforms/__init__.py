"""Changes of the surface points of an object before a model is given some of them, by name.

A transform is a module in this folder: a class `__init__(self, **options)` that inherits from
`Transform` (or `Turn`, if it turns the whole object), with
`__call__(points, normals, rng) -> (points, normals)`, decorated with `@TRANSFORMS.register(name)`;
all modules of the folder are imported. `Transforms` applies several, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.data.transforms._registry import TRANSFORMS
from onet.data.transforms._transform import Points, Transform, Turn, turned
from onet.data.transforms.crop import Crop
from onet.data.transforms.density import Density
from onet.data.transforms.noise import Noise
from onet.data.transforms.occlusion import Occlusion
from onet.data.transforms.outliers import Outliers
from onet.data.transforms.rotation import RandomRotation
from onet.errors import ConfigError

__all__ = [
    "TRANSFORMS",
    "Crop",
    "Density",
    "Noise",
    "Occlusion",
    "Outliers",
    "RandomRotation",
    "Transform",
    "Transforms",
    "Turn",
]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


class Transforms:
    """Transforms one after the other.

    Args:
        sections: `{type: name, **options}` of each, in their order.
        where: dotted path of the list, for error messages.

    Raises:
        ConfigError: an unknown type or option, or a value that cannot be.
    """

    def __init__(self, sections: Sequence[dict[str, Any]], where: str) -> None:
        self.where = where
        self.transforms: list[Transform] = [
            TRANSFORMS.build(section, f"{where}.{number}")
            for number, section in enumerate(sections)
        ]

    def __len__(self) -> int:
        return len(self.transforms)

    @property
    def need_normals(self) -> bool:
        """Whether one of them needs normals."""
        return any(transform.needs_normals for transform in self.transforms)

    def __call__(
        self,
        points: Points,
        normals: Points | None,
        rng: np.random.Generator,
        *,
        turn: bool = True,
    ) -> tuple[Points, NDArray[np.float64] | None]:
        """Return the points (M, 3) that all of them leave, and how the object was turned.

        Args:
            points: (N, 3) in the unit frame.
            normals: (N, 3), which only transforms that need them ask for.
            rng: where all that is random comes from.
            turn: False leaves out those that turn the object.

        Returns:
            Points float32, and a rotation (3, 3); None where nothing turned the object.

        Raises:
            ConfigError: one of them leaves no points.
        """
        rotation: NDArray[np.float64] | None = None
        for number, transform in enumerate(self.transforms):
            if not isinstance(transform, Turn):
                points, normals = transform(points, normals, rng)
            elif turn:
                one = transform.rotation(rng)
                points = turned(points, one)
                normals = None if normals is None else turned(normals, one)
                rotation = one if rotation is None else one @ rotation
            if len(points) == 0:
                raise ConfigError(
                    f"{self.where}.{number} ({TRANSFORMS.name_of(transform)}): leaves no points of "
                    "an object; ask less of it"
                )
        return points, rotation
