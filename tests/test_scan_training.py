"""Training of the network for scans: batches, what is changed in them, and that it learns."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from onet.data.scan_simulation import sample_queries, simulate_scan
from onet.models.scan import ScanNetwork
from onet.nn.sparse_grid import pad_of
from onet.training.scan_batches import (
    Changes,
    LabelledScan,
    ScanPool,
    make_batch,
    random_rotation,
)
from onet.training.scan_training import ScanTrainer, ScanTraining

SMALL = {"widths": (8, 12, 12), "features": 8, "hidden": 16, "blocks": 1}
PAD = pad_of(3)


def labelled(seed: int, count: int = 300) -> LabelledScan:
    generator = torch.Generator().manual_seed(seed)
    solid = trimesh.creation.box((1, 0.6, 0.4)) if seed % 2 else trimesh.creation.icosphere(2, 0.5)
    triangles = torch.from_numpy(np.array(solid.triangles)).float()
    scan = simulate_scan(triangles, count, generator)
    queries = sample_queries(triangles, scan.points, 512, generator)
    return LabelledScan.of(scan.points, scan.normals, scan.sensors, *queries)


def distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def test_rotations_are_rotations_of_all_kinds():
    generator = torch.Generator().manual_seed(0)
    turns = torch.stack([random_rotation(generator) for _ in range(500)])
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(500, 3, 3), atol=1e-5, rtol=0)
    assert (torch.linalg.det(turns) > 0).all()
    assert turns.mean(0).abs().max() < 0.1


def test_a_batch_keeps_what_lies_where():
    """Distances between points and queries are those of the scan, in cells; labels go along."""
    items = [labelled(0), labelled(1, 200)]
    generator = torch.Generator().manual_seed(3)
    batch = make_batch(items, PAD, generator, Changes(queries=64, normals=1, sensors=1, cell=1))
    assert batch.scans.bincount().tolist() == [300, 200]
    assert batch.query_scans.bincount().tolist() == [64, 64]
    assert batch.points.min() >= PAD
    for number, item in enumerate(items):
        points, queries = batch.points[batch.scans == number], batch.queries[64 * number :][:64]
        moved = distances(points[:50], queries) * item.cell
        still = distances(item.points[:50], item.queries)
        match = (moved[:, :1] - still).abs().max(0).values.argmin()  # where its queries begin
        torch.testing.assert_close(moved, still[:, match : match + 64], atol=1e-4, rtol=0)
        labels = batch.occupancies[64 * number :][:64]
        torch.testing.assert_close(labels, item.occupancies[match : match + 64])
        normals = batch.normals[batch.scans == number]
        torch.testing.assert_close(normals.norm(dim=1), torch.ones(len(normals)))
        angles = (normals[:20] @ normals[:20].T), (item.normals[:20] @ item.normals[:20].T)
        torch.testing.assert_close(*angles, atol=1e-4, rtol=0)
        unseen = item.sensors.isnan().any(1)
        assert (batch.sensors[batch.scans == number][unseen] == 0).all()


def test_without_changes_nothing_is_turned_and_nothing_given():
    item = labelled(0)
    batch = make_batch([item], PAD, torch.Generator())
    shift = batch.points[0] - item.points[0] / item.cell
    torch.testing.assert_close(batch.points, item.points / item.cell + shift, atol=1e-3, rtol=0)
    assert not batch.normals.any() and not batch.sensors.any()


def test_scans_stand_as_they_do_where_nothing_turns_them():
    item = labelled(1)
    still = Changes(queries=8, normals=1, sensors=0, cell=1, turned=False)
    batch = make_batch([item], PAD, torch.Generator(), still)
    for axis in range(3):  # extents of a box, and its outward normals along the axes
        extent = batch.points[:, axis].max() - batch.points[:, axis].min()
        true = item.points[:, axis].max() - item.points[:, axis].min()
        assert float(extent * item.cell) == pytest.approx(float(true), abs=0.02)
    turned = make_batch([item], PAD, torch.Generator(), Changes(queries=8, normals=1, cell=1))
    along = [
        (normals.abs().max(1).values > 0.999).float().mean()
        for normals in (batch.normals, turned.normals)
    ]
    assert along[0] == (item.normals.abs().max(1).values > 0.999).float().mean() > along[1]


def test_a_pool_gives_new_scans_first_and_bounds_the_points():
    made: list[int] = []

    def make_scan() -> LabelledScan:
        made.append(len(made))
        return labelled(made[-1] % 2, 100)

    pool = ScanPool(make_scan, 4, 250, 1, 50, PAD, Changes(queries=8), seed=0)
    sizes = [int(pool.next_batch().scans.max()) + 1 for _ in range(3)]
    assert sizes == [2, 2, 2]  # 250 points are two scans
    assert len(made) == 4 + 1 + 1


def trainer(minutes: float, validation: int = 1) -> ScanTrainer:
    torch.manual_seed(0)
    pool = ScanPool(lambda: labelled(0), 2, 5000, 0, 4, PAD, Changes(queries=256), seed=0)
    pool.kept.extend(labelled(k) for k in range(2))
    settings = ScanTraining(minutes, learning_rate=5e-3, warmup=5)
    held_out = [labelled(k) for k in range(validation)]
    return ScanTrainer(ScanNetwork(**SMALL), settings, pool.next_batch, held_out)


def test_training_lowers_the_loss_and_goes_on_from_its_state(tmp_path):
    learner = trainer(60)
    for _ in range(25):
        learner.step()
    losses = torch.stack(learner.losses)
    assert losses[-5:].mean() < 0.985 * losses[:5].mean()
    row = learner.validate()
    assert row["steps"] == 25 and 0 <= row["iou"] <= 1 and not learner.losses
    learner.seconds = 12.5
    learner.save(tmp_path / "state.pt")
    other = trainer(60)
    other.restore(tmp_path / "state.pt")
    assert (other.steps, other.seconds) == (25, 12.5)
    for mine, theirs in zip(
        learner.network.state_dict().values(), other.network.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(mine, theirs)
    assert other.rate() == pytest.approx(learner.rate())


def test_a_run_ends_with_its_minutes_and_logs(tmp_path):
    reported = []
    trainer(0.001).run(tmp_path / "state.pt", tmp_path / "log.csv", reported.append)
    assert len(reported) == 1 and reported[0]["steps"] >= 1
    assert (tmp_path / "log.csv").read_text().startswith("seconds,steps,loss,iou\n")
    assert (tmp_path / "state.pt").exists()


@pytest.mark.slow
def test_the_tool_trains_from_packed_shapes_to_a_file_that_reconstructs(tmp_path, monkeypatch):
    from onet.data.scan_shapes import Shape, pack_shapes
    from onet.inference.scan_reconstructor import ScanReconstructor

    ball = trimesh.creation.icosphere(2)
    shapes = [
        Shape(ball.vertices * scale, ball.faces, f"ball{k}", "ball", "test", "CC0-1.0", split)
        for k, (scale, split) in enumerate([((1, 1, 1), "train"), ((1, 2, 1), "val")])
    ]
    pack_shapes(tmp_path / "shapes.npz", shapes)
    tools = Path(__file__).parents[1] / "tools"
    monkeypatch.syspath_prepend(str(tools))
    import train_scan

    arguments = "--minutes 0.05 --batch 2 --fresh 1 --points 3000 --held-out 1 --device cpu"
    options = '{"widths": [8, 12, 12], "features": 8, "hidden": 16}'
    command = ["train_scan", str(tmp_path / "shapes.npz"), "-o", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", [*command, *arguments.split(), "--network", options])
    train_scan.main()
    network = ScanReconstructor.load(tmp_path / "run" / "scan.safetensors", "cpu")
    assert network.model.depth == 3
    mesh = network.reconstruct(ball.sample(300, seed=0))
    assert mesh.metadata["reconstruction"]["points"] == 300
