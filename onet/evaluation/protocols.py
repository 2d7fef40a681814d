"""How meshes are scored against true meshes: published protocols by name, and the one of its own.

What a protocol fixes cannot be chosen beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onet.errors import ConfigError
from onet.metrics.penalties import PENALTIES, SURFACE_PENALTY

CHAMFER_UNITS = 10
FAILED_NORMALS = -1.0


@dataclass(frozen=True)
class Protocol:
    """How pairs of meshes are scored.

    Attributes:
        name: as it is asked for; empty for the one of this package.
        definition: in one line.
        shown: columns of the table on the screen, with factors that their numbers have there.
        samples: points on each surface, where that is fixed.
        padding: IoU is told by `samples` uniform points in the unit cube around the truth, so much
            larger, by ray parity; None draws them where the surfaces are.
        failed: scores that a failed item has there, where not those of `onet.metrics.penalties`.
        over_categories: whether the mean in front is over categories, and not over items.
    """

    name: str
    definition: str
    shown: Mapping[str, float]
    samples: int | None = None
    padding: float | None = None
    failed: Mapping[str, float] = field(default_factory=dict)
    over_categories: bool = False

    def penalty(self, key: str) -> float | None:
        """Return what a failed item has as a score; of F-scores at any threshold 0."""
        if key in self.failed:
            return self.failed[key]
        return 0.0 if key.startswith("f_score") else (PENALTIES | SURFACE_PENALTY)[key]


OWN = Protocol(
    "",
    "Distances in longest edges of the truth's box (not times 10), between samples of both "
    "surfaces, `surface_` ones from samples to the other surface itself; IoU on random points "
    "where the surfaces are, with its resolution; mean over items",
    dict.fromkeys(
        (
            *("iou", "chamfer_l1", "surface_chamfer_l1", "normal_consistency"),
            *("f_score_1pct", "hausdorff95"),
        ),
        1.0,
    ),
)

PROTOCOLS = {
    "onet2019": Protocol(
        "onet2019",
        "Occupancy Networks (CVPR 2019): 100,000 samples a surface, IoU by ray parity on 100,000 "
        "uniform points of the truth's unit cube padded by 0.1, Chamfer-L1 unsquared in tenths of "
        "the longest edge, |cos| of normals, mean over categories",
        {"iou": 1.0, "chamfer_l1": CHAMFER_UNITS, "normal_consistency": 1.0},
        100_000,
        0.1,
        {"normal_consistency": FAILED_NORMALS},
        True,
    ),
    "conv2020": Protocol(
        "conv2020",
        "Convolutional Occupancy Networks (ECCV 2020): as onet2019, and the F-score within 1 % of "
        "the longest edge",
        {"iou": 1.0, "chamfer_l1": CHAMFER_UNITS, "normal_consistency": 1.0, "f_score_1pct": 1.0},
        100_000,
        0.1,
        {"normal_consistency": FAILED_NORMALS},
        True,
    ),
}
"""Published ones by name."""


def protocol_of(name: str | None, samples: int | None) -> tuple[Protocol, int]:
    """Return a protocol, and how many samples it takes.

    Args:
        name: a key of `PROTOCOLS`, or None for that of this package.
        samples: that were asked for; None for the default.

    Raises:
        ConfigError: an unknown name, less than one sample, or other samples than those fixed.
    """
    if name is not None and name not in PROTOCOLS:
        raise ConfigError(f"protocol: {name!r}; choose one of {', '.join(PROTOCOLS)}")
    protocol = OWN if name is None else PROTOCOLS[name]
    if samples is not None and samples < 1:
        raise ConfigError(f"samples: {samples}; give at least 1")
    if None not in (samples, protocol.samples) and samples != protocol.samples:
        raise ConfigError(
            f"samples: {samples:,}; the protocol {name} takes {protocol.samples:,}. Leave out one "
            "of the two"
        )
    return protocol, samples or protocol.samples or 100_000
