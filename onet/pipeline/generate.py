"""`onet generate` as a function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from onet.inference import generate as generation
from onet.inference.generate import GenerationReport
from onet.inference.surface import renamed_options
from onet.report.html import write_report

P = ParamSpec("P")


def _with_report(function: Callable[P, GenerationReport]) -> Callable[P, GenerationReport]:
    """Let a function that fills a generation folder write the page about it too."""

    @functools.wraps(function)
    def reported(*args: P.args, **kwargs: P.kwargs) -> GenerationReport:
        result = function(*args, **kwargs)
        write_report(result.out, data=kwargs.get("data"))  # type: ignore[arg-type]
        return result

    return reported


generate = renamed_options(_with_report(generation.generate))
