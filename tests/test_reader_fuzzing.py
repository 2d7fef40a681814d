"""A small version of `python tests/fuzzing/readers.py`: mutated files through every reader."""

from __future__ import annotations

import contextlib

import pytest
from fuzzing import readers
from fuzzing.seeds import SEEDS

from onet.errors import DataError

CASES = 60
FEW = 30


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SEEDS)
def test_mutated_files_are_read_or_refused(name, tmp_path):
    """The first cases, in this process: no limits of time and memory."""
    path = tmp_path / f"case{SEEDS[name].suffix}"
    for case in range(FEW):
        path.write_bytes(readers.case_bytes(name, case))
        with contextlib.suppress(DataError):
            SEEDS[name].read(path)


@pytest.mark.slow
def test_no_finding():
    """All readers in one run, which keeps every core busy."""
    outcomes = readers.run(list(SEEDS), CASES)
    assert [o.reader for o in outcomes if o.findings] == [], [o.findings for o in outcomes]
    assert {o.read + o.refused for o in outcomes} == {o.cases for o in outcomes} == {CASES}


def test_good_files_are_read(tmp_path):
    for name, seed in SEEDS.items():
        for number, data in enumerate(seed.files()):
            path = tmp_path / f"{name}-{number}{seed.suffix}"
            path.write_bytes(seed.wrap(data))
            seed.read(path)


def test_a_finding_is_reported_with_its_case(monkeypatch):
    """A process that dies at its third case costs that case only."""
    broken = "import os,sys;a=int(sys.argv[-2]);[print('read',c,0) for c in range(a,2)];" + (
        "a<3 and (print('case 2',flush=True),os.abort())"
    )
    run = readers.subprocess.run

    def start(command, **options):
        return run([command[0], "-c", broken, *command[-2:]], **options)

    monkeypatch.setattr(readers.subprocess, "run", start)
    (outcome,) = readers.run(["obj"], 10)
    assert [case for case, _ in outcome.findings] == [2]
    assert outcome.read == 2
