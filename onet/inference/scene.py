"""Scenes of any extent from a point cloud: one closed mesh from overlapping windows."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

import numpy as np
import torch
import trimesh
from numpy.typing import ArrayLike, NDArray

from onet.checkpoints.kinds_of_files import not_observed
from onet.data.inputs import INPUTS
from onet.errors import ConfigError, DataError
from onet.geometry.field_values import Field
from onet.geometry.normalization import UnitFrame
from onet.inference.scene_field import EMPTY, FEWEST, MARGIN, SceneField, packed
from onet.inference.surface import SurfaceOptions, renamed_options, take_surface
from onet.progress import Progress, reports_progress

if TYPE_CHECKING:
    from onet.inference.reconstructor import Reconstructor
    from onet.nn.code import Code

logger = logging.getLogger(__name__)

_SEEDS = 1_000_000  # points of the cloud at which the search for the surface begins
_SAMPLE = 100_000  # points that the choice of the window looks at


def scene_field(
    model: Reconstructor,
    cloud: str | os.PathLike[str] | ArrayLike,  # (N, 3) in any frame and unit
    *,
    window: float | None = None,
    overlap: float = 0.25,
    memory: float = 1024.0,
    precision: Literal["float32", "bfloat16"] | None = None,
    seed: int = 0,
) -> tuple[SceneField, UnitFrame, NDArray[np.float32]]:
    """Return the field of a scene measured in windows, the way back, and the cloud there.

    Arguments and errors as for `reconstruct_scene`.
    """
    if model.input.kind != "points":
        raise ConfigError(
            f"{model.source}: observes {INPUTS.name_of(model.input)!r}; a scene needs a model that "
            "observes a pointcloud"
        )
    if isinstance(cloud, str | os.PathLike):
        if problem := not_observed(Path(cloud), model.input):
            raise DataError(problem)
        name, points = str(cloud), model.input.read(Path(cloud))
    else:
        name, points = "cloud", model.input.take(cloud)
    if not memory > 0:
        raise ConfigError(f"memory: {memory} MiB; give a positive number")
    box = UnitFrame.of(points, name)  # refuses a single point
    count = model.input.shape[0]
    wanted = fitting_window(points, count, seed)
    if window is None:
        window = wanted
        logger.info("%s: windows of %.4g, which hold about %d points", name, window, count)
    elif not (np.isfinite(window) and window > 0):
        raise ConfigError(f"window: {window}; give an edge in units of the cloud")
    frame = UnitFrame(box.loc, float(window))
    measured = frame.to_unit(points).astype(np.float32)
    _check_window(measured, window, wanted, box.scale, count, name)
    latent = model.latent(seed)

    def encode(seen: NDArray[np.float32]) -> tuple[Field, int]:
        code = model.encode(seen)
        return model.field_of_code(code, precision, latent), 2 * (
            _bytes(code) + _decoder_bytes(model)
        )

    field = SceneField(
        measured,
        encode,
        overlap=overlap,
        most=count,
        memory=int(memory * 2**20),
        seed=seed,
        empty=model.scaling(EMPTY),
    )
    return field, frame, measured


@renamed_options
@reports_progress
def reconstruct_scene(
    model: Reconstructor,
    cloud: str | os.PathLike[str] | ArrayLike,  # (N, 3) in any frame and unit
    *,
    window: float | None = None,
    overlap: float = 0.25,
    memory: float = 1024.0,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Unpack[SurfaceOptions],
) -> trimesh.Trimesh:
    """Return one closed mesh of a scene, in the frame of its point cloud.

    The model sees cubes of the scene as if each was an object; see `SceneField` for how they
    overlap and blend. The search for the surface begins on a coarse grid and at the points of the
    cloud, so thin parts that were scanned are not overlooked. Windows with fewer than 8 points are
    outside: the window should be larger than the solid parts are thick.

    Args:
        model: that observes point clouds. Local features (`pointcloud_planes`, `pointcloud_grid`)
            suit scenes; a global code knows whole objects only.
        cloud: a file, an array (N, 3), or a cloud or mesh as `Reconstructor.reconstruct` takes it.
        window: edge of a window in units of the cloud; default one that holds about as many points
            as the model observes.
        overlap: part of a window that it shares with the next, up to 0.5.
        memory: MiB that encoded windows may take; the last used are kept.
        seed: of the choice of points where a window has more than the model observes.
        progress: see `onet.progress`; it counts windows, of which nobody knows how many there are.
        options: see `SurfaceOptions`; the resolution is along the edge of a window, and
            `refine` cannot be `published`.

    Returns:
        Mesh, empty with a warning where there is no surface. `metadata["scene"]` holds window,
        overlap, seed, `windows` (with points), `encoded` (more where memory was short), `seconds`;
        `metadata["extraction"]` the statistics of `extract_mesh`, measured in windows.

    Raises:
        DataError: a cloud that cannot be read, has NaN or a single place.
        ConfigError: an argument out of range, a window too small for the cloud, memory that holds
            no window; the message names what fits.
    """
    start = time.perf_counter()
    settings = model.generation_settings(**options)
    if settings.refine == "published":
        raise ConfigError("generation.refine: scenes know 'none' and 'root', not 'published'")
    field, frame, points = scene_field(
        model,
        cloud,
        window=window,
        overlap=overlap,
        memory=memory,
        precision=settings.precision,
        seed=seed,
    )
    low, high = points.min(axis=0) - MARGIN, points.max(axis=0) + MARGIN
    rng = np.random.default_rng(seed)
    seeds = points if len(points) <= _SEEDS else rng.choice(points, _SEEDS, replace=False)
    mesh = take_surface(
        field,
        settings,
        (low, high),
        max(1, round(float((high - low).max()) * settings.resolution)),
        seeds=seeds,
    )
    mesh = frame.mesh_to_source(mesh)
    counts = [count for count in field.windows.values() if count >= FEWEST]
    most = model.input.shape[0]
    crowded = sum(count > most for count in counts)
    if crowded:
        logger.info("%d of %d windows hold more than %d points, of which %d random ones were used",
                    crowded, len(counts), most, most)  # fmt: skip
    mesh.metadata["scene"] = {
        "model": model.source,
        "points": len(points),
        "window": frame.scale,
        "overlap": overlap,
        "seed": seed,
        "windows": len(counts),
        "crowded": crowded,
        "encoded": field.encoded,
        "resolution": settings.resolution,
        "probability": settings.probability,
        "seconds": round(time.perf_counter() - start, 3),
    }
    return mesh


def fitting_window(
    points: NDArray[np.float64],  # (N, 3)
    count: int,
    seed: int = 0,
) -> float:
    """Edge of a cube around a point of the cloud that holds about `count` points.

    The median over points of the cloud; at most the longest edge of its bounding box.
    """
    from scipy.spatial import cKDTree

    extent = float(np.ptp(points, axis=0).max())
    if len(points) <= count:
        return extent
    rng = np.random.default_rng(seed)
    few = points
    if len(points) > _SAMPLE:
        few = rng.choice(points, _SAMPLE, replace=False)
    nth = max(1, round(count * len(few) / len(points)))
    distances, _ = cKDTree(few).query(few[rng.choice(len(few), 200)], k=[nth], p=np.inf)
    return float(min(2 * np.median(distances), extent)) or extent


def _check_window(
    points: NDArray[np.float32],  # (N, 3) measured in windows
    window: float,
    wanted: float,
    extent: float,
    count: int,
    name: str,
) -> None:
    """Refuse windows that hold next to nothing; say where they blur, or dwarf the scene."""
    filled = len(np.unique(packed(np.floor(points))))
    if len(points) < FEWEST:
        raise DataError(f"{name}: {len(points)} points; a scene needs at least {FEWEST}")
    typical = len(points) / filled
    if typical < FEWEST:
        raise ConfigError(
            f"window: {window:g} holds {typical:.1f} points of {name} on average, and the model "
            f"observes {count}; give about {wanted:.3g}"
        )
    if typical > 10 * count:
        logger.warning(
            "window %g holds %d points on average, of which %d are used: detail is lost; a window "
            "of about %.3g uses them all", window, typical, count, wanted,
        )  # fmt: skip
    if window > 2 * extent:
        logger.warning(
            "the scene fills %.2g of a window of %g, and the model has seen objects that fill it; "
            "give about %.3g", extent / window, window, wanted,
        )  # fmt: skip


def _bytes(code: Code) -> int:
    tensors = code.values() if isinstance(code, dict) else [code]
    return sum(tensor.nbytes for tensor in tensors)


def _decoder_bytes(model: Reconstructor) -> int:
    """What folding the decoder copies."""
    decoder: torch.nn.Module = model.model.decoder
    return sum(parameter.nbytes for parameter in decoder.parameters())
