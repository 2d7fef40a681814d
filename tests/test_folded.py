from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
import torch

from onet import _C
from onet.geometry.cameras import published_camera
from onet.nn.code import as_batch
from onet.nn.decoders import DECODERS, constant_linear, folded
from onet.nn.decoders.folded import CPU_TILE, NARROW_TILE
from onet.nn.decoders.residual import ResidualDecoder

FOLDING = [name for name in DECODERS if issubclass(DECODERS[name], ResidualDecoder)]
COUNTS = (
    0,
    1,
    CPU_TILE - 1,
    CPU_TILE,
    CPU_TILE + 1,
    2 * NARROW_TILE + 1,
)


def random_decoder(name="cbatchnorm", hidden=32, z_dim=0, c_dim=16, seed=0, **options):
    """A decoder in which every parameter and every running statistic is random."""
    torch.manual_seed(seed)
    section = {"type": name, "hidden_size": hidden, **options}
    decoder = DECODERS.build(section, "decoder", c_dim=c_dim, z_dim=z_dim)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5 / max(1, parameter[0].numel()) ** 0.5)
    for module in decoder.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 5.0)
    return decoder


def random_code(name="cbatchnorm", size=1.0):
    if name == "pixel_aligned":
        camera = published_camera(200.0, 30.0, 0.9, size=1).projection
        code = {"camera": torch.from_numpy(camera).float(), "global": torch.randn(16) * size}
        return code | {"image": torch.randn(16, 7, 7) * size}
    if name != "local":
        return torch.randn(16) * size
    maps = {"xz": (8, 8), "xy": (12, 12), "grid": (5, 5, 5)}
    return {key: torch.randn(16, *shape) * size for key, shape in maps.items()}


def queries(count, seed=0):
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) * 1.1 - 0.55


@torch.no_grad()
def eager(decoder, points, c, z=None):
    z = None if z is None else z[None]
    return decoder.eval()(points[None], z, as_batch(c))[0]


def autograd(decoder, points, c, z=None):
    points = points.clone().requires_grad_()
    z = None if z is None else z[None]
    logits = decoder.eval()(points[None], z, as_batch(c))[0]
    return torch.autograd.grad(logits.sum(), points)[0]


def threads(count):
    """Allows torch so many threads for the length of a `with` block."""

    class Threads:
        def __enter__(self):
            self.before = torch.get_num_threads()
            torch.set_num_threads(count)

        def __exit__(self, *_):
            torch.set_num_threads(self.before)

    return Threads()


@pytest.mark.parametrize("name", FOLDING)
@pytest.mark.parametrize(
    ("hidden", "z_dim"),
    [(20, 0), (32, 8)]
    + [
        pytest.param(hidden, z_dim, marks=pytest.mark.slow)
        for hidden, z_dim in [(20, 8), (32, 0), *product([64, 128, 256], [0, 8])]
    ],
)
def test_logits_equal_the_module(name, hidden, z_dim):
    decoder = random_decoder(name, hidden, z_dim, seed=hidden)
    for seed in range(2):
        c = random_code(name, 1 + seed)
        z = torch.randn(z_dim) if z_dim else None
        field, narrow = decoder.fold(c, z), decoder.fold(c, z, torch.bfloat16)
        for count in COUNTS:
            points = queries(count, seed)
            expected = eager(decoder, points, c, z)
            logits = field(points)
            assert logits.shape == (count,)
            torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-5)
            logits = narrow(points)
            assert logits.shape == (count,) and logits.dtype == torch.float32
            if count > 1:  # at most the error of training's arithmetic, in which less is float32
                with torch.autocast("cpu", torch.bfloat16):
                    allowed = eager(decoder, points, c, z) - expected
                assert 0 < (logits - expected).square().mean() < allowed.square().mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDING)
