"""The network of NASNet: equality with a plain reference, sizes, drop path."""

import math
import random

import pytest
import torch
from torch import nn

from lightning_nas import build_network, load_architecture
from lightning_nas.architecture import (
    COMBINATIONS,
    NASNET_OPERATIONS,
    Block,
    Cell,
    CellArchitecture,
    find_unused_states,
)
from lightning_nas.errors import InputError
from lightning_nas.layers.operations import OPERATIONS
from lightning_nas.networks import cell_layer
from lightning_nas.networks.shared_cell import SharedCellNetwork
from lightning_nas.spaces.cell import CellSpace
from tests.networks import reference

SPACE = CellSpace(5, NASNET_OPERATIONS, combinations=COMBINATIONS, rules="nasnet")


def random_architectures(n):
    draws = random.Random(17)  # the first 30 contain every operation, see below
    return [
        SPACE.decode([draws.randrange(k) for k in SPACE.count_token_options()]) for _ in range(n)
    ]


RANDOM = random_architectures(100)


def small(architecture, image_size=8, **settings):
    """Return a small float64 network with random parameters of batch norms and random biases."""
    torch.manual_seed(0)
    settings = {"cells": 1, "filters": 4, "num_classes": 3, **settings}
    network = build_network(architecture, image_size=image_size, **settings).double()
    for parameter in network.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=0.5, std=0.5)
    return network


def images(size=8):
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1)).double()


def assert_equals_reference(architecture, size, **settings):
    network = small(architecture, size, **settings)
    weights = reference.copy_weights(network)
    outputs = network(images(size))
    outputs = outputs if isinstance(outputs, tuple) else (outputs, None)
    expected = reference.nasnet(images(size), architecture, weights, settings.get("cells", 1))
    for output, wanted in zip(outputs, expected, strict=True):
        assert (output is None) == (wanted is None)
        if output is not None:
            torch.testing.assert_close(output, wanted, rtol=1e-8, atol=1e-8)
    sum(o.square().sum() for o in outputs if o is not None).backward()
    loss = sum(o.square().sum() for o in expected if o is not None)
    gradients = torch.autograd.grad(loss, list(weights.values()))
    for (name, parameter), gradient in zip(network.named_parameters(), gradients, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-6, atol=1e-8), name


@pytest.mark.parametrize("number", range(30))
def test_random_architectures_equal_the_reference_forward_and_backward(number):
    assert_equals_reference(RANDOM[number], size=8 + 3 * (number % 2))  # SAME padding of odd maps


def test_the_published_network_equals_the_reference():
    published = load_architecture("nasnet_a")
    assert_equals_reference(published, size=18, cells=2, auxiliary=True)


@pytest.mark.parametrize("kind", ["normal", "reduction"])
def test_random_architectures_contain_every_operation_and_state(kind):
    cells = [getattr(architecture, kind) for architecture in RANDOM[:30]]
    blocks = [block for cell in cells for block in cell.blocks]
    assert {name for block in blocks for name in block.operations} == set(NASNET_OPERATIONS)
    assert {block.combination for block in blocks} == set(COMBINATIONS)
    assert {state for cell in cells for state in cell.outputs} == set(range(7))


@pytest.mark.parametrize("name", NASNET_OPERATIONS)
@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (4, 2), (6, 1), (12, 2)])
def test_operations_convert_channels_and_resolution(name, channels, stride):
    operation = OPERATIONS["nasnet"][name](channels, 4, stride, nn.BatchNorm2d)
    out = operation(torch.randn(2, channels, 7, 9))
    assert out.shape == (2, 4, math.ceil(7 / stride), math.ceil(9 / stride))
    fits = channels == 4 and (stride == 1 or name != "identity")
    has_no_weights = fits and name.split("_")[0] in ("identity", "avg", "max")
    assert has_no_weights == (list(operation.parameters()) == [])


def test_shapes_equal_the_released_code():
    network = build_network(load_architecture("nasnet_a"), num_classes=10, auxiliary=True)
    shapes = []
    for module in (network.stem, *network.cells, network.auxiliary):
        module.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:3])))
    logits, auxiliary = network(torch.randn(2, 3, 32, 32))
    assert logits.shape == auxiliary.shape == (2, 10)
    assert shapes == [
        (96, 32), *[(192, 32)] * 6,
        (256, 16), *[(384, 16)] * 6, (10,),
        (512, 8), *[(768, 8)] * 6,
    ]  # fmt: skip
    assert isinstance(network.eval()(torch.randn(1, 3, 32, 32)), torch.Tensor)


def test_outputs_with_other_channels_are_converted():
    cell = Cell((Block((1, 1), ("identity", "conv_1x1"), "concat"),), outputs=(0, 2))
    network = small(CellArchitecture(cell, cell, rules="nasnet"))
    first, reduction, second, *_ = network.cells
    shapes = {n: tuple(p.shape) for n, p in first.fit_outputs.named_parameters() if p.ndim > 1}
    assert shapes == {"0.conv.weight": (4, 12, 1, 1), "2.conv.weight": (4, 8, 1, 1)}
    assert set(reduction.fit_outputs["0"]._modules) == {"path_1", "path_2", "norm"}
    assert list(second.fit_outputs) == ["2"]
    assert first.out_channels == 8


@pytest.mark.parametrize(("size", "there"), [(8, False), (9, True)])
def test_the_auxiliary_head_needs_a_map_of_five_pixels(size, there, caplog):
    network = small(RANDOM[0], size, auxiliary=True)
    assert (network.auxiliary is not None) == there
    assert ("images of 9 px or more" in caplog.text) != there
    assert isinstance(network(images(size)), tuple) == there


def test_drop_path_grows_with_depth_and_skips_identities(monkeypatch):
    blocks = tuple(Block((0, 1), ("identity", name)) for name in ("identity", "conv_1x1"))
    cell = Cell(blocks, find_unused_states(blocks))
    network = small(CellArchitecture(cell, cell, rules="nasnet"), drop_path=0.4)
    rates = []
    monkeypatch.setattr(cell_layer, "drop_path", lambda x, rate: rates.append(rate.item()) or x)
    network.progress.fill_(0.5)
    network(images())
    assert rates == pytest.approx([0.5 * 0.4 * (k + 1) / 5 for k in range(5)])
    network.eval()(images())
    assert len(rates) == 5


def test_drop_path_changes_the_logits_of_training():
    network = small(load_architecture("nasnet_a"), drop_path=0.9)
    plain = network(images())
    torch.testing.assert_close(network(images()), plain)  # the rate begins at zero
    network.progress.fill_(1.0)
    assert not torch.allclose(network(images()), plain)


def test_initial_weights_scale_with_the_fan_out():
    torch.manual_seed(0)
    network = build_network(load_architecture("nasnet_a"), num_classes=10)
    fan_outs = {
        "stem.0": 9 * 96,
        "cells.0.base.conv": 32,
        "cells.19.operations.0.0.depthwise_2": 25,
        "cells.19.operations.0.0.pointwise_2": 128,
        "classifier.linear": 10,
    }
    for name, fan_out in fan_outs.items():
        weight = network.get_submodule(name).weight
        assert weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.05), name
    assert network.classifier.linear.bias.eq(0).all()


def test_shared_weights_refuse_operations_of_other_rules():
    with pytest.raises(InputError, match="operations must be out of sep_conv_3x3"):
        SharedCellNetwork(num_classes=3, operations=NASNET_OPERATIONS)
