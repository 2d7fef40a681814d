import pytest
import torch

from onet.nn.decoders.cbatchnorm import CBatchNormDecoder
from onet.nn.decoders.folded import CPU_TILE, fold_cbatchnorm


def random_decoder(c_dim, z_dim, hidden, seed):
    """A decoder in which every parameter and every running statistic is random."""
    torch.manual_seed(seed)
    decoder = CBatchNormDecoder(c_dim=c_dim, z_dim=z_dim, hidden_size=hidden)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5 / max(1, parameter[0].numel()) ** 0.5)
    for module in decoder.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 5.0)
    return decoder


@torch.no_grad()
def eager(decoder, points, z, c):
    z = None if z is None else z[None]
    return decoder.eval()(points[None], z, c[None])[0]


@pytest.mark.parametrize(("c_dim", "z_dim", "hidden"), [(512, 0, 256), (16, 8, 32), (24, 0, 20)])
@pytest.mark.parametrize("count", [0, 1, CPU_TILE, 3 * CPU_TILE + 17])
def test_logits_equal_the_module(c_dim, z_dim, hidden, count):
    decoder = random_decoder(c_dim, z_dim, hidden, seed=count)
    c = torch.randn(c_dim)
    z = torch.randn(z_dim) if z_dim else None
    points = torch.rand(count, 3) * 1.1 - 0.55
    logits = fold_cbatchnorm(decoder, z, c)(points)
    assert logits.shape == (count,)
    torch.testing.assert_close(logits, eager(decoder, points, z, c), atol=1e-4, rtol=1e-5)


def test_without_onednn(monkeypatch):
    decoder = random_decoder(16, 0, 32, seed=1)
    c, points = torch.randn(16), torch.rand(2000, 3)
    prepacked = fold_cbatchnorm(decoder, None, c)(points)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    plain = fold_cbatchnorm(decoder, None, c)(points)
    expected = eager(decoder, points, None, c)
    torch.testing.assert_close(plain, expected, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(prepacked, expected, atol=1e-4, rtol=1e-5)


def test_the_number_of_threads_changes_nothing():
    decoder = random_decoder(16, 0, 64, seed=2)
    field = fold_cbatchnorm(decoder, None, torch.randn(16))
    points = torch.rand(5 * CPU_TILE + 3, 3)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = field(points)
        torch.set_num_threads(3)
        three = field(points)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one, three)


def test_it_is_a_copy_in_evaluation_mode_without_gradients():
    decoder = random_decoder(16, 0, 32, seed=3).train()
    c, points = torch.randn(16), torch.rand(50, 3)
    field = fold_cbatchnorm(decoder, None, c)
    expected = field(points)
    assert not expected.requires_grad
    torch.testing.assert_close(field(points[:10]), expected[:10])  # no statistics of the batch
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.zero_()
    assert torch.equal(field(points), expected)
