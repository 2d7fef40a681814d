"""Shapes that move as others do, and what lies between two motions."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from onet.errors import ConfigError
from onet.geometry.sequences.moving_mesh import MovingMesh
from onet.inference.generate_motion import write_motion
from onet.inference.motion import MotionReconstructor
from onet.inference.motion_sources import observe
from onet.locks import hold, writer
from onet.models.motion_code import MotionCode

What = Literal["shape", "motion", "both"]


@dataclass(frozen=True)
class Blend:
    """Moving meshes that were written to a folder.

    Attributes:
        out: the folder.
        names: of the meshes.
        meshes: in the source frame of the first sequence.
    """

    out: Path
    names: list[str]
    meshes: list[MovingMesh]


class _Blending:
    """Codes of sequences, and moving meshes of codes."""

    def __init__(self, source: str | os.PathLike[str], device: str, seed: int) -> None:
        self.model, self.seed = MotionReconstructor.load(source, device), seed
        if not hasattr(self.model.model, "flow"):
            raise ConfigError(
                f"{source}: has one code for shape and motion together; use a model of type flow"
            )

    def code(self, path: str | os.PathLike[str]) -> tuple[MotionCode, Any]:
        """Return the code of a sequence, and what was observed."""
        rng = np.random.default_rng([self.seed, zlib.crc32(Path(path).name.encode())])
        seen = observe(self.model.input, Path(path), rng)
        return self.model.encode(seen.frames, seen.unit_times), seen

    def write(self, out: Path, codes: dict[str, MotionCode], seen: Any, surface: Any) -> Blend:
        """Make and write the moving meshes of codes, in the frame and times of a sequence."""
        unit = (seen.times - seen.times[0]) / (seen.times[-1] - seen.times[0])
        meshes = []
        for name, code in codes.items():
            motion = self.model.animate(code, unit, **surface)
            meshes.append(motion.in_frame(seen.frame, seen.times, name))
            write_motion(out, "", name, None, meshes[-1])
        return Blend(out, [*codes], meshes)


@writer
def transfer_motion(
    source: str | os.PathLike[str],
    shape: str | os.PathLike[str],
    motion: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    device: str = "auto",
    **surface: Any,
) -> Blend:
    """Let the shape of one sequence move as another one does.

    Writes `shape`, `motion`, each as it is, and `transferred`.

    Args:
        source: run or checkpoint of a model of type flow.
        shape, motion: sequences; see `onet.inference.motion_sources`.
        out: folder of the results.
        seed: of the observations.
        device: see `onet.load`.
        surface: `resolution`, `probability`, `padding` of `generation`.

    Raises:
        ConfigError, DataError, CheckpointError: nothing can be made with these arguments.
    """
    blending, out = _Blending(source, device, seed), Path(out)
    hold(out)
    (a, _), (b, seen) = blending.code(shape), blending.code(motion)
    codes = {"shape": a, "motion": b, "transferred": a.moved_as(b)}
    return blending.write(out, codes, seen, surface)


@writer
def blend_motions(
    source: str | os.PathLike[str],
    start: str | os.PathLike[str],
    end: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    steps: int = 5,
    what: What = "both",
    seed: int = 0,
    device: str = "auto",
    **surface: Any,
) -> Blend:
    """Make what lies between two sequences: in shape, in motion, or in both.

    Args:
        source, out, seed, device, surface: see `transfer_motion`.
        start, end: sequences.
        steps: moving meshes from end to end.
        what: shape keeps the motion of `start`, motion its shape.

    Raises:
        ConfigError, DataError, CheckpointError: nothing can be made with these arguments.
    """
    if steps < 2:
        raise ConfigError(f"steps: {steps}; give at least 2")
    blending, out = _Blending(source, device, seed), Path(out)
    hold(out)
    (a, seen), (b, _) = blending.code(start), blending.code(end)
    codes = {}
    for number in range(steps):
        between = a.towards(b, number / (steps - 1))
        if what == "shape":
            between = between.moved_as(a)
        elif what == "motion":
            between = a.moved_as(between)
        codes[f"step_{number:02d}"] = between
    return blending.write(out, codes, seen, surface)
