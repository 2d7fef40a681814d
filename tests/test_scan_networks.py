"""All kinds of networks for scans: what a scan gets depends on it alone; files, and learning."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import trimesh
from safetensors.torch import save_file

import onet
from onet.errors import CheckpointError, ConfigError
from onet.models.scan_networks import SCAN_NETWORKS, AttentionScanNetwork, build_scan_network
from onet.training.scan_batches import Changes, LabelledScan, make_batch
from onet.training.scan_training import ScanTrainer, ScanTraining

LOCAL = {
    "type": "occupancy",
    "c_dim": 8,
    "encoder": {
        "type": "local_pointnet",
        "hidden_dim": 8,
        "planes": ["xz", "xy", "yz"],
        "plane_resolution": 16,
        "unet_depth": 2,
        "unet_width": 8,
    },
    "decoder": {"type": "local", "hidden_size": 16},
}
SMALL = {
    "sparse": {"widths": [8, 12, 12], "features": 8, "hidden": 16, "blocks": 1},
    "attention": {"widths": [8, 12, 12], "hidden": 16, "neighbours": 6, "heads": 4},
    "dense": {"model": LOCAL},
}
KINDS = sorted(SCAN_NETWORKS)


def network(kind: str):
    torch.manual_seed(0)
    return build_scan_network({"type": kind, **SMALL[kind]})


def ball(seed: int, count: int) -> LabelledScan:
    rng = np.random.default_rng(seed)
    points, queries = rng.standard_normal((count, 3)), rng.uniform(-0.6, 0.6, (400, 3))
    points *= 0.4 / np.linalg.norm(points, axis=1, keepdims=True)
    inside = np.linalg.norm(queries, axis=1) < 0.4
    unknown = np.full_like(points, np.nan)
    arrays = (points, points / 0.4, unknown, queries, inside)
    return LabelledScan.of(*(torch.from_numpy(array).float() for array in arrays))


def logits(model, items: list[LabelledScan]) -> torch.Tensor:
    batch = make_batch(items, model.pad, torch.Generator())
    code = model.encode(batch.points, batch.scans, batch.normals, batch.sensors)
    return model.decode(batch.queries, batch.query_scans, code)


def test_all_kinds_are_tested():
    assert set(SMALL) == set(SCAN_NETWORKS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_has_the_same_logits_alone_and_among_others(kind):
    model = network(kind).eval()
    items = [ball(0, 300), ball(1, 200)]
    with torch.no_grad():
        together = logits(model, items)
        alone = torch.cat([logits(model, [item]) for item in items])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert together.std() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_all_weights_learn(kind):
    model = network(kind)
    logits(model, [ball(0, 300), ball(1, 200)]).square().sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_training_lowers_the_loss(kind):
    items, generator = [ball(0, 300), ball(1, 200)], torch.Generator().manual_seed(0)
    model = network(kind)
    trainer = ScanTrainer(
        model,
        ScanTraining(60, learning_rate=5e-3, warmup=5),
        lambda: make_batch(items, model.pad, generator, Changes(queries=256)),
        [],
    )
    for _ in range(25):
        trainer.step()
    losses = torch.stack(trainer.losses)
    assert losses[-5:].mean() < 0.95 * losses[:5].mean()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_weights_reconstructs(kind, tmp_path):
    model = network(kind)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(state, tmp_path / "net.safetensors", {"options": json.dumps(model.options)})
    loaded = onet.load(tmp_path / "net.safetensors", device="cpu")
    points = 100 + 7 * ball(0, 300).points.numpy()
    mesh = loaded.reconstruct(points, resolution=16, level=-1e3, views=1)
    assert type(loaded.model) is type(model)
    assert isinstance(mesh, trimesh.Trimesh)
    values = loaded.field(points, views=1)(points[:5] + 0.1)
    assert values.shape == (5,) and np.isfinite(values).all()


def test_options_of_another_network_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown network for scans 'sparze'.*'sparse'"):
        build_scan_network({"type": "sparze"})
    save_file({"a": torch.ones(1)}, tmp_path / "net.safetensors", {"options": '{"width": 3}'})
    with pytest.raises(CheckpointError, match=r"net.safetensors: .*unknown option"):
        onet.load(tmp_path / "net.safetensors", device="cpu")


def test_attention_is_over_the_nearest_points_of_the_same_scan():
    model = AttentionScanNetwork(**SMALL["attention"])
    batch = make_batch([ball(0, 300), ball(1, 200)], model.pad, torch.Generator())
    code = model.encode(batch.points, batch.scans, batch.normals, batch.sensors)
    found = model._nearest(batch.queries, batch.query_scans, code)
    distance = torch.cdist(batch.queries, batch.points)
    distance[batch.query_scans[:, None] != batch.scans] = torch.inf
    nearest = distance.topk(model.neighbours, largest=False).values
    torch.testing.assert_close(distance.gather(1, found), nearest)
