"""Meshes and clouds on a page of HTML, to turn with the mouse: no other file, no network.

One WebGL context draws them all, because browsers allow few; each view is a canvas that its picture
is copied to. Views of one group turn together, and show the same time and the same colours.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onet.geometry.normalization import UnitFrame
from onet.report.shape import FACES, Shape, for_display, frame_of, limits_of

COLORS = "colours"
"""Choice that shows the colours of the file."""

STYLE = """
.views { display: grid; gap: 10px; grid-auto-flow: column; padding: 10px; overflow-x: auto;
  grid-auto-columns: minmax(104px, 1fr) }
.views figure { margin: 0; text-align: center; font-size: 13px; overflow-wrap: anywhere }
.views canvas { display: block; width: 100%; aspect-ratio: 1; cursor: grab; touch-action: pan-y }
.views canvas:focus-visible { outline: 2px solid var(--accent) }
.views img { width: 100%; object-fit: contain }
.none { display: grid; place-items: center; aspect-ratio: 1; margin: 0; padding: 12px;
  border: 1px dashed var(--line); border-radius: 8px; color: var(--bad); overflow-wrap: anywhere }
.controls { display: flex; flex-wrap: wrap; gap: 8px 18px; padding: 8px 12px; font-size: 13px;
  align-items: center }
.controls:empty { display: none }
.controls label { display: flex; gap: 8px; align-items: center }
.controls output { min-width: 4em; font-variant-numeric: tabular-nums }
.ramp { display: inline-block; width: 120px; height: 10px; border-radius: 5px;
  background: linear-gradient(90deg, #8cadda, #f7d973, #cc261f) }
.ramp[hidden] { display: none }
"""

HOW = (
    "Turn with the mouse or the arrow keys; the wheel zooms what was clicked on. Large meshes are "
    "drawn coarser."
)


class MeshViews:
    """Collects the shapes of a page, and says where each is seen.

    Attributes:
        shapes: what was collected, as the page holds it.
        up: axis that points upward: x, y or z.
        faces: of a mesh at most; larger ones are drawn coarser.
    """

    def __init__(self, up: str = "y", faces: int = FACES) -> None:
        self.up = up
        self.faces = faces
        self.shapes: list[dict[str, Any]] = []
        self._groups = 0

    def group(self) -> int:
        """Return the number of another group: its views turn together."""
        self._groups += 1
        return self._groups

    def view(
        self,
        shapes: Shape | Sequence[Shape],
        group: int,
        label: str,
        frame: UnitFrame | None = None,
        limits: dict[str, float] | None = None,
    ) -> str:
        """Return the element that shows a shape, or several of which a slider chooses one.

        Args:
            shapes: in any frame; the larger ones are drawn coarser.
            group: by `group`.
            label: for those who cannot see it.
            frame: in which it is drawn; default that of the shapes' box.
            limits: the largest number that has a colour of its own, by the name of the shade;
                default that of the shapes.
        """
        frames = [shapes] if isinstance(shapes, Shape) else list(shapes)
        if frame is None:
            boxes = np.stack([shape.bounds for shape in frames])
            frame = frame_of(np.stack([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)]))
        limits = limits_of(frames) | (limits or {})
        first = len(self.shapes)
        for shape in frames:
            self.shapes.append(_packed(for_display(shape, self.faces), frame, limits))
        numbers = ",".join(str(first + k) for k in range(len(frames)))
        return (
            f'<canvas class="view" width="360" height="360" data-meshes="{numbers}" tabindex="0" '
            f'data-group="{group}" role="img" aria-label="{escape(label)}"></canvas>'
        )

    def script(self) -> str:
        """Return the shapes and the code that draws them, for the end of the page."""
        if not self.shapes:
            return ""
        code = files("onet.report").joinpath("mesh_viewer.js").read_text(encoding="utf-8")
        data = json.dumps(self.shapes).replace("<", "\\u003c")
        return (
            f'<script type="application/json" id="meshes" data-up="{self.up}">{data}</script>'
            f"<script>{code}</script>"
        )


def figure(shown: str, words: str) -> str:
    """Return a view with words below."""
    return f"<figure>{shown}<figcaption>{escape(words)}</figcaption></figure>"


def unavailable(reason: str) -> str:
    """Return what stands in place of a view."""
    return f'<p class="none">{escape(reason)}</p>'


def color_choice(group: int, names: Iterable[str]) -> str:
    """Return a choice of what the colours of a group show; nothing where there is none."""
    choices = list(dict.fromkeys(names))
    if not choices:
        return ""
    options = "".join(f"<option>{escape(name)}</option>" for name in [*choices, "none"])
    return (
        f'<label>colours <select class="coloured" data-group="{group}">{options}</select></label>'
        '<span class="ramp" hidden></span><output class="limits"></output>'
    )


def slider(group: int, name: str, labels: Sequence[str]) -> str:
    """Return a slider through the shapes of the views of a group."""
    told = escape(json.dumps(list(labels)))
    return (
        f'<label>{escape(name)} <input class="time" type="range" min="0" max="{len(labels) - 1}" '
        f'value="0" data-group="{group}" data-labels="{told}"></label>'
        f"<output>{escape(labels[0])}</output>"
    )


def _packed(shape: Shape, frame: UnitFrame, limits: dict[str, float]) -> dict[str, Any]:
    """Return a shape as the page holds it: arrays as text."""
    wide = len(shape.vertices) > 65535
    shades = {}
    for name, values in shape.shades.items():
        limit = limits[name]
        scaled = np.rint(255 * np.clip(np.nan_to_num(values, nan=limit) / limit, 0, 1))
        shades[name] = {"values": _text(scaled.astype(np.uint8)), "limit": limit}
    return {
        "v": _text(frame.to_unit(shape.vertices).astype("<f4")),
        "f": _text(shape.faces.astype("<u4" if wide else "<u2")) if len(shape.faces) else None,
        "wide": wide,
        "rgb": None if shape.colors is None else _text(shape.colors),
        "shades": shades,
        "loc": np.asarray(frame.loc).tolist(),
        "scale": float(frame.scale),
    }


def _text(array: NDArray[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
