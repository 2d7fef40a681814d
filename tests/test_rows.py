"""Rows and bits at drawn places are what NumPy takes, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onet import _C
from onet.data.rows import bits_at, rows_at


def test_every_half_becomes_its_single() -> None:
    """All 65,536 numbers: zeros, subnormal ones, infinities and NaN."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    points = np.concatenate([halves, halves[:2]]).reshape(-1, 3)
    found = rows_at(points, np.arange(len(points)))
    truth = points.astype(np.float32)
    assert found.dtype == np.float32 and np.array_equal(found, truth, equal_nan=True)
    numbers = ~np.isnan(truth)
    assert np.array_equal(found.view(np.uint32)[numbers], truth.view(np.uint32)[numbers])


@given(
    seed=st.integers(0, 2**32), count=st.integers(1, 90), drawn=st.integers(0, 200),
    offset=st.integers(0, 3), dtype=st.sampled_from(["<f2", ">f2", "<f4", "<f8"]),
    fortran=st.booleans(),
)  # fmt: skip
def test_rows_are_those_of_numpy(
    seed: int, count: int, drawn: int, offset: int, dtype: str, fortran: bool
) -> None:
    """From arrays of any type and order, at any address, as files in a shard lie."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((count, 3)).astype(dtype)
    raw = bytes(offset) + points.tobytes("F" if fortran else "C")
    mapped = np.frombuffer(raw, dtype, 3 * count, offset)
    mapped = mapped.reshape((count, 3), order="F" if fortran else "C")
    index = rng.integers(count, size=drawn)
    truth = points.take(index, axis=0).astype(np.float32)
    assert np.array_equal(rows_at(mapped, index), truth)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 90), drawn=st.integers(0, 200))
def test_bits_are_those_of_numpy(seed: int, count: int, drawn: int) -> None:
    rng = np.random.default_rng(seed)
    inside, index = rng.random(count) > 0.5, rng.integers(count, size=drawn)
    found = bits_at(np.packbits(inside), count, index)
    assert found.dtype == np.bool_ and np.array_equal(found, inside[index])


@pytest.mark.parametrize("index", [[3], [-1], [0, 2**62]])
def test_places_outside_are_refused(index: list[int]) -> None:
    places = np.array(index, dtype=np.int64)
    with pytest.raises(IndexError):
        rows_at(np.zeros((3, 3), np.float16), places)
    with pytest.raises(IndexError):
        bits_at(np.zeros(2, np.uint8), 3, places)
    with pytest.raises(ValueError, match="more bits"):
        _C.packed_bits(np.zeros(2, np.uint8), 17, np.zeros(1, np.int64))
