"""Running a network for its shapes alone: no memory, no arithmetic, no weights."""

from typing import Any

import torch
from torch import nn
from torch.func import functional_call


def run_without_numbers(network: nn.Module, channels: int, image_size: int) -> Any:
    """Return what a network makes of one image, as tensors without numbers; it is left as it was.

    Args:
        network: Takes ``(N, C, H, W)`` images; run as in evaluation.
        channels: Channels of the image.
        image_size: Its side in pixels.
    """
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    state = {name: tensor.detach().to("meta") for name, tensor in state.items()}
    training = network.training
    try:
        with torch.no_grad():
            image = torch.zeros(1, channels, image_size, image_size, device="meta")
            return functional_call(network.eval(), state, (image,))
    finally:
        network.train(training)
