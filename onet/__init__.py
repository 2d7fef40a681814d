"""Learned 3D reconstruction and generation with implicit functions.

A network maps a point of space, and what was observed of an object (a point cloud, a picture, a
voxel grid, or nothing), to the probability that the point is inside the object. Where that crosses
a given one is the surface. From a folder of meshes to a network, and from a scan to its mesh:

    onet.prepare("meshes", "prepared")
    onet.train("pointcloud", {"data.path": "prepared"}, run="runs/mine")
    model = onet.load("runs/mine")
    mesh = model.reconstruct("scan.ply")  # trimesh.Trimesh, closed, in the frame of the scan
    scores = onet.evaluate(mesh, "truth.ply")

A scan of anything becomes a mesh without training, by a network that comes with the package:

    mesh = onet.load("scan").reconstruct("scan.ply")

The whole way, with the words of the command line:

    load_config         a configuration by name or file, with changes
    prepare             turn a folder of meshes into training data
    train               train a network, or go on where training stopped
    load                load a trained network: a Reconstructor
    generate            reconstruct a split of the data, or a folder of scans
    evaluate_run        measure what was generated against the truth
    evaluate_folders    score meshes of any methods against true meshes, in one table
    evaluate_diversity  compare a set of generated shapes with real ones
    search_threshold    the probability on the surface with the best IoU on the validation split
    calibrate           probabilities that come true, for a run
    interpolate         meshes on the way from one shape to another
    sample_grid         samples of a generative model, in rows and columns
    convert             weights from and to the published files
    export              encoder and decoder for other programs: torch.export, ONNX, safetensors

Single shapes:

    evaluate            scores of a mesh against a reference
    fit                 turn one mesh into a function
    reconstruct_scene   one closed mesh of a scene of any extent

What a trained network offers, and the frame that it works in:

    Reconstructor       reconstruct, reconstruct_many, reconstruct_multiview, field
    UnitFrame           where in the user's coordinates an object is, and how large
    Config              a configuration
    OnetError           what is wrong with a file, a setting or a folder, and what to do

Geometry for any field and any mesh, without a network:

    extract_mesh        closed mesh of the set where a function is above a level
    refine_roots        move its vertices exactly onto the surface
    dual_contouring     give it sharp edges
    simplify            fewer faces, closed as before
    contains            which points lie inside a mesh
    make_solid          the solid that a mesh in any condition stands for
    bake                a texture of a field of colour, for files that open everywhere

The kinds of `OnetError` are in `onet.errors`. Long calls take `progress`, see `onet.progress`.
Importing `onet` is cheap: torch and the rest are imported when something needs them. The whole way
as a page with examples: docs/python.md.
"""

import importlib as _importlib
import os as _os
import typing as _typing

from onet._version import __version__

if _typing.TYPE_CHECKING:
    from onet.checkpoints.published_weights import convert
    from onet.config import Config, load_config
    from onet.data.prepare import prepare
    from onet.errors import OnetError
    from onet.evaluation.calibrate import calibrate
    from onet.evaluation.diversity import evaluate_diversity
    from onet.evaluation.threshold_search import search_threshold
    from onet.geometry.color.baking import bake
    from onet.geometry.dual_contouring import dual_contouring
    from onet.geometry.extraction import extract_mesh
    from onet.geometry.inside import contains
    from onet.geometry.normalization import UnitFrame
    from onet.geometry.refinement import refine_roots
    from onet.geometry.simplification import simplify
    from onet.geometry.solid.make import make_solid
    from onet.inference.export import export
    from onet.inference.fit import fit
    from onet.inference.latent import interpolate, sample_grid
    from onet.inference.loading import load
    from onet.inference.reconstructor import Reconstructor
    from onet.inference.scene import reconstruct_scene
    from onet.metrics.scores import evaluate
    from onet.pipeline.evaluate import evaluate_run
    from onet.pipeline.evaluate_folders import evaluate_folders
    from onet.pipeline.generate import generate
    from onet.pipeline.train import train

__all__ = [
    "Config",
    "OnetError",
    "Reconstructor",
    "UnitFrame",
    "__version__",
    "bake",
    "calibrate",
    "contains",
    "convert",
    "dual_contouring",
    "evaluate",
    "evaluate_diversity",
    "evaluate_folders",
    "evaluate_run",
    "export",
    "extract_mesh",
    "fit",
    "generate",
    "interpolate",
    "load",
    "load_config",
    "make_solid",
    "prepare",
    "reconstruct_scene",
    "refine_roots",
    "sample_grid",
    "search_threshold",
    "simplify",
    "train",
]

_HOME = {
    "Config": "onet.config",
    "OnetError": "onet.errors",
    "Reconstructor": "onet.inference.reconstructor",
    "UnitFrame": "onet.geometry.normalization",
    "bake": "onet.geometry.color.baking",
    "calibrate": "onet.evaluation.calibrate",
    "contains": "onet.geometry.inside",
    "convert": "onet.checkpoints.published_weights",
    "dual_contouring": "onet.geometry.dual_contouring",
    "evaluate": "onet.metrics.scores",
    "evaluate_diversity": "onet.evaluation.diversity",
    "evaluate_folders": "onet.pipeline.evaluate_folders",
    "evaluate_run": "onet.pipeline.evaluate",
    "export": "onet.inference.export",
    "extract_mesh": "onet.geometry.extraction",
    "fit": "onet.inference.fit",
    "generate": "onet.pipeline.generate",
    "interpolate": "onet.inference.latent",
    "load": "onet.inference.loading",
    "load_config": "onet.config",
    "make_solid": "onet.geometry.solid.make",
    "prepare": "onet.data.prepare",
    "reconstruct_scene": "onet.inference.scene",
    "refine_roots": "onet.geometry.refinement",
    "sample_grid": "onet.inference.latent",
    "search_threshold": "onet.evaluation.threshold_search",
    "simplify": "onet.geometry.simplification",
    "train": "onet.pipeline.train",
}


def __getattr__(name: str) -> _typing.Any:
    if name == "_C":
        return _compiled()
    if name not in _HOME:
        raise AttributeError(f"module 'onet' has no attribute {name!r}")
    return getattr(_importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _compiled() -> _typing.Any:
    """Return the compiled module; where a folder of sources has none, the remedy."""
    from onet.errors import MissingDependency

    try:
        return _importlib.import_module("onet._C")
    except ModuleNotFoundError as error:
        if error.name != "onet._C":
            raise
        folder = _os.path.dirname(_os.path.abspath(__file__))
        raise MissingDependency(
            f"onet._C: the compiled part is not in {folder} for this Python; in the clone run "
            "`pip install -e .`, or outside of it use the installed package"
        ) from None
