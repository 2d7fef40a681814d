"""Nearest neighbours among points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onet.geometry import cuda


class NearestNeighbors:
    """Exact nearest neighbours among a set of points, in double precision.

    A hierarchy of boxes over the points in the order of a Hilbert curve (csrc/nearest.h): for
    duplicates, clusters, outliers and far queries as good as for even samples. Only many points at
    the same distance from a query, on a sphere around it for instance, have to be looked at all.

    With points on a CUDA device (a torch tensor) the queries are answered there and must be there
    too; the results are tensors on that device. The hierarchy is built on the CPU.
    """

    def __init__(
        self,
        points: ArrayLike,  # (M, 3), M > 0, any frame
        threads: int = 0,
    ) -> None:
        """Keeps a copy of the points, sorted.

        Args:
            points: the candidates.
            threads: 0 for all cores, or OMP_NUM_THREADS if that is set.

        Raises:
            ValueError: no points, a shape other than (M, 3), or points that are NaN, infinite or
                beyond 1e70.
        """
        from onet import _C

        self._index: Any
        if cuda.is_cuda(points):
            self._index = cuda.NearestNeighbors(points, threads)
            return
        self._index = _C.NearestNeighbors(_rows(points, "points"), threads)

    def query(
        self,
        queries: ArrayLike,  # (N, 3) in the frame of the points
        threads: int = 0,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distances (N,) to the nearest points and their indices (N,).

        Of several points at the same distance the one with the smallest index is named; nothing
        depends on `threads`.

        Raises:
            ValueError: a shape other than (N, 3), or queries that are NaN, infinite or beyond 1e70.
        """
        if isinstance(self._index, cuda.NearestNeighbors):
            return self._index.query(queries)
        return self._index.query(_rows(queries, "queries"), threads)


def _rows(array: ArrayLike, name: str) -> NDArray[np.float64]:
    rows = np.ascontiguousarray(array, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise ValueError(f"{name}: expected shape (N, 3), found {rows.shape}")
    return rows
