"""Meshes of models that make them without a field."""

from __future__ import annotations

from typing import Any

import torch
import trimesh

from onet.config import Config
from onet.errors import ConfigError, DataError
from onet.geometry.simplification import simplify
from onet.inference.surface import SurfaceOptions, surface_settings
from onet.nn.code import Code

POSSIBLE = ("simplify",)
"""Options of surfaces that do not ask for a field."""


@torch.no_grad()
def own_mesh(
    model: Any, codes: Code, config: Config, options: SurfaceOptions | dict[str, Any]
) -> trimesh.Trimesh:
    """Return the mesh, in the unit frame, that a model makes of the code of one observation.

    Args:
        model: with `mesh`, in evaluation mode.
        codes: a batch of one.
        config: of the model.
        options: see `SurfaceOptions`; those of `POSSIBLE`, others ask for a field.

    Raises:
        ConfigError: an option that asks for a field, or a setting out of range.
        DataError: an open mesh is to be simplified.
    """
    asked = [key for key, value in options.items() if value is not None and key not in POSSIBLE]
    if asked:
        raise ConfigError(
            f"{asked[0]}: the model {config.model['type']!r} makes a mesh and has no field, from "
            f"which a surface could be taken so; leave it out (possible: {', '.join(POSSIBLE)})"
        )
    settings = surface_settings(config.generation, **options)
    mesh: trimesh.Trimesh = model.eval().mesh(codes)
    mesh.metadata["extraction"] = {"evaluations": 1, "box_contacts": 0}
    if settings.simplify is not None and len(mesh.faces):
        if not mesh.is_watertight:
            raise DataError(
                f"simplify: {settings.simplify}: the mesh that the model "
                f"{config.model['type']!r} made is open, and only closed ones are simplified; "
                "leave it out"
            )
        mesh = simplify(mesh, settings.simplify)
    return mesh
