"""Moving meshes: reading, preparing, training on them, and writing them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from onet.config import load_config
from onet.data.build import build_datasets, build_input
from onet.data.sequence_folder import Sequence
from onet.data.sequences import prepare_sequences
from onet.data.store import Store
from onet.errors import ConfigError, DataError
from onet.evaluation.motion import evaluate_motion
from onet.geometry.mesh_io import save_mesh
from onet.geometry.sequences.gltf_animation import read_animation
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.geometry.sequences.reading import natural_key, read_sequence
from onet.geometry.sequences.stretching import split_edges, stretched_edges
from onet.geometry.sequences.writing import save_animation
from onet.geometry.topology import topology
from onet.inference.motion_sources import files_to_observe
from onet.inference.read_motion import read_motion
from onet.pipeline.generate import generate
from onet.training.loop import train

T = 5


def ball(frames: int = T, far: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """A ball that grows and goes to the right."""
    mesh = trimesh.creation.icosphere(2, 0.5)
    times = np.linspace(0, 1, frames)[:, None, None]
    return mesh.vertices * (1 + 0.3 * times) + times * [far, 0, 0], np.asarray(mesh.faces)


def moving(frames: int = T) -> MovingMesh:
    vertices, faces = ball(frames)
    return MovingMesh(list(vertices), [faces] * frames, np.linspace(0, 2, frames), "ball")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("flow")
    (root / "in" / "balls").mkdir(parents=True)
    for k in range(3):
        vertices, faces = ball(far=0.2 * k)
        np.savez(root / "in" / "balls" / f"b{k}.npz", vertices=vertices, faces=faces)
    report = prepare_sequences(
        root / "in", root / "store", points=600, surface=400, workers=1, split=(1, 1, 1)
    )
    assert report.ok and report.prepared == 3
    again = prepare_sequences(
        root / "in", root / "store", points=600, surface=400, workers=1, split=(1, 1, 1)
    )
    assert (again.prepared, again.kept) == (0, 3)
    return root / "store"


def test_points_correspond_and_labels_are_those_of_each_frame(store: Path) -> None:
    (item,) = Store(store).items("train")
    sequence = Sequence.of(item)
    assert len(sequence) == T and sequence.corresponding
    frame = sequence.frame(0)
    chosen = np.arange(sequence.surface_count())
    first, last = (sequence.surface(k, chosen, frame) for k in (0, T - 1))
    shift = last - 1.3 * first  # growth, then one shift for all points
    assert np.ptp(shift, axis=0).max() < 2e-3
    rng = np.random.default_rng(0)
    for number in (0, T - 1):
        points, inside = sequence.labelled(number, None, rng, frame)
        radius = 0.5 * (1 + 0.3 * number / (T - 1))
        middle = shift.mean(axis=0) * number / (T - 1)
        distance = np.linalg.norm(points - middle, axis=1) - radius
        clear = np.abs(distance) > 0.03
        assert np.array_equal(inside[clear] > 0.5, distance[clear] < 0)


def test_from_training_to_scores(store: Path, tmp_path: Path) -> None:
    config = load_config(
        "flow_small_correspond",
        {
            "data.path": store, "data.sequence": {"length": T, "points": 64, "trajectories": 20},
            "data.input.count": 20, "model.c_dim": 8,
            "model.encoder": {"hidden_dim": 8}, "model.encoder_temporal": {"hidden_dim": 8},
            "model.decoder": {"hidden_size": 8}, "model.velocity": {"hidden_size": 8},
            "model.solver.steps": 2, "training.max_iterations": 2, "training.max_minutes": None,
            "training.batch_size": 2, "training.threads": 1, "training.validation_points": 50,
            "training.device": "cpu",
        },
    )  # fmt: skip
    result = train(config, tmp_path / "run")
    assert result.last is not None and {"iou", "l2", "cycle"} <= result.last.keys()
    report = generate(tmp_path / "run", resolution=12, probability=0.02, device="cpu")
    (row,) = report.rows
    assert row["status"] == "ok", row["reason"]
    mesh = read_motion(report.out, row["mesh"])
    assert len(mesh) == T and mesh.corresponding
    scores = evaluate_motion(report.out, samples=200)
    assert 0 <= scores.mean()["iou"] <= 1 and len(scores.times) == T
    assert scores.times[0]["still"] == scores.times[0]["correspondence"]
    made = (report.out / row["mesh"]).stat().st_mtime_ns
    again = generate(tmp_path / "run", resolution=12, probability=0.02, device="cpu")
    assert (again.skipped, report.skipped) == (1, 0) and "1 from before" in again.summary()
    assert (report.out / row["mesh"]).stat().st_mtime_ns == made
    with pytest.raises(ConfigError, match="other settings \\(seed\\)"):
        generate(tmp_path / "run", resolution=12, probability=0.02, seed=1, device="cpu")
    (report.out / row["mesh"]).unlink()
    (third,) = generate(tmp_path / "run", resolution=12, probability=0.02, device="cpu").rows
    assert third["status"] == "ok" and (report.out / third["mesh"]).is_file()
    with pytest.raises(ConfigError, match="frames"):
        generate(tmp_path / "run", frames=1, out=tmp_path / "other", device="cpu")
    np.savez(tmp_path / "own.npz", points=np.random.default_rng(0).random((3, 30, 3)))
    own = generate(
        tmp_path / "run", input=tmp_path / "own.npz", frames=4, resolution=12, probability=0.02,
        format="ply", device="cpu",
    )  # fmt: skip
    assert len(read_motion(own.out, own.rows[0]["mesh"])) == 4
    with pytest.raises(ConfigError, match="sharp"):
        generate(tmp_path / "run", sharp=True, device="cpu")


@pytest.mark.slow
def test_training_learns_shape_and_motion(store: Path, tmp_path: Path) -> None:
    config = load_config(
        "flow_small_correspond",
        {
            "data.path": store, "data.val_split": "train", "data.test_split": "train",
            "data.sequence": {"length": T, "points": 128, "trajectories": 30},
            "data.input.count": 30, "model.c_dim": 16,
            "model.encoder": {"hidden_dim": 16}, "model.encoder_temporal": {"hidden_dim": 16},
            "model.decoder": {"hidden_size": 16}, "model.velocity": {"hidden_size": 16},
            "model.solver.steps": 2, "training.max_iterations": 200, "training.max_minutes": None,
            "training.learning_rate": 5e-3, "training.batch_size": 1, "training.threads": 1,
            "training.validation_points": 300, "training.device": "cpu",
        },
    )  # fmt: skip
    train(config, tmp_path / "run")
    report = generate(tmp_path / "run", resolution=24, probability=0.5, device="cpu")
    scores = evaluate_motion(report.out, samples=400)
    last = scores.times[-1]
    assert last["correspondence"] < last["still"] / 2
    assert min(row["iou"] for row in scores.times) > 0.7
    assert scores.items[0]["cycle"] < 0.01


def test_windows_are_a_function_of_the_seed(store: Path) -> None:
    config = load_config("flow_small", {"data.path": store, "data.sequence.length": T})
    first, second = (build_datasets(config)["train"][0] for _ in range(2))
    assert (first["inputs"]["frames"] == second["inputs"]["frames"]).all()
    assert first["trajectories"].shape == (T, 48, 3)
    with pytest.raises(DataError, match="length"):
        build_datasets(load_config("flow_small", {"data.path": store}))


def test_an_animation_read_back_is_the_same_at_its_frames_and_between(tmp_path: Path) -> None:
    mesh = moving()
    path = save_animation(mesh, tmp_path / "a.glb")
    for fps, wanted in ((2.0, mesh), (4.0, mesh.resampled(9))):
        again = read_animation(path, fps)
        assert len(again) == len(wanted)
        np.testing.assert_allclose(again.times, wanted.times, atol=1e-6)
        for a, b in zip(again.vertices, wanted.vertices, strict=True):
            np.testing.assert_allclose(a[again.faces[0]], b[wanted.faces[0]], atol=1e-6)


def test_edges_that_stretch_are_split_and_the_mesh_stays_closed() -> None:
    vertices, faces = ball(2)
    vertices[1, :, 0] *= 4
    edges = stretched_edges(vertices, faces, 2.0)
    assert len(edges)
    split = split_edges(faces, edges, vertices.shape[1])
    first = np.concatenate([vertices[0], vertices[0][edges].mean(axis=1)])
    mesh = trimesh.Trimesh(first, split, process=False)
    assert topology(mesh).watertight and np.isclose(
        mesh.volume, trimesh.Trimesh(vertices[0], faces, process=False).volume
    )


def test_sequences_of_one_name_become_two(tmp_path: Path) -> None:
    clouds = np.random.default_rng(0).random((3, 30, 3))
    np.savez(tmp_path / "walk.npz", points=clouds)
    (tmp_path / "walk").mkdir()
    np.savez(tmp_path / "run.npz", points=clouds)
    for number in range(2):
        save_mesh(trimesh.creation.box(), tmp_path / f"walk/{number}.ply")
    found = files_to_observe(build_input(load_config("flow_small_correspond")), tmp_path)
    assert sorted(target.model for target in found) == ["run", "walk", "walk.npz"]
    np.savez(tmp_path / "Run.npz", points=clouds)  # the name of the folder, on some disks
    found = files_to_observe(build_input(load_config("flow_small_correspond")), tmp_path)
    assert len({target.model.casefold() for target in found}) == len(found) == 4


def test_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    vertices, faces = ball(12)
    for k, v in enumerate(vertices):
        trimesh.Trimesh(v, faces, process=False).export(tmp_path / f"frame{k}.ply")
    mesh = read_sequence(tmp_path)
    middles = [v[:, 0].mean() for v in mesh.vertices]
    assert len(mesh) == 12 and middles == sorted(middles)
    assert sorted(["a10", "a9", "a1"], key=natural_key) == ["a1", "a9", "a10"]


def test_faces_that_change_are_said_and_leave_no_correspondence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "in" / "c" / "s"
    folder.mkdir(parents=True)
    for k in range(3):
        trimesh.creation.icosphere(1 + k % 2).export(folder / f"{k}.ply")
    assert not read_sequence(folder).corresponding
    assert "do not correspond" in caplog.text
    report = prepare_sequences(
        tmp_path / "in", tmp_path / "out", points=50, surface=50, workers=1, split=(1, 0, 0)
    )
    assert report.ok
    (item,) = Store(tmp_path / "out").items("train")
    assert not Sequence.of(item).corresponding


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"vertices": ball(1)[0]}, "1 frame"),
        ({"times": np.array([0, 1, 1, 2, 3.0])}, "repeated"),
        ({"times": np.array([0, 2, 1, 3, 4.0])}, "before"),
        ({"times": np.arange(3.0)}, "times"),
        ({"vertices": np.where(np.arange(T)[:, None, None] == 3, np.nan, ball()[0])}, "frame 3"),
        ({"faces": ball()[1] + 1000}, "faces"),
        ({"vertices": ball()[0][..., :2]}, "vertices"),
    ],
)
def test_bad_sequences_are_named(change: dict[str, np.ndarray], named: str, tmp_path: Path) -> None:
    vertices, faces = ball()
    np.savez(tmp_path / "s.npz", **({"vertices": vertices, "faces": faces} | change))
    with pytest.raises(DataError, match=named):
        read_sequence(tmp_path / "s.npz")


def test_a_file_without_animation_is_named(tmp_path: Path) -> None:
    trimesh.creation.icosphere(1).export(tmp_path / "still.glb")
    with pytest.raises(DataError, match="animations"):
        read_sequence(tmp_path / "still.glb")
