"""The picture of functions as meshes: a formula, its sharp edges, and a network in torch.

python examples/functions.py
"""

from __future__ import annotations

import numpy as np
import torch
from _pictures import folder, save, shape
from numpy.typing import NDArray

import onet

BOX = np.array([[-0.55] * 3, [0.55] * 3])


def gyroid_ball(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a field that is above 0 inside of a gyroid within a ball."""
    x, y, z = 12 * points.T
    gyroid = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    return np.minimum(0.6 - np.abs(gyroid), 12 * (0.5 - np.linalg.norm(points, axis=1)))


def torus_network(steps: int = 300) -> torch.nn.Module:
    """Return a network that has learned the signed distance of a torus."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(),
        torch.nn.Linear(64, 1),
    )  # fmt: skip
    adam = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(steps):
        points = torch.rand(1024, 3) - 0.5
        ring = torch.stack([points[:, :2].norm(dim=1) - 0.3, points[:, 2]], dim=1)
        loss = (net(10 * points)[:, 0] - (0.12 - ring.norm(dim=1))).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return net


def main() -> None:
    out = folder(__doc__)
    coarse = onet.extract_mesh(gyroid_ball, BOX, resolution=48)
    fine = onet.extract_mesh(gyroid_ball, BOX, resolution=128)
    sharp = onet.dual_contouring(fine, gyroid_ball)
    net = torus_network()

    @torch.inference_mode()
    def learned(points: NDArray[np.float32]) -> torch.Tensor:
        return net(10 * torch.from_numpy(points))

    torus = onet.extract_mesh(learned, BOX, resolution=96)
    titles = ["48 cells", "128 cells", "dual contouring", "a network in torch"]
    save(
        out / "functions.png", titles, [[shape(mesh, BOX) for mesh in (coarse, fine, sharp, torus)]]
    )


if __name__ == "__main__":
    main()
