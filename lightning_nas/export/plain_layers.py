"""Layers as they stand in the files of ``python_file``: plain torch, the same numbers, no tricks.

Their source is copied, so they import torch alone and use nothing but each other and the two names
before them. Every layer has its ReLU in it.
Shapes: ``(N, C, H, W)`` in, ``(N, C', ceil(H / stride), ceil(W / stride))`` out.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = int | tuple[int, int]  # for both axes, or vertical and horizontal
batch_norm = partial(nn.BatchNorm2d, eps=1e-5, momentum=0.1)  # a file has its own settings


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after an axis that give ``ceil(size / stride)`` windows."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Conv2d(nn.Conv2d):
    """A convolution without bias, with TensorFlow's SAME padding."""

    def __init__(
        self, in_channels: int, channels: int, kernel: Size = 1, stride: Size = 1, **options: Any
    ) -> None:
        super().__init__(in_channels, channels, kernel, stride, bias=False, **options)
        self.window = [(side - 1) * self.dilation[0] + 1 for side in self.kernel_size]
        if self.stride == (1, 1):
            self.padding = (self.window[0] // 2, self.window[1] // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``."""
        if self.stride != (1, 1):
            down, across = map(same_padding, x.shape[2:], self.window, self.stride)
            x = F.pad(x, (*across, *down))
        return super().forward(x)


class ConvNorm(nn.Module):
    """Convolution, batch norm."""

    def __init__(self, in_channels: int, channels: int, *window: Size, **options: int) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, channels, *window, **options)
        self.norm = batch_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for ``x``."""
        return self.norm(self.conv(x))


class ReluConvNorm(ConvNorm):
    """ReLU, convolution, batch norm."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for ``x``."""
        return super().forward(F.relu(x))


class SeparableConv(nn.Module):
    """ReLU, depthwise, pointwise, batch norm, twice; the first changes size and channels."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise_1 = Conv2d(in_channels, in_channels, kernel, stride, groups=in_channels)
        self.pointwise_1 = Conv2d(in_channels, channels)
        self.norm_1 = batch_norm(channels)
        self.depthwise_2 = Conv2d(channels, channels, kernel, groups=channels)
        self.pointwise_2 = Conv2d(channels, channels)
        self.norm_2 = batch_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for ``x``."""
        x = self.norm_1(self.pointwise_1(self.depthwise_1(F.relu(x))))
        return self.norm_2(self.pointwise_2(self.depthwise_2(F.relu(x))))


class AsymmetricConv(nn.Sequential):
    """ReLU, 1 x k, batch norm, ReLU, k x 1, batch norm; each strides along its own axis."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            ReluConvNorm(in_channels, channels, (1, kernel), (1, stride)),
            ReluConvNorm(channels, channels, (kernel, 1), (stride, 1)),
        )


class FactorizedReduction(nn.Module):
    """Halves the resolution: one half of the channels reads the even pixels, one the odd ones."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.path_1 = Conv2d(in_channels, channels // 2)
        self.path_2 = Conv2d(in_channels, channels - channels // 2)
        self.norm = batch_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for ``x``."""
        odd = F.pad(x, (0, 1, 0, 1))[..., 1::2, 1::2]
        return self.norm(torch.cat([self.path_1(x[..., ::2, ::2]), self.path_2(odd)], dim=1))


class ReluReduction(FactorizedReduction):
    """ReLU, then half the resolution."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for ``x``."""
        return super().forward(F.relu(x))


class AveragePool(nn.Module):
    """A 3x3 average over the pixels of each window that lie in the image."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``x``."""
        before = [same_padding(size, 3, self.stride)[0] for size in x.shape[2:]]
        return F.avg_pool2d(x, 3, self.stride, before, ceil_mode=True, count_include_pad=False)


class MaxPool(nn.Module):
    """A maximum over a square window."""

    def __init__(self, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``x``."""
        before = [same_padding(size, self.kernel, self.stride)[0] for size in x.shape[2:]]
        return F.max_pool2d(x, self.kernel, self.stride, before, ceil_mode=True)
