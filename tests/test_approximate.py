"""Extraction with a cheap field for signs: the mesh is that of the field itself."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_extraction import noise_field

from onet.config import GenerationConfig
from onet.geometry.extraction import extract_mesh
from onet.inference import field as fields
from onet.inference.field import OccupancyField
from onet.inference.surface import take_surface
from onet.nn.decoders.cbatchnorm import CBatchNormDecoder


def nearly(field, size: float, seed: int):
    """The field plus waves of that size, much shorter than a cell of the base grid."""
    waves = np.random.default_rng(seed).normal(scale=200, size=3)
    return lambda points: field(points) + size * np.sin(points.astype(np.float64) @ waves)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(-2, 2),
    st.floats(0, 0.2),
    st.sampled_from([33, 64]),
)
def test_the_mesh_is_that_of_the_field(seed, bias, size, resolution):
    field = noise_field(seed, bias)
    alone = extract_mesh(field, resolution=resolution)
    mesh = extract_mesh(field, resolution=resolution, approximate=nearly(field, size, seed))
    np.testing.assert_array_equal(mesh.faces, alone.faces)
    np.testing.assert_allclose(mesh.vertices, alone.vertices, rtol=0, atol=1e-12)
    told = mesh.metadata["extraction"]
    assert told["evaluations"] == alone.metadata["extraction"]["evaluations"]


def test_most_points_are_not_asked_of_the_field(torus):
    asked = 0

    def counted(points):
        nonlocal asked
        asked += len(points)
        return torus(points)

    mesh = extract_mesh(counted, resolution=128, approximate=nearly(torus, 1e-3, 0))
    told = mesh.metadata["extraction"]
    assert asked == told["approximate"]["exact_evaluations"] < 0.5 * told["evaluations"]
    assert 1e-3 < told["approximate"]["margin"] < 4e-3 and not told["approximate"]["again"]


@pytest.mark.parametrize("size", [0.05, 0.4])
def test_what_the_base_grid_did_not_show_is_found_by_the_surface(sphere, size, caplog):
    """The cheap field is off in one place only, between the points that are compared."""

    def spotted(points):
        spot = np.linalg.norm(points - np.array([0.41, 0.007, 0.007]), axis=1) < 0.012
        return sphere(points) + size * spot

    caplog.set_level(logging.INFO, "onet")
    mesh = extract_mesh(sphere, resolution=256, approximate=spotted)
    alone = extract_mesh(sphere, resolution=256)
    assert mesh.metadata["extraction"]["approximate"]["again"]
    assert "searching again" in caplog.text
    asked = mesh.metadata["extraction"]["approximate"]["exact_evaluations"]
    assert asked > alone.metadata["extraction"]["evaluations"]
    np.testing.assert_array_equal(mesh.vertices, alone.vertices)
    np.testing.assert_array_equal(mesh.faces, alone.faces)


def test_box_level_and_seeds_are_as_without(sphere):
    options = {
        "bounds": ((-0.3, -0.5, -0.5), (0.3, 0.5, 0.35)), "level": 0.03, "resolution": 96,
        "seeds": [[0.1, 0.2, 0.1]],
    }  # fmt: skip
    alone = extract_mesh(sphere, **options)
    mesh = extract_mesh(sphere, **options, approximate=nearly(sphere, 1e-3, 1))
    np.testing.assert_array_equal(mesh.faces, alone.faces)
    np.testing.assert_allclose(mesh.vertices, alone.vertices, rtol=0, atol=1e-12)


def test_no_surface_stays_none():
    with pytest.warns(UserWarning, match="no surface"):
        mesh = extract_mesh(lambda p: np.full(len(p), -1.0), approximate=lambda p: p[:, 0] * 0 - 2)
    assert len(mesh.faces) == 0


@pytest.mark.parametrize("options", [{"mode": "fast"}, {"device": "cuda"}])
def test_other_ways_are_refused(sphere, options, monkeypatch):
    monkeypatch.setattr("onet.geometry.extraction.CudaBackend", lambda device: None)
    with pytest.raises(ValueError, match="approximate is for"):
        extract_mesh(sphere, approximate=sphere, **options)


class Decoding(torch.nn.Module):
    """A model that is its decoder."""

    def __init__(self, decoder: CBatchNormDecoder) -> None:
        super().__init__()
        self.decoder = decoder


def decoded(width: int) -> OccupancyField:
    torch.manual_seed(0)
    decoder = CBatchNormDecoder(8, hidden_size=width).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) / parameter.shape[-1] ** 0.5)
        bias = decoder.fc_out.bias
        code = torch.randn(8)
        bias -= decoder.fold(code)(torch.rand(4096, 3) - 0.5).median()
    return OccupancyField(Decoding(decoder), code)


def test_a_wide_decoder_offers_bfloat16_where_that_is_fast(monkeypatch):
    monkeypatch.setattr(fields, "_bfloat16_is_fast", lambda device: True)
    wide, narrow = decoded(fields.WIDE), decoded(32)
    assert narrow.approximate() is None
    points = torch.rand(500, 3) - 0.5
    cheap = wide.approximate()
    apart = (cheap(points) - wide(points)).abs()
    assert 0 < apart.max() < 0.1 * wide(points).abs().max()
    assert cheap.approximate() is None
    monkeypatch.setattr(fields, "_bfloat16_is_fast", lambda device: False)
    assert wide.approximate() is None
    torch.use_deterministic_algorithms(True)
    monkeypatch.setattr(fields, "_bfloat16_is_fast", lambda device: True)
    try:
        assert wide.approximate() is None
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_surface_is_the_same_with_bfloat16_for_its_signs(monkeypatch):
    monkeypatch.setattr(fields, "_bfloat16_is_fast", lambda device: True)
    monkeypatch.setattr(fields, "WIDE", 32)
    field, bounds = decoded(32), [(-0.5,) * 3, (0.5,) * 3]
    settings = GenerationConfig(refine="none")
    mesh = take_surface(field, settings, bounds, 48)
    assert mesh.metadata["extraction"]["approximate"]["exact_evaluations"] > 0
    alone = take_surface(field.__call__, settings, bounds, 48)
    assert "approximate" not in alone.metadata["extraction"]
    np.testing.assert_array_equal(mesh.faces, alone.faces)
    np.testing.assert_allclose(mesh.vertices, alone.vertices, rtol=0, atol=1e-5)
