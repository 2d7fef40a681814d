"""The refinement of the publication: gradient descent on values and normals, kept for comparison.

Mescheder, Stability and Expressiveness of Deep Generative Models (thesis, 2020), equation 11.6, and
Occupancy Networks (CVPR 2019), section 3.3; step size, number of steps, weight of the normals and
one point a face are those of the published code. `onet.geometry.refinement` gets nearer to the
surface with a hundredth of the evaluations.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
import trimesh
from torch import Tensor

LEARNING_RATE = 1e-4
NORMAL_WEIGHT = 0.01
SHORTEST = 1e-10  # vector that is made one of length 1
CONCENTRATION = 0.5  # of the Dirichlet distribution of a point's barycentric coordinates

TorchField = Callable[[Tensor], Tensor]  # (N, 3) points -> (N,) logits, differentiable twice


def refine_published(
    field: TorchField,
    mesh: trimesh.Trimesh,  # unit frame
    probability: float,
    *,
    steps: int = 30,
    seed: int = 0,
    batch_size: int = 65536,
    device: torch.device | str = "cpu",
) -> trimesh.Trimesh:
    """Return the mesh after `steps` steps of RMSprop on its vertices.

    With one random point s and the normal n of every face, and the probability f, a step descends

        mean (f(s) - probability)^2  +  0.01 mean |n + grad f(s) / |grad f(s)||^2,

    where grad f points inwards and n outwards.

    Args:
        field: logits of occupancy; the parameters behind it must not require gradients.
        mesh: in the unit frame, which the size of the steps is made for.
        probability: of the surface, in (0, 1).
        steps: number of steps.
        seed: of the points.
        batch_size: faces whose gradient is computed at a time; changes memory, not the result.
        device: of the field.

    Returns:
        New mesh with the same faces. Vertices move freely, so triangles may come to intersect. Its
        metadata are those of `mesh` and `refinement`: `method`, `steps`, `loss_before` and
        `loss_after` (of the first and the last step), `evaluations` (points, each with first and
        second derivatives), `seconds`.
    """
    clock = time.perf_counter()
    vertices = torch.tensor(np.asarray(mesh.vertices), dtype=torch.float32, device=device)
    faces = torch.tensor(np.asarray(mesh.faces), dtype=torch.int64, device=device)
    vertices.requires_grad_(True)
    optimizer = torch.optim.RMSprop([vertices], lr=LEARNING_RATE)
    generator = np.random.default_rng(seed)
    losses = []
    for _ in range(steps if len(faces) else 0):
        weights = torch.tensor(
            generator.dirichlet([CONCENTRATION] * 3, len(faces)), dtype=torch.float32, device=device
        )
        optimizer.zero_grad()
        losses.append(accumulate_gradient(field, vertices, faces, weights, probability, batch_size))
        optimizer.step()
    moved = vertices.detach().double().cpu().numpy()
    result = trimesh.Trimesh(moved, np.asarray(mesh.faces), process=False)
    result.metadata.update(mesh.metadata)
    result.metadata["refinement"] = {
        "method": "published",
        "steps": len(losses),
        "loss_before": losses[0] if losses else 0.0,
        "loss_after": losses[-1] if losses else 0.0,
        "evaluations": len(losses) * len(faces),
        "seconds": round(time.perf_counter() - clock, 6),
    }
    return result


def accumulate_gradient(
    field: TorchField,
    vertices: Tensor,  # (V, 3), requires a gradient
    faces: Tensor,  # (F, 3)
    weights: Tensor,  # (F, 3) barycentric coordinates of a point on every face
    probability: float,
    batch_size: int,
) -> float:
    """Add the gradient of the loss to `vertices.grad`, batch by batch, and return the loss."""
    total = 0.0
    for batch, weight in zip(faces.split(batch_size), weights.split(batch_size), strict=True):
        with torch.enable_grad():
            corners = vertices[batch]  # (B, 3 corners, 3)
            points = (weight[..., None] * corners).sum(1)
            a, b, c = corners.unbind(1)
            normals = F.normalize(torch.linalg.cross(b - a, c - a), eps=SHORTEST)
            logits = field(points)
            # Logits have the direction of probabilities, and are not flat far from the surface.
            (gradient,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
            off = (torch.sigmoid(logits) - probability).square()
            turned = (normals + F.normalize(gradient, eps=SHORTEST)).square().sum(1)
            loss = (off + NORMAL_WEIGHT * turned).sum() / len(faces)
            loss.backward()
        total += loss.item()
    return total
