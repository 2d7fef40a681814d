"""Learned 3D reconstruction and generation with implicit functions.

    model = onet.load("runs/pointcloud")           # a run folder or a checkpoint
    mesh = model.reconstruct("scan.ply")           # trimesh.Trimesh, in the frame of the scan
    mesh = onet.extract_mesh(field, resolution=256)  # any callable field
    scores = onet.evaluate(mesh, reference)
    shape = onet.fit("mesh.obj")                   # a network that is nothing but this shape

Importing `onet` is cheap: submodules, torch and trimesh are imported when something needs them.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from onet._version import __version__

if TYPE_CHECKING:
    from onet.geometry.dual_contouring import dual_contouring
    from onet.geometry.extraction import extract_mesh
    from onet.geometry.inside import contains
    from onet.geometry.refinement import refine_roots
    from onet.geometry.simplification import simplify
    from onet.inference.fit import fit
    from onet.inference.reconstructor import load
    from onet.inference.scene import reconstruct_scene
    from onet.metrics.scores import evaluate

__all__ = [
    "__version__",
    "contains",
    "dual_contouring",
    "evaluate",
    "extract_mesh",
    "fit",
    "load",
    "reconstruct_scene",
    "refine_roots",
    "simplify",
]

_HOME = {
    "fit": "onet.inference.fit",
    "load": "onet.inference.reconstructor",
    "extract_mesh": "onet.geometry.extraction",
    "contains": "onet.geometry.inside",
    "dual_contouring": "onet.geometry.dual_contouring",
    "evaluate": "onet.metrics.scores",
    "reconstruct_scene": "onet.inference.scene",
    "refine_roots": "onet.geometry.refinement",
    "simplify": "onet.geometry.simplification",
}


def __getattr__(name: str) -> Any:
    if name == "_C":
        return _compiled()
    if name not in _HOME:
        raise AttributeError(f"module 'onet' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def _compiled() -> Any:
    """The compiled module; where a folder of sources has none, the remedy."""
    from onet.errors import MissingDependency

    try:
        return importlib.import_module("onet._C")
    except ModuleNotFoundError as error:
        if error.name != "onet._C":
            raise
        folder = os.path.dirname(os.path.abspath(__file__))
        raise MissingDependency(
            f"onet._C: the compiled part is not in {folder} for this Python; in the clone run "
            "`pip install -e .`, or outside of it use the installed package"
        ) from None
