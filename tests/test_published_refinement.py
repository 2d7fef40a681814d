from __future__ import annotations

import numpy as np
import pytest
import torch

from onet.geometry.extraction import extract_mesh
from onet.geometry.topology import topology
from onet.inference.published_refinement import accumulate_gradient, refine_published


def ball(points):
    """Logits of a ball of radius 0.4."""
    return 20 * (0.4 - points.norm(dim=-1))


def ball_mesh(resolution=24):
    return extract_mesh(lambda p: ball(torch.from_numpy(p)), resolution=resolution)


def loss_by_hand(vertices, faces, weights, probability):
    """Equation 11.6 for the ball, whose probability and gradient are known."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    points = sum(weights[:, k, None] * corner for k, corner in enumerate((a, b, c)))
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    radius = np.linalg.norm(points, axis=1)
    value = 1 / (1 + np.exp(-20 * (0.4 - radius)))
    outward = points / radius[:, None]
    return ((value - probability) ** 2).mean() + 0.01 * ((normals - outward) ** 2).sum(1).mean()


def problem():
    mesh = ball_mesh()
    vertices = torch.tensor(np.array(mesh.vertices), dtype=torch.float64, requires_grad=True)
    weights = np.random.default_rng(0).dirichlet([0.5] * 3, len(mesh.faces))
    return vertices, torch.tensor(np.array(mesh.faces)), torch.tensor(weights)


def test_loss_and_gradient_are_those_of_the_equation():
    vertices, faces, weights = problem()
    loss = accumulate_gradient(ball, vertices, faces, weights, 0.3, 10**6)
    rest = (faces.numpy(), weights.numpy(), 0.3)
    at = vertices.detach().numpy()
    assert loss == pytest.approx(loss_by_hand(at, *rest), rel=1e-9)
    for v, axis in ((0, 0), (100, 1), (333, 2)):
        ends = []
        for step in (1e-6, -1e-6):
            moved = at.copy()
            moved[v, axis] += step
            ends.append(loss_by_hand(moved, *rest))
        slope = (ends[0] - ends[1]) / 2e-6
        assert vertices.grad[v, axis].item() == pytest.approx(slope, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("batch_size", [1000, 77])
def test_batches_add_up_to_the_whole(batch_size):
    whole, faces, weights = problem()
    parts = whole.detach().clone().requires_grad_(True)
    losses = [
        accumulate_gradient(ball, vertices, faces, weights, 0.3, size)
        for vertices, size in ((whole, 10**6), (parts, batch_size))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    torch.testing.assert_close(whole.grad, parts.grad, rtol=1e-9, atol=1e-15)


def test_vertices_move_to_the_surface_of_the_probability():
    mesh = ball_mesh()
    radius = 0.4 - np.log(0.4 / 0.6) / 20
    assert radius - 0.4 > 0.02
    fine = refine_published(ball, mesh, 0.4, steps=100)
    error = np.abs(np.linalg.norm(fine.vertices, axis=1) - radius)
    assert error.mean() < 2e-3
    told = fine.metadata["refinement"]
    assert told["loss_after"] < told["loss_before"] / 3
    assert told["evaluations"] == 100 * len(mesh.faces)
    assert topology(fine).solid and "extraction" in fine.metadata
    np.testing.assert_array_equal(fine.faces, mesh.faces)


def test_seed_decides_and_batches_do_not():
    mesh = ball_mesh()
    runs = [
        refine_published(ball, mesh, 0.5, steps=3, seed=seed, batch_size=size).vertices
        for seed, size in ((1, 10**6), (1, 10**6), (1, 300), (2, 10**6))
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_allclose(runs[0], runs[2], atol=2e-5)
    assert np.abs(runs[0] - runs[3]).max() > 1e-4


def test_parameters_gather_no_gradients():
    layer = torch.nn.Linear(3, 1).requires_grad_(False)
    refine_published(lambda p: torch.tanh(layer(p))[:, 0], ball_mesh(12), 0.5, steps=1)
    assert layer.weight.grad is None


def test_a_saturated_field_moves_nothing_astray():
    """Where all gradients vanish there is no direction to go, and no NaN."""
    fine = refine_published(lambda p: 1e4 * ball(p), ball_mesh(), 0.5, steps=2)
    assert np.isfinite(fine.vertices).all()
