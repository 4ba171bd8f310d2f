"""Convolutions and poolings with TensorFlow's SAME padding, as the papers' networks have them.

Shapes: ``(N, C, H, W)`` in, ``(N, C', ceil(H / stride), ceil(W / stride))`` out.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.layers import cpu

Norm = Callable[..., nn.Module]  # channels, perhaps epsilon -> a normalisation layer
PerAxis = int | tuple[int, int]  # for both axes, or vertical and horizontal


def _pair(value: PerAxis) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after an axis that give ``ceil(size / stride)`` windows.

    An odd zero goes to the end, as in TensorFlow.

    >>> same_padding(32, kernel=3, stride=2), same_padding(32, kernel=3, stride=1)
    ((0, 1), (1, 1))
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: PerAxis, stride: PerAxis, value: float = 0.0) -> Tensor:
    """Pad the two last axes of ``x`` so that an unpadded window of ``kernel`` acts as SAME."""
    (height, width), (down, across) = _pair(kernel), _pair(stride)
    top, bottom = same_padding(x.shape[-2], height, down)
    left, right = same_padding(x.shape[-1], width, across)
    return F.pad(x, (left, right, top, bottom), value=value)


class Conv2d(nn.Conv2d):
    """A convolution without bias, with SAME padding.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel: Side of the window, or its height and width, odd.
        stride: For both axes, or vertical and horizontal.
        groups: ``in_channels`` makes it depthwise.
        dilation: Distance of the pixels that a window reads; 1 where there are groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: PerAxis = 1,
        stride: PerAxis = 1,
        groups: int = 1,
        dilation: int = 1,
    ) -> None:
        height, width = ((side - 1) * dilation + 1 for side in _pair(kernel))
        strided = _pair(stride) != (1, 1)
        padding = (0, 0) if strided else (height // 2, width // 2)
        super().__init__(
            in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False
        )
        self.window = height, width
        self.strided = strided

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x``."""
        if self.strided and self.window == (1, 1):
            return F.conv2d(
                every(x, self.stride[0], self.stride[1]), self.weight, groups=self.groups
            )
        if self.strided:
            return super().forward(pad_same(x, self.window, self.stride))  # type: ignore[arg-type]
        if self.window == (1, 1) and cpu.is_small(x):
            return cpu.pointwise(x, self.weight)
        if self.groups > 1 and cpu.splits(x, self.weight):
            return cpu.Depthwise5x5.apply(x, self.weight)
        return super().forward(x)


class SeparableConv(nn.Module):
    """ReLU, depthwise, pointwise, batch norm, twice; the first changes resolution and channels.

    The first ReLU is the caller's: every operation that reads one state shares it.
    """

    reads_relu = True

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int, norm: Norm
    ) -> None:
        super().__init__()
        self.depthwise_1 = Conv2d(in_channels, in_channels, kernel, stride, groups=in_channels)
        self.pointwise_1 = Conv2d(in_channels, channels)
        self.norm_1 = norm(channels)
        self.depthwise_2 = Conv2d(channels, channels, kernel, groups=channels)
        self.pointwise_2 = Conv2d(channels, channels)
        self.norm_2 = norm(channels)

    def forward(self, relu_x: Tensor) -> Tensor:
        """Return the result for a state whose negative values are zero already."""
        x = self.norm_1(self.pointwise_1(self.depthwise_1(relu_x)))
        return self.norm_2(self.pointwise_2(self.depthwise_2(F.relu(x))))


class ConvNorm(nn.Module):
    """Convolution, batch norm. A ReLU before them is the caller's."""

    reads_relu = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: Norm,
        kernel: PerAxis = 1,
        stride: PerAxis = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, kernel, stride, dilation=dilation)
        self.norm = norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for ``x``."""
        return self.norm(self.conv(x))


class ReluConvNorm(ConvNorm):
    """ReLU, convolution, batch norm."""

    reads_relu = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for a state as it is."""
        return super().forward(F.relu(x))


class AsymmetricConv(nn.Sequential):
    """ReLU, 1 x k, batch norm, ReLU, k x 1, batch norm; each strides along its own axis.

    The first ReLU is the caller's. Source: the paper names the windows alone; the rest is as its
    authors' later code of AmoebaNet has it.
    """

    reads_relu = True

    def __init__(
        self, in_channels: int, channels: int, kernel: int, stride: int, norm: Norm
    ) -> None:
        super().__init__(
            ConvNorm(in_channels, channels, norm, (1, kernel), (1, stride)),
            ReluConvNorm(channels, channels, norm, (kernel, 1), (stride, 1)),
        )


class FactorizedReduction(nn.Module):
    """Halves the resolution by two 1x1 convolutions, on the even and on the odd pixels.

    The second path reads the image shifted by one pixel, with a row and a column of zeros after the
    last. No ReLU in it. Source: the released code of NASNet and of ENAS.

    Args:
        in_channels: Channels in.
        out_channels: Channels out, even.
        norm: Makes the batch norm of the joined result.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.path_1 = Conv2d(in_channels, out_channels // 2)
        self.path_2 = Conv2d(in_channels, out_channels - out_channels // 2)
        self.norm = norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, out_channels, ceil(H / 2), ceil(W / 2))``."""
        shifted = F.pad(x[..., 1:, 1:], (0, 1, 0, 1))
        joined = torch.cat([self.path_1(every(x, 2, 2)), self.path_2(every(shifted, 2, 2))], dim=1)
        return self.norm(joined)


def every(x: Tensor, down: int, across: int) -> Tensor:
    """Return every so many rows and columns: all that a 1x1 convolution with strides reads.

    On a CPU such a convolution with strides writes beyond its memory where it has few channels
    (torch 2.14, channels_last); without them it is right. The layout is one that convolutions take
    without a copy of their own.
    """
    return x[..., ::down, ::across].contiguous(memory_format=torch.channels_last)


class AveragePool(nn.Module):
    """A 3x3 average over the valid pixels of each window.

    On a CPU a depthwise convolution does it three times as fast as torch's pooling.
    """

    reads_relu = False

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``x``."""
        if self.stride > 1 or not cpu.here(x):
            return self._pool(x)
        channels, height, width = x.shape[1:]
        kernel = x.new_full((1, 1, 3, 3), 1 / 9).expand(channels, 1, 3, 3)
        return F.conv2d(x, kernel, padding=1, groups=channels) * _border(height, width, x)

    def _pool(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        ones = x.new_ones((1, 1, *x.shape[-2:]))
        total = F.avg_pool2d(pad_same(x, 3, self.stride), 3, self.stride)
        return total / F.avg_pool2d(pad_same(ones, 3, self.stride), 3, self.stride)


def _border(height: int, width: int, like: Tensor) -> Tensor:
    """What a mean over nine pixels, zeros beyond the border, must be multiplied with."""

    def axis(size: int) -> Tensor:
        valid = like.new_full((size,), 3.0)
        valid[0] -= 1
        valid[-1] -= 1
        return 3 / valid

    return axis(height)[:, None] * axis(width)[None, :]


class MaxPool(nn.Module):
    """A maximum over a square window of an odd side."""

    reads_relu = False

    def __init__(self, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.stride = stride
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``x``."""
        if self.stride == 1:
            return F.max_pool2d(x, self.kernel, 1, self.kernel // 2)
        x = pad_same(x, self.kernel, self.stride, float("-inf"))
        return F.max_pool2d(x, self.kernel, self.stride)
