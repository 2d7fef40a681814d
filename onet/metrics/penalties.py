"""What a mesh without a surface, or an item without a mesh, counts as: the worst of each score.

Distances are those of the published code: the diagonal of the unit cube. Its normal consistency of
-1 is kept for `normal_consistency_signed` alone; a mean of |cos| counts it as 0, which is the worst
that it can be. The F-scores, which that protocol does not have, are 0.
"""

from __future__ import annotations

F_SCORE_THRESHOLDS = (0.01, 0.015, 0.02)
"""In units of the longest edge: F-scores at 1, 1.5 and 2 %, as reported by Convolutional ONets."""

DIAGONAL = 3**0.5  # of the unit cube

IOU_PENALTY = 0.0


def f_score_key(threshold: float) -> str:
    """Name of the F-score at a threshold: "f_score_1.5pct" for 0.015 of the longest edge."""
    return f"f_score_{100 * threshold:g}pct"


PENALTY: dict[str, float | None] = {
    "accuracy": DIAGONAL,
    "completeness": DIAGONAL,
    "accuracy2": 3.0,
    "completeness2": 3.0,
    "chamfer_l1": DIAGONAL,
    "chamfer_l2": 3.0,
    "chamfer_squared_sum": 6.0,
    "normal_consistency": 0.0,
    "normal_consistency_signed": -1.0,
    **{f_score_key(threshold): 0.0 for threshold in F_SCORE_THRESHOLDS},
}
"""Sampled scores of a mesh without surface."""

SURFACE_PENALTY: dict[str, float | None] = {
    "surface_accuracy": DIAGONAL,
    "surface_completeness": DIAGONAL,
    "surface_chamfer_l1": DIAGONAL,
    "surface_chamfer_l2": 3.0,
    "surface_hausdorff": DIAGONAL,
}
"""Exact scores of a mesh without surface."""

PENALTIES: dict[str, float | None] = {"iou": IOU_PENALTY, **PENALTY}
"""All that a failed item counts as in a table."""

RULE = (
    "IoU and F-scores 0, normal consistency 0 (signed: -1), distances sqrt(3) = 1.7321 longest "
    "edges, squared ones 3 (their sum 6)"
)
"""The penalties in words, to stand beside a table."""
