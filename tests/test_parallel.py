import logging
import os
import sys

import pytest
from parallel_tasks import fragile, square

from onet import progress
from onet.errors import MissingDependency, WorkerDied
from onet.parallel import run_tasks


def test_one_worker_runs_here_in_order_and_reports_errors():
    outcomes = list(run_tasks(square, range(5), workers=1))
    assert [item for item, _ in outcomes] == [0, 1, 2, 3, 4]
    assert [outcome for item, outcome in outcomes if item != 3] == [0, 1, 4, 16]
    assert isinstance(outcomes[3][1], ValueError)


def test_a_scheduler_without_dask_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependency, match="cluster"):
        list(run_tasks(square, [1], scheduler="tcp://127.0.0.1:1"))


def test_no_items_need_no_workers():
    assert list(run_tasks(square, [], workers=4)) == []


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process by a POSIX signal")
def test_a_dying_process_costs_only_its_item():
    outcomes = dict(run_tasks(fragile, range(8), workers=2))
    assert sorted(outcomes) == list(range(8))
    assert isinstance(outcomes.pop(2), WorkerDied)
    assert isinstance(outcomes.pop(4), ValueError)
    for item, (result, pid, threads) in outcomes.items():
        assert result == item
        assert pid != os.getpid()
        assert threads == "1"


def test_an_existing_cluster_can_be_used():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        outcomes = dict(run_tasks(square, range(10), scheduler=cluster.scheduler_address))
    assert isinstance(outcomes.pop(3), ValueError)
    assert outcomes == {x: x * x for x in range(10) if x != 3}


def test_progress_is_logged_without_a_terminal(monkeypatch, caplog):
    monkeypatch.setattr(progress, "LOG_EVERY", 0.0)
    with caplog.at_level(logging.INFO):
        list(run_tasks(square, range(2), workers=1, describe=lambda x: f"<{x}>", title="squares"))
    assert [record.message for record in caplog.records] == [
        "squares: 1 of 2, 0 s left, last <0>",
        "squares: 2 of 2, 0 s left, last <1>",
    ]


def test_a_function_hears_of_progress_in_place_of_the_screen(caplog):
    heard = []
    tasks = run_tasks(
        square, range(3), workers=1, title="squares", progress=lambda *a: heard.append(a)
    )
    with caplog.at_level(logging.INFO):
        list(tasks)
    assert heard == [(done, 3, "squares") for done in range(4)]
    assert not caplog.records
    heard.clear()
    list(run_tasks(square, [], title="squares", progress=lambda *a: heard.append(a)))
    assert heard == [(0, 0, "squares")]


def test_a_decorated_call_hears_of_what_is_done_in_it_and_can_be_ended(capsys):
    @progress.reports_progress
    def outer(count, *, progress=None):
        return inner(count)

    @progress.reports_progress
    def inner(count, *, progress=None):
        return list(run_tasks(square, range(count), workers=1))

    heard = []
    outer(2, progress=lambda *a: heard.append(a))
    assert [done for done, *_ in heard] == [0, 1, 2]
    assert progress.listener() is None

    def enough(done, total, what):
        if done == 1:
            raise KeyError(what)

    with pytest.raises(KeyError):
        outer(9, progress=enough)
    assert progress.listener() is None


def test_items_are_started_lazily():
    started = []
    tasks = run_tasks(lambda x: started.append(x), range(100), workers=1)
    next(tasks)
    tasks.close()
    assert started == [0]
