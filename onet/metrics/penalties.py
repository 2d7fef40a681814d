"""The scores of a mesh: their units, and what a mesh without a surface, or an item without a mesh,
counts as: the worst of each.

Distances are those of the published code: the diagonal of the unit cube. Its normal consistency of
-1 is kept for `normal_consistency_signed` alone; a mean of |cos| counts it as 0, which is the worst
that it can be. The F-scores, which that protocol does not have, are 0.
"""

from __future__ import annotations

from dataclasses import dataclass

F_SCORE_THRESHOLDS = (0.01, 0.015, 0.02)
"""In units of the longest edge: F-scores at 1, 1.5 and 2 %, as reported by Convolutional ONets."""

DIAGONAL = 3**0.5  # of the unit cube

IOU_PENALTY = 0.0


def f_score_key(threshold: float) -> str:
    """Name of the F-score at a threshold: "f_score_1.5pct" for 0.015 of the longest edge."""
    return f"f_score_{100 * threshold:g}pct"


@dataclass(frozen=True)
class Score:
    """What is known of a score before it is measured.

    Attributes:
        unit: as the columns of tables name it.
        penalty: what a mesh without surface counts as.
        shown: whether it is in the table on the screen, where not all fit.
    """

    unit: str
    penalty: float
    shown: bool = False


SCORES = {
    "iou": Score("fraction", IOU_PENALTY, shown=True),
    "chamfer_l1": Score("longest edge", DIAGONAL, shown=True),
    "accuracy": Score("longest edge", DIAGONAL, shown=True),
    "completeness": Score("longest edge", DIAGONAL, shown=True),
    "normal_consistency": Score("|cos|", 0.0, shown=True),
    **{f_score_key(t): Score("fraction", 0.0, shown=t == 0.01) for t in F_SCORE_THRESHOLDS},
    "normal_consistency_signed": Score("cos", -1.0),
    "chamfer_l2": Score("longest edge squared", 3.0),
    "accuracy2": Score("longest edge squared", 3.0),
    "completeness2": Score("longest edge squared", 3.0),
    "chamfer_squared_sum": Score("longest edge squared", 6.0),
    "hausdorff95": Score("longest edge", DIAGONAL),
}
"""The columns of a table of scores, in their order: IoU, and what `sampled_scores` measures."""

PENALTIES: dict[str, float | None] = {key: score.penalty for key, score in SCORES.items()}
"""All that a failed item counts as in a table."""

PENALTY = {key: penalty for key, penalty in PENALTIES.items() if key != "iou"}
"""Sampled scores of a mesh without surface."""

SURFACE_PENALTY: dict[str, float | None] = {
    "surface_accuracy": DIAGONAL,
    "surface_completeness": DIAGONAL,
    "surface_chamfer_l1": DIAGONAL,
    "surface_chamfer_l2": 3.0,
    "surface_hausdorff": DIAGONAL,
    "surface_hausdorff95": DIAGONAL,
}
"""Exact scores of a mesh without surface."""

RULE = (
    "IoU and F-scores 0, normal consistency 0 (signed: -1), distances sqrt(3) = 1.7321 longest "
    "edges, squared ones 3 (their sum 6)"
)
"""The penalties in words, to stand beside a table."""
