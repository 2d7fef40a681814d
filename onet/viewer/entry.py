"""What the viewer shows: entries to choose from, each with panels beside one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from onet.report.shape import Shape

if TYPE_CHECKING:
    import trimesh

MADE = "reconstruction"
"""Title of what a model made."""

NEAR = 3.0
"""Boxes of panels that differ by more than that factor, or lie that far apart, in longest edges,
are not in one frame."""


class Maker(Protocol):
    """What makes a surface again, with other settings.

    Attributes:
        probability, resolution: those that it was made with.
        blends: whether there is something between the codes of two items.
    """

    probability: float
    resolution: int
    blends: bool

    def mesh(
        self, key: str, probability: float, resolution: int, toward: str = "", share: float = 0.0
    ) -> trimesh.Trimesh:
        """Return the mesh of an item; see `onet.viewer.live.Live`."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A thing to look at.

    Attributes:
        title: what it is called.
        frames: one shape, or several of which a slider chooses one; none where there is a picture
            or a reason.
        labels: what the slider says of each frame.
        axis: what the slider is called.
        picture: in place of shapes.
        reason: why there is nothing to see.
    """

    title: str
    frames: Sequence[Shape] = ()
    labels: Sequence[str] = ()
    axis: str = "time"
    picture: Image.Image | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Entry:
    """What is seen at once.

    Attributes:
        name: in the list.
        load: reads its panels.
        live: the model that made it, which makes it again with other settings; or None.
        key: what `live` calls it.
    """

    name: str
    load: Callable[[], list[Panel]] = field(repr=False)
    live: Maker | None = None
    key: str = ""
