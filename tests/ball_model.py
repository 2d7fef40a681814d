"""A model whose shapes are balls, to test what is made of models."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch import nn

from onet.checkpoints.checkpoint import save_checkpoint
from onet.config import parse_config
from onet.inference.reconstructor import Reconstructor
from onet.models import MODELS, build_model


@MODELS.register("test_ball")
class Ball(nn.Module):
    """A ball whose radius is 0.2 plus a quarter of the mean of what is observed, or of z."""

    def __init__(self, z_dim: int = 0) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.steepness = nn.Parameter(torch.tensor(20.0))

    def encode(self, inputs):
        numbers = inputs.flatten(1).float() if inputs.ndim > 1 else inputs[:, None] / 4
        return numbers.mean(1, keepdim=True) if numbers.numel() else numbers

    def sample_prior(self, count, generator=None):
        return torch.rand(count, self.z_dim, generator=generator) + 1

    def decode(self, points, c, z=None):
        assert (z is None) == (self.z_dim == 0)
        radius = 0.2 + 0.25 * (c if z is None else z - 1 if not c.numel() else c + z).mean(1)
        return self.steepness * (radius[:, None] - points.norm(dim=-1))


def make_config(kind, z_dim=0, **options):
    tree = {
        "data": {"input": {"type": kind, **options}},
        "model": {"type": "test_ball", "z_dim": z_dim},
        "generation": {"resolution": 32, "probability": 0.5},
    }
    return parse_config(json.dumps(tree), "test")


def load_ball(kind, z_dim=0, **options):
    config = make_config(kind, z_dim, **options)
    return Reconstructor(build_model(config.model), config, {})


def save_run(folder, kind, z_dim=0, **options):
    """A run folder with a checkpoint of the model."""
    config = make_config(kind, z_dim, **options)
    path = folder / "checkpoints" / "best.safetensors"
    save_checkpoint(path, build_model(config.model), config, {})
    return folder


def radius_of(mesh):
    return np.linalg.norm(mesh.vertices - mesh.bounds.mean(axis=0), axis=1).mean()
