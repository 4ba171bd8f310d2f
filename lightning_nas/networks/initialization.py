"""The weights that networks begin with."""

import math
from typing import Literal, get_args

import torch
from torch import nn

from lightning_nas.errors import InputError
from lightning_nas.layers.convolutions import FactorizedReduction

Initialization = Literal["he", "identity"]
HEADS = ("stem", "auxiliary")  # which read images, or are left out when the network classifies
NOISE = 0.2  # He-normal weights are scaled by it before the identity is added


def initialize(network: nn.Module, initialization: str = "he") -> None:
    """Set the weights of convolutions and linear layers.

    Args:
        network: Its stem is named ``stem``, its auxiliary head, if it has one, ``auxiliary``.
        initialization: ``he``: He-normal, as in the released code of ENAS. ``identity``: between
            stem and heads, every convolution begins near the identity. All operations of shared
            weights then begin to speak of the same channels; from He-normal weights, where each
            begins by mixing them in its own way, agreeing takes most of a short search.

    Raises:
        InputError: If ``initialization`` is neither.
    """
    if initialization not in get_args(Initialization):
        choices = " or ".join(get_args(Initialization))
        raise InputError(f"initialization must be {choices}, got {initialization!r}")
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    if initialization == "identity":
        _near_identity(network)


@torch.no_grad()
def initialize_fan_out(network: nn.Module) -> None:
    """Set the weights of convolutions and linear layers as the released code of NASNet does.

    They are He-normal by the outputs that an input reaches, a depthwise convolution's those of one
    channel; biases are zero.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            groups = module.groups if isinstance(module, nn.Conv2d) else 1
            fan_out = module.weight[:, 0].numel() / groups
            module.weight.normal_(std=math.sqrt(2 / fan_out))
            if module.bias is not None:
                module.bias.zero_()


def _near_identity(network: nn.Module) -> None:
    first_channels = {  # the two paths of a reduction take up one half of the channels each
        id(module.path_2): module.path_1.out_channels
        for module in network.modules()
        if isinstance(module, FactorizedReduction)
    }
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and name.split(".")[0] not in HEADS:
            _add_identity(module, first_channels.get(id(module), 0))


@torch.no_grad()
def _add_identity(conv: nn.Conv2d, first_channel: int) -> None:
    """Scale the weights down, then let output ``j`` read input ``first_channel + j`` (or round)."""
    outputs = torch.arange(conv.out_channels)
    inputs = (first_channel + outputs) % conv.weight.shape[1]  # of the group
    middle = conv.kernel_size[0] // 2
    conv.weight *= NOISE
    conv.weight[outputs, inputs, middle, middle] += 1.0
