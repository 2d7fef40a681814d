"""The table of all benchmarks goes on where a row fails."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import _exponents
from benchmarks import all as table


def _rows(quick: bool, folder: Path) -> Iterator[table.Row]:
    good = ["--single", "exact", "sphere", "16"]
    bad = ["--single", "exact", "made up", "16"]
    yield table.Row("scaling", "ours fails", bad, "exact", good, "seconds")
    yield table.Row("scaling", "theirs fails", good, "exact", bad, "seconds")
    yield table.Row("scaling", "alone", good, "", None, "seconds")
    table._child("scaling", ["--made-up"])  # as a file that the next rows need


def test_failures_are_said_and_the_table_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(table, "GROUPS", {"first": _rows, "second": _rows})
    monkeypatch.setattr(table, "RUNS", {True: 1})
    monkeypatch.setattr(table, "sweeps", lambda *given: iter(()))
    monkeypatch.chdir(Path(__file__).parents[1])
    out = tmp_path / "table.csv"
    with pytest.raises(SystemExit, match="3 of 4 rows failed"):
        table.run(argparse.Namespace(quick=True, only=["first"], out=out))

    with out.open(newline="") as file:
        ours, theirs, alone, group = csv.DictReader(file)
    assert (ours["seconds"], theirs["its seconds"]) == ("failed", "failed")
    assert ours["better"] == theirs["better"] == ""
    assert min(float(r) for r in (ours["its seconds"], theirs["seconds"], alone["seconds"])) > 0
    assert (group["benchmark"], group["seconds"]) == ("first", "failed")

    shown = capsys.readouterr()
    assert shown.out.count("failed") == 3
    assert "KeyError: 'made up'" in shown.err
    assert "unrecognized arguments: --made-up" in shown.err


def test_groups_that_are_not_there_are_named() -> None:
    with pytest.raises(SystemExit, match="no rows of made up; there are extract, "):
        table.run(argparse.Namespace(quick=True, only=["made up"], out=None))


def test_an_exponent_is_that_of_the_growth() -> None:
    def child(benchmark: str, arguments: list[str]) -> dict[str, float]:
        size = float(arguments[0])
        return {"faces": 2 * size, "milliseconds": 3.0 * size**1.5}

    runs = [(0.0, [str(size)]) for size in (10, 100, 1000)]
    line = _exponents.grown(_exponents.Sweep("made up", "", "faces", runs, "milliseconds"), child)
    assert (line["exponent"], line["of the last step"]) == ("1.50", "1.50")
    assert (line["from"], line["to"]) == ("20", "2,000")


def test_sweeps_are_of_benchmarks_that_are_named() -> None:
    for quick in (True, False):
        named = {sweep.benchmark for sweep in _exponents.sweeps(quick, Path(), "")}
        assert named == set(_exponents.GROWN)
