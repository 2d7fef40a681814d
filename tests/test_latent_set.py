"""Latent sets: attention, encoders, the decoder and what it is for a fixed set."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_weights import randomise
from torch import Tensor
from twins.attention import attention, farthest_points, layer_norm

from onet.errors import ConfigError
from onet.nn import farthest_points as farthest
from onet.nn import latent_set, memory
from onet.nn.attention import Attention, AttentionBlock, waves
from onet.nn.decoders import DECODERS
from onet.nn.decoders.folded_attention import CPU_TILE
from onet.nn.encoders import ENCODERS
from onet.nn.latent_encoders import LATENT_ENCODERS

C, M = 6, 5


def encoder(**options: Any) -> Any:
    torch.manual_seed(0)
    section = {"type": "point_set", "latents": M, "hidden_dim": 8, "heads": 2, "layers": 2}
    return randomise(ENCODERS.build({**section, **options}, "model.encoder", c_dim=C))


def latent_encoder(c_dim: int = 0, z_dim: int = 10, **options: Any) -> Any:
    torch.manual_seed(0)
    section = {"type": "point_set", "latents": M, "hidden_dim": 8, "heads": 2, **options}
    return randomise(LATENT_ENCODERS.build(section, "model.latent", c_dim=c_dim, z_dim=z_dim))


def decoder(c_dim: int = C, z_dim: int = 0, **options: Any) -> Any:
    torch.manual_seed(0)
    section = {"type": "cross_attention", "hidden_size": 16, "heads": 4, "layers": 1, "blocks": 2}
    section |= {"latents": M} if z_dim else {}
    return randomise(DECODERS.build({**section, **options}, "d", c_dim=c_dim, z_dim=z_dim)).eval()


def cloud(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, 3, generator=torch.Generator().manual_seed(seed)) - 0.5


# -- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_attention_is_a_weighted_mean_of_values(heads: int) -> None:
    module = randomise(Attention(8, heads)).double()
    x, tokens = torch.randn(2, 7, 8).double(), torch.randn(2, 4, 8).double()
    q, k, v = (f.weight.detach().numpy() for f in (module.fc_q, module.fc_k, module.fc_v))
    for item, result in enumerate(module(x, tokens)):
        a, b = x[item].numpy(), tokens[item].numpy()
        taken = torch.from_numpy(attention(a @ q.T, b @ k.T, b @ v.T, heads))
        torch.testing.assert_close(result, module.fc_out(taken))


def test_a_block_has_its_norms_in_front() -> None:
    block = randomise(AttentionBlock(8, 2, cross=True)).double()
    x, tokens = torch.randn(1, 7, 8).double(), torch.randn(1, 4, 8).double()
    # What the first half leaves is seen where the second one adds nothing.
    torch.nn.init.zeros_(block.feed_forward.fc_1.weight)
    torch.nn.init.zeros_(block.feed_forward.fc_1.bias)
    a, b = (
        torch.from_numpy(
            layer_norm(s[0].numpy(), n.weight.detach().numpy(), n.bias.detach().numpy())
        )
        for s, n in ((x, block.norm_0), (tokens, block.norm_tokens))
    )
    torch.testing.assert_close(block(x, tokens), x + block.attention(a[None], b[None]))


def test_waves_are_whole_on_the_unit_cube() -> None:
    points = cloud(50)
    values = waves(points)
    assert values.shape == (50, 51)
    torch.testing.assert_close(waves(points + 1)[:, 3:], values[:, 3:], atol=5e-4, rtol=0)
    shortest = waves(points + torch.tensor([1 / 256, 0, 0]))  # half of the shortest wave
    changed = [i for i in range(51) if torch.allclose(shortest[:, i], -values[:, i], atol=5e-4)]
    assert changed == [3 + 7, 27 + 7]


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 12), count=st.integers(1, 15), seed=st.integers(0, 999))
def test_farthest_points(n: int, count: int, seed: int) -> None:
    points = cloud(2, n, seed=seed)
    chosen = farthest.farthest_points(points, count)
    assert chosen.shape == (2, count)
    for item in range(2):
        expected = farthest_points(points[item].numpy().astype(np.float64), min(n, count))
        assert chosen[item, :n].tolist() == expected
    order = torch.randperm(n)
    moved = farthest.farthest_points(points[:, order], count)
    distinct = min(n, count)
    assert torch.equal(order[moved][:, :distinct], chosen[:, :distinct])


# -- encoders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("queries", ["learned", "farthest"])
def test_the_order_of_points_plays_no_part(queries: str) -> None:
    module, points = encoder(queries=queries), cloud(2, 30)
    code, order = module(points), torch.randperm(30)
    assert code.shape == (2, M, C)
    torch.testing.assert_close(module(points[:, order]), code)
    assert not torch.allclose(module(points[:, :29]), code, atol=1e-3)
    assert (code[:, 0] - code[:, 1]).abs().max() > 0.01  # latents differ
    latent = latent_encoder(queries=queries)
    inside = (torch.rand(2, 30) > 0.5).float()
    mean, logstd = latent(points, inside, torch.empty(2, 0))
    assert mean.shape == logstd.shape == (2, 10)
    torch.testing.assert_close(latent(points[:, order], inside[:, order], None)[0], mean)
    assert not torch.allclose(latent(points, 1 - inside, None)[0], mean, atol=1e-3)


@pytest.mark.parametrize("queries", ["learned", "farthest"])
def test_a_cloud_of_one_point(queries: str) -> None:
    code = encoder(queries=queries)(cloud(1, 1))
    assert code.shape == (1, M, C) and torch.isfinite(code).all()


@pytest.mark.parametrize("c", [torch.randn(2, C), torch.randn(2, 3, C)], ids=["global", "set"])
def test_the_posterior_knows_the_observation(c: Tensor) -> None:
    module, points, inside = latent_encoder(c_dim=C), cloud(2, 30), torch.ones(2, 30)
    mean, _ = module(points, inside, c)
    assert mean.shape == (2, 10)
    assert not torch.allclose(module(points, inside, c + 1)[0], mean, atol=1e-3)
    with pytest.raises(ConfigError, match=r"local features \(xz\).*'point_set'"):
        module(points, inside, {"xz": torch.zeros(2, C, 4, 4)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latents": 0}, r"model\.encoder\.latents: 0; give at least 1"),
        ({"layers": -1}, r"model\.encoder\.layers: -1"),
        ({"heads": 3}, "3 attention heads cannot share 8 features"),
        ({"queries": "random"}, r"model\.encoder\.queries"),
        (
            {"latents": 2 * 10**9},
            r"latents: 2,000,000,000 learned queries of 8.*at most [\d,]+ fit",
        ),
    ],
)
def test_sizes_of_encoders(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encoder(**options)


def test_more_points_than_memory_are_refused_with_the_number_that_fits() -> None:
    module = encoder(memory_gib=0.001)

    def fitting(items: int) -> int:
        with pytest.raises(ConfigError, match=r"model\.encoder: attention of 5 latents") as caught:
            module(torch.empty(items, 10_000_000, 3))
        return int(str(caught.value).split("at most ")[1].split()[0].replace(",", ""))

    with torch.no_grad():
        most = fitting(1)
        with pytest.raises(ConfigError, match=f"{most + 1:,} points needs"):
            module(cloud(1, most + 1))
        assert module(cloud(1, most)).shape == (1, M, C)
        assert fitting(4) == pytest.approx(most / 4, rel=0.05)
    assert fitting(1) < most  # layers keep their activations for the gradient


def test_more_latents_than_memory_are_refused_with_the_number_that_fits() -> None:
    with pytest.raises(ConfigError, match=r"at most [\d,]+ latents fit"):
        encoder(latents=10_000, queries="farthest", memory_gib=0.001)(cloud(1, 10))


def test_what_ran_once_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An allocator may keep what the first time took, which then is not free."""
    module, points = encoder(), cloud(1, 1000)
    expected = module(points)
    monkeypatch.setattr(latent_set, "free_memory", lambda *_: 1000.0)
    assert torch.equal(module(points), expected)
    with pytest.raises(ConfigError, match="attention of 5 latents to 2,000 points"):
        module(cloud(1, 2000))


