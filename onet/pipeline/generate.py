"""`onet generate` as a function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

from onet.errors import ConfigError
from onet.inference import generate as generation
from onet.inference.generate import GenerationReport
from onet.inference.generate_motion import MotionReport, generate_motion
from onet.inference.motion import holds_motion
from onet.inference.sample_pictures import PictureReport, generate_pictures, holds_pictures
from onet.inference.surface import renamed_options
from onet.report.html import write_report

P = ParamSpec("P")

MOTION_ALONE = ("frames", "fps")
SHAPES_ALONE = (
    *(
        "views",
        "mask",
        "remove_background",
        "mode",
        "precision",
        "sharp",
        "refine",
        "simplify",
        "normals",
        "uncertainty",
        "scheduler",
    ),
)


def _of_motion(source: Any, options: dict[str, Any]) -> MotionReport:
    """Make moving meshes, and a sheet of them.

    Raises:
        ConfigError: an option that is of shapes alone.
    """
    from onet.report.motion_sheet import sheet_of_folder

    options = {key: value for key, value in options.items() if key != "source"}
    if isinstance(options.get("input"), list | tuple):
        if len(options["input"]) > 1:
            raise ConfigError("input: give one sequence, or a folder of them")
        options["input"] = next(iter(options["input"]), None)
    for name in SHAPES_ALONE:
        if options.pop(name, None) is not None:
            raise ConfigError(f"{name}: is of shapes, and the model makes shapes that move")
    report = generate_motion(source, **options)
    sheet_of_folder(report.out, report.rows)
    return report


OF_PICTURES = ("samples", "categories", "out", "seed", "overwrite", "device", "progress")


def _of_pictures(source: Any, options: dict[str, Any]) -> PictureReport:
    """Make pictures, and a sheet of them.

    Raises:
        ConfigError: an option that is of shapes alone.
    """
    from onet.report.sample_sheet import sheet_of_samples

    options = {key: value for key, value in options.items() if key != "source"}
    for name in [key for key in options if key not in OF_PICTURES]:
        if options.pop(name) is not None:
            raise ConfigError(
                f"{name}: is of shapes, and the model makes pictures from random codes; leave it "
                "out"
            )
    report = generate_pictures(source, **options)
    sheet_of_samples(report.out, report.rows)
    return report


def _with_report(function: Callable[P, GenerationReport]) -> Callable[P, GenerationReport]:
    """Let a function that fills a generation folder write the page about it too."""

    @functools.wraps(function)
    def reported(*args: P.args, **kwargs: P.kwargs) -> GenerationReport:
        source: Any = args[0] if args else kwargs.get("source")
        if source is not None and holds_motion(source):
            return _of_motion(source, kwargs)  # type: ignore[return-value]
        if source is not None and holds_pictures(source):
            return _of_pictures(source, kwargs)  # type: ignore[return-value]
        for name in MOTION_ALONE:
            if kwargs.pop(name, None) is not None:
                raise ConfigError(f"{name}: is of models of motion, and this one makes shapes")
        result = function(*args, **kwargs)
        write_report(result.out, data=kwargs.get("data"))  # type: ignore[arg-type]
        return result

    return reported


generate = renamed_options(_with_report(generation.generate))
