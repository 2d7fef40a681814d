"""What every registered encoder and decoder must do, and what the published ones compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
from random_weights import randomise
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from onet.errors import CheckpointError, ConfigError, DataError
from onet.nn.code import Code, ObservationKind, as_batch, code_of, kind_made, kinds_taken
from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS
from onet.nn.encoders.resnet import Resnet18Encoder
from onet.nn.layers import (
    BatchNormResnetBlock,
    ConditionalBatchNorm,
    ConditionalResnetBlock,
    ResnetBlock,
    embed_points,
)
from onet.nn.projection import published_projection
from onet.registry import Registry

B, N, T, C = 3, 20, 17, 6
M = 5  # latents of a set

LEAST: dict[str, Any] = {  # of every option of this name, whatever part has it
    "count": B,
    "hidden_dim": 8,
    "hidden_size": 8,
    "resolution": 16,
    "map_resolution": 8,
    "plane_resolution": 8,
    "grid_resolution": 8,
    "unet_depth": 2,
    "unet_width": 4,
    "latents": M,
    "tokens": 4,
    "heads": 2,
    "layers": 1,
    "blocks": 2,
}
SIZES = {  # of the codes of some encoders, flattened, where it is not C
    "point_set": M * C,
    "local_pointnet": C * (3 * 8**2 + 8**3),
    "local_voxels": C * (3 * 8**2 + 8**3),
    "resnet18_planes": C * 3 * 8**2,
    "colored_pointnet": C * (3 * 8**2 + 8**3) + 6 * N,
    "resnet18_pixel": C * 8**2 + C + 2 * 12 + 3 * 48 * 40,
}
BLOCKS = (ResnetBlock, BatchNormResnetBlock, ConditionalResnetBlock)
Part = tuple[str, str]
SIMILAR = {"resnet34", "resnet101"}  # to their brothers; large, so left to test_published
PARTS = [("encoder", name) for name in ENCODERS if name not in SIMILAR] + [
    ("decoder", name) for name in DECODERS
]
PARAMETERS = [  # the large brother of resnet18 takes longer than all others
    pytest.param(part, marks=[pytest.mark.slow] if part[1] == "resnet50" else [], id="-".join(part))
    for part in PARTS
]


def small(registry: Registry, name: str) -> dict[str, Any]:
    """Return the section of a small part."""
    return {"type": name} | {k: LEAST[k] for k in registry.options(name).model_fields if k in LEAST}


def build(part: Part) -> nn.Module:
    kind, name = part
    torch.manual_seed(0)
    if kind == "encoder":
        return ENCODERS.build(small(ENCODERS, name), "model.encoder", c_dim=C)
    return DECODERS.build(small(DECODERS, name), "model.decoder", c_dim=C, z_dim=0)


def observations(encoder: Any) -> Tensor:
    """Return a batch of what an encoder observes."""
    kind: ObservationKind = encoder.observes
    if kind == "index":
        return torch.tensor([2, 0, 1])
    grid = (LEAST["resolution"],) * 3
    shape = {"points": (N, 3), "colored_points": (N, 6), "image": (3, 48, 40), "voxels": grid}[kind]
    return torch.rand(B, *shape, generator=torch.Generator().manual_seed(1)) - 0.5


def codes(decoder: Any, generator: torch.Generator) -> Code:
    """Return a batch of codes of a kind that a decoder takes, a set rather than a global one."""
    taken = kinds_taken(decoder)
    if "maps" in taken:
        maps = {"xz": (4, 4), "yz": (6, 6), "grid": (5, 5, 5)}
        return {key: torch.randn(B, C, *size, generator=generator) for key, size in maps.items()}
    if "picture" in taken:
        numbers = torch.rand(3, B, 2, generator=generator) + 0.1
        camera = published_projection(numbers[0], numbers[1, :, 0], 1 + numbers[2, :, 0])
        code = {"image": torch.randn(B, C, 5, 5, generator=generator), "camera": camera}
        return code | {"global": torch.randn(B, C, generator=generator)}
    return torch.randn((B, M, C) if "set" in taken else (B, C), generator=generator)


def call(part: Part, module: nn.Module) -> Tensor:
    """Logits (B, T) of a decoder; all numbers of an encoder's code, (B, ...)."""
    generator = torch.Generator().manual_seed(1)
    if part[0] == "encoder":
        code = module(observations(module))
        if isinstance(code, dict):
            code = torch.cat([features.flatten(1) for features in code.values()], 1)
        return code.flatten(1)
    points = torch.rand(B, T, 3, generator=generator) - 0.5
    return module(points, None, codes(module, generator))


