"""What a network costs: parameters, multiply-adds and time."""

import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

from lightning_nas.networks.features import run_without_numbers


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
    try:
        run_without_numbers(network, channels, image_size)
    finally:
        for hook in hooks:
            hook.remove()
    parameters = sum(
        parameter.numel()
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and not name.startswith("auxiliary.")
    )
    return Complexity(parameters, sum(counts))


def synchronised_time(device: torch.device) -> float:
    """Return the time in seconds, once the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def measure_latency(network: nn.Module, shape: tuple[int, ...], repeats: int = 5) -> float:
    """Return the seconds that a network takes for one batch: the median of a few, after one.

    Args:
        network: On the device on which it is measured. It is left as it was.
        shape: Of the images, ``(N, C, H, W)``.
        repeats: How many are timed.
    """
    weight = next(network.parameters())
    device = weight.device
    images = torch.zeros(shape, device=device, dtype=weight.dtype)
    images = images.to(memory_format=torch.channels_last)
    training = network.training
    seconds = []
    try:
        network.eval()
        with torch.inference_mode():
            for _ in range(1 + repeats):
                began = synchronised_time(device)
                network(images)
                seconds.append(synchronised_time(device) - began)
    finally:
        network.train(training)
    return statistics.median(seconds[1:])
