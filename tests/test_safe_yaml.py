"""YAML from anywhere: nothing runs, nothing unfolds without end, nothing is silently dropped."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from onet.config import load_config, parse_config
from onet.data.store_folder import read_metadata
from onet.errors import ConfigError, DataError
from onet.safe_yaml import DEEPEST, MOST_BYTES, read_yaml


def laughs(merged: bool) -> str:
    """Each line holds the one before it nine times."""
    lines = ["a0: &a0 {lol: 1}"]
    for i in range(1, 12):
        nine = ", ".join([f"*a{i - 1}"] * 9)
        lines.append(f"a{i}: &a{i} {{<<: [{nine}]}}" if merged else f"a{i}: &a{i} [{nine}]")
    return "\n".join(lines)


HOSTILE = {
    "aliases": (laughs(False), "more than 20,000 values"),
    "merge keys": (laughs(True), "more than 20,000 values"),
    "lists in lists": ("[" * 10_000 + "]" * 10_000, "nested more than"),
    "maps in maps": ("{a: " * 10_000 + "}" * 10_000, "nested more than"),
    "blocks in blocks": ("- " * 10_000 + "x", "nested more than"),
    "keys in keys": ("? " * 10_000 + "x", "nested more than"),
    "a list in itself": ("a: &a [*a]", "inside of what it stands for"),
    "a map in itself": ("a: &a {<<: *a}", "inside of what it stands for"),
    "many values": ("a: [" + "0, " * 30_000 + "]", "more than 20,000 values"),
    "a large text": ("a: " + "x" * MOST_BYTES, "larger"),
    "objects of Python": ("!!python/object/apply:os.system ['exit 3']", "python/object"),
    "names of Python": ("a: !!python/name:os.system", "python/name"),
    "a key twice": ("a: 1\nb: 2\na: 3", r"'a' is given twice \(line 3"),
    "a number as key twice": ("1: 1\n1: 2", "1 is given twice"),
    "a list as key": ("? [a, b]\n: 1", "unhashable key"),
    "a number without end": ("a: " + "9" * 10_000, "not valid YAML"),
    "no date": ("a: 2024-99-99", "not valid YAML"),
    "an alias of nothing": ("a: *b", "undefined alias"),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
    "no text": ("a: \x00", "not valid YAML"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_refused_at_once(name: str) -> None:
    text, message = HOSTILE[name]
    started = time.monotonic()
    with pytest.raises(ValueError, match=message) as caught:
        read_yaml(text)
    assert time.monotonic() - started < 2
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", HOSTILE)
def test_wherever_they_come_from(name: str, tmp_path: Path) -> None:
    text, message = HOSTILE[name]
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"mine\.yaml: .*{message}"):
        load_config(path)
    with pytest.raises(ConfigError, match=f"checkpoint: .*{message}"):
        parse_config(text, "checkpoint")
    if name not in ("many values", "a large text"):  # a store may have that many categories
        (tmp_path / "metadata.yaml").write_text(text)
        with pytest.raises(DataError, match=r"metadata\.yaml: "):
            read_metadata(tmp_path)


@pytest.mark.parametrize("name", ["aliases", "lists in lists", "merge keys"])
def test_overrides_as_well(name: str) -> None:
    text, message = HOSTILE[name]
    if "\n" in text:
        text = "{" + text.replace("\n", ", ") + "}"
    with pytest.raises(ConfigError, match=f"the value .*{message}") as caught:
        load_config("pointcloud", [f"data.categories={text}"])
    assert len(str(caught.value)) < 1000


def test_they_take_no_memory() -> None:
    program = (
        "import resource, sys\nfrom onet.safe_yaml import read_yaml\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    read_yaml(sys.stdin.read())\nexcept ValueError:\n    pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    unit = 1 if sys.platform == "darwin" else resource.getpagesize() // 4
    for text in (laughs(False), laughs(True), "[" * 100_000, "- " * 100_000):
        done = subprocess.run(
            [sys.executable, "-c", program], input=text, capture_output=True, text=True, check=True
        )
        assert int(done.stdout) * unit < 64 * 2**20


def test_metadata_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"metadata\.yaml: is not UTF-8"):
        read_metadata(tmp_path)


def test_anchors_with_an_end_are_followed(tmp_path: Path) -> None:
    text = "a: &base {x: 1, y: 2}\nb: {<<: *base, y: 3}\nc: [*base, *base]"
    assert read_yaml(text) == yaml.safe_load(text)
    path = tmp_path / "mine.yaml"
    path.write_text("data: {path: &p here, categories: [*p]}")
    assert load_config(path).data.categories == ["here"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_dumped_is_read(value: Any) -> None:
    assert read_yaml(yaml.safe_dump(value)) == value


def test_depth_is_counted() -> None:
    for levels in (1, DEEPEST):
        read_yaml("[" * levels + "]" * levels)
    with pytest.raises(ValueError, match="nested"):
        read_yaml("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
