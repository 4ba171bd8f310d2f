"""Networks without their heads, and networks run for the shapes of their results alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

KEEP_SHAPE = {
    F.batch_norm,
    F.relu,
    torch.relu,
    Tensor.relu,
    Tensor.normal_,
    Tensor.uniform_,
}


class SkipNumbers(TorchFunctionMode):
    """Mode in which operations that keep the shape of their input return the input.

    Torch runs them on the meta device in Python, for up to two milliseconds each.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the first argument, or the result of the operation."""
        return args[0] if args and func in KEEP_SHAPE else func(*args, **(kwargs or {}))


def run_without_numbers(network: nn.Module, channels: int, image_size: int) -> Any:
    """Return the outputs of a network for one image as tensors on the meta device.

    The run takes no memory and no arithmetic. The network runs in evaluation mode and is unchanged
    afterwards.

    Args:
        network: Network whose forward takes ``(N, C, H, W)`` images.
        channels: Number of channels of the image.
        image_size: Side of the image in pixels.
    """
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    state = {name: tensor.detach().to("meta") for name, tensor in state.items()}
    training = network.training
    try:
        with torch.no_grad(), SkipNumbers():
            image = torch.zeros(1, channels, image_size, image_size, device="meta")
            return functional_call(network.eval(), state, (image,))
    finally:
        network.train(training)


class FeaturePyramid(nn.Module):
    """Network that returns its last map of each resolution, for detection and segmentation.

    Args:
        network: Network with a method ``features``; its classifier and auxiliary head are removed.
        in_channels: Number of channels of the images.
        image_size: Side in pixels of the images for which ``strides`` holds.

    Attributes:
        channels: Number of channels of each map.
        strides: Number of image pixels, along one side, for each pixel of a map.
    """

    def __init__(self, network: nn.Module, in_channels: int, image_size: int) -> None:
        super().__init__()
        network.classifier = nn.Identity()
        if hasattr(network, "auxiliary"):
            setattr(network, "auxiliary", None)  # noqa: B010  # torch types it as a module
        self.network = network
        maps = run_without_numbers(self, in_channels, image_size)
        self.channels = [x.shape[1] for x in maps]
        self.strides = [round(image_size / x.shape[2]) for x in maps]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of ``(N, C, H, W)`` images, largest first."""
        return self.network.features(images)  # type: ignore[operator]
