"""Networks that come with the package, by name.

`models.json` beside the weights says of each name: `file`, `kind`, `input` (what it observes),
`trained_on`, `licence` (of the weights) and `scores` (number by what was measured). A name can
stand wherever the path of a run or checkpoint can; what lies at such a path comes first.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onet.config.loader import packaged_configs
from onet.errors import CheckpointError
from onet.resources import assets_dir

LIST = "models.json"

RUN = "run"
"""Kind of a checkpoint that `onet train` wrote."""

SCAN = "scan"
"""Kind of the weights of a network for scans of anything."""


@dataclass(frozen=True)
class PackagedModel:
    """A network that comes with the package.

    Attributes:
        name: what to call it in place of a path.
        path: of its weights.
        kind: `RUN` or `SCAN`.
        input: what it observes.
        trained_on: what it has learned from.
        licence: of the weights.
        scores: by what was measured.
    """

    name: str
    path: Path
    kind: str
    input: str
    trained_on: str
    licence: str
    scores: dict[str, float]

    @property
    def size(self) -> int | None:
        """Bytes of the file; None where it is missing."""
        return self.path.stat().st_size if self.path.is_file() else None

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "name": self.name,
            "input": self.input,
            "trained_on": self.trained_on,
            "licence": self.licence,
            "scores": self.scores,
            "kind": self.kind,
            "size": self.size,
            "path": str(self.path),
        }


def packaged_models() -> dict[str, PackagedModel]:
    """Return the networks that come with the package, by name.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    folder = assets_dir()
    described = json.loads((folder / LIST).read_text(encoding="utf-8"))
    return {
        name: PackagedModel(name, folder / entry.pop("file"), **entry)
        for name, entry in described.items()
    }


def packaged_model(path: str | os.PathLike[str]) -> PackagedModel | None:
    """Return the network that a path means which is the name of one; None for all other paths.

    If something lies at the path, it is meant, and no network.

    Raises:
        CheckpointError: the file of the network is missing.
    """
    name = os.fspath(path)
    if os.path.lexists(name) or name not in (models := packaged_models()):
        return None
    if models[name].size is None:
        raise CheckpointError(
            f"{name}: the packaged network is missing from {models[name].path.parent}: the "
            "installation is incomplete, install onet again"
        )
    return models[name]


def no_such_run(path: str | os.PathLike[str]) -> CheckpointError:
    """Return the error about a path that does not exist; of a mere name it lists the networks."""
    name = os.fspath(path)
    if os.path.basename(name) != name:
        return CheckpointError(f"{name}: no such file or run folder")
    if name in packaged_configs():
        return CheckpointError(
            f"{name}: is a configuration, not a trained network; train one first: "
            f"`onet train {name} data.path=PREPARED`"
        )
    names = ", ".join(sorted(packaged_models()))
    return CheckpointError(
        f"{name}: no such file or run folder, and no packaged network of that name; there are: "
        f"{names} (see `onet models`)"
    )
