"""Files of `torch.save`, read without running code of theirs and within the memory of their size.

torch's own restricted unpickler (`weights_only`) makes tensors and plain containers. It refuses a
whole file for one object of a program beside the weights: the arguments of a command line, a path,
a configuration. Here such objects become empty placeholders, which keep nothing and do nothing, and
are named in the log.
"""

from __future__ import annotations

import _compat_pickle
import codecs
import io
import logging
import pickle
import pickletools
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from onet.errors import CheckpointError
from onet.mistaken import mistaken_for

logger = logging.getLogger(__name__)

_MOST_OPERATIONS = 2_000_000  # of the pickle; a network of 10,000 tensors and its Adam have a third
_LARGEST_PICKLE = 2**26  # bytes, without the tensors
_HEADERS = 3  # pickles in front of the content, in the format before torch 1.6
_TAKES_MEMORY = {
    "builtins.bytearray",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch._utils._rebuild_wrapper_subclass",
}
"""What torch allows a file to call and what can take any amount of memory."""

_RUNS_MODULES = {"os", "posix", "nt", "sys", "subprocess", "runpy", "importlib", "pty", "socket"}
_RUNS = {f"builtins.{name}" for name in ("eval", "exec", "compile", "__import__", "open")}


class LeftOut:
    """What stands for an object of a class that plain weights do not need: it holds nothing.

    Subclasses have the `name` of such a class or function.
    """

    name = ""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)