def test_free_memory_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cpu")
    assert 1e8 < memory.free_memory(device, None) < 1e15
    assert memory.free_memory(device, 0.5) == 2**29
    monkeypatch.setattr(memory.Path, "is_file", lambda _: False)  # as on macOS
    assert 1e8 < memory.free_memory(device, None) < 1e15


# -- decoder --------------------------------------------------------------------------------------


def code(*shape: int) -> Tensor:
    """The same whichever tests are imported before."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


KINDS: dict[str, tuple[Any, Tensor, Tensor | None]] = {
    "set": (decoder(), code(M, C), None),
    "one head": (decoder(heads=1, blocks=1, layers=0), code(M, C), None),
    "global": (decoder(), code(C), None),
    "latent": (decoder(0, 10), torch.empty(0), code(10)),
    "both": (decoder(C, 10), code(3, C), code(10)),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[Any, Tensor, Tensor | None]:
    return KINDS[request.param]


def logits_of(module: Any, points: Tensor, c: Tensor, z: Tensor | None) -> Tensor:
    logits: Tensor = module(points[None], None if z is None else z[None], c[None])[0]
    return logits


def test_the_order_of_latents_plays_no_part() -> None:
    points, order = cloud(40), torch.randperm(M)
    module, c, _ = KINDS["set"]
    expected = logits_of(module, points, c, None)
    torch.testing.assert_close(logits_of(module, points, c[order], None), expected)
    assert not torch.allclose(logits_of(module, points, c[1:], None), expected, atol=1e-3)
    module, c, z = KINDS["latent"]
    assert z is not None
    expected = logits_of(module, points, c, z)
    moved = z.unflatten(0, (M, -1))[order].flatten()
    torch.testing.assert_close(logits_of(module, points, c, moved), expected)
    assert not torch.allclose(logits_of(module, points, c, z.flip(0)), expected, atol=1e-3)


def test_every_code_has_a_say() -> None:
    module, c, z = KINDS["both"]
    assert z is not None
    points = cloud(40)
    expected = logits_of(module, points, c, z)
    for other in (logits_of(module, points, 2 * c, z), logits_of(module, points, c, 2 * z)):
        assert (other - expected).abs().max() > 0.01


@pytest.mark.parametrize("count", [0, 1, CPU_TILE + 1])
def test_folded_logits_are_those_of_the_module(
    kind: tuple[Any, Tensor, Tensor | None], count: int
) -> None:
    module, c, z = kind
    points = cloud(count, seed=count)
    with torch.no_grad():
        expected = logits_of(module, points, c, z)
    torch.testing.assert_close(module.fold(c, z)(points), expected, atol=1e-5, rtol=1e-5)
    narrow = module.fold(c, z, torch.bfloat16)(points)
    assert narrow.dtype == torch.float32 and narrow.shape == (count,)
    if count > 1:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            allowed = logits_of(module, points, c, z) - expected
        # Of the size of autocast's; which of the two is nearer depends on the processor.
        assert 0 < (narrow - expected).square().mean() < 2 * allowed.square().mean()


def test_gradients_are_those_of_finite_differences(kind: tuple[Any, Tensor, Tensor | None]) -> None:
    """Of the module in double precision: the shortest waves need small steps."""
    module, c, z = kind
    points, step = cloud(CPU_TILE + 3), 1e-6
    field = module.fold(c, z)
    logits, gradients = field.value_and_gradient(points)
    assert torch.equal(logits, field(points))
    assert not logits.requires_grad and not gradients.requires_grad
    exact = copy.deepcopy(module).double()
    few = points[:: CPU_TILE // 8].double()
    wide = (c.double(), None if z is None else z.double())
    for axis in range(3):
        shift = torch.zeros(3).double()
        shift[axis] = step
        with torch.no_grad():
            both = [logits_of(exact, few + sign * shift, *wide) for sign in (1, -1)]
        torch.testing.assert_close(
            gradients[:: CPU_TILE // 8, axis].double(),
            (both[0] - both[1]) / (2 * step),
            rtol=1e-3,
            atol=1e-3 * float(gradients.abs().max()),
        )
    narrow = module.fold(c, z, torch.bfloat16).value_and_gradient(points)[1]
    error = (narrow - gradients).norm(dim=1) / gradients.norm(dim=1)
    assert 0 < error.median() < 0.05


def test_a_folded_decoder_is_a_copy() -> None:
    module, c, points = decoder(), torch.randn(M, C), cloud(20)
    field = module.fold(c)
    expected = field.value_and_gradient(points)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert torch.equal(field(points), expected[0])
    assert torch.equal(field.value_and_gradient(points)[1], expected[1])
    assert all(result.numel() == 0 for result in field.value_and_gradient(cloud(0)))


def test_threads_change_nothing() -> None:
    module, points = decoder(), cloud(5 * CPU_TILE + 3)
    field = module.fold(torch.randn(M, C))
    expected, before = field.value_and_gradient(points), torch.get_num_threads()
    try:
        torch.set_num_threads(2 if before == 1 else 1)
        results = field.value_and_gradient(points)
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, results, expected))


@pytest.mark.parametrize(
    ("c_dim", "z_dim", "options", "message"),
    [
        (0, 0, {}, "model.c_dim: cross attention needs something"),
        (C, 0, {"heads": 3}, "3 attention heads"),
        (C, 0, {"blocks": 0}, r"model\.decoder\.blocks: 0"),
        (C, 0, {"expansion": 0}, r"model\.decoder\.expansion: 0"),
        (0, 10, {"latents": None}, r"decoder\.latents: None; model\.z_dim = 10"),
        (0, 10, {"latents": 4}, r"decoder\.latents: 4; model\.z_dim = 10.*give a divisor"),
    ],
)
def test_sizes_of_the_decoder(
    c_dim: int, z_dim: int, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        decoder(c_dim, z_dim, **options)


def test_codes_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"encoder_latent\.latents: 5; model\.z_dim = 9"):
        latent_encoder(z_dim=9)
    with pytest.raises(ValueError, match="latents of 2 numbers each"):
        decoder(0, 10).fold(torch.empty(0))
    with pytest.raises(ConfigError, match=r"local features \(grid\)"):
        decoder().fold({"grid": torch.zeros(C, 4, 4, 4)})
    with pytest.raises(ValueError, match="float16"):
        decoder().fold(torch.randn(M, C), dtype=torch.float16)
