"""Files of settings: what they have in common, and that no key is forgotten or added."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onet
from onet.provenance import Provenance

OWN = ("checkpoint", "data", "split", "seed", "git", "version")
FULL = Provenance({"path": "/a", "sha256": "0"}, Path("store"), "val", 3, {"commit": None})

names = st.sampled_from(["iou", "samples", "threshold", "units", "features"])


@given(st.dictionaries(names, st.integers()), st.randoms(use_true_random=False))
def test_a_file_has_its_keys_in_their_order(settings, random):
    keys = [*OWN, *settings]
    random.shuffle(keys)
    content = FULL.as_dict(keys, **settings)
    assert list(content) == keys
    assert settings.items() <= content.items()
    assert content["data"] == str(Path("store").resolve())
    assert content["version"] == onet.__version__ and content["seed"] == 3


@given(st.dictionaries(names, st.integers(), min_size=1), st.data())
def test_keys_and_values_are_the_same(settings, data):
    name = data.draw(st.sampled_from(sorted(settings)))
    less = {key: value for key, value in settings.items() if key != name}
    with pytest.raises(ValueError, match=name):
        FULL.as_dict([*OWN, *settings], **less)
    with pytest.raises(ValueError, match=name):
        FULL.as_dict([*OWN, *less], **settings)


@pytest.mark.parametrize("name", OWN)
def test_what_is_known_is_not_left_out(name):
    with pytest.raises(ValueError, match=name):
        FULL.as_dict([key for key in OWN if key != name])


def test_what_nothing_depends_on_is_left_out_or_none():
    assert Provenance(seed=0).as_dict(["seed", "version"]).keys() == {"seed", "version"}
    assert Provenance(seed=0).as_dict(["seed", "git", "version"])["git"] is None