@pytest.mark.parametrize("name", list(ENCODERS))
def test_every_encoder_says_what_it_observes(name: str) -> None:
    assert ENCODERS[name].observes in get_args(ObservationKind)


@pytest.mark.parametrize("part", PARAMETERS)
@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
def test_forward_and_backward(part: Part, bf16: bool) -> None:
    module = randomise(build(part))
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        output = call(part, module)
    if part[0] == "decoder":
        assert output.shape == (B, T)
    elif part[1] in SIZES or kind_made(module) == "global":
        assert output.shape == (B, SIZES.get(part[1], C))
    else:
        assert len(output) == B and output.numel() > 0
    assert torch.isfinite(output).all()
    output.float().square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    # Biases in front of a batch normalisation have no influence; all else has.
    still = [n for n, p in module.named_parameters() if not p.grad.abs().max() > 1e-12]
    assert all(name.endswith("bias") for name in still), still


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS, ids="-".join)
def test_bf16_is_close_to_fp32(part: Part) -> None:
    module = randomise(build(part)).eval()
    with torch.no_grad():
        exact = call(part, module)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = call(part, module).float()
    assert part[1] == "idx" or not torch.equal(exact, rounded)
    assert (exact - rounded).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("part", PARAMETERS)
def test_saved_and_reloaded_computes_the_same(part: Part, tmp_path: Path) -> None:
    module = randomise(build(part)).eval()
    save_file(module.state_dict(), tmp_path / "part.safetensors")
    fresh = build(part).eval()
    with torch.no_grad():
        assert not torch.equal(call(part, fresh), call(part, module))
        fresh.load_state_dict(load_file(tmp_path / "part.safetensors"))
        assert torch.equal(call(part, fresh), call(part, module))


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS, ids="-".join)
def test_items_do_not_influence_one_another_in_eval_mode(part: Part) -> None:
    module = randomise(build(part)).eval()
    generator = torch.Generator().manual_seed(2)
    if part[0] == "encoder":
        arguments: tuple[Any, ...] = (observations(module),)
    else:
        points = torch.rand(B, T, 3, generator=generator)
        arguments = (points, None, codes(module, generator))
    with torch.no_grad():
        together = module(*arguments)
        for i in range(B):
            one = [None if a is None else as_batch(code_of(a, i)) for a in arguments]
            # Sums may be taken in another order in a batch of another size.
            tolerance = {"rtol": 1e-4, "atol": 1e-5}
            torch.testing.assert_close(code_of(module(*one), 0), code_of(together, i), **tolerance)


