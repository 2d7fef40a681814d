"""Entries as one page of HTML that works from the file system, without a network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from onet.errors import OnetError
from onet.geometry.normalization import UnitFrame
from onet.report import page
from onet.report.generation_views import image
from onet.report.mesh_viewer import (
    COLORS,
    HOW,
    MeshViews,
    color_choice,
    figure,
    slider,
    unavailable,
)
from onet.report.shape import FACES, frame_of, limits_of
from onet.viewer.entry import NEAR, Entry, Panel

logger = logging.getLogger(__name__)

_PICTURE = 900  # pixels along the edge of an observed picture

_FACES = 400_000  # on a page
MOST_FACES = 100_000
"""Of a mesh on a page with few; with many it is fewer."""

STYLE = """
section.item .views figure { max-width: 78vh; width: 100%; margin: 0 auto }
section.item figcaption { display: flex; gap: 10px; justify-content: center; align-items: center;
  flex-wrap: wrap; overflow-wrap: normal }
.controls select.items { max-width: 100% }
"""

CHOOSE = """
(() => {
  const items = [...document.querySelectorAll("section.item")];
  const chosen = document.querySelector("select.items");
  const choose = () => {
    items.forEach((item, k) => { item.hidden = k !== Number(chosen.value); });
    dispatchEvent(new Event("resize"));
  };
  chosen.addEventListener("change", choose);
  choose();
})();
"""
"""Shows the chosen item, pictures and reasons too, and where the browser draws no meshes."""


def write_viewer_page(
    entries: Sequence[Entry], path: Path, heading: str, limit: int, up: str
) -> Path:
    """Write a page with the first `limit` entries, to choose from a list.

    An entry that cannot be read costs only itself: the page says why.
    """
    shown = entries[:limit]
    views = MeshViews(up, int(np.clip(_FACES / (3 * len(shown)), FACES, MOST_FACES)))
    if len(shown) < len(entries):
        logger.warning(
            "%s: shows the first %d of %d; choose another --limit", path, limit, len(entries)
        )
    sections = [_section(entry, number, views) for number, entry in enumerate(shown)]
    options = "".join(
        f'<option value="{number}">{escape(entry.name)}</option>'
        for number, entry in enumerate(shown)
    )
    left_out = (
        f" The first {limit} of {len(entries)} are here." if len(shown) < len(entries) else ""
    )
    hidden = "" if len(shown) > 1 else " hidden"
    chooser = f'<select class="items" aria-label="what is shown"{hidden}>{options}</select>'
    top = page.title(heading, HOW + left_out)
    return page.write_html(
        path,
        heading,
        [
            f"<style>{STYLE}</style>{top}",
            f'<div class="controls">{chooser}</div>',
            *sections,
            f"<script>{CHOOSE}</script>",
        ],
        views,
    )


def panels_of(entry: Entry) -> list[Panel]:
    """Return the panels of an entry, or one that says why there are none."""
    try:
        return entry.load()
    except (OnetError, OSError) as error:
        logger.warning("%s is not shown: %s", entry.name, error)
        return [Panel(entry.name, reason=str(error))]


def frames_of(panels: Sequence[Panel]) -> list[UnitFrame | None]:
    """Return the frame that each panel is seen in: one for all whose boxes are about the same."""
    common: UnitFrame | None = None
    frames: list[UnitFrame | None] = []
    for panel in reversed(panels):  # what is true, or was made, tells more than what was observed
        if not panel.frames:
            frames.append(None)
            continue
        corners = np.stack([shape.bounds for shape in panel.frames])
        own = frame_of(np.stack([corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)]))
        common = common or own
        away = np.abs(common.to_unit(own.loc[None])).max()
        alike = 1 / NEAR < own.scale / common.scale < NEAR and away < NEAR
        frames.append(common if alike else own)
    return frames[::-1]


def _section(entry: Entry, number: int, views: MeshViews) -> str:
    panels, group = panels_of(entry), views.group()
    frames = frames_of(panels)
    limits = limits_of(shape for panel in panels for shape in panel.frames)  # of one legend
    figures = []
    for panel, frame in zip(panels, frames, strict=True):
        label = f"{entry.name}: {panel.title}"
        if panel.picture is not None:
            figures.append(figure(image(panel.picture, label, _PICTURE), panel.title))
        elif not panel.frames:
            figures.append(figure(unavailable(panel.reason), panel.title))
        else:
            seen = views.view(list(panel.frames), group, label, frame, limits)
            button = '<button class="glb">GLB</button>'
            figures.append(
                f"<figure>{seen}<figcaption>{escape(panel.title)} {button}</figcaption></figure>"
            )
    return (
        f'<section class="item card"{" hidden" if number else ""}>'
        f'<div class="controls">{_controls(panels, group)}</div>'
        f'<div class="views">{"".join(figures)}</div></section>'
    )


def _controls(panels: Sequence[Panel], group: int) -> str:
    moving = max(panels, key=lambda panel: len(panel.frames))
    parts = [color_choice(group, colors_of(panels))]
    if len(moving.frames) > 1:
        parts.append(slider(group, moving.axis, moving.labels))
    if any(panel.frames for panel in panels):
        parts.append(f'<button class="picture" data-group="{group}">Save picture</button>')
    return "".join(parts)


def colors_of(panels: Sequence[Panel]) -> list[str]:
    """Return what the colours of panels can show."""
    shapes = [shape for panel in panels for shape in panel.frames[:1]]
    own = [COLORS] if any(shape.colors is not None for shape in shapes) else []
    return [*own, *(name for shape in shapes for name in shape.shades)]
