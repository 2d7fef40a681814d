"""The curves of a run as a picture."""

from __future__ import annotations

from pathlib import Path

from onet.files import replacing
from onet.training.logs import RunLog


def draw_curves(log: RunLog, metric: str, path: Path) -> None:
    """Loss per point of both splits, and the selection metric, over iterations, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, name in ((left, "loss_per_point"), (right, metric)):
        for split in ("train", "val"):
            iterations, values = log.series(split, name)
            if values:
                axes.plot(iterations, values, label=split, marker="." if split == "val" else "")
        axes.set(xlabel="iteration", title=name)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    if left.lines:
        left.set_yscale("log")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