def test_pointnet_ignores_order_and_repetition_of_points() -> None:
    encoder = randomise(build(("encoder", "pointnet_resnet")))
    points = torch.rand(B, N, 3)
    code = encoder(points)
    torch.testing.assert_close(encoder(points[:, torch.randperm(N)]), code)
    torch.testing.assert_close(encoder(torch.cat([points, points[:, :5]], 1)), code)
    assert not torch.allclose(encoder(points[:, : N // 2]), code)


def test_resnet_block_on_pooled_features_is_the_block_on_their_concatenation() -> None:
    block = randomise(ResnetBlock(10, 4))
    x, pooled = torch.randn(B, N, 6), torch.randn(B, 1, 4)
    whole = torch.cat([x, pooled.expand(B, N, 4)], 2)
    published = F.linear(whole, block.shortcut.weight) + block.fc_1(
        F.relu(block.fc_0(F.relu(whole)))
    )
    torch.testing.assert_close(block(x, pooled), published)
    torch.testing.assert_close(block(whole), published)


def test_latent_code_is_added_to_the_embedded_points() -> None:
    decoder = DECODERS.build(
        {"type": "cbatchnorm", "hidden_size": 8}, "model.decoder", c_dim=C, z_dim=4
    )
    assert decoder.state_dict()["fc_z.weight"].shape == (8, 4)
    randomise(decoder).eval()
    points, c, z = torch.rand(B, T, 3), torch.randn(B, C), torch.randn(B, 4)
    expected = decoder(points, z, c)
    with torch.no_grad():
        shift = decoder.fc_z(z[:1])[0]
        decoder.fc_p.bias.add_(shift - decoder.fc_z.bias)
    torch.testing.assert_close(decoder(points[:1], 0 * z[:1], c[:1]), expected[:1])


def test_initialisation_is_the_published_one() -> None:
    for module in (m for part in PARTS for m in build(part).modules()):
        if isinstance(module, ConditionalBatchNorm):
            assert not module.conv_gamma.weight.any()
            assert (module.conv_gamma.bias == 1).all()
            assert not module.conv_beta.weight.any()
            assert not module.conv_beta.bias.any()
        elif hasattr(module, "fc_1") and isinstance(module, BLOCKS):
            assert not module.fc_1.weight.any()
            assert module.fc_1.bias.any()
            assert module.fc_0.weight.any()


def test_coordinates_are_not_rounded_to_bf16() -> None:
    layer = nn.Linear(3, 1, bias=False)
    nn.init.constant_(layer.weight, 1e3)
    points = torch.tensor([[[0.5, -0.5, 1e-3]]])  # 0.501 - 0.5 would round to 0 or 0.002
    with torch.autocast("cpu", torch.bfloat16):
        embedded = embed_points(layer, points)
    assert embedded.dtype == torch.bfloat16
    torch.testing.assert_close(embedded.float(), torch.ones(1, 1, 1), rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("resnet18", 11_176_512), ("resnet34", 21_284_672), ("resnet50", 23_508_032),
     ("resnet101", 42_500_160)],
)  # fmt: skip
def test_resnets_have_the_sizes_of_torchvision(name: str, parameters: int) -> None:
    """Its counts less those of the last layer, 1,000 classes."""
    with torch.device("meta"):
        encoder = ENCODERS.build({"type": name}, "encoder", c_dim=C)
    assert sum(p.numel() for p in encoder.features.parameters()) == parameters


def test_images_are_normalised_inside() -> None:
    encoder = build(("encoder", "resnet18")).eval()
    assert not [key for key in encoder.state_dict() if "mean" in key.split(".")]
    grey = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    seen = []
    encoder.features.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(grey)
    encoder(grey + torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
    torch.testing.assert_close(seen[0], torch.zeros_like(seen[0]))
    torch.testing.assert_close(seen[1], torch.ones_like(seen[1]))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_pretrained_trunk_from_a_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    trunk = randomise(Resnet18Encoder(C)).features.state_dict()
    trunk |= {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    old = {k: v for k, v in trunk.items() if not k.endswith("batches_tracked")}
    for state in (trunk, old):
        if suffix == ".pth":
            torch.save(state, path)
        else:
            save_file(state, path)
        encoder = ENCODERS.build({"type": "resnet18", "pretrained": str(path)}, "e", c_dim=C)
        before = {key: value.clone() for key, value in encoder.state_dict().items()}
        encoder.load_pretrained()
        for key, value in encoder.state_dict().items():
            expected = trunk.get(key.removeprefix("features."), before[key])
            assert torch.equal(value, before[key] if key.startswith("fc.") else expected), key


def test_pretrained_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"

    def load(name: str = "resnet18") -> None:
        section = {"type": name, "pretrained": str(path)}
        ENCODERS.build(section, "model.encoder", c_dim=C).load_pretrained()

    with pytest.raises(ConfigError, match=r"pretrained: .*w\.pth: no such file.*'imagenet'"):
        load()
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="not a readable file"):
        load()
    torch.save({"a": 1}, path)
    with pytest.raises(CheckpointError, match="not a dictionary of tensors"):
        load()
    torch.save(Resnet18Encoder(C).features.state_dict(), path)
    load()
    with pytest.raises(CheckpointError, match=r"keys missing.*resnet34-b627a593\.pth"):
        load("resnet34")


def test_imagenet_weights_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def offline(url: str, **_: Any) -> None:
        asked.append(url)
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    encoder = Resnet18Encoder(C, pretrained="imagenet")
    assert not asked  # nothing happens before training starts
    with pytest.raises(ConfigError, match=r"copy resnet18-f37072fd\.pth there.*pretrained=null"):
        encoder.load_pretrained()
    assert asked == ["https://download.pytorch.org/models/resnet18-f37072fd.pth"]


@pytest.mark.parametrize(("resolution", "features"), [(16, 256), (32, 512), (64, 512), (128, 512)])
def test_voxel_grids_end_at_two_cells(resolution: int, features: int) -> None:
    encoder = ENCODERS.build({"type": "voxel_simple", "resolution": resolution}, "e", c_dim=C)
    assert encoder.fc.weight.shape == (C, 8 * features)
    if resolution < 128:
        assert encoder(torch.zeros(1, *(resolution,) * 3)).shape == (1, C)
    with pytest.raises(DataError, match=r"shape \(8, 8, 8\).*made for"):
        encoder(torch.zeros(1, 8, 8, 8))


@pytest.mark.parametrize("resolution", [0, 1, 8, 24, 33])
def test_other_voxel_resolutions_are_refused(resolution: int) -> None:
    with pytest.raises(ConfigError, match=rf"resolution: {resolution}; give a power of two"):
        ENCODERS.build({"type": "voxel_simple", "resolution": resolution}, "e", c_dim=C)


def test_shapes_without_a_code_are_refused() -> None:
    encoder = build(("encoder", "idx"))
    assert encoder.state_dict().keys() == {"weight"}
    for index in (-1, B):
        with pytest.raises(DataError, match=rf"shape {index} has no code, there are {B}"):
            encoder(torch.tensor([0, index]))
    for count in (None, 0):
        with pytest.raises(ConfigError, match=r"model\.encoder\.count"):
            ENCODERS.build({"type": "idx", "count": count}, "e", c_dim=C)


@pytest.mark.parametrize("name", ["simple", "batchnorm"])
def test_additive_decoders_do_without_codes(name: str) -> None:
    decoder = DECODERS.build({"type": name, "hidden_size": 8}, "d", c_dim=0, z_dim=0)
    assert decoder(torch.rand(B, T, 3), None, torch.empty(B, 0)).shape == (B, T)


@pytest.mark.parametrize("name", [n for n in DECODERS if n.startswith("cb")])
def test_conditional_decoders_need_a_code(name: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.c_dim.*decoder 'simple' or 'batchnorm'"):
        DECODERS.build({"type": name}, "d", c_dim=0, z_dim=4)


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_number_of_blocks(blocks: int) -> None:
    section = {"type": "cbatchnorm2", "n_blocks": blocks, "hidden_size": 8}
    decoder = DECODERS.build(section, "d", c_dim=C, z_dim=0)
    assert len(decoder.blocks) == blocks
    assert decoder(torch.rand(B, T, 3), None, torch.rand(B, C)).shape == (B, T)
    with pytest.raises(ConfigError, match="n_blocks: -1"):
        DECODERS.build({"type": "cbatchnorm2", "n_blocks": -1}, "d", c_dim=C, z_dim=0)
