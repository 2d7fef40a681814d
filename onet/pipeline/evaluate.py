"""`onet eval` as a function."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from onet.errors import ConfigError, DataError
from onet.evaluation.meshes import EvaluationReport, evaluate_generation
from onet.evaluation.motion import NAME as OFLOW
from onet.evaluation.motion import MotionScores, evaluate_motion, is_motion
from onet.evaluation.onet2019 import NAME as ONET2019
from onet.evaluation.onet2019 import PublishedTable, evaluate_onet2019
from onet.inference import generation_folder as folder
from onet.progress import Progress, reports_progress
from onet.report.html import write_report
from onet.storage import check_writable


@reports_progress
def evaluate_run(
    results: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    samples: int = 100_000,
    seed: int = 0,
    workers: int | None = 1,
    scheduler: str | None = None,
    protocol: Literal["onet2019", "oflow"] | None = None,
    progress: Progress | None = None,
) -> EvaluationReport | PublishedTable | MotionScores:
    """Measure what `onet.generate` made of a split against the truth, as `onet eval` does.

    Writes `eval.csv`, `eval_items.csv`, `evaluation.json` and `report.html` into the generation
    folder.

    Args:
        results: a folder that `onet.generate` wrote, or its run folder.
        data: prepared data with the truth; default what was generated from.
        samples: points on each surface.
        seed: of these samples; equal arguments give equal scores.
        workers: processes; None for as many as there are cores and memory for.
        scheduler: address of a dask scheduler in their place, see `onet.parallel.run_tasks`; not
            for moving meshes.
        protocol: `onet2019` gives the table of the publication, in its units; of moving meshes
            `oflow` the scores that theirs has.
        progress: see `onet.progress`.

    Returns:
        The scores of each item, of each category and their means; `mean` is the published one.
        With a protocol its table, whose `report` is that.

    Raises:
        ConfigError: another protocol, or samples that it does not have.
        DataError: no generation folder, one made from scans, or truth that is missing or damaged.
        FolderInUse: another process writes to the folder.
    """
    if protocol not in (None, ONET2019, OFLOW):
        raise ConfigError(
            f"protocol: {protocol!r}; there are {ONET2019!r} and, of moving meshes, {OFLOW!r} for "
            "what `onet generate` wrote; others are for folders of meshes, with --truth"
        )
    place = folder.locate(Path(results))
    if not (place / folder.SETTINGS).is_file():
        raise DataError(
            f"{place / folder.SETTINGS}: no such file; name a folder written by `onet generate`, "
            "or for meshes of other methods give the folder of the true ones: --truth FOLDER"
        )
    if is_motion(results):
        if scheduler is not None:
            raise ConfigError("scheduler: moving meshes are measured in one process; leave it out")
        check_writable(Path(results))
        return evaluate_motion(results, data=data, samples=samples, seed=seed, protocol=protocol)
    if protocol == OFLOW:
        raise ConfigError(f"protocol: {OFLOW!r} is of moving meshes, and {results} holds others")
    check_writable(Path(results))
    measure = evaluate_generation if protocol is None else evaluate_onet2019
    how: dict[str, Any] = {"workers": workers, "scheduler": scheduler}
    measured = measure(results, data=data, samples=samples, seed=seed, **how)
    write_report(measured.folder, data=data)
    return measured
