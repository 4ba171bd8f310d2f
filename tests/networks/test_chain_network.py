"""The chain network of NAS: the rules of the paper for joining layers."""

import pytest
import torch

from lightning_nas import build_network, load_architecture
from lightning_nas.architecture import ChainArchitecture, ChainLayer
from lightning_nas.errors import InputError
from lightning_nas.networks.chain import ChainNetwork, join


def layer(*inputs, stride=(1, 1), kernel=(3, 3), filters=4):
    return ChainLayer(kernel, stride, filters, inputs)


def parameters_of(architecture, **settings):
    network = ChainNetwork(architecture, num_classes=2, **settings)
    return {name: tuple(p.shape) for name, p in network.named_parameters()}


def test_a_layer_without_inputs_reads_the_image():
    shapes = parameters_of(ChainArchitecture((layer(), layer(filters=6), layer(0, 1))))
    assert shapes["blocks.0.layers.0.conv.weight"] == (4, 3, 3, 3)
    assert shapes["blocks.1.layers.0.conv.weight"] == (6, 3, 3, 3)
    assert shapes["blocks.2.layers.0.conv.weight"] == (4, 10, 3, 3)


def test_outputs_that_no_layer_reads_are_concatenated_for_the_classifier():
    shapes = parameters_of(ChainArchitecture((layer(), layer(filters=6), layer(0))))
    assert shapes["classifier.weight"] == (2, 6 + 4)


def test_smaller_inputs_are_centered_in_zeros():
    large, small = torch.ones(1, 2, 5, 4), torch.ones(1, 1, 2, 2)
    joined = join([large, small])
    assert joined.shape == (1, 3, 5, 4)
    assert joined[:, :2].eq(1).all()
    padded = torch.zeros(5, 4)
    padded[1:3, 1:3] = 1
    assert joined[0, 2].equal(padded)


def test_strides_are_vertical_then_horizontal_with_same_padding():
    network = ChainNetwork(ChainArchitecture((layer(stride=(3, 2), kernel=(5, 1)),)), num_classes=2)
    assert network.blocks[0](torch.randn(2, 3, 32, 31)).shape == (2, 4, 11, 16)


def test_a_repeated_layer_is_densely_connected():
    shapes = parameters_of(ChainArchitecture((layer(), layer(0)), repeats=3))
    inputs = [shapes[f"blocks.1.layers.{i}.conv.weight"][1] for i in range(3)]
    assert inputs == [4, 8, 12]


def test_poolings_halve_all_earlier_outputs():
    architecture = ChainArchitecture((layer(), layer(0), layer(0, 1), layer(2)), pools=(1,))
    network = ChainNetwork(architecture, num_classes=2)
    sizes = []
    for block in network.blocks:
        block.register_forward_hook(lambda _, inputs, out: sizes.append(out.shape[-1]))
    network(torch.randn(1, 3, 9, 9))
    assert sizes == [9, 9, 5, 5]


def test_wider_adds_filters_to_each_layer():
    shapes = parameters_of(ChainArchitecture((layer(), layer(0))), wider=40)
    assert shapes["blocks.1.layers.0.conv.weight"] == (44, 44, 3, 3)


def test_illegal_settings_are_refused():
    with pytest.raises(InputError, match="stride 1"):
        ChainNetwork(ChainArchitecture((layer(stride=(2, 2)),), repeats=2), num_classes=2)
    with pytest.raises(InputError, match="too small"):
        ChainNetwork(
            ChainArchitecture((layer(), layer(0)), pools=(0, 1)), num_classes=2, image_size=3
        )
    for setting in ({"filters": 8}, {"cells": 2}, {"auxiliary": True}):
        with pytest.raises(InputError, match="does not apply to a chain"):
            build_network(load_architecture("nas_2017"), num_classes=10, **setting)