@pytest.mark.parametrize(("hidden", "z_dim"), [(20, 0), (64, 8), (256, 0)])
@pytest.mark.parametrize("count", [0, 1, CPU_TILE + 1, 3000])
def test_gradients_equal_autograd(name, hidden, z_dim, count):
    """But for points so close to a kink that rounding decides on its side."""
    decoder = random_decoder(name, hidden, z_dim, seed=count)
    c, z = random_code(name), torch.randn(z_dim) if z_dim else None
    points = queries(count)
    exact = autograd(decoder, points, c, z)
    rounded = 0.8 if name == "simple" else 0.3  # no norm keeps its features apart from kinks
    for dtype, typical, most in [(torch.float32, 2e-6, 1e-5), (torch.bfloat16, 0.03, rounded)]:
        field = decoder.fold(c, z, dtype)
        logits, gradients = field.value_and_gradient(points)
        assert torch.equal(logits, field(points))
        assert gradients.shape == (count, 3) and gradients.dtype == torch.float32
        if count:
            error = (gradients - exact).norm(dim=1) / exact.norm(dim=1)
            assert error.median() < typical and error.quantile(0.98) < most


@pytest.mark.parametrize("name", FOLDING)
def test_leaky_rectifiers(name):
    decoder = random_decoder(name, 64, leaky=True)
    plain = random_decoder(name, 64)
    c, points = random_code(name), queries(3000)
    logits, gradients = decoder.fold(c).value_and_gradient(points)
    torch.testing.assert_close(logits, eager(decoder, points, c), atol=1e-4, rtol=1e-5)
    assert not torch.allclose(logits, eager(plain, points, c), atol=1e-2)
    exact = autograd(decoder, points, c)
    error = (gradients - exact).norm(dim=1) / exact.norm(dim=1)
    assert error.median() < 2e-6 and error.quantile(0.98) < 1e-5


@pytest.mark.parametrize("blocks", [0, 1, 7])
def test_number_of_blocks(blocks):
    decoder = random_decoder("cbatchnorm2", n_blocks=blocks)
    c, points = torch.randn(16), queries(300)
    logits, gradients = decoder.fold(c).value_and_gradient(points)
    torch.testing.assert_close(logits, eager(decoder, points, c), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(gradients, autograd(decoder, points, c), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", FOLDING)
def test_a_latent_code_is_not_forgotten(name):
    with pytest.raises(ValueError, match="needs a latent code of 8 numbers"):
        random_decoder(name, z_dim=8).fold(random_code(name))


def test_a_part_of_the_points_gives_a_part_of_the_logits():
    decoder = random_decoder(hidden=64)
    field = decoder.fold(torch.randn(16))
    points = queries(3000)
    logits, gradients = field.value_and_gradient(points)
    strided = points.repeat_interleave(2, 0)[::2]
    transposed = points.T.contiguous().T
    assert not strided.is_contiguous() and not transposed.is_contiguous()
    for view in (strided, transposed):
        assert torch.equal(field(view), logits)
        assert torch.equal(field.value_and_gradient(view)[1], gradients)
    torch.testing.assert_close(field(points[1500:1700]), logits[1500:1700])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "hidden"), [("cbatchnorm", 64), ("cbatchnorm", 256), ("local", 32)]
)
def test_the_number_of_threads_changes_nothing(name, hidden, dtype):
    """Not even in the last bit, though it changes the tiles."""
    decoder = random_decoder(name, hidden)
    field = decoder.fold(random_code(name), dtype=dtype)
    for count in (1, 700, 5 * CPU_TILE + 3):
        points = queries(count)
        results = []
        for number in (1, 2, 3):
            with threads(number):
                results.append((field(points), *field.value_and_gradient(points)))
                assert torch.get_num_threads() == number
        for result in results[1:]:
            assert all(map(torch.equal, result, results[0]))


def test_several_threads_may_call_at_once():
    decoder = random_decoder(hidden=64)
    fields = [decoder.fold(torch.randn(16)) for _ in range(2)]
    points = [queries(2000, seed) for seed in range(8)]
    with threads(2):
        expected = [[field(p) for p in points] for field in fields]
        with ThreadPoolExecutor(4) as pool:
            for field, alone in zip(fields, expected, strict=True):
                assert all(map(torch.equal, pool.map(field, points * 3), alone * 3))


