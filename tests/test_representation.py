"""The benchmark of representation power: what it measures, counts and writes."""

from __future__ import annotations

import argparse
import csv
import importlib.util
from pathlib import Path
from typing import Any

import pytest

import onet
from onet.config import load_config
from onet.data.store import Store
from onet.geometry.mesh_io import load_mesh
from onet.geometry.voxels import voxelize
from onet.metrics.scores import intersection_over_union
from onet.metrics.voxel_iou import voxel_iou
from onet.training.loop import train

CONFIG = ["model.c_dim=16", "model.decoder.hidden_size=8", "training.max_iterations=2"]
QUICK = ["data.points_subsample=50", "training.threads=1", "training.device=cpu"]


def load_benchmark(name: str) -> Any:
    """The module, which is no part of the installed package, from beside the tests."""
    path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


representation = load_benchmark("representation")


def run(*words: object) -> None:
    parser = argparse.ArgumentParser()
    representation.add_arguments(parser)
    representation.run(parser.parse_args([str(word) for word in words]))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_grids_and_codes_are_compared_on_the_stored_points(
    sample_store: Path, tmp_path: Path
) -> None:
    where = [f"data.path={sample_store}", "training.precision=32-true"]
    config = load_config("representation_power_small", [*CONFIG, *QUICK, *where])
    train(config, tmp_path / "run")
    run(sample_store, "--run", tmp_path / "run", "--resolutions", 6, 8, 16, "--out", tmp_path)
    assert (tmp_path / "representation.png").read_bytes().startswith(b"\x89PNG")
    *grids, learned = read(tmp_path / "representation.csv")
    items = {row["shape"]: row for row in read(tmp_path / "representation_items.csv")}
    model = onet.load(tmp_path / "run", "cpu")
    level = 0.0  # of the threshold 0.5
    assert len(items) == 2
    for item in Store(sample_store).items("train"):
        points, inside = item.load_points()
        for resolution in (6, 8, 16):  # 8 is made from 16
            expected = voxel_iou(voxelize(load_mesh(item.mesh_path), resolution), points, inside)
            assert float(items[item.name][f"grid {resolution}"]) == pytest.approx(expected)
        field = model.field_of_code(model.encode(item.index))
        expected = intersection_over_union(field(points) > level, inside)
        assert float(items[item.name]["learned codes"]) == pytest.approx(expected)
    for row, resolution in zip(grids, (6, 8, 16), strict=True):
        mean = sum(float(item[f"grid {resolution}"]) for item in items.values()) / 2
        assert float(row["iou"]) == pytest.approx(mean)
        assert int(row["numbers_in_all"]) == 2 * resolution**3
    assert learned["numbers_a_shape"] == "16"
    whole = sum(p.numel() for p in model.model.parameters())
    assert int(learned["numbers_in_all"]) == whole  # two codes and the decoder


def test_codes_need_the_data_that_they_were_learned_from(
    sample_store: Path, tmp_path: Path
) -> None:
    where = [f"data.path={sample_store}", "data.categories=[chair]", "training.precision=32-true"]
    train(load_config("representation_power_small", [*CONFIG, *QUICK, *where]), tmp_path / "run")
    with pytest.raises(SystemExit, match="has no code"):
        run(
            sample_store, "--run", tmp_path / "run", "--categories", "sofa",
            "--resolutions", 4, "--out", tmp_path,
        )  # fmt: skip
    other = tmp_path / "other" / "chair"
    other.mkdir(parents=True)
    chairs = Store(sample_store)
    for split in ("train", "val"):
        (item,) = chairs.items(split, ["chair"])
        (other / item.model).symlink_to(item.path)
        (other / f"{'val' if split == 'train' else 'train'}.lst").write_text(item.model)
    with pytest.raises(SystemExit, match="other data"):
        run(other.parent, "--run", tmp_path / "run", "--out", tmp_path)
