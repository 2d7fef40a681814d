"""Arguments that had other names before: still taken, with a warning that says the new one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def renamed_arguments(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function that calls some of its keyword arguments differently now.

    Put it outermost, so that the warning names the line of the caller.

    Args:
        names: former name = present name.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def renaming(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if kwargs.get(new) is not None:
                    raise TypeError(
                        f"{function.__name__}: {old} is the former name of {new}; give {new} alone"
                    )
                warnings.warn(
                    f"{function.__name__}: {old} is called {new} now",
                    DeprecationWarning,
                    stacklevel=2,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return renaming

    return decorate
