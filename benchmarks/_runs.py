"""Results of long runs in files, so that what is finished is not made again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onet.files import replacing


def finished(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """What a run has left, or None if it is still to be made; ends where it was made otherwise."""
    if not path.is_file():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    differing = [key for key in settings if result["settings"].get(key) != settings[key]]
    if differing:
        raise SystemExit(
            f"{path} was made with other settings ({', '.join(differing)}); give another --out"
        )
    if "threshold" in result:  # as it was called before
        result["probability"] = result.pop("threshold")
    return result


def keep(path: Path, settings: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Write a result beside the settings that it was made with."""
    result = {"settings": settings, **result}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, where small networks are fastest, with denormal numbers as zeros."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)
