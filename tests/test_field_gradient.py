from __future__ import annotations

import numpy as np
import pytest
import torch

from onet.errors import FieldError
from onet.geometry.field_gradient import value_and_gradient
from onet.geometry.field_values import evaluate_in_batches

POINTS = np.random.default_rng(0).uniform(-0.5, 0.5, (500, 3)).astype(np.float32)


def waves(points):
    return np.sin(points.astype(np.float64) @ [3.0, -5.0, 2.0])


def waves_gradient(points):
    phase = points.astype(np.float64) @ [3.0, -5.0, 2.0]
    return np.cos(phase)[:, None] * np.array([3.0, -5.0, 2.0])


class Native:
    """A field that knows its gradient, and counts the points it is asked about."""

    def __init__(self, answer=lambda p: (waves(p), waves_gradient(p))):
        self.answer = answer
        self.batches = []

    def __call__(self, points):
        raise AssertionError("values come with the gradient")

    def value_and_gradient(self, points):
        self.batches.append(len(points))
        return self.answer(points)


def test_central_differences_are_of_second_order():
    error = []
    for step in (0.1, 0.05, 0.025):
        values, gradient = value_and_gradient(waves, POINTS, step)
        error.append(np.abs(gradient - waves_gradient(POINTS)).max())
        np.testing.assert_allclose(values, waves(POINTS), atol=1e-6)
    assert 3.5 < error[0] / error[1] < 4.5 and 3.5 < error[1] / error[2] < 4.5


def test_differences_are_taken_between_the_points_that_exist():
    """Far out, single precision moves a point by more or less than the step."""
    far = POINTS + np.float32(1000)
    _, gradient = value_and_gradient(lambda p: p.astype(np.float64) @ [1.0, 2.0, -3.0], far, 1e-4)
    np.testing.assert_allclose(gradient, np.tile([1.0, 2.0, -3.0], (500, 1)), rtol=1e-2)
    with pytest.raises(ValueError, match="step"):
        value_and_gradient(waves, POINTS + np.float32(1e6), 1e-4)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_a_field_with_its_own_gradient_is_asked_for_it(kind):
    field = Native(lambda p: (kind(waves(p)[:, None]), kind(waves_gradient(p))))
    values, gradient = value_and_gradient(field, POINTS, 1.0, batch_size=200)
    assert field.batches == [200, 200, 100]
    np.testing.assert_allclose(values, waves(POINTS))
    np.testing.assert_allclose(gradient, waves_gradient(POINTS))
    assert values.dtype == gradient.dtype == np.float64


def test_batches_change_nothing():
    whole, parts = (value_and_gradient(waves, POINTS, 0.01, batch_size=n) for n in (1000, 7))
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])
    np.testing.assert_array_equal(
        evaluate_in_batches(waves, POINTS, 0.5, 7), evaluate_in_batches(waves, POINTS, 0.5, 1000)
    )
    assert value_and_gradient(waves, POINTS[:0], 0.01)[1].shape == (0, 3)


def test_level_is_subtracted_and_its_value_counts_as_outside():
    values = evaluate_in_batches(lambda p: p[:, 0], np.array([[0.25, 0, 0], [0.5, 0, 0]]), 0.25)
    assert -1e-20 < values[0] < 0 and values[1] == 0.25


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda p: (waves(p)[:-1], waves_gradient(p)), "shapes"),
        (lambda p: (waves(p), waves(p)), "shapes"),
        (lambda p: (waves(p), np.full((len(p), 3), np.nan)), "NaN"),
    ],
)
def test_bad_gradients_are_named(answer, word):
    with pytest.raises(FieldError, match=word):
        value_and_gradient(Native(answer), POINTS, 0.01)


@pytest.mark.parametrize("step", [0, -1, np.nan, np.inf])
def test_bad_steps_are_named(step):
    with pytest.raises(ValueError, match="step"):
        value_and_gradient(waves, POINTS, step)
