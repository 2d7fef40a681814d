"""Every encoder with every decoder: they work together, or building the model says what would."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from random_weights import randomise
from test_nn import SIMILAR, B, C, T, observations, small

from onet.errors import ConfigError
from onet.models import build_model
from onet.nn.code import as_batch, code_of, kind_made, kinds_taken
from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS
from onet.nn.latent_encoders import LATENT_ENCODERS

MADE = {  # kinds of the codes of some encoders; of others they say it themselves
    "local_pointnet": "maps",
    "local_voxels": "maps",
    "resnet18_planes": "maps",
    "resnet18_pixel": "picture",
    "point_set": "set",
    "pointnet_resnet": "global",
}
TAKEN = {  # by some decoders
    "local": {"maps"},
    "pixel_aligned": {"picture"},
    "cross_attention": {"global", "set"},
    "cbatchnorm": {"global"},
}


def fitting(decoder: str) -> set[str]:
    """Return the encoders whose codes a decoder takes."""
    taken = TAKEN.get(decoder, kinds_taken(DECODERS[decoder]))
    return {name for name in ENCODERS if MADE.get(name, kind_made(ENCODERS[name])) in taken}


FITTING = {decoder: fitting(decoder) for decoder in DECODERS}
LARGE = {*SIMILAR, "resnet50"}  # but for their depth as resnet18
HEAVY = {*LARGE, "resnet18"}  # every day with one decoder
PAIRS = [
    pytest.param(
        encoder,
        decoder,
        marks=[pytest.mark.slow] if encoder in HEAVY and decoder != "cbatchnorm" else [],
        id=f"{encoder}-{decoder}",
    )
    for encoder in ENCODERS
    for decoder in DECODERS
]


def section(encoder: str, decoder: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "occupancy",
        "c_dim": C,
        "encoder": small(ENCODERS, encoder),
        "decoder": small(DECODERS, decoder),
        **more,
    }


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_pairs(encoder: str, decoder: str) -> None:
    if encoder not in FITTING[decoder]:
        with torch.device("meta"), pytest.raises(ConfigError) as caught:
            build_model(section(encoder, decoder))
        message = str(caught.value)
        assert f"model.encoder.type: {encoder!r}" in message
        assert f"model.decoder.type: {decoder!r}" in message
        goes = [name for name, encoders in FITTING.items() if encoder in encoders]
        assert f"goes the decoder {' or '.join(goes)}, with" in message
        assert f"the encoder {' or '.join(sorted(FITTING[decoder]))}" in message
        return
    if encoder in LARGE:
        with torch.device("meta"):
            build_model(section(encoder, decoder))
        return
    torch.manual_seed(0)
    model = randomise(build_model(section(encoder, decoder))).eval()
    points = torch.rand(B, T, 3) - 0.5
    with torch.no_grad():
        codes = model.encode(observations(model.encoder))
        logits = model.decode(points, codes)
        assert logits.shape == (B, T) and torch.isfinite(logits).all()
        fold = getattr(model.decoder, "fold", None)
        one = code_of(codes, 1)
        again = fold(one)(points[1]) if fold else model.decode(points[1:2], as_batch(one))[0]
    torch.testing.assert_close(again, logits[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("latent", list(LATENT_ENCODERS))
@pytest.mark.parametrize(
    ("encoder", "decoder"), [("local_pointnet", "local"), ("point_set", "cross_attention")]
)
def test_latent_encoders(encoder: str, decoder: str, latent: str) -> None:
    small = {"latents": 2, "hidden_dim": 8, "heads": 2} if latent == "point_set" else {}
    more = {"encoder_latent": {"type": latent, **small}, "z_dim": 4}
    model = section(encoder, decoder, **more)
    if decoder == "cross_attention":
        model["decoder"]["latents"] = 2
    if (encoder, latent) == ("point_set", "point_set"):
        points, occupancies = torch.rand(B, T, 3) - 0.5, torch.ones(B, T)
        built = build_model(model)
        posterior = built.infer_z(points, occupancies, built.encode(observations(built.encoder)))
        assert posterior.mean.shape == (B, 4)
        return
    with torch.device("meta"), pytest.raises(ConfigError) as caught:
        build_model(model)
    assert f"model.encoder.type: {encoder!r}" in str(caught.value)
    assert f"model.encoder_latent.type: {latent!r}" in str(caught.value)
    remedy = "'point_set'" if encoder == "point_set" else "(none)"
    assert f"the latent encoder {remedy}".replace("'", "") in str(caught.value)
