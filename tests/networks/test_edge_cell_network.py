"""The network of NAS-Bench-201: equality with a plain reference, gradients and sizes."""

import random

import pytest
import torch
import torch.nn.functional as F

from lightning_nas import build_network
from lightning_nas.architecture import EDGES, EdgeCellArchitecture
from lightning_nas.errors import InputError
from lightning_nas.networks.edge_cell import EdgeCell, ResidualReduction
from lightning_nas.spaces.edge_cell import EdgeCellSpace

SPACE = EdgeCellSpace(filters=4, cells=2)
DRAWS = random.Random(0)
ARCHITECTURES = [
    SPACE.decode([DRAWS.randrange(n) for n in SPACE.count_token_options()]) for _ in range(20)
]


def network_of(architecture, **settings):
    """Return a float64 network whose batch norms have random parameters."""
    torch.manual_seed(0)
    network = build_network(architecture, num_classes=3, image_size=8, **settings).double()
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 1.0 if name.endswith("weight") else 0.0, 0.3)
    return network


def images(number=4):
    return torch.randn(number, 3, 8, 8, dtype=torch.float64)


# ---- plain reference ----------------------------------------------------------------------------


class Plain:
    """Plain implementation of the benchmark's network with the weights of a given network."""

    def __init__(self, network):
        self.weights = dict(network.named_parameters())

    def norm(self, x, name):
        mean = x.mean(dim=(0, 2, 3), keepdim=True)
        variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
        scale, shift = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return (x - mean) / (variance + 1e-5).sqrt() * scale[:, None, None] + shift[:, None, None]

    def conv(self, x, name, stride=1):
        weight = self.weights[f"{name}.weight"]
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def operation(self, x, operation, name):
        if operation == "none":
            return torch.zeros_like(x)
        if operation == "identity":
            return x
        if operation == "avg_pool_3x3":
            return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        assert operation == "conv_{}x{}".format(*self.weights[f"{name}.conv.weight"].shape[2:])
        return self.norm(self.conv(x.relu(), f"{name}.conv"), f"{name}.norm")

    def cell(self, x, operations, name):
        edge = {
            ends: lambda x, i=i: self.operation(x, operations[i], f"{name}.edges.{i}")
            for i, ends in enumerate([(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)])
        }
        node1 = edge[0, 1](x)
        node2 = edge[0, 2](x) + edge[1, 2](node1)
        return edge[0, 3](x) + edge[1, 3](node1) + edge[2, 3](node2)

    def reduction(self, x, name):
        shortcut = x.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).mean(dim=(3, 5))
        x = self.norm(self.conv(x.relu(), f"{name}.halve", stride=2), f"{name}.norm")
        x = self.norm(self.conv(x.relu(), f"{name}.conv.conv"), f"{name}.conv.norm")
        return x + self.conv(shortcut, f"{name}.shortcut")

    def __call__(self, x, operations):
        x = self.norm(self.conv(x, "stem.0"), "stem.1")
        for index in range(8):  # two cells in a stage
            name = f"cells.{index}"
            x = self.reduction(x, name) if index in (2, 5) else self.cell(x, operations, name)
        x = self.norm(x, "norm").relu().flatten(2).mean(-1)
        return F.linear(x, self.weights["classifier.weight"], self.weights["classifier.bias"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_network_equals_the_plain_reference(architecture):
    network, x = network_of(architecture), images()
    torch.testing.assert_close(network(x), Plain(network)(x, architecture.operations))


# ---- gradients ----------------------------------------------------------------------------------


def reachable(edges, start):
    """Return the nodes that can be reached from ``start`` along edges (source, target)."""
    found = {start}
    for _ in edges:
        found |= {target for source, target in edges if source in found}
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_edges_between_input_and_output_get_a_gradient(architecture):
    """Every parameter has a gradient; it is zero on edges that do not lead to the output."""
    network = network_of(architecture)
    network(images()).square().sum().backward()
    edges = [ends for ends, name in zip(EDGES, architecture.operations, strict=True)
             if name != "none"]  # fmt: skip
    from_input = reachable(edges, 0)
    to_output = reachable([(target, source) for source, target in edges], 3)
    assert 3 in from_input  # each of the twenty cells connects input and output
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        if ".edges." not in name:
            assert parameter.grad.any(), name
            continue
        source, target = EDGES[int(name.split(".edges.")[1].split(".")[0])]
        if target not in to_output:
            assert not parameter.grad.any(), name
        elif source in from_input:
            assert parameter.grad.any(), name


def test_a_cell_without_a_path_gives_the_same_logits_for_all_images():
    operations = ("conv_3x3", "conv_3x3", "conv_3x3", "none", "none", "none")
    network = network_of(EdgeCellArchitecture(operations, filters=4, cells=2))
    first, *others = network(images())
    assert all(logits.equal(first) for logits in others)
    first.sum().backward()
    assert not network.stem[0].weight.grad.any()
    assert network.classifier.bias.grad.all()


# ---- sizes --------------------------------------------------------------------------------------


def test_the_default_size_is_the_published_one():
    architecture = EdgeCellSpace().decode([3] * 6)
    network = build_network(architecture, num_classes=10)
    assert [sum(isinstance(layer, kind) for layer in network.cells)
            for kind in (EdgeCell, ResidualReduction)] == [15, 2]  # fmt: skip
    assert network.classifier.in_features == 64
    small = build_network(architecture, num_classes=10, filters=8, cells=1)
    assert len(small.cells) == 5
    assert small.classifier.in_features == 32


@pytest.mark.parametrize("size", [4, 5, 7, 9])
def test_any_image_size_from_four_pixels(size):
    network = build_network(ARCHITECTURES[0], num_classes=3, image_size=size)
    assert network(torch.randn(2, 3, size, size)).shape == (2, 3)


def test_illegal_settings_are_refused():
    architecture = ARCHITECTURES[0]
    for setting in ({"auxiliary": True}, {"drop_path": 0.4}):
        with pytest.raises(InputError, match="does not apply to a edge_cell"):
            build_network(architecture, num_classes=10, **setting)
    for setting in ({"cells": 0}, {"filters": 3}):
        with pytest.raises(InputError, match=next(iter(setting))):
            build_network(architecture, num_classes=10, **setting)
    with pytest.raises(InputError, match="too small"):
        build_network(architecture, num_classes=10, image_size=3)
