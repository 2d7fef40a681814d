"""The benchmarks of GANs in the plane: what they write, count and take up again."""

from __future__ import annotations

import argparse
import csv
import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture
def benchmark() -> Any:
    """Return what takes a name to its module."""
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def run(module: Any, *words: object) -> None:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    module.run(parser.parse_args([str(word) for word in words]))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def refuse(*_: object) -> None:
    raise AssertionError("a finished run was made again")


@pytest.mark.slow
def test_the_suite_measures_every_method_and_goes_on(
    benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = benchmark("suite2d")
    words = ["--distributions", "eight", "--iterations", 5, "--seeds", 2, "--points", 60]
    words += ["--gammas", 1, 10, "--out", tmp_path]
    run(suite, *words)
    rows = read(tmp_path / "suite2d.csv")
    assert len(rows) == 2 * (1 + 4 * 2)  # one method has no gamma
    assert {row["method"] for row in rows} == {*suite.METHODS}
    assert all(0.01 < float(row["w1"]) < 3 for row in rows)
    table = read(tmp_path / "table.csv")
    means = [
        np.mean([float(r["w1"]) for r in rows if (r["method"], r["gamma"]) == ("r1", gamma)])
        for gamma in ("1.0", "10.0")
    ]
    assert float(table[0]["r1"]) == pytest.approx(min(means))
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(suite, "_learn", refuse)
    run(suite, *words)
    assert read(tmp_path / "suite2d.csv") == rows
    with pytest.raises(SystemExit, match="other settings \\(batch\\)"):
        run(suite, *words, "--batch", 12)


@pytest.mark.slow
def test_the_suite_takes_the_best_of_optimizers_and_says_how_sure_it_is(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = benchmark("suite2d")
    words = ["--distributions", "eight", "--iterations", 5, "--seeds", 2, "--points", 60]
    words += ["--methods", "none", "r1", "--rates", 0.01, "--out", tmp_path]
    run(suite, *words, "--optimizers", "adam", "sgd")
    rows = read(tmp_path / "suite2d.csv")
    assert [row["optimizer"] for row in rows[::2]] == ["adam", "sgd"] * 2
    assert len({row["w1"] for row in rows}) == len(rows)
    assert "r1 less none, 95 % over seeds: " in capsys.readouterr().out


def test_intervals_over_seeds_are_those_of_student(benchmark: Any) -> None:
    found = benchmark("suite2d")._interval(np.array([0.1, 0.2, 0.3]))
    assert found == "+0.2000 (-0.0484 to +0.4484)"


@pytest.mark.slow
def test_augmented_clusters_differ_and_each_seed_by_itself(benchmark: Any, tmp_path: Path) -> None:
    clusters = benchmark("clusters")
    words = ["--experiments", "two clusters", "--seeds", 2, "--part", 0.01]
    run(clusters, *words, "--out", tmp_path / "plain")
    run(clusters, *words, "--out", tmp_path / "changed", "--augment", "mixup=0.5")
    plain, changed = (read(tmp_path / name / "clusters.csv") for name in ("plain", "changed"))
    assert [row["final"] for row in plain] != [row["final"] for row in changed]
    samples = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    torch.manual_seed(0)
    mixed = clusters._OfEach("mixup=1", 2)(samples, samples)
    assert (mixed[:2] <= 1).all() and (mixed[2:] >= 10).all()


@pytest.mark.slow
def test_clusters_are_recorded_for_both_losses(benchmark: Any, tmp_path: Path) -> None:
    clusters = benchmark("clusters")
    chosen = ["two clusters 2:1", "five Gaussians"]
    run(clusters, "--experiments", *chosen, "--seeds", 3, "--part", 0.004, "--out", tmp_path)
    rows = read(tmp_path / "clusters.csv")
    assert [(row["experiment"], row["loss"]) for row in rows[::3]] == [
        (name, loss) for name in chosen for loss in ("js", "paired")
    ]
    for row in rows:  # at the start the discriminator knows nothing
        assert float(row["final"]) == pytest.approx(math.log(2), abs=0.15)
    assert (tmp_path / "clusters.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_alarms_of_the_watch_are_counted(benchmark: Any, tmp_path: Path) -> None:
    watch = benchmark("watch")
    words = ["--losses", "relativistic", "--gammas", 0, 1, "--iterations", 510, "--seeds", 1]
    run(watch, *words, "--simulated", 4, "--out", tmp_path)
    rows = read(tmp_path / "alarms.csv")
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    assert kinds[:4] == ["healthy", "healthy, R1 1", "collapsed", "collapsed, R1 1"]
    assert len(rows) == 2 * (6 + 8) + 2 and [row["runs"] for row in rows[-2:]] == ["4", "4"]
    for row in rows:
        assert int(row["with an alarm"]) <= int(row["runs"]) and float(row["loss of D"]) < 1.5


def test_predictions_are_those_of_the_two_point_landscape(benchmark: Any) -> None:
    predicted = benchmark("clusters").predicted
    assert predicted((0.5, 0.5), "js") == pytest.approx(0.4774, abs=1e-4)
    assert predicted((0.5, 0.5), "paired") == pytest.approx(math.log(2) / 2)
    assert predicted((2 / 3, 1 / 3), "js") == pytest.approx(0.5608, abs=1e-4)
    assert predicted((0.2,) * 5, "js") == pytest.approx(0.2703, abs=1e-4)


def test_escape_and_collapse_are_read_off_the_records(benchmark: Any) -> None:
    both, one = (0.5, 0.5), (1.0, 0.0)
    shares = np.array([[one, both, both], [one, (0.1, 0.9), one], [both, one, (0.25, 0.75)]])
    losses = np.array([[0.5, 0.6, 0.7]] * 3)
    result = {"iterations": np.array([0, 5, 10]), "shares": shares, "losses": losses}
    rows = benchmark("clusters")._seed_rows("two clusters", "js", result)
    assert [row["escaped"] for row in rows] == [5, None, 0]
    assert [row["for_good"] for row in rows] == [5, None, 10]
    assert [row["collapsed"] for row in rows] == [False, True, False]
    assert rows[0]["final"] == 0.7
    assert rows[0]["lowest"] == 0.6  # median of what there is


def test_torch_is_left_as_it_was(benchmark: Any, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    run(benchmark("clusters"), "--experiments", "two clusters", "--part", 0.002, "--out", tmp_path)
    assert torch.get_num_threads() == threads
    assert torch.tensor(1e-320, dtype=torch.float64) * 2 > 0  # denormal numbers are numbers
