from __future__ import annotations

import numpy as np
import pytest
import trimesh

from onet.data.scan_solids import EXACT, KINDS, MOST_FACES, random_solid
from onet.data.solids.smooth import SMOOTH
from onet.errors import DataError


def solid(kind: str, seed: int) -> trimesh.Trimesh:
    if kind in EXACT:
        pytest.importorskip("manifold3d")
    return trimesh.Trimesh(*random_solid(kind, seed), process=False)


@pytest.mark.parametrize("kind", sorted(EXACT))
def test_pieces_make_closed_solids(kind: str) -> None:
    for seed in range(3):
        mesh = solid(kind, seed)
        assert mesh.is_volume and mesh.volume > 0
        assert 4 <= len(mesh.faces) <= MOST_FACES


@pytest.mark.parametrize("kind", [kind for kind in sorted(SMOOTH) if kind != "hand"][::3])
def test_level_sets_make_closed_solids(kind: str) -> None:
    mesh = solid(kind, 0)
    assert mesh.is_volume and mesh.volume > 0 and mesh.body_count == 1
    assert 500 < len(mesh.faces) <= MOST_FACES


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(SMOOTH))
def test_every_level_set_makes_closed_solids(kind: str) -> None:
    for seed in range(3):
        assert solid(kind, seed).is_volume


def test_all_kinds_have_a_weight() -> None:
    assert set(KINDS) == set(EXACT) | set(SMOOTH) and min(KINDS.values()) > 0


def test_same_seed_same_solid_and_another_another() -> None:
    first, again, other = (solid("csg", seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.vertices, again.vertices)
    assert first.vertices.shape != other.vertices.shape or (first.vertices != other.vertices).any()


def test_unknown_kind_is_named() -> None:
    with pytest.raises(DataError, match="chair"):
        random_solid("cahir", 0)
