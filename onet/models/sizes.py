"""What a network would take, found out before it is made.

A configuration may come with a file from anywhere, and one number in it can ask for more than any
machine has. So a network is first made of tensors without memory (torch's `meta` device).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration
from torch.overrides import TorchFunctionMode

from onet.errors import ConfigError, OnetError
from onet.nn.memory import free_memory, gib

MOST_PARTS = 20_000
"""Tensors and modules of a network; making that many without memory takes seconds."""


def without_memory(make: Callable[[], nn.Module]) -> nn.Module:
    """Return the network that `make` makes, of tensors that have shapes and no memory.

    Raises:
        ConfigError: sizes with which no network can be made, or more than `MOST_PARTS` parts.
    """
    with _counted():
        try:
            with torch.device("meta"), _WithoutNumbers():
                return make()
        except OnetError:
            raise
        except (RuntimeError, ArithmeticError, ValueError, TypeError, MemoryError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigError(
                f"model: no network can be made with these sizes ({reason}); correct the options "
                "of model and its parts"
            ) from None


def require_memory(network: nn.Module) -> None:
    """Refuse a network whose tensors do not fit into the memory that is free.

    Args:
        network: as `without_memory` makes it.

    Raises:
        ConfigError: with the sizes, and the largest tensor.
    """
    tensors: dict[str, Tensor] = dict(network.named_parameters())
    tensors |= dict(network.named_buffers())
    need = float(sum(_bytes(tensor) for tensor in tensors.values()))
    room = free_memory(torch.device("cpu"), None)
    if need > room:
        name = max(tensors, key=lambda key: _bytes(tensors[key]))
        raise ConfigError(
            f"model: the network takes {gib(need)} of memory and {gib(room)} are free; its largest "
            f"part is {name} of shape {tuple(tensors[name].shape)}: lower the sizes of model and "
            "its parts"
        )


class _WithoutNumbers(TorchFunctionMode):
    """Initial numbers are not drawn: there is no memory for them, and torch loads a compiler."""

    _FILL = frozenset({"normal_", "uniform_", "trunc_normal_", "fill_", "zero_", "copy_"})

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.randn:
            return torch.empty(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in self._FILL and args and isinstance(args[0], Tensor):
            return args[0]
        return func(*args, **(kwargs or {}))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


@contextmanager
def _counted() -> Iterator[None]:
    """Within the block, modules cannot be given more than `MOST_PARTS` parts altogether."""
    count = 0

    def one_more(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > MOST_PARTS:
            raise ConfigError(
                f"model: the network would have more than {MOST_PARTS:,} layers and tensors; lower "
                "the numbers of blocks or layers"
            )

    hooks = [
        registration.register_module_parameter_registration_hook(one_more),
        registration.register_module_buffer_registration_hook(one_more),
        registration.register_module_module_registration_hook(one_more),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
