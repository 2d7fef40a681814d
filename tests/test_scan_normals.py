"""Normals oriented by the network for scans."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

import onet
from onet.errors import DataError
from onet.inference.scan_normals import oriented_normals


def test_normals_of_any_sign_are_turned_outward() -> None:
    torus = trimesh.creation.torus(0.4, 0.15)
    points, faces = trimesh.sample.sample_surface(torus, 2000, seed=0)
    outward = torus.face_normals[faces]
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (2000, 1))
    field = onet.load("scan", device="cpu").field(30 * points + 1e4, views=1)
    found = oriented_normals(field, 30 * points + 1e4, 7 * signs * outward)
    assert np.allclose(np.abs(found), np.abs(7 * outward))
    assert ((found * outward).sum(axis=1) > 0).mean() > 0.99


def test_each_point_has_a_normal() -> None:
    points = trimesh.creation.icosphere(2, 0.5).vertices
    field = onet.load("scan", device="cpu").field(points, views=1)
    with pytest.raises(DataError, match=r"normals: shape \(3, 3\) for points \(162, 3\)"):
        oriented_normals(field, points, points[:3])
    assert np.array_equal(oriented_normals(field, points, 0 * points), 0 * points)
