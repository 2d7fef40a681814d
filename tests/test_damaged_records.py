"""Records of runs and generations that a crash cut short."""

import logging

import pytest

from onet.errors import DataError
from onet.inference import generation_folder as folder
from onet.records import write_json
from onet.training.logs import RunLog, read_metrics


@pytest.fixture
def run_dir(tmp_path):
    log = RunLog(tmp_path)
    for iteration in (1, 2, 3):
        log.add("train", iteration, 0.5, {"loss": 1.25 / iteration})
    log.close()
    return tmp_path


def test_every_cut_of_the_last_row_leaves_the_others(run_dir):
    path = run_dir / "metrics.csv"
    whole = path.read_bytes()
    rows = read_metrics(path)
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in range(1, last + 1):
        path.write_bytes(whole[:-cut])
        assert read_metrics(path) == rows[:2], cut


@pytest.mark.parametrize(
    "tail", [b"\0" * 40, b"\0" * 3 + b"\r\n", b"4,0.5,tra", b"4,x,train,1\r\n"]
)
def test_what_a_crash_leaves_at_the_end_is_dropped_with_a_warning(run_dir, tail, caplog):
    path = run_dir / "metrics.csv"
    rows = read_metrics(path)
    path.write_bytes(path.read_bytes() + tail)
    with caplog.at_level(logging.WARNING):
        assert read_metrics(path) == rows
    assert f"{path}: left out what was cut or damaged, line 5" in caplog.text
    log = RunLog(run_dir, 3)
    log.add("train", 4, 0.5, {"loss": 2.0})
    log.close()
    assert [row["iteration"] for row in read_metrics(path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"iteration,minu"])
def test_a_file_without_rows_starts_anew(run_dir, content, caplog):
    (run_dir / "metrics.csv").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        log = RunLog(run_dir, 3)
    assert "starts anew" in caplog.text
    log.add("train", 4, 0.5, {"loss": 2.0})
    log.close()
    assert len(read_metrics(run_dir / "metrics.csv")) == 1


def test_a_heading_that_is_lost_is_named(run_dir):
    path = run_dir / "metrics.csv"
    path.write_bytes(b"\0" * 8 + path.read_bytes()[8:])
    with pytest.raises(DataError, match=r"metrics\.csv: its first line .* delete"):
        read_metrics(path)


def test_results_that_were_cut_are_made_again_and_never_scored(tmp_path, caplog):
    rows = [
        dict.fromkeys(folder.COLUMNS, "")
        | {"category": "c", "model": name, "status": folder.OK, "mesh": name, "seconds": 1.5}
        for name in "ab"
    ]
    for name in "ab":
        (tmp_path / name).write_text("mesh")
    folder.write_results(tmp_path, rows)
    settings = {"seed": 0, "checkpoint": {"path": "best.safetensors", "sha256": "0"}}
    write_json(tmp_path / folder.SETTINGS, settings)
    path = tmp_path / folder.RESULTS
    whole = path.read_bytes()
    assert len(folder.finished(tmp_path, settings)) == 2
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in range(1, last):
        path.write_bytes(whole[:-cut])
        with pytest.raises(DataError, match="line 3 was cut"):
            folder.read_results(tmp_path)
        assert [*folder.finished(tmp_path, settings)] == [("c", "a")]
