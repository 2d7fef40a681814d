"""The published extraction that benchmarks compare with asks at the points that ours asks at."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import _published
from onet.geometry.extraction import extract_mesh


@pytest.mark.parametrize("level", [0.0, 0.1])
@pytest.mark.parametrize("shape", ["sphere", "torus"])
def test_it_asks_at_the_same_points(shape, level, request):
    field = request.getfixturevalue(shape)
    asked = []

    def recorded(points):
        asked.append(points)
        return field(points)

    mesh = extract_mesh(recorded, resolution=64, level=level, base_resolution=_published.BASE)
    grid, evaluations = _published.mise(field, 64, level)
    assert evaluations == mesh.metadata["extraction"]["evaluations"]
    known = np.argwhere(~np.isnan(grid))
    ours = np.rint((np.concatenate(asked) / _published.BOX + 0.5) * 64).astype(int)
    np.testing.assert_array_equal(known, np.unique(ours, axis=0))
