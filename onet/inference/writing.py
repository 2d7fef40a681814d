"""From a mesh to the files of a generation folder, and its row in the table of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trimesh

from onet.data.inputs import Input
from onet.geometry.written import save_and_examine
from onet.inference import generation_folder as folder
from onet.inference.observing import Observed
from onet.inference.targets import Target
from onet.records import Row


def write(
    out: Path,
    target: Target,
    input: Input,
    observed: Observed,
    mesh: trimesh.Trimesh,
    settings: dict[str, Any],
) -> Row:
    """Write what was observed of a target, and its mesh unless it is empty.

    Args:
        out: the generation folder.
        target: its name is that of the files.
        input: of the model.
        observed: what the model saw.
        mesh: in the unit frame, with statistics of its extraction.
        settings: those of the folder, of which `format` and `probability` are used.

    Returns:
        The row of the table, whose columns that the files do not tell are empty.
    """
    for number, observation in enumerate(observed.observations):
        name = f"{target.model}.view{number}" if number else target.model
        input.write(observation, out / folder.INPUTS / target.category / name, observed.frame)
    extraction = mesh.metadata["extraction"]
    measured = {key: extraction[key] for key in ("evaluations", "box_contacts")}
    if len(mesh.faces) == 0:
        reason = f"no surface: nowhere above probability {settings['probability']:g}"
        return failed(target, reason) | measured
    path = Path(folder.MESHES) / target.category / f"{target.model}.{settings['format']}"
    shape = save_and_examine(observed.frame.mesh_to_source(mesh), out / path).as_dict()
    return (
        _row(target, folder.OK)
        | {"mesh": path.as_posix()}
        | {key: shape[key] for key in folder.COLUMNS if key in shape}
        | measured
    )


def failed(target: Target, reason: str) -> Row:
    """Return the row of a target without a mesh."""
    return _row(target, folder.FAILED) | {"reason": " ".join(reason.split())}


def _row(target: Target, status: str) -> Row:
    named = {"category": target.category, "model": target.model, "status": status}
    return dict.fromkeys(folder.COLUMNS, "") | named
