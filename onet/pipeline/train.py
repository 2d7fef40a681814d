"""`onet train` as a function."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onet.config import Config, load_config
from onet.errors import ConfigError
from onet.progress import Progress, reports_progress
from onet.training import loop
from onet.training.result import TrainingResult
from onet.training.stream import ItemSource


@reports_progress
def train(
    config: Config | str | os.PathLike[str],
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    run: str | os.PathLike[str] | None = None,
    resume: bool = True,
    datasets: Mapping[str, ItemSource] | None = None,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a network; called again with the same run folder, it goes on where it stopped.

        onet.train("pointcloud", {"data.path": "prepared", "training.max_minutes": 60})

    Ctrl-C ends training as a limit does: the run is saved, and the result says `interrupted`.

    Args:
        config: name of a packaged configuration, YAML file, or a configuration.
        overrides: changes of it, see `onet.load_config`.
        run: folder of the run; default `runs/NAME` by the name of the configuration.
        resume: False refuses a folder that already holds a run.
        datasets: `train` and `val`, instead of those that the configuration describes; see
            `onet.training.stream.ItemSource`.
        progress: see `onet.progress`; called after every iteration, in the main process of several.

    Returns:
        Why training stopped, after how long, and the scores of the best and the last checkpoint,
        which lie in `run / "checkpoints"`.

    Raises:
        ConfigError: a configuration that cannot be used, or one without a name and no `run`.
        DataError, CheckpointError, TrainingError, FolderInUse: see `onet.training.loop.train`.
    """
    if run is None and isinstance(config, Config):
        raise ConfigError("run: a configuration in memory has no name; say where the run goes")
    folder = Path("runs") / Path(str(config)).stem if run is None else Path(run)
    return loop.train(load_config(config, overrides), folder, resume=resume, datasets=datasets)
