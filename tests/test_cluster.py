"""Tasks on the workers of a dask cluster, which may die."""

from __future__ import annotations

import json
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trimesh
from parallel_tasks import began, crowded, mortal, note, square

from onet.checkpoints.checkpoint import checksum, resolve_checkpoint
from onet.cluster import kept
from onet.errors import ConfigError, DataError, WorkerDied
from onet.parallel import run_tasks
from onet.pipeline.evaluate_folders import evaluate_folders
from onet.pipeline.generate import generate
from onet.pipeline.solid import SolidSettings, make_solids

# First of all: what `dask.config.set` puts where no defaults are yet goes with them when it ends.
distributed = pytest.importorskip("distributed")


def local_cluster(**options: Any) -> Any:
    return distributed.LocalCluster(dashboard_address=None, **options)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills a process by a POSIX signal")
def test_a_worker_that_dies_costs_its_items_time_and_a_deadly_item_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was lost is done elsewhere; the item that kills each worker is reported."""
    import dask

    patient = {"distributed.deploy.lost-worker-timeout": "120s"}  # workers start slowly here
    with dask.config.set(patient), local_cluster(n_workers=2, threads_per_worker=1) as cluster:
        monkeypatch.chdir(tmp_path)  # not where the workers were started
        tasks = [(number, tmp_path) for number in range(8)]
        done = run_tasks(mortal, tasks, scheduler=cluster.scheduler_address)
        outcomes = {task[0]: outcome for task, outcome in done}
    assert isinstance(outcomes.pop(2), WorkerDied)
    assert outcomes == {number: number for number in (0, 1, 3, 4, 5, 6, 7)}
    assert {path.stem for path in tmp_path.glob("*.txt")} == {str(n) for n in outcomes}


def test_the_largest_items_come_first() -> None:
    began.clear()
    with local_cluster(n_workers=1, threads_per_worker=1, processes=False) as cluster:
        done = run_tasks(note, [4, 9, 1, 7], scheduler=cluster.scheduler_address, size=lambda x: x)
        assert {item for item, _ in done} == {9, 7, 4, 1}  # they come as their results do
    assert began == [9, 7, 4, 1]
    assert [item for item, _ in run_tasks(square, [4, 9, 1], workers=1, size=lambda x: x)] == [
        4, 9, 1,
    ]  # fmt: skip


def test_no_more_tasks_run_than_workers_have_memory_for() -> None:
    with local_cluster(
        n_workers=1, threads_per_worker=8, processes=False, resources={"MEMORY": 1e9}
    ) as cluster:
        done = run_tasks(crowded, range(9), scheduler=cluster.scheduler_address, memory=3e8)
        assert max(outcome for _, outcome in done) <= 3


def test_workers_of_little_memory_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with local_cluster(
        n_workers=1, threads_per_worker=2, processes=False, memory_limit="1GB"
    ) as cluster, caplog.at_level(logging.WARNING):  # fmt: skip
        assert len([*run_tasks(square, [1, 2], scheduler=cluster.scheduler_address,
                               memory=8e8)]) == 2  # fmt: skip
    assert "1 of 1 workers have less than the 0.8 GB" in caplog.text


def test_nobody_at_an_address(tmp_path: Path) -> None:
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "0.3s"}):
        with pytest.raises(ConfigError, match="no dask scheduler answers"):
            [*run_tasks(square, [1], scheduler="tcp://127.0.0.1:1")]
        with pytest.raises(ConfigError, match="no dask scheduler answers"):
            [*run_tasks(square, [1], scheduler="nonsense://x")]


def test_a_folder_that_workers_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onet import cluster

    with pytest.raises(DataError, match="under the same paths"):
        cluster._run(square, 2, str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    assert cluster._run(square, 2, str(tmp_path)).value == 4


def test_solids_meshes_and_scores_are_those_of_local_processes(
    tmp_path: Path, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are relative, as on the command line."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number, extents in enumerate(([1, 1, 1], [1, 2, 1], [1, 1, 3])):
        trimesh.creation.box(extents).export(f"in/{number}.ply")
    run = make_run("pointcloud", count=50)
    settings = SolidSettings(resolution=12)
    with local_cluster(n_workers=1, threads_per_worker=1, processes=False) as cluster:
        for place, address in (("here", None), ("there", cluster.scheduler_address)):
            report = make_solids(["in"], f"{place}/solids", settings, workers=1, scheduler=address)
            assert report.made == 3
            made = generate(run, input="in", out=f"{place}/made", resolution=8, scheduler=address)
            assert made.ok
            evaluate_folders(
                [f"{place}/solids"], "in", f"{place}/scores", samples=500, solids=False,
                shown=0, scheduler=address,
            )  # fmt: skip
    files = {path.relative_to("here") for path in Path("here").rglob("*.ply")}
    assert len(files) > 5
    for file in [*files, Path("scores/items.csv")]:
        found = Path("there", file).read_bytes()
        assert Path("here", file).read_bytes() == found.replace(b"there", b"here"), file


def test_meshes_of_a_cluster_have_the_probability_that_was_applied(
    tmp_path: Path, make_run: Any
) -> None:
    """It belongs to the run, not to the checkpoint, and may change from one command to the next."""
    run = make_run("pointcloud", count=50)
    file, made = resolve_checkpoint(run), set()
    (tmp_path / "in").mkdir()
    trimesh.creation.box((1, 1, 1)).export(tmp_path / "in/0.ply")
    with local_cluster(n_workers=1, threads_per_worker=1, processes=False) as cluster:
        address = cluster.scheduler_address
        for number, probability in enumerate((0.45, 0.55)):
            applied = {"probability": probability, "temperature": 1.0, "sha256": checksum(file)}
            (run / "threshold.json").write_text(json.dumps({"applied": applied}))
            found = [
                generate(
                    run, input=tmp_path / "in", out=tmp_path / f"{number}{name}", resolution=16,
                    scheduler=where,
                ).out
                for name, where in (("here", None), ("there", address))
            ]  # fmt: skip
            here, there = (next((out / "meshes").rglob("*.ply")).read_bytes() for out in found)
            assert here == there
            made.add(here)
    assert len(made) == 2


def test_a_worker_makes_what_it_keeps_once() -> None:
    made = []

    def slow(name: str) -> str:
        made.append(name)
        time.sleep(0.05)
        return name

    with ThreadPoolExecutor(4) as threads:
        wanted = [threads.submit(kept, "a", lambda: slow("a")) for _ in range(4)]
        assert {one.result() for one in wanted} == {"a"}
    assert made == ["a"]
    assert kept("b", lambda: slow("b")) == "b"
    assert kept("a", lambda: slow("a")) == "a" and made == ["a", "b", "a"]
