"""Local features of Convolutional Occupancy Networks, point by point."""

import itertools

import numpy as np

AXES = {"xz": (0, 2), "xy": (0, 1), "yz": (1, 2), "grid": (0, 1, 2)}


def cell(point, name, resolution):
    at = np.floor((point[list(AXES[name])] / 1.1 + 0.5) * resolution)
    return tuple(np.clip(at, 0, resolution - 1).astype(int))


def scatter_mean(points, features, name, resolution):
    """(N, 3), (N, F) -> (F, R, R) or (F, R, R, R)."""
    cells = [cell(p, name, resolution) for p in points]
    out = np.zeros((features.shape[1], *(resolution,) * len(AXES[name])))
    for place in set(cells):
        out[(slice(None), *place)] = features[[c == place for c in cells]].mean(0)
    return out


def cell_maximum(points, features, name, resolution):
    """(N, F): the maximum over the points that share the cell."""
    cells = [cell(p, name, resolution) for p in points]
    return np.stack([features[[c == own for c in cells]].max(0) for own in cells])


def sample(maps, point):
    """(F,): sum of the interpolations between centres of cells, constant beyond the outer ones."""
    total = 0.0
    for name, values in maps.items():
        resolution = values.shape[-1]
        at = (point[list(AXES[name])] / 1.1 + 0.5) * resolution - 0.5
        at = np.clip(at, 0, resolution - 1)
        low = np.minimum(np.floor(at), resolution - 2).astype(int)
        for corner in itertools.product((0, 1), repeat=len(at)):
            share = np.prod(
                [a - f if c else 1 - (a - f) for a, f, c in zip(at, low, corner, strict=True)]
            )
            total = total + share * values[(slice(None), *(low + corner))]
    return total


def decode(parameters, maps, point):
    """The logit at a point; parameters by their names in the state dictionary."""

    def linear(name, x):
        return parameters[f"{name}.weight"] @ x + parameters[f"{name}.bias"]

    features, x = sample(maps, point), linear("fc_p", point)
    for i in range(5):
        x = x + linear(f"fc_c.{i}", features)
        hidden = linear(f"blocks.{i}.fc_0", np.maximum(x, 0))
        x = x + linear(f"blocks.{i}.fc_1", np.maximum(hidden, 0))
    return linear("fc_out", np.maximum(x, 0))[0]
