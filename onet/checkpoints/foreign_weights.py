"""Weights in what other programs make of a network: where they are, and what their keys were.

`DataParallel` puts `module.` before each key, `torch.compile` puts `_orig_mod.`, Lightning the name
of an attribute; a moving average is a second network beside the first. Before PyTorch 0.4.1 batch
normalisations had no `num_batches_tracked`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onet.checkpoints.pickled import LeftOut
from onet.errors import CheckpointError

logger = logging.getLogger(__name__)

_PLACES = (
    *("model", "state_dict", "model_state_dict", "model_state", "net", "network", "weights"),
    *("params", "generator", "ema", "model_ema", "ema_model", "ema_state_dict"),
)
"""Under what keys of a file weights are looked for, first come first served."""

_OPTIMISERS = ("optimizer", "optimizer_state_dict", "optimizer_states", "param_groups")
_WRAPPERS = {
    "module",
    "_orig_mod",
    "_forward_module",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
}
_ROOT = "decoder"  # every network has one
_DEPTH = 3


def find_weights(path: Path, content: Any) -> dict[str, Tensor]:
    """Return the weights in what `torch.save` was given, with plain keys; see `plain_keys`.

    Raises:
        CheckpointError: there are none; it says what there is instead.
    """
    found = [*_candidates(content, "", _DEPTH)]
    if not found:
        raise CheckpointError(f"{path}: {_instead(content)}")
    location, weights = found[0]
    if len(found) > 1:
        logger.warning(
            "%s: holds weights under %s; those under %r are taken",
            path,
            ", ".join(repr(name) for name, _ in found[:4]),
            location,
        )
    odd = [key for key, value in weights.items() if not isinstance(value, Tensor)]
    if odd:
        raise CheckpointError(
            f"{path}: {location or 'it'!r} holds something else than weights under {odd[0][:80]!r}"
        )
    return plain_keys(path, weights)


def plain_keys(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under the keys that the network itself gives them.

    Names that wrappers put into keys are taken out, and so is what stands before the network's own
    keys. Where two networks are in one state, the one that is no moving average is taken, and the
    log says so. Counters beside the network are left out. Missing ones of batch normalisations,
    which only training looks at, are 0.
    """
    bare = {".".join(p for p in key.split(".") if p not in _WRAPPERS): key for key in state}
    names = bare if len(bare) == len(state) else {key: key for key in state}
    prefixes = [*dict.fromkeys(_prefix(name) for name in names)]
    roots = [prefix for prefix in prefixes if prefix is not None]
    if roots and roots != [""]:
        chosen = min(roots, key=lambda prefix: (prefix != "", "ema" in prefix.lower()))
        others = tuple(root for root in roots if root and root != chosen)
        names = {
            name.removeprefix(chosen): key
            for name, key in names.items()
            if name.startswith(chosen) and not (not chosen and name.startswith(others))
        }
        if len(names) < len(state):
            logger.warning(
                "%s: the %d weights whose keys begin with %r are taken, %d others are left out",
                path,
                len(names),
                chosen,
                len(state) - len(names),
            )
    counters = {name for name, key in names.items() if "." not in name and state[key].numel() == 1}
    plain = {name: state[key] for name, key in names.items() if not roots or name not in counters}
    for name in [name for name in plain if name.endswith(".running_mean")]:
        plain.setdefault(f"{name.removesuffix('running_mean')}num_batches_tracked", torch.tensor(0))
    return plain


def _prefix(name: str) -> str | None:
    """What stands before the decoder in a key of the decoder's; None in other keys."""
    parts = name.split(".")
    if _ROOT not in parts[:-1]:
        return None
    before = parts[: parts.index(_ROOT)]
    return "".join(f"{part}." for part in before)


def _candidates(content: Any, location: str, depth: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Dictionaries of tensors by their place, the most usual places first."""
    if not isinstance(content, dict) or not depth:
        return
    keys = [key for key in content if isinstance(key, str)]
    tensors = any(isinstance(value, Tensor) for value in content.values())
    nested = any(isinstance(value, dict) for value in content.values())
    if content and not nested and (tensors or location == "model") and len(keys) == len(content):
        yield location, content
        return
    usual = [key for key in _PLACES if key in content]
    for key in usual + [key for key in keys if key not in usual and key not in _OPTIMISERS]:
        yield from _candidates(content[key], f"{location}.{key}" if location else key, depth - 1)


def _instead(content: Any) -> str:
    """What the file holds, as the rest of a sentence."""
    if isinstance(content, LeftOut):
        return (
            f"holds a whole object of {content.name}, not its weights; where it was written, save "
            "torch.save({'model': model.state_dict()}, 'weights.pt')"
        )
    if not isinstance(content, dict):
        return f"not in the published layout: has no dictionary 'model' (found: {_kind(content)})"
    modules = [value for value in content.values() if isinstance(value, LeftOut)]
    keys = ", ".join(_name(key) for key in [*content][:5])
    if "model" in content and isinstance(content["model"], LeftOut):
        return _instead(content["model"])
    if content.get("model") == {}:
        return f"its dictionary 'model' is empty (found: {keys})"
    if any(key in content for key in _OPTIMISERS):
        return f"holds the state of an optimiser and no weights (found: {keys}); name the weights"
    more = f"; an object of {modules[0].name} was left out" if modules else ""
    return f"not in the published layout: has no dictionary 'model' (found: {keys}{more})"


def _name(key: Any) -> str:
    """Return a key for a message."""
    if isinstance(key, str) and key.isprintable():
        return key[:80]
    return repr(key)[:80] if isinstance(key, str | int | float) else _kind(key)


def _kind(value: Any) -> str:
    return "a tensor" if isinstance(value, Tensor) else type(value).__name__
