"""Arguments of all commands that extract surfaces."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class MeshFormat(StrEnum):
    ply = "ply"
    glb = "glb"
    obj = "obj"
    off = "off"
    stl = "stl"


class Mode(StrEnum):
    """See `onet.extract_mesh`."""

    exact = "exact"
    fast = "fast"


class Precision(StrEnum):
    """Arithmetic of the decoder."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class Refine(StrEnum):
    none = "none"
    root = "root"
    published = "published"


Run = Annotated[
    Path, typer.Argument(help="Folder of a run, a checkpoint, or a name of `onet models`.")
]
FormatOption = Annotated[
    MeshFormat | None, typer.Option(help="Of the meshes; default as configured.")
]
Resolution = Annotated[int | None, typer.Option(help="Cells along the box's edge.")]
Probability = Annotated[
    float | None, typer.Option(help="Probability on the surface, between 0 and 1.")
]
ModeOption = Annotated[
    Mode | None, typer.Option(help="fast evaluates half as many points; default as configured.")
]
PrecisionOption = Annotated[
    Precision | None, typer.Option(help="Of the decoder; default as configured.")
]
Sharp = Annotated[bool | None, typer.Option(help="Sharp edges and corners by dual contouring.")]
RefineOption = Annotated[
    Refine | None, typer.Option(help="Move vertices to the surface; default as configured.")
]
Simplify = Annotated[
    int | None, typer.Option(help="Faces to simplify to, closed as before; 0 keeps all.")
]
Normals = Annotated[bool | None, typer.Option(help="Write the field's normals (ply, glb, obj).")]
