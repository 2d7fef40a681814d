import multiprocessing
import os
import threading
import time

import pytest
import torch

from onet.nn.decoders import tiles
from onet.nn.decoders.tiles import map_tiles


@pytest.fixture(autouse=True)
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_results_are_in_order_and_each_thread_prepares_once():
    prepared, used = [], set()

    def prepare():
        prepared.append(threading.get_ident())

        def function(tile):
            used.add((threading.get_ident(), torch.get_num_threads()))
            time.sleep(0.002 * int(tile[0] % 3))
            return int(tile.sum())

        return function

    points = torch.arange(40)
    assert map_tiles(prepare, points.split(2)) == [4 * i + 1 for i in range(20)]
    assert len(prepared) == len(set(prepared)) == 4
    assert {count for _, count in used} == {1} and threading.get_ident() not in prepared
    assert map_tiles(prepare, []) == []


def test_operations_of_a_tile_stay_on_one_thread():
    """Also after the common number of threads was set back, which new threads would inherit."""

    def prepare():
        return lambda tile: (torch.ones(2**20).mul_(2).sum(), torch.get_num_threads())[1]

    tiles._forget()  # so that the threads start here
    for _ in range(2):
        assert set(map_tiles(prepare, torch.arange(9).split(1))) == {1}
    assert torch.get_num_threads() == 4
    seen = []
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert seen == [4]


def test_one_thread_works_in_the_caller():
    torch.set_num_threads(1)
    names = map_tiles(lambda: lambda tile: threading.get_ident(), torch.arange(9).split(3))
    assert set(names) == {threading.get_ident()}


def test_an_error_reaches_the_caller_and_ends_the_work():
    done = []

    def function(tile):
        if tile[0] == 3:
            raise RuntimeError("tile three")
        time.sleep(0.001)
        done.append(tile)

    with pytest.raises(RuntimeError, match="tile three"):
        map_tiles(lambda: function, torch.arange(1000).split(1))
    assert len(done) < 900
    assert map_tiles(lambda: int, torch.arange(3).split(1)) == [0, 1, 2]


def test_more_threads_can_be_asked_for_later():
    def count(threads):
        torch.set_num_threads(threads)
        barrier = threading.Barrier(threads)
        return map_tiles(lambda: lambda _: barrier.wait(10) >= 0, torch.arange(threads).split(1))

    assert all(count(2)) and all(count(6)) and all(count(3))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_starts_threads_of_its_own():
    map_tiles(lambda: int, torch.arange(4).split(1))
    assert tiles._pool is not None
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(tiles._pool is None))
    child.start()
    child.join(20)
    assert child.exitcode == 0 and queue.get()
