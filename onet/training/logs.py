"""What a run records: metrics.csv, tensorboard, progress lines."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from onet.checkpoints.run_folder import LOGS, METRICS
from onet.errors import DataError
from onet.files import flush, replacing

logger = logging.getLogger(__name__)

Row = dict[str, float | int | str]

SPLITS = ("train", "val")
_NUMBERS: dict[str, Callable[[str], float | int]] = {"iteration": int}


def read_metrics(path: Path) -> list[Row]:
    """Rows of a metrics.csv; empty cells are left out.

    A row that was cut, or never reached the disk, when the process or the machine went down is left
    out with a warning: one without the end of its line may have lost digits.

    Raises:
        DataError: the heading is damaged, so that nobody can tell what the columns are.
    """
    lines = path.read_bytes().decode("utf-8", "replace").splitlines(keepends=True)
    if not "".join(lines).strip("\0\r\n "):
        logger.warning("%s: is empty; it starts anew", path)
        return []
    heading = lines[0].rstrip("\r\n").split(",")
    if not {"iteration", "split"} <= {*heading} or not lines[0].endswith("\n"):
        if len(lines) == 1:
            logger.warning("%s: holds no rows but a part of its heading; it starts anew", path)
            return []
        raise DataError(
            f"{path}: its first line is no heading with the columns iteration and split; correct "
            "it, or delete the file to go on without what it recorded"
        )
    rows = [_row(heading, line) for line in lines[1:]]
    damaged = [number for number, row in enumerate(rows, 2) if row is None]
    if damaged:
        numbers = f"{', '.join(map(str, damaged[:5]))}{', ...' if len(damaged) > 5 else ''}"
        logger.warning("%s: left out what was cut or damaged, line %s", path, numbers)
    return [row for row in rows if row is not None]


def _row(heading: list[str], line: str) -> Row | None:
    """Return the cells of a line that are not empty; None if it is not whole."""
    cells = line.rstrip("\r\n").split(",")
    if not line.endswith("\n") or len(cells) != len(heading):
        return None
    row: Row = {}
    try:
        for key, cell in zip(heading, cells, strict=True):
            if cell:
                row[key] = cell if key == "split" else _NUMBERS.get(key, float)(cell)
    except ValueError:
        return None
    return row if row.get("split") in SPLITS and "iteration" in row else None


class RunLog:
    """Metrics of a run: one row of metrics.csv per report, and the same in tensorboard.

    Args:
        run_dir: the run folder.
        iteration: rows after this iteration are dropped (they will be written again).
    """

    def __init__(self, run_dir: Path, iteration: int = 0) -> None:
        self.path = run_dir / METRICS
        self.rows: list[Row] = []
        if self.path.is_file():
            rows = read_metrics(self.path)
            self.rows = [row for row in rows if int(row["iteration"]) <= iteration]
        self.columns = list(dict.fromkeys(key for row in self.rows for key in row))
        self._rewrite()
        self._board = SummaryWriter(str(run_dir / LOGS), purge_step=iteration + 1)

    def add(self, split: str, iteration: int, minutes: float, metrics: dict[str, float]) -> None:
        """Record the metrics of one split."""
        row: Row = {"iteration": iteration, "minutes": round(minutes, 4), "split": split, **metrics}
        self.rows.append(row)
        new = [key for key in row if key not in self.columns]
        if new:
            self.columns += new
            self._rewrite()
        else:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, self.columns).writerow(row)
        for key, value in metrics.items():
            self._board.add_scalar(f"{split}/{key}", value, iteration)

    def flush(self) -> None:
        """Write metrics.csv to the disk: no checkpoint may outlive the rows before it."""
        with self.path.open("a", newline="") as file:
            flush(file)

    def close(self) -> None:
        self._board.close()

    def _rewrite(self) -> None:
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)

    def series(self, split: str, metric: str) -> tuple[list[int], list[float]]:
        """Iterations and values of a metric."""
        rows = [row for row in self.rows if row["split"] == split and metric in row]
        return [int(row["iteration"]) for row in rows], [float(row[metric]) for row in rows]


def duration(seconds: float) -> str:
    """12:34:56"""
    minutes, s = divmod(round(seconds), 60)
    h, m = divmod(minutes, 60)
    return f"{h:02d}:{m:02d}:{s:02d}"


def show(metrics: dict[str, Any]) -> str:
    """`iou 0.5123 loss 61.24`"""
    texts = {k: str(v) if isinstance(v, int) else f"{v:.4g}" for k, v in metrics.items()}
    return " ".join(f"{key} {text}" for key, text in texts.items())
