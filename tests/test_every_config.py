"""Every packaged configuration trains, validates, generates and evaluates, on the embedded sample.

Sizes and lengths are shrunk; the kinds of input, encoder, decoder, loss and points are what the
configuration says. A network after two steps need not have a surface: then its row says so.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from onet.checkpoints.checkpoint import load_checkpoint
from onet.config import load_config
from onet.evaluation.meshes import evaluate_generation
from onet.geometry.mesh_io import load_mesh
from onet.geometry.topology import topology
from onet.inference.generate import generate
from onet.inference.generation_folder import OK
from onet.resources import configs_dir
from onet.training.logs import read_metrics
from onet.training.loop import train

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow

NAMES = [
    path.stem
    for path in sorted(configs_dir().glob("*.yaml"))
    if load_config(path.stem).data.views is None  # those of colours: test_texture.py
    and load_config(path.stem).data.sequence is None  # of motion: test_flow, test_sequences
    and load_config(path.stem).data.pictures is None  # of pictures: test_picture_gan.py
]
SMALL = {
    **{"c_dim": 16, "z_dim": 8, "hidden_dim": 16, "hidden_size": 16},
    **{"plane_resolution": 8, "grid_resolution": 8, "unet_depth": 2, "unet_width": 8},
    **{"latents": 4, "heads": 2, "layers": 1},
}
MULTIPLES = ("psgn", "pixel2mesh")  # of models, whose own encoders take multiples of 32
FEWER = {"width": 16, "cells": 8, "vertices": 12}
MAYBE_OPEN = ("psgn", "atlasnet")  # of models, whose meshes need not be closed
SIZES = {"image": {"size": 32}, "pointcloud": {"count": 30}}  # of the observations
COMMON = [
    "data.categories=null",
    "training.batch_size=2",
    "training.max_iterations=2",
    "training.max_minutes=null",
    "training.validate_every=2",
    "training.checkpoint_every=2",
    "training.print_every=1",
    "training.validation_points=200",
    "training.threads=1",
    "training.device=cpu",
    "generation.resolution=16",
    "generation.format=ply",
]


def shrunk(section: dict[str, Any]) -> dict[str, Any]:
    """The section with small networks, and image networks that start from random weights."""
    small = {}
    for key, value in section.items():
        if isinstance(value, dict):
            value = shrunk(value)
        elif key in SMALL and value:
            value = SMALL[key]
        small[key] = None if key == "pretrained" else value
    return small


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_from_training_to_scores(
    name: str, sample_store: Path, tmp_path: Path
) -> None:
    if name.startswith("psgn"):
        pytest.importorskip("pymeshlab", reason="meshes through points: the extra meshlab")
    config = load_config(name, [*COMMON, f"data.path={sample_store}"])
    subsample = config.data.points_subsample
    observed = config.data.input
    if "views" in observed:
        observed = {**observed, "views": 2}  # as many as there are
    few = (50, 50) if isinstance(subsample, tuple) else 100
    data = config.data.model_copy(
        update={
            "points_subsample": few,
            "input": {**observed, **SIZES.get(observed["type"], {})},
        }
    )
    model = shrunk(config.model)
    if model["type"] in MULTIPLES and not model.get("encoder"):
        model |= {"c_dim": 32}
    model |= {key: size for key, size in FEWER.items() if key in model}
    config = config.model_copy(update={"data": data, "model": model})

    result = train(config, tmp_path / "run")
    assert (result.stopped, result.iterations) == ("max_iterations", 2)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    losses = [row["loss"] for row in rows if row["split"] == "train"]
    (validation,) = (row for row in rows if row["split"] == "val")
    assert len(losses) == 2 and all(map(math.isfinite, losses))
    assert math.isfinite(validation[config.training.selection_metric])
    if (score := config.training.selection_metric) in ("iou", "nearest_iou"):
        assert 0 <= validation[score] <= 1

    assert load_checkpoint(tmp_path / "run").metadata["iteration"] == 2

    report = generate(tmp_path / "run", limit=2, device="cpu")
    assert len(report.rows) == 2
    for row in report.rows:
        if row["status"] == OK:
            closed = topology(load_mesh(report.out / row["mesh"])).watertight
            assert closed or config.model["type"] in MAYBE_OPEN
        else:
            assert row["reason"].startswith("no surface")
    scores = evaluate_generation(report.out, samples=200, noise_floor=False)
    assert [row["status"] for row in scores.items] == [row["status"] for row in report.rows]
    assert all(0 <= row["iou"] <= 1 for row in scores.items)
    with (report.out / "eval.csv").open(newline="") as file:
        assert [line["category"] for line in csv.DictReader(file)][-2:] == ["mean", "mean (items)"]
