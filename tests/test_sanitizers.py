"""A small version of `python tests/native/fuzz.py`: random cases under the sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from native import fuzz

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow

CASES = {"address": (200, 1), "thread": (40, 3)}  # cases of each operation, threads


@pytest.fixture(scope="module", params=CASES)
def driver(request, tmp_path_factory) -> tuple[Path, str]:
    try:
        return fuzz.build(tmp_path_factory.mktemp("fuzz"), request.param), request.param
    except fuzz.NoSanitizer as error:
        pytest.skip(str(error))


def test_no_finding(driver):
    path, sanitizer = driver
    cases, threads = CASES[sanitizer]
    outcomes = fuzz.run(path, fuzz.operations(path), cases, threads)
    assert [outcome.findings for outcome in outcomes] == [[] for _ in outcomes]
    assert {outcome.cases for outcome in outcomes} == {cases}
    assert {"extraction", "contains", "closest_point"} <= {o.operation for o in outcomes}


def test_a_finding_is_reported_with_its_case(driver):
    """The driver reads beyond an array and lets two threads write to one variable."""
    path, sanitizer = driver
    done = subprocess.run([str(path), "--break"], capture_output=True, text=True)
    reports = {"address": "heap-buffer-overflow", "thread": "data race"}
    assert done.returncode != 0 and reports[sanitizer] in done.stderr
    assert done.stderr.rstrip().endswith("case 7 of nothing")
