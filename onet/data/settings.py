"""The settings of `prepare`: names, defaults, bounds and help, for Python and the command line."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from annotated_types import Ge, Gt, doc

from onet.errors import DataError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

Views = Literal["ring", "random"]
Labels = Literal["solid", "published", "winding", "auto"]
SplitBy = Literal["item", "source"]

FORMAT = 2
"""Counts changes of the code that make prepared items differ; part of the settings compared."""

DEFAULT_GROUP_PATTERN = r"^(.+?)__"
"""The text before the first double underscore: the subfolder, or a prefix of the file name."""


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """Which meshes `prepare` takes, and what it makes of each.

    What an item holds depends on `labels`, `resolution`, `thickness`, `points`, `surface`,
    `padding`, `stored_faces`, `seed` and its name alone; each optional part has settings besides,
    see `onet.data.parts`. None in the setting that a part is named by leaves it out.

    A mesh belongs to a group by what `group_pattern` finds in its model's name, its first group or
    else the whole match; without a match the mesh is a group of its own. The groups and splits that
    a `listing` gives go before those.

    Raises:
        DataError: a value of the wrong type or out of bounds; the message names the setting.
    """

    labels: Annotated[
        Labels,
        doc(
            "What is true: the solid itself; that of the published preprocessing, moved outward; "
            "by winding number; or auto, by winding number where a mesh is closed."
        ),
    ] = "solid"
    resolution: Annotated[int, Ge(8), doc("Grid that makes meshes watertight.")] = 256
    thickness: Annotated[
        float | None,
        Gt(0),
        doc(
            "Of published labels: outward offset in units of the longest edge; default 1.5 / "
            "resolution."
        ),
    ] = None
    points: Annotated[int, Ge(1), doc("Query points a shape.")] = 100_000
    surface: Annotated[int, Ge(1), doc("Surface points a shape.")] = 100_000
    padding: Annotated[
        float, Ge(0), doc("The cube of query points is this much larger than the unit cube.")
    ] = 0.1
    stored_faces: Annotated[
        int, Ge(0), doc("Faces of the stored mesh, which is simplified and stays closed.")
    ] = 20_000
    split: Annotated[tuple[float, float, float], doc("Shares of train, val and test.")] = (
        0.7,
        0.1,
        0.2,
    )
    split_by: Annotated[SplitBy, doc("'source' keeps groups of models in one split.")] = "item"
    group_pattern: Annotated[
        str, doc("Regular expression that finds the group in a model's name.")
    ] = DEFAULT_GROUP_PATTERN
    listing: Annotated[
        Path | None, doc("CSV with columns file, group, split: use these meshes that way.")
    ] = None
    categories: Annotated[list[str] | None, doc("Use this category only; may be repeated.")] = None
    max_per_category: Annotated[int | None, Ge(1), doc("At most so many shapes each.")] = None
    render: Annotated[
        int | None, Ge(1), doc("Also draw so many pictures of each mesh, with cameras.")
    ] = None
    views: Annotated[Views, doc("'ring' goes around as in the published data (24 pictures).")] = (
        "ring"
    )
    render_size: Annotated[int, Ge(1), doc("Pixels along the edge of a picture.")] = 137
    alpha: Annotated[bool, doc("Pictures as PNG with alpha, not JPEG on white.")] = False
    colours: Annotated[
        bool,
        doc("With --render: also pictures in the mesh's own colours without shade, with depth."),
    ] = False
    voxels: Annotated[int | None, Ge(1), doc("Also write occupancy grids of this resolution.")] = (
        None
    )
    near_surface: Annotated[
        float | None,
        Gt(0),
        doc("Also write points, half of them so far from the surface (thesis: 0.1)."),
    ] = None
    seed: Annotated[int, Ge(0), doc("Seed of everything random.")] = 0
    overwrite: Annotated[bool, doc("Prepare finished shapes again.")] = False

    def __post_init__(self) -> None:
        from onet.data.splits import check_fractions

        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in _checked(values).items():
            object.__setattr__(self, name, value)
        check_fractions(self.split)
        if self.colours and self.render is None:
            raise DataError("prepare: colours without pictures; say how many by render")

    def of_item(self) -> dict[str, Any]:
        """Return what decides points and mesh of an item, as `item.json` has it."""
        # Records of the time when there were published labels only do not name them.
        labels = {} if self.labels == "published" else {"labels": self.labels}
        return labels | {
            "points": self.points,
            "surface": self.surface,
            "padding": self.padding,
            "resolution": self.resolution,
            "thickness": self.thickness,
            "seed": self.seed,
            "stored_faces": self.stored_faces,
            "format": FORMAT,
        }


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values in the types that the settings are declared with.

    Raises:
        DataError: a value that cannot be used.
    """
    from pydantic import ValidationError

    try:
        return dict(_model()(**values))
    except ValidationError as error:
        first = error.errors()[0]
    name = str(first["loc"][0])
    default = getattr(PrepareSettings, name)
    raise DataError(
        f"prepare: {name} = {values[name]!r}; {_remedy(first)}"
        + ("" if default is None else f", the default is {default!r}")
    )


def _remedy(error: ErrorDetails) -> str:
    bounds = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return f"give at least {bounds['ge']}"
        case "greater_than":
            return f"give a number above {bounds['gt']}"
        case "missing" | "too_long":
            return "give as many numbers as the default has"
    return error["msg"][0].lower() + error["msg"][1:]


@functools.cache
def _model() -> type[BaseModel]:
    """Return a pydantic model that checks types and bounds; made late, pydantic is slow to load."""
    from pydantic import ConfigDict, create_model

    declared: dict[str, Any] = {
        name: (annotation, ...)
        for name, annotation in get_type_hints(PrepareSettings, include_extras=True).items()
    }
    return create_model("PrepareSettings", __config__=ConfigDict(allow_inf_nan=False), **declared)
