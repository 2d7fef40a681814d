"""The tool that counts lines and branches of functions."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).parents[1] / "tools/function_sizes.py"))

SOURCE = '''
class A:
    def plain(self):
        """Nothing.

        More of it.
        """
        return 1

    async def branches(self, x):
        if x and not x or x:
            return [y for y in x if y if x] if x else None
        for y in x:
            while y:
                y -= 1

        try:
            pass
        except ValueError:
            pass
        assert x
        match x:
            case 1: pass
            case _: pass

if True:
    def outer():
        def inner():
            return 1 if True else 2
        return inner
'''


@pytest.mark.parametrize(
    ("name", "lines", "branches"),
    [("A.plain", 2, 0), ("A.branches", 15, 13), ("outer", 4, 1)],
)
def test_counts(name: str, lines: int, branches: int) -> None:
    found = {size.name: size for size in TOOL["sizes"](SOURCE, "a.py")}
    assert found.keys() == {"A.plain", "A.branches", "outer"}
    assert (found[name].lines, found[name].branches) == (lines, branches)
