import logging

import numpy as np
import pytest
import torch

from onet.inference import field as module
from onet.inference.field import OccupancyField
from onet.models import OccupancyNetwork
from onet.nn.decoders import DECODERS


class Folding(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        section = {"type": "cbatchnorm", "hidden_size": 32}
        self.decoder = DECODERS.build(section, "decoder", c_dim=8, z_dim=0)
        for parameter in self.decoder.parameters():
            torch.nn.init.normal_(parameter, std=0.3)

    def decode(self, points, c):
        return self.decoder(points, None, c)


class Plain(torch.nn.Module):
    """No decoder that folds; weights, so that bfloat16 makes a difference."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(3, 64), torch.nn.Softplus(), torch.nn.Linear(64, 1)
        )

    def decode(self, points, c):
        return self.layers(points)[..., 0] + c.sum(-1)


CODE = torch.linspace(-1, 1, 8)


@pytest.fixture(params=[Folding, Plain])
def model(request):
    return request.param().eval()


def random_points(count):
    return np.random.default_rng(count).uniform(-0.55, 0.55, (count, 3)).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 9000])
def test_values_and_gradients_are_those_of_the_model(model, count):
    points = random_points(count)
    field = OccupancyField(model, CODE)
    leaf = torch.from_numpy(points).requires_grad_()
    expected = model.decode(leaf[None], CODE[None])[0]
    (gradient,) = torch.autograd.grad(expected.sum(), leaf)
    values, gradients = field.value_and_gradient(points)
    for array, shape in [(values, (count,)), (gradients, (count, 3)), (field(points), (count,))]:
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float32 and array.shape == shape
    np.testing.assert_allclose(values, expected.detach().numpy(), atol=1e-4)
    np.testing.assert_allclose(field(points), values, atol=1e-5)
    if count:
        error = np.abs(gradients - gradient.numpy()).max(1)
        assert np.quantile(error, 0.99) < 1e-4 * np.abs(gradient.numpy()).max()


@pytest.mark.parametrize("name", ["simple", "cbatchnorm_noresnet"])
def test_latent_codes(name):
    """Of a decoder that folds and of one that does not."""
    torch.manual_seed(0)
    model = OccupancyNetwork(
        decoder={"type": name, "hidden_size": 16},
        encoder={"type": "pointnet_simple"},
        encoder_latent={"type": "simple"},
        c_dim=8,
        z_dim=4,
    ).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    points, z = random_points(50), torch.randn(4)
    with torch.no_grad():
        expected = model.decode(torch.from_numpy(points)[None], CODE[None], z[None])[0].numpy()
    values, _ = OccupancyField(model, CODE, z=z).value_and_gradient(points)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    np.testing.assert_allclose(OccupancyField(model, CODE, z=z)(points), expected, atol=1e-5)
    with pytest.raises(ValueError, match="latent code of 4 numbers"):
        OccupancyField(model, CODE)(points)


def test_tensors_give_tensors(model):
    points = random_points(100)
    field = OccupancyField(model, CODE)
    logits = field(torch.from_numpy(points))
    assert isinstance(logits, torch.Tensor) and not logits.requires_grad
    np.testing.assert_array_equal(logits.numpy(), field(points))
    pair = field.value_and_gradient(torch.from_numpy(points).double().requires_grad_())
    assert all(isinstance(p, torch.Tensor) and not p.requires_grad for p in pair)
    np.testing.assert_array_equal(pair[1].numpy(), field.value_and_gradient(points)[1])


def test_other_dtypes_and_layouts_of_points(model):
    points = random_points(100)
    field = OccupancyField(model, CODE)
    np.testing.assert_array_equal(field(np.asfortranarray(points)), field(points))
    np.testing.assert_array_equal(field(points.astype(np.float64)), field(points))
    readonly = points.copy()
    readonly.flags.writeable = False
    np.testing.assert_array_equal(field(readonly), field(points))


def test_bfloat16_is_near_but_not_the_same(model):
    points = random_points(2000)
    exact = OccupancyField(model, CODE)(points)
    near = OccupancyField(model, CODE, "bfloat16")(points)
    assert near.dtype == np.float32
    assert 0 < np.abs(near - exact).mean() < 0.1 * exact.std()


def _forget():
    module._warn_if_bfloat16_is_slow.cache_clear()
    module._bfloat16_is_fast.cache_clear()


@pytest.mark.parametrize(("choice", "told"), [("32-true", True), ("bf16-mixed", False)])
def test_slow_bfloat16_is_reported_once(monkeypatch, caplog, choice, told):
    monkeypatch.setattr(module, "choose_precision", lambda device: choice)
    _forget()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            OccupancyField(Folding(), CODE, "bfloat16")
            OccupancyField(Folding(), CODE)
    _forget()
    assert caplog.text.count("generation.precision") == told


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_points_on_a_gpu_stay_there(model):
    field = OccupancyField(model.cuda(), CODE.cuda())
    points = torch.from_numpy(random_points(100)).cuda()
    for result in (field(points), *field.value_and_gradient(points)):
        assert result.is_cuda
    assert isinstance(field(points.cpu().numpy()), np.ndarray)
