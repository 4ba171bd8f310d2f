"""Initial weights of networks."""

import math
from typing import Literal, get_args

import torch
from torch import nn

from lightning_nas.errors import InputError
from lightning_nas.layers.convolutions import FactorizedReduction

Initialization = Literal["he", "identity"]
NOT_IDENTITY = ("stem", "auxiliary")  # parts whose convolutions never begin near the identity
NOISE = 0.2  # scale of the He-normal weights to which the identity is added


def initialize(network: nn.Module, initialization: str = "he") -> None:
    """Initialise the weights of convolutions and linear layers.

    Args:
        network: Network whose stem is named ``stem`` and whose auxiliary head, if any,
            ``auxiliary``.
        initialization: ``he``: He-normal, as in the released code of ENAS. ``identity``: every
            convolution between stem and heads begins near the identity, so that all operations of
            shared weights begin with the same meaning of each channel. With He-normal weights every
            operation mixes the channels differently, and most of a short search passes before the
            operations agree.

    Raises:
        InputError: If ``initialization`` is unknown.
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
    """Initialise the weights of convolutions and linear layers as in the released code of NASNet.

    Weights are He-normal with the fan-out, that is the number of outputs that one input reaches;
    the fan-out of a depthwise convolution counts one channel. Biases are zero.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            groups = module.groups if isinstance(module, nn.Conv2d) else 1
            fan_out = module.weight[:, 0].numel() / groups
            module.weight.normal_(std=math.sqrt(2 / fan_out))
            if module.bias is not None:
                module.bias.zero_()


def _near_identity(network: nn.Module) -> None:
    first_channels = {  # the second path of a reduction makes the second half of the channels
        id(module.path_2): module.path_1.out_channels
        for module in network.modules()
        if isinstance(module, FactorizedReduction)
    }
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and name.split(".")[0] not in NOT_IDENTITY:
            _add_identity(module, first_channels.get(id(module), 0))


@torch.no_grad()
def _add_identity(conv: nn.Conv2d, first_channel: int) -> None:
    """Scale the weights by NOISE and add the identity: output j reads input first_channel + j.

    The index of the input is taken modulo the number of input channels in a group.
    """
    outputs = torch.arange(conv.out_channels)
    inputs = (first_channel + outputs) % conv.weight.shape[1]
    middle = conv.kernel_size[0] // 2
    conv.weight *= NOISE
    conv.weight[outputs, inputs, middle, middle] += 1.0
