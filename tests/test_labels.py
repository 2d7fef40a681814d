import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from onet.errors import DataError
from onet.geometry.labels import as_normals, as_occupancies

bits = arrays(bool, st.integers(1, 40))
QUICK = settings(max_examples=50, deadline=None)


@QUICK
@given(bits)
def test_every_form_of_occupancies_is_the_same(inside):
    count = len(inside)
    forms = [inside.astype(kind) for kind in ("u1", "i8", "f2", "f4", "f8")]
    forms += [inside.tolist(), np.where(inside, 0.9, 0.1), np.where(inside, 0.5, 0.4999)]
    forms += [torch.from_numpy(form) for form in forms if isinstance(form, np.ndarray)]
    forms += [torch.from_numpy(inside), torch.tensor(inside).to(torch.bfloat16)]
    forms += [torch.from_numpy(np.where(inside, 0.9, 0.1)).requires_grad_()]
    for form in forms:
        found = as_occupancies(form, count)
        assert found.dtype == bool and np.array_equal(found, inside)
        assert np.array_equal(as_occupancies(form), inside)
    assert np.array_equal(as_occupancies(np.packbits(inside), count), inside)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([0.2, np.nan, 1.0], "1 of 3 .* NaN"),
        ([0.2, 1.5, 1.0], r"1 of 3 .* \[0, 1\].*sigmoid"),
        ([-4.0, 5.0, 0.1], "2 of 3 .*sigmoid"),
        ([0, 255, 1], "1 of 3 .*0 and 1"),
        ([-1, 1, 1], "1 of 3"),
        ([np.inf, 0.0, 0.0], "1 of 3"),
        (["yes", "no", "no"], "numbers"),
        ([1j, 0, 0], "numbers"),
        ([0.0, 1.0], r"shape \(3,\)"),
        ([[0.0], [1.0], [1.0]], r"shape \(3,\)"),
        ([[0.0], [1.0, 2.0], [1.0]], "array"),
        (np.zeros(2, np.uint8), r"shape \(3,\)"),
        (np.full(1, 255, np.uint8), "packed bits"),
    ],
)
def test_what_is_no_occupancy_is_refused(values, word):
    with pytest.raises(DataError, match=f"stored: .*{word}"):
        as_occupancies(values, 3, "stored")


@QUICK
@given(
    arrays(np.float64, (5, 3), elements=st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3)),
    st.floats(-150, 150),
)
def test_normals_of_any_length_become_unit(normals, power):
    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    found = as_normals(normals * 10.0**power, 5)
    np.testing.assert_allclose(found, unit, rtol=1e-12)
    np.testing.assert_allclose(as_normals(torch.from_numpy(normals)), unit, rtol=1e-12)
    np.testing.assert_allclose(as_normals(normals.astype("f2")), unit, atol=2e-3)


@pytest.mark.parametrize("bad", [[0, 0, 0], [np.nan, 1, 0], [np.inf, 0, 0]])
def test_normals_without_direction_are_refused(bad):
    with pytest.raises(DataError, match=r"normals: 1 of 3 .*zero"):
        as_normals([[1, 0, 0], bad, [0, 1, 0]], 3)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (3,), (3, 3, 1)])
def test_normals_of_another_shape_are_refused(shape):
    with pytest.raises(DataError, match=r"normals: expected shape \(3, 3\)"):
        as_normals(np.ones(shape), 3)
