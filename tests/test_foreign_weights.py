"""Checkpoints of others: loaded, or a sentence about what they are."""

from __future__ import annotations

import argparse
import collections
import functools
import io
import json
import logging
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_weights import randomise
from safetensors.torch import save_file
from torch import Tensor, nn

import onet
from onet.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from onet.checkpoints.published_weights import convert, read_checkpoint
from onet.config import load_config
from onet.errors import CheckpointError, ConfigError
from onet.models import build_model

NAME = "unconditional"


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return randomise(build_model(load_config(NAME).model)).state_dict()


def same(path: Path, state: dict[str, Tensor], tolerance: float = 0.0) -> None:
    """The file is recognised and holds these weights."""
    checkpoint = read_checkpoint(path)
    assert checkpoint.config == load_config(NAME)
    assert checkpoint.state.keys() == state.keys()
    for key, value in state.items():
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(
                checkpoint.state[key].float(), value, rtol=tolerance, atol=tolerance
            )


def prefixed(prefix: str) -> Callable[[dict[str, Tensor]], dict[str, Any]]:
    return lambda state: {"model": {prefix + key: value for key, value in state.items()}}


def within(state: dict[str, Tensor]) -> dict[str, Any]:
    """Each part wrapped on its own, as people do who keep other methods of the whole."""
    return {"model": {k.replace("decoder.", "decoder.module."): v for k, v in state.items()}}


LAYOUTS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "DataParallel": prefixed("module."),
    "twice": prefixed("module.module."),
    "torch.compile": prefixed("_orig_mod."),
    "both": prefixed("module._orig_mod."),
    "the parts": within,
    "Lightning": lambda s: {
        "state_dict": {f"model.{k}": v for k, v in s.items()} | {"loss.weight": torch.ones(2)},
        "epoch": 3,
        "global_step": 12,
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}],
        "callbacks": {},
    },
    "an average beside it": lambda s: {
        "model": {f"ema.{k}": v + 1 for k, v in s.items()} | {f"net.{k}": v for k, v in s.items()}
    },
    "an average beside the bare keys": lambda s: {
        "model": {**s, **{f"ema.{k}": v + 1 for k, v in s.items()}}
    },
    "AveragedModel": lambda s: {
        "model": {"n_averaged": torch.tensor(3)} | {f"module.{k}": v for k, v in s.items()}
    },
    "two states": lambda s: {"ema": {k: v + 1 for k, v in s.items()}, "model_state_dict": s},
    "a bare state": lambda s: s,
    "a bare state, wrapped": lambda s: {f"module.{k}": v for k, v in s.items()},
    "a state in a state": lambda s: {"checkpoint": {"state_dict": s}, "it": 3},
    "old batch norms": lambda s: {
        "model": {k: v for k, v in s.items() if "num_batches_tracked" not in k}
    },
    "parameters": lambda s: {"model": {k: nn.Parameter(v, False) for k, v in s.items()}},
    "arguments": lambda s: {"model": s, "it": 5, "args": argparse.Namespace(lr=1)},
    "a path": lambda s: {"model": s, "path": Path("a/b"), "when": np.datetime64("2020-01-01")},
    "arrays": lambda s: {"model": s, "history": np.arange(3.0), "best": np.float32(0.5)},
    "containers": lambda s: {
        "model": collections.OrderedDict(s),
        "log": collections.defaultdict(list, a=[1]),
        "seen": {1, 2},
    },
    "numbers of numpy": lambda s: {"model": s, "it": np.int64(5), "epoch_it": np.int32(1)},
    "odd counters": lambda s: {"model": s, "it": "many", "epoch_it": float("nan")},
}


@pytest.mark.parametrize(
    "zipped", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["zip", "legacy"]
)
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_other_programs(
    name: str, zipped: bool, state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "a.pt"
    torch.save(LAYOUTS[name](state), path, _use_new_zipfile_serialization=zipped)
    same(path, state)


@pytest.mark.parametrize(
    "name", ["a.PT", "a.PTH", "a.pth.tar", "a.CKPT", "a.bin", "a", "a.safetensors"]
)
def test_the_name_does_not_matter(name: str, state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"model": state, "it": 5}, tmp_path / name)
    same(tmp_path / name, state)


