"""What every registered encoder and decoder must do, and what the published ones compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS
from onet.nn.layers import ConditionalBatchNorm, ResnetBlock, embed_points

B, N, T, C = 3, 20, 17, 6

SMALL: dict[str, dict[str, Any]] = {
    "pointnet_resnet": {"hidden_dim": 8},
    "cbatchnorm": {"hidden_size": 8},
}
INPUTS = {"pointnet_resnet": (N, 3)}
Part = tuple[str, str]
PARTS = [("encoder", name) for name in ENCODERS] + [("decoder", name) for name in DECODERS]


def build(part: Part) -> nn.Module:
    kind, name = part
    torch.manual_seed(0)
    section = {"type": name, **SMALL[name]}
    if kind == "encoder":
        return ENCODERS.build(section, "model.encoder", c_dim=C)
    return DECODERS.build(section, "model.decoder", c_dim=C, z_dim=0)


def perturbed(module: nn.Module) -> nn.Module:
    """Without the zeros of initialisation, which hide whole branches."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            buffer.normal_()
    return module


def call(part: Part, module: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    kind, name = part
    if kind == "encoder":
        return module(torch.rand(B, *INPUTS[name], generator=generator) - 0.5)
    points = torch.rand(B, T, 3, generator=generator) - 0.5
    return module(points, None, torch.randn(B, C, generator=generator))


@pytest.mark.parametrize("part", PARTS, ids="-".join)
@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
def test_forward_and_backward(part: Part, bf16: bool) -> None:
    module = perturbed(build(part))
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        output = call(part, module)
    assert output.shape == (B, C if part[0] == "encoder" else T)
    assert torch.isfinite(output).all()
    output.float().square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    # Biases in front of a batch normalisation have no influence; all else has.
    still = [n for n, p in module.named_parameters() if not p.grad.abs().max() > 1e-12]
    assert all(name.endswith("bias") for name in still), still


@pytest.mark.parametrize("part", PARTS, ids="-".join)
def test_bf16_is_close_to_fp32(part: Part) -> None:
    module = perturbed(build(part)).eval()
    with torch.no_grad():
        exact = call(part, module)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = call(part, module).float()
    assert not torch.equal(exact, rounded)
    assert (exact - rounded).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("part", PARTS, ids="-".join)
def test_saved_and_reloaded_computes_the_same(part: Part, tmp_path: Path) -> None:
    module = perturbed(build(part)).eval()
    save_file(module.state_dict(), tmp_path / "part.safetensors")
    fresh = build(part).eval()
    with torch.no_grad():
        assert not torch.equal(call(part, fresh), call(part, module))
        fresh.load_state_dict(load_file(tmp_path / "part.safetensors"))
        assert torch.equal(call(part, fresh), call(part, module))


@pytest.mark.parametrize("part", PARTS, ids="-".join)
def test_items_do_not_influence_one_another_in_eval_mode(part: Part) -> None:
    module = perturbed(build(part)).eval()
    generator = torch.Generator().manual_seed(2)
    if part[0] == "encoder":
        arguments: tuple[Tensor | None, ...] = (torch.rand(B, *INPUTS[part[1]]),)
    else:
        points = torch.rand(B, T, 3, generator=generator)
        arguments = (points, None, torch.randn(B, C, generator=generator))
    with torch.no_grad():
        together = module(*arguments)
        for i in range(B):
            alone = module(*(None if a is None else a[i : i + 1] for a in arguments))
            torch.testing.assert_close(alone[0], together[i])


def test_pointnet_ignores_order_and_repetition_of_points() -> None:
    encoder = perturbed(build(("encoder", "pointnet_resnet")))
    points = torch.rand(B, N, 3)
    code = encoder(points)
    torch.testing.assert_close(encoder(points[:, torch.randperm(N)]), code)
    torch.testing.assert_close(encoder(torch.cat([points, points[:, :5]], 1)), code)
    assert not torch.allclose(encoder(points[:, : N // 2]), code)


def test_resnet_block_on_pooled_features_is_the_block_on_their_concatenation() -> None:
    block = perturbed(ResnetBlock(10, 4))
    x, pooled = torch.randn(B, N, 6), torch.randn(B, 1, 4)
    whole = torch.cat([x, pooled.expand(B, N, 4)], 2)
    published = F.linear(whole, block.shortcut.weight) + block.fc_1(
        F.relu(block.fc_0(F.relu(whole)))
    )
    torch.testing.assert_close(block(x, pooled), published)
    torch.testing.assert_close(block(whole), published)


def published_cbn(layer: ConditionalBatchNorm, x: Tensor, c: Tensor) -> Tensor:
    """On (B, F, T), written as published."""
    c = c.unsqueeze(2)
    gamma = F.conv1d(c, layer.conv_gamma.weight, layer.conv_gamma.bias)
    beta = F.conv1d(c, layer.conv_beta.weight, layer.conv_beta.bias)
    statistics = layer.bn.running_mean, layer.bn.running_var
    if layer.training:
        statistics = tuple(s.clone() for s in statistics)
    normalised = F.batch_norm(x, *statistics, training=layer.training, momentum=0.1, eps=1e-5)
    return gamma * normalised + beta


@pytest.mark.parametrize("training", [True, False])
def test_decoder_computes_what_the_published_one_does(training: bool) -> None:
    decoder = perturbed(build(("decoder", "cbatchnorm"))).train(training)
    points, c = torch.rand(B, T, 3) - 0.5, torch.randn(B, C)

    net = F.conv1d(points.transpose(1, 2), decoder.fc_p.weight, decoder.fc_p.bias)
    for i in range(5):
        block = getattr(decoder, f"block{i}")
        hidden = F.relu(published_cbn(block.bn_0, net, c))
        hidden = F.conv1d(hidden, block.fc_0.weight, block.fc_0.bias)
        hidden = F.relu(published_cbn(block.bn_1, hidden, c))
        net = net + F.conv1d(hidden, block.fc_1.weight, block.fc_1.bias)
    net = F.relu(published_cbn(decoder.bn, net, c))
    published = F.conv1d(net, decoder.fc_out.weight, decoder.fc_out.bias).squeeze(1)

    torch.testing.assert_close(decoder(points, None, c), published, rtol=1e-4, atol=1e-5)


def test_latent_code_is_added_to_the_embedded_points() -> None:
    decoder = DECODERS.build(
        {"type": "cbatchnorm", "hidden_size": 8}, "model.decoder", c_dim=C, z_dim=4
    )
    assert decoder.state_dict()["fc_z.weight"].shape == (8, 4)
    perturbed(decoder).eval()
    points, c, z = torch.rand(B, T, 3), torch.randn(B, C), torch.randn(B, 4)
    expected = decoder(points, z, c)
    with torch.no_grad():
        shift = decoder.fc_z(z[:1])[0]
        decoder.fc_p.bias.add_(shift - decoder.fc_z.bias)
    torch.testing.assert_close(decoder(points[:1], 0 * z[:1], c[:1]), expected[:1])


def test_initialisation_is_the_published_one() -> None:
    decoder, encoder = build(("decoder", "cbatchnorm")), build(("encoder", "pointnet_resnet"))
    for module in (*decoder.modules(), *encoder.modules()):
        if isinstance(module, ConditionalBatchNorm):
            assert not module.conv_gamma.weight.any()
            assert (module.conv_gamma.bias == 1).all()
            assert not module.conv_beta.weight.any()
            assert not module.conv_beta.bias.any()
        elif hasattr(module, "fc_1"):
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
