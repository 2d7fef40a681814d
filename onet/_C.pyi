"""Compiled geometry of onet; see csrc/*.h for the contracts."""

from collections.abc import Sequence
from typing import Annotated, overload

import numpy
from numpy.typing import NDArray

class Octree:
    def __init__(
        self,
        base: Sequence[int],
        levels: int,
        predict: bool = False,
        margin: float = 0.0,
        threads: int = 0,
    ) -> None: ...
    @property
    def levels(self) -> int: ...
    @property
    def resolution(self) -> list[int]: ...
    @property
    def pending(self) -> int: ...
    @property
    def evaluated(self) -> int: ...
    @property
    def box_contacts(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def peak_bytes(self) -> int: ...
    def refine(
        self,
        cells: Annotated[
            NDArray[numpy.int32], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
    ) -> None: ...
    def pending_points(self) -> NDArray[numpy.int32]: ...
    def pending_positions(
        self, origin: Sequence[float], cell: float, first: int, count: int
    ) -> NDArray[numpy.float32]: ...
    def points(self) -> tuple: ...
    def evaluations_per_level(self) -> list[int]: ...
    def update(
        self,
        values: Annotated[
            NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
        ],
    ) -> None: ...
    def interpolate(
        self,
        positions: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
    ) -> NDArray[numpy.float32]: ...
    def values_at(
        self,
        coordinates: Annotated[
            NDArray[numpy.int32], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
    ) -> NDArray[numpy.float32]: ...

def marching_cubes(
    octree: Octree, origin: Sequence[float] = [0.0, 0.0, 0.0], cell: float = 1.0
) -> tuple: ...
def cube_triangles(corners: int) -> NDArray[numpy.int32]: ...
def face_components(
    faces: Annotated[
        NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    vertex_count: int,
) -> tuple: ...
def contains(
    vertices: Annotated[
        NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    faces: Annotated[
        NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    points: Annotated[
        NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    threads: int = 0,
) -> NDArray[numpy.uint8]: ...

class NearestNeighbors:
    def __init__(
        self,
        points: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        threads: int = 0,
    ) -> None: ...
    def query(
        self,
        queries: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        threads: int = 0,
    ) -> tuple: ...

class TriangleTree:
    def __init__(
        self,
        vertices: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        faces: Annotated[
            NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
    ) -> None: ...
    def closest(
        self,
        points: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        threads: int = 0,
    ) -> tuple: ...

def surface_area(
    vertices: Annotated[
        NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    faces: Annotated[
        NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
) -> float: ...
def sample_surface(
    vertices: Annotated[
        NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    faces: Annotated[
        NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    pick: Annotated[
        NDArray[numpy.float64], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    within: Annotated[
        NDArray[numpy.float64], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    threads: int = 0,
) -> tuple: ...
def rasterize(
    vertices: Annotated[
        NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    faces: Annotated[
        NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    width: int,
    height: int,
) -> tuple: ...

class Views:
    def __init__(
        self,
        vertices: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        faces: Annotated[
            NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        directions: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        size: int,
        radius: float,
        threads: int = 0,
    ) -> None: ...
    def visible(
        self,
        points: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        threads: int = 0,
    ) -> NDArray[numpy.uint8]: ...
    def count(
        self,
        points: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        threads: int = 0,
    ) -> NDArray[numpy.int32]: ...

class WindingTree:
    def __init__(
        self,
        vertices: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        faces: Annotated[
            NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
    ) -> None: ...
    def winding_number(
        self,
        points: Annotated[
            NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        beta: float = 2.0,
        threads: int = 0,
    ) -> NDArray[numpy.float64]: ...

@overload
def residual_back(
    g: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    change: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    h: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    scale: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")]
    | None,
) -> None: ...
@overload
def residual_back(
    g: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    change: Annotated[
        NDArray[numpy.int16], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    h: Annotated[
        NDArray[numpy.int16], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ],
    scale: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    out: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order="C", device="cpu")] | None,
) -> None: ...
@overload
def residual_relu(
    x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    y: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ]
    | None,
    scale: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    shift: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None: ...
@overload
def residual_relu(
    x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    y: Annotated[
        NDArray[numpy.int16], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ]
    | None,
    scale: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    shift: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    out: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order="C", device="cpu")],
) -> None: ...
@overload
def residual_relu(
    x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
    y: Annotated[
        NDArray[numpy.int16], dict(shape=(None, None), order="C", device="cpu", writable=False)
    ]
    | None,
    scale: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    shift: Annotated[
        NDArray[numpy.float32], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")],
) -> None: ...
def simplify(
    vertices: Annotated[
        NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    faces: Annotated[
        NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    target: int,
    fixed: Annotated[
        NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)
    ]
    | None = None,
) -> tuple: ...
def crossings(
    vertices: Annotated[
        NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    faces: Annotated[
        NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    wanted: Annotated[
        NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)
    ]
    | None = None,
    threads: int = 0,
) -> NDArray[numpy.int64]: ...
def first_hits(
    vertices: Annotated[
        NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    faces: Annotated[
        NDArray[numpy.int64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    origins: Annotated[
        NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    directions: Annotated[
        NDArray[numpy.float64], dict(shape=(None, 3), order="C", device="cpu", writable=False)
    ],
    nearest: float = 0.0,
    threads: int = 0,
) -> tuple: ...
def cell_neighbours(
    keys: Annotated[
        NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    step_x: int,
    step_y: int,
    threads: int = 0,
) -> NDArray[numpy.int32]: ...

class SparseCells:
    def __init__(
        self,
        keys: Sequence[
            Annotated[
                NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)
            ]
        ],
        features: Sequence[
            Annotated[
                NDArray[numpy.float32],
                dict(shape=(None, None), order="C", device="cpu", writable=False),
            ]
        ],
        step_x: int,
        step_y: int,
    ) -> None: ...
    def blend(
        self,
        queries: Annotated[
            NDArray[numpy.float32], dict(shape=(None, 3), order="C", device="cpu", writable=False)
        ],
        key_starts: Annotated[
            NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)
        ],
        threads: int = 0,
    ) -> NDArray[numpy.float32]: ...

def half_rows(
    halves: Annotated[
        NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    index: Annotated[
        NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
) -> NDArray[numpy.float32]: ...
def packed_bits(
    bits: Annotated[
        NDArray[numpy.uint8], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
    count: int,
    index: Annotated[
        NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)
    ],
) -> NDArray[numpy.uint8]: ...
@overload
def sum_of_maxima(
    x: Annotated[
        NDArray[numpy.float32],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    cells: Sequence[
        Annotated[
            NDArray[numpy.int32], dict(shape=(None, None), order="C", device="cpu", writable=False)
        ]
    ],
    maxima: Sequence[
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")]
    ],
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu")],
    threads: int = 0,
) -> None: ...
@overload
def sum_of_maxima(
    x: Annotated[
        NDArray[numpy.int16],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    cells: Sequence[
        Annotated[
            NDArray[numpy.int32], dict(shape=(None, None), order="C", device="cpu", writable=False)
        ]
    ],
    maxima: Sequence[
        Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu")]
    ],
    out: Annotated[NDArray[numpy.int16], dict(shape=(None, None, None), order="C", device="cpu")],
    threads: int = 0,
) -> None: ...
@overload
def sum_of_maxima_gradient(
    x: Annotated[
        NDArray[numpy.float32],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    cells: Sequence[
        Annotated[
            NDArray[numpy.int32], dict(shape=(None, None), order="C", device="cpu", writable=False)
        ]
    ],
    maxima: Sequence[
        Annotated[
            NDArray[numpy.float32],
            dict(shape=(None, None), order="C", device="cpu", writable=False),
        ]
    ],
    gradient: Annotated[
        NDArray[numpy.float32],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu")],
    threads: int = 0,
) -> None: ...
@overload
def sum_of_maxima_gradient(
    x: Annotated[
        NDArray[numpy.int16],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    cells: Sequence[
        Annotated[
            NDArray[numpy.int32], dict(shape=(None, None), order="C", device="cpu", writable=False)
        ]
    ],
    maxima: Sequence[
        Annotated[
            NDArray[numpy.float32],
            dict(shape=(None, None), order="C", device="cpu", writable=False),
        ]
    ],
    gradient: Annotated[
        NDArray[numpy.int16],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    out: Annotated[NDArray[numpy.int16], dict(shape=(None, None, None), order="C", device="cpu")],
    threads: int = 0,
) -> None: ...
def add_to_rows(
    gradient: Annotated[
        NDArray[numpy.float32],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    rows: Annotated[
        NDArray[numpy.int64],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    weights: Annotated[
        NDArray[numpy.float32],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    table: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu")
    ],
    threads: int = 0,
) -> None: ...
def add_corners(
    places: Annotated[
        NDArray[numpy.float32],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    table: Annotated[
        NDArray[numpy.float32],
        dict(shape=(None, None, None), order="C", device="cpu", writable=False),
    ],
    axes: Sequence[int],
    resolution: int,
    first: int,
    out: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order="C", device="cpu")],
    threads: int = 0,
) -> None: ...