def test_converted_weights_come_back_whatever_the_name(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({"model": state, "it": 5}, tmp_path / "a.safetensors")
    convert(tmp_path / "a.safetensors", tmp_path / "out.SafeTensors")
    convert(tmp_path / "out.SafeTensors", tmp_path / "back.PT")
    same(tmp_path / "back.PT", state)


def test_safetensors_without_a_configuration(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({f"module.{k}": v.clone() for k, v in state.items()}, path)
    same(path, state)
    config = load_config(NAME)
    assert read_checkpoint(path, NAME).config == config
    with pytest.raises(CheckpointError, match="without a configuration"):
        load_checkpoint(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype, state: dict[str, Tensor], tmp_path: Path) -> None:
    cast = {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    torch.save({"model": cast}, tmp_path / "a.pt")
    same(tmp_path / "a.pt", state, tolerance=1e-2)
    model = onet.load(tmp_path / "a.pt", device="cpu")
    assert {p.dtype for p in model.model.parameters()} == {torch.float32}


def test_what_is_left_out_is_named(
    state: dict[str, Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.pt"
    torch.save({"model": state, "args": argparse.Namespace(lr=1)}, path)
    with caplog.at_level(logging.WARNING):
        same(path, state)
    assert "argparse.Namespace" in caplog.text
    caplog.clear()
    torch.save(LAYOUTS["two states"](state), path)
    with caplog.at_level(logging.WARNING):
        same(path, state)
    assert "'model_state_dict' are taken" in caplog.text


class Call:
    """Pickled as the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def test_no_code_runs(
    state: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import os
    import subprocess

    path, ran = tmp_path / "a.pt", tmp_path / "ran"
    torch.save({"model": state, "other": Call(print, "code ran")}, path)
    same(path, state)
    assert "code ran" not in capsys.readouterr().out
    for function, argument in ((os.system, f"touch {ran}"), (exec, f"open({str(ran)!r}, 'w')")):
        for zipped in (True, False):
            torch.save(
                {"model": state, "other": Call(function, argument)},
                path,
                _use_new_zipfile_serialization=zipped,
            )
            with pytest.raises(CheckpointError, match="made to run code"):
                read_checkpoint(path)
    torch.save({"model": state, "other": Call(subprocess.getoutput, f"touch {ran}")}, path)
    with pytest.raises(CheckpointError, match=r"subprocess\.getoutput"):
        read_checkpoint(path)
    assert not ran.exists()


def test_files_that_would_fill_the_memory(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    repeated = torch.zeros(1, 1).expand(10**6, 10**6)
    torch.save({"model": state | {"encoder.weight": repeated}}, path)
    with pytest.raises(CheckpointError, match=r"1000000\) is larger than the file"):
        read_checkpoint(path)
    torch.save({"model": state, "other": Call(bytearray, 10**13)}, path)
    with pytest.raises(CheckpointError, match="any amount of memory"):
        read_checkpoint(path)
    sparse = torch.sparse_coo_tensor(torch.zeros(2, 1).long(), torch.ones(1), (10**9, 10**9))
    torch.save({"model": state | {"decoder.fc_in.weight": sparse}}, path)
    with pytest.raises(CheckpointError, match="sparse"):
        read_checkpoint(path)
    torch.save({"model": state | {"encoder.weight": torch.zeros(10**8, device="meta")}}, path)
    with pytest.raises(CheckpointError, match="without values"):
        read_checkpoint(path)
    torch.save({"model": state, "more": torch.zeros(10**7)}, path)
    with zipfile.ZipFile(path) as plain:
        members = {entry.filename: plain.read(entry) for entry in plain.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    with pytest.raises(CheckpointError, match="declares more than"):
        read_checkpoint(path)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/model.pt", "x")


def _program(path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(path))


ELSE: dict[str, tuple[bytes | Callable[[Path], Any], str]] = {
    "a Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "Git LFS pointer.*git lfs pull",
    ),
    "a git-annex pointer": (b"/annex/objects/SHA256E-s1--0.pt\n", "git annex get"),
    "a page": (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
    "an XHTML page": (b'<?xml version="1.0"?>\n<html xmlns="...">', "web page"),
    "an error": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "error message"),
    "nothing": (b"", "empty"),
    "zeros": (bytes(4096), "zeros only"),
    "gzip": (b"\x1f\x8b\x08" + bytes(20), "gzip"),
    "text": (b"hello world, this is no network", "cannot be read|not a readable"),
    "an archive": (_zip, "ZIP archive of 1 files.*unpack"),
    "a TorchScript program": (_program, "TorchScript"),
    "a whole module": (
        lambda path: torch.save({"model": nn.Linear(2, 2)}, path),
        r"whole object of torch\.nn\.modules\.linear\.Linear.*state_dict",
    ),
    "a module alone": (lambda path: torch.save(nn.Linear(2, 2), path), "whole object"),
    "an optimiser": (
        lambda path: torch.save(torch.optim.Adam([nn.Parameter(torch.ones(1))]).state_dict(), path),
        "state of an optimiser and no weights",
    ),
    "an optimiser by name": (
        lambda path: torch.save({"optimizer": {}, "it": 3}, path),
        "optimiser",
    ),
    "a tensor": (lambda path: torch.save(torch.ones(3), path), "found: a tensor"),
    "a list in itself": (lambda path: torch.save(_endless(), path), "found: list"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "torch.save"),
    "other weights": (
        lambda path: torch.save({"model": nn.Linear(2, 2).state_dict()}, path),
        "nearest one is",
    ),
    "whole numbers": (
        lambda path: torch.save({"model": _whole_numbers()}, path),
        "of another type",
    ),
}


def _endless() -> list[Any]:
    values: list[Any] = ["x"]
    for _ in range(40):
        values = [values, values]
    return values


def _whole_numbers() -> dict[str, Tensor]:
    return {
        k: v.to(torch.int8) for k, v in build_model(load_config(NAME).model).state_dict().items()
    }


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".ckpt"])
@pytest.mark.parametrize("name", ELSE)
def test_what_is_no_checkpoint_is_told(name: str, suffix: str, tmp_path: Path) -> None:
    content, message = ELSE[name]
    path = tmp_path / f"a{suffix}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    with pytest.raises(CheckpointError, match=rf"a\{suffix}: .*({message})") as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert len(text) < 800
    assert text.isprintable()


def test_pipes_and_folders(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(CheckpointError, match="a device or a pipe"):
        read_checkpoint(tmp_path / "pipe.pt")
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(CheckpointError, match="in this folder"):
        read_checkpoint(tmp_path / "folder.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_cut_and_damaged_files_are_told(
    zipped: bool, state: dict[str, Tensor], tmp_path: Path
) -> None:
    buffer = io.BytesIO()
    torch.save({"model": state, "it": 5}, buffer, _use_new_zipfile_serialization=zipped)
    whole = buffer.getvalue()
    path = tmp_path / "a.pt"
    rng = np.random.default_rng(0)
    for length in [1, 3, 10, 100, 1000, *rng.integers(1000, len(whole), 10)]:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, 4000, 5):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            assert len(str(error)) < 1000


# -- checkpoints of this package, put together by somebody else -----------------------------------


@functools.cache
def small_network() -> tuple[str, dict[str, Tensor]]:
    """Return the configuration of a small network as JSON, and its weights."""
    config = load_config("pointcloud", ["model.decoder.hidden_size=4", "model.c_dim=4"])
    state = build_model(config.model).state_dict()
    return config.model_dump_json(), {key: value.contiguous() for key, value in state.items()}


def put_together(path: Path, changes: dict[str, Any], **metadata: str) -> Path:
    """A checkpoint with the weights of a small network and a changed configuration."""
    text, state = small_network()
    tree = json.loads(text)
    for dotted, value in changes.items():
        *sections, key = dotted.split(".")
        inner = tree
        for section in sections:
            inner = inner[section]
        inner[key] = value
    header = {"config": json.dumps(tree), "iteration": "1"} | metadata
    save_file(state, path, header)
    return path


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.decoder.hidden_size", 10**7, "GiB of memory"),
        ("model.decoder.hidden_size", 8192, "another architecture"),
        ("model.decoder.hidden_size", 2**31 - 1, "no network can be made"),
        ("model.decoder.hidden_size", -1, "no network can be made"),
        ("model.decoder.hidden_size", 10**30, "is more than"),
        ("model.c_dim", 10**9, "GiB of memory"),
        ("model.decoder", {"type": "cbatchnorm2", "n_blocks": 10**9}, "is more than"),
        pytest.param(
            "model.decoder",
            {"type": "cbatchnorm2", "n_blocks": 1000},
            "more than 20,000",
            marks=pytest.mark.slow,
        ),
        ("model.encoder", {"type": "idx", "count": 10**6}, "another architecture"),
        ("model.encoder", {"type": "voxel_simple", "resolution": 2**40}, "is more than"),
        (
            "model.encoder",
            {"type": "local_pointnet", "unet_depth": 10**12},
            "is more than",
        ),
        (
            "model.encoder",
            {"type": "local_pointnet", "plane_resolution": 10**6},
            "is more than",
        ),
        ("model.encoder", {"type": "point_set", "latents": 10**9}, "learned queries"),
        ("generation.resolution", 10**6, "less than or equal to 16384"),
        ("evaluation.samples", 10**15, "less than or equal"),
        ("training.devices", 10**9, "less than or equal"),
        ("model.decoder.type", "cbatchnorm" * 100_000, "unknown decoder"),
    ],
)
def test_sizes_are_checked_before_memory_is_taken(
    key: str, value: Any, message: str, tmp_path: Path
) -> None:
    path = put_together(tmp_path / "a.safetensors", {key: value})
    with pytest.raises((CheckpointError, ConfigError), match=message):
        onet.load(path, device="cpu")


def test_headers_that_are_no_configuration(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(ConfigError, match="nested"):
        onet.load(put_together(path, {}, config="[" * 10**5))
    with pytest.raises(ConfigError, match="more than"):
        onet.load(put_together(path, {"data.categories": ["a"] * 50_000}))
    for text in ("[" * 10**5, "9" * 10_000, "{", ""):
        with pytest.raises(CheckpointError, match="metadata is not JSON"):
            onet.load(put_together(path, {}, metrics=text))
    path.write_bytes(struct.pack("<Q", 2**60) + b"{")
    with pytest.raises(CheckpointError, match="not a readable safetensors"):
        onet.load(path)
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}})
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(4))
    with pytest.raises(CheckpointError, match="not a readable safetensors"):
        onet.load(path)


def test_our_checkpoints_still_load(tmp_path: Path) -> None:
    config = load_config("pointcloud_small")
    model = randomise(build_model(config.model))
    save_checkpoint(tmp_path / "a.safetensors", model, config, {"iteration": 1, "git": None})
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    assert checkpoint.metadata == {"iteration": 1, "git": None}
    assert all(torch.equal(checkpoint.state[k], v) for k, v in model.state_dict().items())