def test_without_onednn_and_without_the_compiled_step(monkeypatch):
    """What a GPU computes, on the CPU."""
    decoder = random_decoder(hidden=32)
    c, points = torch.randn(16), queries(2000)
    expected = decoder.fold(c).value_and_gradient(points)
    narrow = decoder.fold(c, dtype=torch.bfloat16)(points)
    monkeypatch.setattr(constant_linear, "_has_onednn", lambda weight: False)
    monkeypatch.setattr(folded, "_residual_relu", folded._residual_relu_torch)
    monkeypatch.setattr(folded, "_residual_back", folded._residual_back_torch)
    plain = decoder.fold(c).value_and_gradient(points)
    torch.testing.assert_close(plain[0], expected[0], atol=1e-4, rtol=1e-5)
    error = (plain[1] - expected[1]).norm(dim=1) / expected[1].norm(dim=1)
    assert error.quantile(0.98) < 1e-5
    torch.testing.assert_close(
        decoder.fold(c, dtype=torch.bfloat16)(points), narrow, atol=0.05, rtol=0.02
    )


def test_it_is_a_copy_in_evaluation_mode_without_gradients():
    decoder = random_decoder().train()
    c, points = torch.randn(16), queries(50)
    field = decoder.fold(c)
    expected = field.value_and_gradient(points)
    assert not any(result.requires_grad for result in expected)
    torch.testing.assert_close(field(points[:10]), expected[0][:10])  # no statistics of the batch
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.zero_()
    assert torch.equal(field(points), expected[0])
    assert torch.equal(field.value_and_gradient(points)[1], expected[1])


def test_other_dtypes_are_refused():
    with pytest.raises(ValueError, match="float16"):
        random_decoder().fold(torch.randn(16), dtype=torch.float16)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu(dtype):
    decoder = random_decoder(hidden=64)
    c, points = torch.randn(16), queries(70_000)
    expected = decoder.fold(c).value_and_gradient(points)
    logits, gradients = decoder.cuda().fold(c.cuda(), dtype=dtype).value_and_gradient(points.cuda())
    assert logits.device.type == gradients.device.type == "cuda"
    narrow = dtype == torch.bfloat16
    torch.testing.assert_close(logits.cpu(), expected[0], atol=0.1 if narrow else 1e-3, rtol=0.02)
    error = (gradients.cpu() - expected[1]).norm(dim=1) / expected[1].norm(dim=1)
    assert error.median() < (0.03 if narrow else 1e-4)


class TestCompiledStep:
    """`_C.residual_relu` against the same in torch."""

    special = (0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-40, 3.4e38, -1e30)

    @pytest.mark.parametrize("features", [1, 5, 16, 33, 256])
    @pytest.mark.parametrize(
        ("change", "out"),
        [
            (torch.float32, torch.float32),
            (torch.bfloat16, torch.bfloat16),
            (torch.bfloat16, torch.float32),
        ],
    )
    @pytest.mark.parametrize("given", [True, False])
    def test_equals_torch(self, features, change, out, given):
        torch.manual_seed(features)
        x = torch.randn(37, features)
        y = torch.randn(37, features).to(change) if given else None
        x.view(-1)[:: max(1, x.numel() // 8)][:8] = torch.tensor(self.special)[: x.numel()]
        scale, shift = torch.randn(2, features)
        result = torch.empty(37, features, dtype=out)
        expected_x = x if y is None else x + y.float()
        before = expected_x.clone()
        folded._residual_relu(x, y, scale, shift, result)
        torch.testing.assert_close(x, before, rtol=0, atol=0, equal_nan=True)
        expected = (scale * before + shift).relu().to(out)
        torch.testing.assert_close(result, expected, rtol=0, atol=0, equal_nan=True)

    def test_rounds_to_nearest_even(self):
        """All float32 with a few low bits around bfloat16 numbers: ties, and both sides of them."""
        upper = np.arange(0, 0x7F80, dtype=np.uint32)[:, None] << 16
        lower = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], dtype=np.uint32)
        x = torch.from_numpy((upper | lower).view(np.float32))
        result = torch.empty_like(x, dtype=torch.bfloat16)
        folded._residual_relu(x, None, torch.ones(6), torch.zeros(6), result)
        assert torch.equal(result, x.to(torch.bfloat16))

    def test_refuses_other_shapes_and_dtypes(self):
        x, row = np.zeros((4, 8), np.float32), np.zeros(8, np.float32)
        with pytest.raises(ValueError, match="scale"):
            _C.residual_relu(x, None, row, row, np.zeros((4, 7), np.float32))
        with pytest.raises(ValueError, match="scale"):
            _C.residual_relu(x, None, row[:7], row, x.copy())
        with pytest.raises(TypeError):
            _C.residual_relu(x.astype(np.float64), None, row, row, x.copy())
        with pytest.raises(TypeError):
            _C.residual_relu(x[:, ::2], None, row[:4], row[:4], x[:, :4].copy())


