"""Attention of one set to another, and points that are far from one another, as loops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def attention(q: Array, k: Array, v: Array, heads: int) -> Array:
    """Queries (T, F), keys (M, F) and values (M, F): the mean values (T, F), head beside head."""
    size = q.shape[1] // heads
    out = np.empty_like(q)
    for t in range(len(q)):
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            weight = np.exp(k[:, part] @ q[t, part] / np.sqrt(size))
            out[t, part] = weight @ v[:, part] / weight.sum()
    return out


def layer_norm(x: Array, scale: Array, shift: Array) -> Array:
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt(centred.var(1, keepdims=True) + 1e-5) * scale + shift


def farthest_points(points: Array, count: int) -> list[int]:
    """Indices, from the point (N, 3) farthest from the mean on."""
    chosen = [int(np.linalg.norm(points - points.mean(0), axis=1).argmax())]
    for _ in range(count - 1):
        distances = [min(np.linalg.norm(p - points[i]) for i in chosen) for p in points]
        chosen.append(int(np.argmax(distances)))
    return chosen
