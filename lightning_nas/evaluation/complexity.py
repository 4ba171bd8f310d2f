"""What a network costs: parameters and multiply-adds."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Complexity:
    """The cost of a network.

    Args:
        parameters: Trainable numbers that are used when the network classifies; an auxiliary head
            is not counted.
        multiply_adds: Of convolutions and linear layers, for one image.
    """

    parameters: int
    multiply_adds: int


def measure(network: nn.Module, channels: int, image_size: int) -> Complexity:
    """Count the cost of a network on images of one size.

    Args:
        network: Takes ``(N, C, H, W)`` images. It is left as it was.
        channels: Channels of the images.
        image_size: Their side in pixels.
    """
    counts: list[int] = []

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            counts.append(output.numel() * layer.weight[0].numel())
        elif isinstance(layer, nn.Linear):
            counts.append(output.numel() * layer.in_features)

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    training = network.training
    device = next(network.parameters()).device
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, channels, image_size, image_size, device=device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    parameters = sum(
        parameter.numel()
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and not name.startswith("auxiliary.")
    )
    return Complexity(parameters, sum(counts))