class TestCompiledStepBack:
    """`_C.residual_back` and the mask of a rectifier, against the same in NumPy."""

    special = (0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-40, -1e30, 1.00390625)

    def draw(self, generator, features, dtype):
        """(37, F), one in ten of them special."""
        values = generator.normal(size=(37, features))
        chosen = generator.random(values.shape) < 0.1
        values[chosen] = generator.choice(self.special, chosen.sum())
        return torch.from_numpy(values).to(dtype)

    @pytest.mark.parametrize("features", [1, 5, 16, 33, 256])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize("step", ["_residual_back", "_residual_back_torch"])
    def test_equals_numpy(self, features, dtype, step):
        generator = np.random.default_rng(features)
        g = self.draw(generator, features, torch.float32)
        change, h = (self.draw(generator, features, dtype) for _ in range(2))
        h = h.nan_to_num().relu()
        scale = torch.from_numpy(generator.normal(size=features)).float()
        with np.errstate(invalid="ignore", over="ignore"):
            passed = np.where(h.float().numpy() > 0, change.float().numpy(), 0)
            expected = torch.from_numpy(g.numpy() + scale.numpy() * passed)
        exact = {"rtol": 0, "atol": 0} if step == "_residual_back" else {"rtol": 1e-4, "atol": 1e-6}
        without = g.clone()
        copy = torch.empty(37, features, dtype=dtype)
        getattr(folded, step)(without, change.clone(), h, scale, None)
        torch.testing.assert_close(without, expected, equal_nan=True, **exact)
        getattr(folded, step)(g, change, h, scale, copy)
        torch.testing.assert_close(g, without, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(copy, g.to(dtype), rtol=0, atol=0, equal_nan=True)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_the_mask_of_a_rectifier_in_place(self, dtype):
        generator = np.random.default_rng(0)
        gradient = self.draw(generator, 33, dtype)
        activation = self.draw(generator, 33, dtype).nan_to_num().relu()
        expected = torch.where(activation > 0, gradient, 0)
        assert folded._mask(gradient, activation, gradient) is gradient
        torch.testing.assert_close(gradient, expected, rtol=0, atol=0, equal_nan=True)

    def test_refuses_other_shapes_and_dtypes(self):
        g, row = np.zeros((4, 8), np.float32), np.zeros(8, np.float32)
        with pytest.raises(ValueError, match="scale"):
            _C.residual_back(g, np.zeros((4, 7), np.float32), g.copy(), row, None)
        with pytest.raises(ValueError, match="scale"):
            _C.residual_back(g, g.copy(), np.zeros((3, 8), np.float32), row, None)
        with pytest.raises(ValueError, match="scale"):
            _C.residual_back(g, g.copy(), g.copy(), row[:7], None)
        with pytest.raises(ValueError, match="scale"):
            _C.residual_back(g, g.copy(), g.copy(), row, np.zeros((5, 8), np.float32))
        with pytest.raises(TypeError):
            _C.residual_back(g, g.copy(), g.astype(np.int16), row, None)
        with pytest.raises(TypeError):
            _C.residual_back(g, g.copy(), g.copy(), row, np.zeros((4, 8), np.int16))
        with pytest.raises(TypeError):
            _C.residual_back(g[:, ::2], g[:, :4].copy(), g[:, :4].copy(), row[:4], None)
