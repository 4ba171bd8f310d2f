"""The replacements on a CPU give the results and gradients of torch's own functions."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_nas.layers import cpu
from lightning_nas.layers.convolutions import AveragePool, Conv2d, FactorizedReduction, MaxPool
from lightning_nas.layers.shared import BatchStatistics


def make_map(channels: int, side: int, batch: int = 4) -> Tensor:
    torch.manual_seed(0)
    x = 3 + 2 * torch.randn(batch, channels, side, side, dtype=torch.float64)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def assert_equal_with_gradients(actual: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    torch.testing.assert_close(actual, expected)
    grad = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(actual, inputs, grad), torch.autograd.grad(expected, inputs, grad)
    )


@pytest.mark.parametrize("channels", [2, 20, 36])
@pytest.mark.parametrize("training", [True, False])
def test_folded_batch_norm(channels, training):
    x = make_map(channels, 16)
    assert cpu.can_fold(x)
    norm = BatchStatistics("batch").norm(channels, eps=1e-3).double().train(training)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    plain = F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=1e-3)
    assert_equal_with_gradients(norm(x), plain, [x, norm.weight, norm.bias])


def test_batch_norm_of_a_map_that_cannot_be_folded():
    odd = make_map(3, 17, batch=1)  # 289 pixels
    assert not cpu.can_fold(odd)
    norm = BatchStatistics("batch").norm(3).double()
    torch.testing.assert_close(norm(odd), F.batch_norm(odd, None, None, training=True))


@pytest.mark.parametrize("side", [9, 16])
def test_depthwise_5x5_convolution(side):
    x, conv = make_map(6, side), Conv2d(6, 6, 5, groups=6).double()
    assert cpu.can_split(x, conv.weight)
    plain = F.conv2d(x, conv.weight, padding=2, groups=6)
    assert_equal_with_gradients(conv(x), plain, [x, conv.weight])


def test_pointwise_convolution_of_a_small_map():
    x, conv = make_map(6, 4), Conv2d(6, 10).double()
    assert cpu.is_small(x)
    assert_equal_with_gradients(conv(x), F.conv2d(x, conv.weight), [x, conv.weight])
    assert conv(x).is_contiguous(memory_format=torch.channels_last)


def test_mixed_precision_uses_torchs_functions():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not cpu.can_fold(make_map(20, 16))
        conv = Conv2d(6, 6, 5, groups=6)
        assert not cpu.can_split(make_map(6, 16), conv.weight)
        assert conv(make_map(6, 16).float()).dtype == torch.bfloat16


@pytest.mark.parametrize("sides", [(8, 8), (7, 9), (8, 5), (1, 2)])
@pytest.mark.parametrize(
    "layer",
    [
        AveragePool(2),
        *(MaxPool(2, kernel) for kernel in (3, 5, 7)),
        FactorizedReduction(16, 12, torch.nn.BatchNorm2d),
        Conv2d(16, 12, 1, 2),
        Conv2d(16, 12, 1, (1, 2)),
    ],
    ids=lambda layer: str(layer)[:24],
)
def test_other_devices_get_the_same_results_in_fewer_operations(layer, sides, monkeypatch):
    torch.manual_seed(0)
    layer = layer.double()
    x = torch.randn(2, 16, *sides, dtype=torch.float64).requires_grad_()
    inputs = [x, *layer.parameters()]
    expected = layer(x)
    for name in ("here", "may_run"):
        monkeypatch.setattr(cpu, name, lambda x: False)
    assert_equal_with_gradients(layer(x), expected, inputs)


def test_a_traced_network_keeps_what_a_cpu_needs(monkeypatch):
    elsewhere = torch.empty(1, device="meta")
    assert not cpu.may_run(elsewhere)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert cpu.may_run(elsewhere)
