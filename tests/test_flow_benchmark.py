"""The benchmark of moving shapes: what is held out, and rows that need no training."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import flow
from benchmarks._flow_rows import TrueMotions, mean_occupancy
from benchmarks._flow_splits import INDIVIDUAL, MOTION, TRAIN, VAL, assign, parts_of, write_lists
from onet.data.sequences import prepare_sequences
from onet.data.store import Store

MOTIONS = ("walk", "run_01", "run_02", "jump")

names = st.lists(
    st.builds(
        "{}__{}".format, st.sampled_from("abcdefg"), st.sampled_from([*MOTIONS, "sit", "lie_3"])
    ),
    min_size=1,
    unique=True,
)


@settings(max_examples=50, deadline=None)
@given(names, st.floats(0, 0.5))
def test_what_is_held_out_is_not_trained_on(models: list[str], share: float) -> None:
    splits = assign(models, share)
    assert splits.keys() == {*models}
    seen = {parts_of(model) for model, split in splits.items() if split in (TRAIN, VAL)}
    for model, split in splits.items():
        if split == MOTION:
            assert parts_of(model) not in seen
            assert parts_of(model)[0] in {individual for individual, _ in seen}
        if split == INDIVIDUAL:
            assert parts_of(model)[0] not in {individual for individual, _ in seen}
    assert splits == assign([*reversed(models)], share)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boxes of several lengths that drift or grow, and their store beside them."""
    import trimesh

    root = tmp_path_factory.mktemp("flow")
    for number, individual in enumerate("abcd"):
        for speed, motion in enumerate(MOTIONS):
            box = trimesh.creation.box((1 + 0.2 * number, 1, 1))
            way = np.linspace(0, 0.2 * speed, 3)[:, None, None] * [0, 0, 1]
            folder = root / "in" / "boxes" / individual
            folder.mkdir(parents=True, exist_ok=True)
            np.savez(folder / f"{motion}.npz", vertices=box.vertices + way, faces=box.faces)
    prepare_sequences(root / "in", root / "store", points=2000, surface=300, workers=1)
    write_lists(root / "store", 0.25)
    return root


def test_rows_that_need_no_training(store: Path) -> None:
    boxes = Store(store / "store")
    splits = {split: boxes.items(split) for split in (TRAIN, VAL, MOTION, INDIVIDUAL)}
    assert len(splits[INDIVIDUAL]) == 4 and sum(map(len, splits.values())) == 16
    rows = TrueMotions(store / "store", store / "in", INDIVIDUAL, 300).still()
    assert [*np.argsort([row["still"] for row in rows])] == np.argsort(
        [MOTIONS.index(row["sequence"].rpartition("__")[2]) for row in rows]
    ).tolist()
    assert [row["sequence"] for row in rows] == [item.name for item in splits[INDIVIDUAL]]
    for row in rows:
        motion = MOTIONS.index(row["sequence"].rpartition("__")[2])
        way = 0.2 * motion / (1 + 0.2 * "abcd".index(row["sequence"].split("/")[1][0]))
        # Corners are compared with points some way off.
        assert row["correspondence"] == row["still"] == pytest.approx(way / 2, abs=0.1)
        assert (row["iou"] > 0.99) == (motion == 0)
    mean = mean_occupancy(store / "store", TRAIN, VAL, INDIVIDUAL)
    assert all(0.5 < row["iou"] < 1 for row in mean)


@pytest.mark.slow
def test_the_benchmark(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    flow.add_arguments(parser)
    narrow = "model.c_dim=8 model.encoder_temporal.hidden_dim=8 training.max_iterations=3"
    config = f"flow_small_correspond {narrow} data.input.count=20"
    given = ["--out", str(tmp_path), "--share", "0.25", "--resolution", "12", "--samples", "200"]
    options = ["--minutes", "0.02", "--meshes", str(store / "in"), "--configs", config]
    arguments = parser.parse_args([str(store / "store"), *given, *options])
    arguments.single = (config, "0")
    flow.run(arguments)
    arguments.single, arguments.set = None, []
    flow.run(arguments)
    shown = capsys.readouterr().out
    assert "individual held out, 4 sequences" in shown and "still" in shown
    written = ("scores.csv", "sequences.csv", f"{MOTION}.png", f"{INDIVIDUAL}.png")
    assert all((tmp_path / name).is_file() for name in written)
