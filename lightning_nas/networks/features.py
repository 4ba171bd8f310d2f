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
LARGE_IMAGE = 2**14  # pixels; on small images the quotient of two sides is not the reduction


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


Index = int | Sequence[int] | None


class FeatureInfo:
    """Channels and reductions of the maps of a backbone, with the interface of timm.

    Args:
        channels: Number of channels of each map.
        reductions: Number of image pixels, along the height, for each pixel of a map.

    Source: https://huggingface.co/docs/timm/feature_extraction

    >>> info = FeatureInfo([8, 16, 32], [1, 2, 4])
    >>> info.channels(), info.reduction(-1), info.channels([0, 2]), info[1]
    ([8, 16, 32], 4, [8, 32], {'num_chs': 16, 'reduction': 2})
    """

    def __init__(self, channels: Sequence[int], reductions: Sequence[int]) -> None:
        self.info = [
            {"num_chs": number, "reduction": reduction}
            for number, reduction in zip(channels, reductions, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.info)

    def __getitem__(self, index: int) -> dict[str, int]:
        return self.info[index]

    def channels(self, idx: Index = None) -> Any:
        """Return the number of channels of all maps, of one map, or of a list of maps."""
        return self._get("num_chs", idx)

    def reduction(self, idx: Index = None) -> Any:
        """Return the reduction of all maps, of one map, or of a list of maps."""
        return self._get("reduction", idx)

    def _get(self, key: str, idx: Index) -> Any:
        if isinstance(idx, int):
            return self.info[idx][key]
        return [self.info[i][key] for i in (range(len(self)) if idx is None else idx)]


class FeaturePyramid(nn.Module):
    """Network that returns its last map of each resolution, for detection and segmentation.

    Args:
        network: Network with a method ``features``; its classifier and auxiliary head are removed.
        in_channels: Number of channels of the images.

    Attributes:
        feature_info: Channels and reductions of the maps, as in timm.
        channels: Number of channels of each map.
        strides: Number of image pixels, along the height, for each pixel of a map.
    """

    def __init__(self, network: nn.Module, in_channels: int) -> None:
        super().__init__()
        network.classifier = nn.Identity()
        if hasattr(network, "auxiliary"):
            setattr(network, "auxiliary", None)  # noqa: B010  # torch types it as a module
        self.network = network
        maps = run_without_numbers(self, in_channels, LARGE_IMAGE)
        self.channels = [x.shape[1] for x in maps]
        self.strides = [round(LARGE_IMAGE / x.shape[2]) for x in maps]
        self.feature_info = FeatureInfo(self.channels, self.strides)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of ``(N, C, H, W)`` images, largest first."""
        return self.network.features(images)  # type: ignore[operator]
