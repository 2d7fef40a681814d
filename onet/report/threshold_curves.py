"""What a search for the probability on the surface found, as curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onet.checkpoints.run_folder import CHECKPOINTS, THRESHOLD_PICTURE
from onet.evaluation.threshold_search import ThresholdReport
from onet.files import replacing
from onet.locks import hold, writer
from onet.records import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@writer
def draw_threshold(report: ThresholdReport) -> Path:
    """Draw the IoU over the probability; where there were meshes, accuracy over completeness too.

    Returns:
        The PNG file, `threshold.png` in the folder of the search.
    """
    from matplotlib.figure import Figure

    hold(report.out, below=(CHECKPOINTS,))
    meshed = [row for row in report.rows if "accuracy" in row]
    figure = Figure(figsize=(10 if meshed else 5.5, 4), layout="constrained")
    left, *others = figure.subplots(1, 2 if meshed else 1, squeeze=False)[0]
    _draw_iou(left, report)
    for axes in others:
        _draw_meshes(axes, meshed)
        axes.set_title(f"meshes of {report.settings['meshes']} items, by probability")
    path = report.out / THRESHOLD_PICTURE
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
    return path


def _draw_iou(axes: Axes, report: ThresholdReport) -> None:
    """Draw the curves of the categories and of all items, and lines at two probabilities."""
    rows, configured = report.rows, report.settings["configured"]
    probabilities = [row["probability"] for row in rows]
    for key in rows[0]:
        if key.startswith("iou "):
            values = [row[key] for row in rows]
            axes.plot(probabilities, values, linewidth=0.8, label=key.removeprefix("iou "))
    axes.plot(probabilities, [row["iou"] for row in rows], "k", linewidth=2, label="mean of items")
    axes.axvline(report.best, color="k", linestyle="--", label=f"best {report.best:g}")
    axes.axvline(configured, color="0.6", linestyle=":", label=f"configured {configured:g}")
    axes.set(xlabel="probability on the surface", ylabel="IoU", xlim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="x-small")


def _draw_meshes(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw accuracy over completeness, each point with its probability."""
    axes.plot([row["completeness"] for row in rows], [row["accuracy"] for row in rows], "k.-")
    for row in rows:
        where = (row["completeness"], row["accuracy"])
        axes.annotate(f"{row['probability']:g}", where, (4, 4), textcoords="offset points")
    axes.set(
        xlabel="completeness [longest edge], less is better",
        ylabel="accuracy [longest edge], less is better",
    )
    axes.grid(alpha=0.3)
