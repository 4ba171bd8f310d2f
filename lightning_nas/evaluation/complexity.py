"""Cost of a network: parameters, multiply-adds and latency."""

import statistics
import time
from dataclasses import dataclass

import torch
from torch import nn

from lightning_nas.networks.features import run_without_numbers


@dataclass(frozen=True)
class Complexity:
    """Cost of a network.

    Args:
        parameters: Number of trainable parameters, without an auxiliary head.
        multiply_adds: Multiply-adds of convolutions and linear layers for one image.
    """

    parameters: int
    multiply_adds: int


def measure(network: nn.Module, channels: int, image_size: int) -> Complexity:
    """Return the cost of a network for images of one size.

    Args:
        network: Network for images ``(N, C, H, W)``. It is not changed.
        channels: Channels of the images.
        image_size: Side of the images in pixels.
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
    """Return the time in seconds, after the device has finished its queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def measure_latency(network: nn.Module, shape: tuple[int, ...], repeats: int = 5) -> float:
    """Return the median seconds of a network for one batch, after one batch for warm-up.

    Args:
        network: Network on the device to measure. It is not changed.
        shape: Shape of the images, ``(N, C, H, W)``.
        repeats: Number of timed batches.
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