class _LeftOutMapping(LeftOut):
    """The same for classes that are dictionaries: what is put into it is kept, in a plain one."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return OrderedDict()


def is_pickled(path: Path) -> bool:
    """Return whether a file begins as those of `torch.save`, in its present or first format."""
    with path.open("rb") as file:
        beginning = file.read(9)
    # safetensors begin with any 8 bytes, the length of what the bracket opens
    return beginning.startswith((b"PK\x03\x04", b"\x80")) and beginning[8:] != b"{"


def read_pickled(path: Path) -> Any:
    """What was given to `torch.save`, with tensors on the CPU.

    Objects of other classes than tensors, numbers, text and containers of them are instances of
    `LeftOut`; the log names their classes.

    Raises:
        CheckpointError: not such a file, cut short, or one that asks for more than it holds; the
            message says what it is where that is known.
    """
    if what := mistaken_for(path):
        raise CheckpointError(f"{path}: {what}")
    try:
        content, left = _unpickled(path, _names(path))
    except CheckpointError:
        raise
    except Exception as error:  # torch raises errors of many kinds on damaged files
        raise CheckpointError(
            f"{path}: cannot be read as a file of torch.save ({_plain(error)}); it may be cut "
            "short: copy it again, or load it where it was written and save the state_dict alone: "
            "torch.save({'model': model.state_dict()}, 'weights.pt')"
        ) from None
    _check_tensors(path, content)
    if left:
        logger.warning(
            "%s: holds objects of %s beside the weights; what they are is left out, and no code of "
            "theirs has run",
            path,
            ", ".join(sorted(left)[:5]) + (", ..." if len(left) > 5 else ""),
        )
    return content


def _unpickled(path: Path, names: set[str]) -> tuple[Any, set[str]]:
    """Return the content, with placeholders for `names`, and which of them have left something out.

    They are mappings where only those can be filled.
    """
    for placeholder in (LeftOut, _LeftOutMapping):
        places = [(type(n, (placeholder,), {"name": n}), n) for n in sorted(names)]
        try:
            with (
                torch.serialization.safe_globals([*_NUMBERS, *places]),
                path.open("rb") as file,  # given a name, torch would go by its suffix
            ):
                content = torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            if placeholder is _LeftOutMapping or "Can only SETITEM" not in str(error):
                raise
            continue
        if placeholder is _LeftOutMapping:
            return content, names
        made = {value.name for value in _walk(content) if isinstance(value, LeftOut)}
        return content, made - {""}
    raise AssertionError("one of the two has returned or raised")


def _scalar(kind: Any, data: bytes = b"") -> Any:
    """Return a number of NumPy from its pickle; nothing for types that may be of any size."""
    if not isinstance(kind, np.dtype) or kind.hasobject or kind.itemsize > _LARGEST_NUMBER:
        return LeftOut()
    return _REBUILD(kind, data)


_LARGEST_NUMBER = 256  # bytes; text counts as one
_REBUILD: Any = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(getattr(np.dtypes, name) for name in np.dtypes.__all__),
    codecs.encode,
]
"""What numbers of NumPy are pickled with; files name it by where it was when they were made."""


def _names(path: Path) -> set[str]:
    """Return the classes and functions that the file names and that get a placeholder.

    Raises:
        CheckpointError: see `read_pickled`.
    """
    known = {"_codecs.encode", "numpy.dtype", *(e[1] for e in _NUMBERS if isinstance(e, tuple))}
    names: set[str] = set()
    with _pickles(path) as file:
        for module, name in _globals(path, file):
            new = _compat_pickle.NAME_MAPPING.get((module, name))
            module, name = new or (_compat_pickle.IMPORT_MAPPING.get(module, module), name)
            names.add(f"{module}.{name}")
    if dangerous := sorted(names & _TAKES_MEMORY):
        raise CheckpointError(
            f"{path}: holds {dangerous[0]}, which plain weights do not need and which can take any "
            "amount of memory; load it where it was written, and save the state_dict alone"
        )
    if running := sorted(n for n in names if n in _RUNS or n.split(".")[0] in _RUNS_MODULES):
        raise CheckpointError(
            f"{path}: calls {running[0]}, which has no place in weights: it is made to run code on "
            "the machine that loads it; nothing was run, do not load it elsewhere"
        )
    return names - known


def _pickles(path: Path) -> IO[bytes]:
    """Return the part of the file that names classes: `data.pkl` of an archive, or all of it."""
    if not zipfile.is_zipfile(path):
        return path.open("rb")
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        inside = [entry.filename for entry in entries]
        pickles = [
            entry for entry in entries if re.fullmatch(r"([^/]*/)?data\.pkl", entry.filename)
        ]
        if any(name.endswith("constants.pkl") for name in inside):
            raise CheckpointError(
                f"{path}: is a TorchScript program, not weights; load it with torch.jit.load, and "
                "save torch.save({'model': program.state_dict()}, 'weights.pt')"
            )
        if len(pickles) != 1:
            raise CheckpointError(
                f"{path}: is a ZIP archive of {len(entries)} files ({', '.join(inside[:3])}, ...), "
                "not a file of torch.save; unpack it and name the file inside"
            )
        if sum(entry.file_size for entry in entries) > size or pickles[0].file_size > (
            _LARGEST_PICKLE
        ):
            raise CheckpointError(
                f"{path}: declares more than the {size:,} bytes it has; torch.save does not write "
                "such files, it is damaged or made to fill the memory"
            )
        return io.BytesIO(archive.read(pickles[0]))


def _globals(path: Path, file: IO[bytes]) -> Iterator[tuple[str, str]]:
    """Module and name of each class and function that the pickles of `file` name."""
    archived = isinstance(file, io.BytesIO)
    count = 0
    for _ in range(1 if archived else _HEADERS + 1):
        for operation, argument, _ in pickletools.genops(file):
            count += 1
            if count > _MOST_OPERATIONS:
                raise CheckpointError(
                    f"{path}: its pickle has more than {_MOST_OPERATIONS:,} operations, which "
                    "weights do not need"
                )
            if operation.name in ("GLOBAL", "INST"):
                module, _, name = str(argument).partition(" ")
                yield module, name


def _check_tensors(path: Path, content: Any) -> None:
    """Refuse tensors that are not plain ones, or that have more numbers than the file has bytes.

    A tensor may be a view that repeats a few numbers, which a copy would write out.
    """
    size = path.stat().st_size
    for tensor in _walk(content):
        if not isinstance(tensor, Tensor):
            continue
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise CheckpointError(
                f"{path}: holds a tensor that is sparse, quantised or without values "
                f"({tensor.layout}, {tensor.dtype}); save plain ones"
            )
        if tensor.numel() * tensor.element_size() > size:
            raise CheckpointError(
                f"{path}: a tensor of shape {tuple(tensor.shape)} is larger than the file; it is "
                "damaged or made to fill the memory"
            )


def _walk(content: Any) -> Iterator[Any]:
    """What is in the containers, each once however often it is named."""
    seen: set[int] = set()
    todo: list[Any] = [content]
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list | tuple | set):
            todo += value


def _plain(error: Exception) -> str:
    """Return the first line of an error's message, without colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    inner = re.search(r"WeightsUnpickler error: (.*)", text)
    text = inner[1] if inner else text
    return text.splitlines()[0][:200] if text else type(error).__name__
