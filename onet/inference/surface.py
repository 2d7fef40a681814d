"""From a field of logits to a finished mesh: which steps are taken, in which order."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

import torch
import trimesh
from numpy.typing import ArrayLike

from onet.config import GenerationConfig, with_changes
from onet.errors import ConfigError
from onet.geometry.dual_contouring import dual_contouring
from onet.geometry.extraction import extract_mesh
from onet.geometry.field_values import Field
from onet.geometry.normalization import UNCERTAINTY
from onet.geometry.normals import with_field_normals
from onet.geometry.refinement import refine_roots
from onet.geometry.simplification import simplify
from onet.geometry.uncertainty import vertex_uncertainty
from onet.inference.published_refinement import TorchField, refine_published
from onet.renamed import renamed_arguments


class SurfaceOptions(TypedDict, total=False):
    """How a surface is taken from a field; what is left out or None is as configured.

    Attributes:
        resolution: cells along an edge of the extraction grid.
        probability: in (0, 1), above which a point is inside. Of a calibrated model it is the
            calibrated one; that as configured is the network's own, so that calibration moves no
            surface by itself. Its former name `threshold` is taken, with a DeprecationWarning.
        refine: `root` moves every vertex to where the field crosses the level on its lattice
            edge; `published` descends the loss of the publication, after simplification; `none`.
        refine_steps: steps of the published refinement.
        mode: `exact` or `fast`, see `onet.extract_mesh`.
        precision: `float32` or `bfloat16`, of the decoder.
        sharp: dual contouring instead of marching cubes.
        simplify: faces to simplify to, at least 4; the mesh stays closed. 0 keeps all.
        normals: give the vertices the normals of the field.
        uncertainty: give the vertices an attribute `uncertainty`, which PLY and GLB files keep: the
            width of the zone in which the probability is between 1/4 and 3/4, in the frame of the
            mesh; see `onet.geometry.uncertainty`.
    """

    resolution: int | None
    probability: float | None
    refine: Literal["none", "root", "published"] | None
    refine_steps: int | None
    mode: Literal["exact", "fast"] | None
    precision: Literal["float32", "bfloat16"] | None
    sharp: bool | None
    simplify: int | None
    normals: bool | None
    uncertainty: bool | None


SURFACE_OPTIONS = set(SurfaceOptions.__annotations__)

renamed_options = renamed_arguments(threshold="probability")
"""Decorator of functions that take `SurfaceOptions`: former names of options stay valid."""


def surface_settings(section: GenerationConfig, **changes: Any) -> GenerationConfig:
    """Return the section `generation` with changes; see `Reconstructor.generation_settings`."""
    given = {key: value for key, value in changes.items() if value is not None}
    if given.get("simplify") == 0:
        given["simplify"] = None
    return with_changes(section, given, "generation")


def take_surface(
    field: Field,
    settings: GenerationConfig,
    bounds: ArrayLike,  # (2, 3) in the frame of the field
    resolution: int,
    *,
    seeds: ArrayLike | None = None,  # (S, 3)
    differentiable: TorchField | None = None,
    device: torch.device | str = "cpu",
) -> trimesh.Trimesh:
    """Return the surface of a field in its own frame, closed, with all that `settings` ask for.

    Extraction, then refinement or dual contouring, simplification, the published refinement, and
    what vertices are given. `metadata` holds statistics of each step.

    Args:
        field: of logits. If it has a method `approximate`, which returns a cheaper field or None,
            that helps an exact extraction; see `extract_mesh`.
        settings: all but the resolution.
        bounds, resolution, seeds: see `extract_mesh`.
        differentiable: the same field, as the published refinement needs it.
        device: where that is evaluated.

    Raises:
        ConfigError: published refinement of a field that has no such form.
        FieldError: see `extract_mesh`.
    """
    if settings.refine == "published" and differentiable is None:
        raise ConfigError("generation.refine: 'published' is not possible here; use 'root'")
    batch = settings.batch_size
    cheaper: Any = getattr(field, "approximate", None)
    mesh = extract_mesh(
        field,
        bounds=bounds,
        resolution=resolution,
        probability=settings.probability,
        mode=settings.mode,
        seeds=seeds,
        batch_size=batch,
        approximate=cheaper() if cheaper and settings.mode == "exact" else None,
    )
    if len(mesh.faces) == 0:
        return mesh
    if settings.sharp:  # puts the vertices on the surface itself
        mesh = dual_contouring(mesh, field, batch_size=batch)
    elif settings.refine == "root":
        mesh = refine_roots(field, mesh, batch_size=batch)
    if settings.simplify is not None:
        mesh = simplify(mesh, settings.simplify)
    if settings.refine == "published" and differentiable:
        mesh = refine_published(
            differentiable,
            mesh,
            settings.probability,
            steps=settings.refine_steps,
            batch_size=batch,
            device=device,
        )
    if settings.normals:
        mesh = with_field_normals(field, mesh, batch_size=batch)
    if settings.uncertainty:
        mesh.vertex_attributes[UNCERTAINTY] = vertex_uncertainty(field, mesh, batch_size=batch)
    return mesh
