"""Convolutions and poolings with the SAME padding of TensorFlow, which the papers' networks use.

Shapes: ``(N, C, H, W)`` in, ``(N, C', ceil(H / stride), ceil(W / stride))`` out. Layers with
``reads_relu = True`` expect a map whose negative values are already zero: the caller applies the
ReLU once for all layers that read the map.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.layers import cpu

Norm = Callable[..., nn.Module]  # (channels) or (channels, epsilon) -> normalisation layer
PerAxis = int | tuple[int, int]  # one value for both axes, or (vertical, horizontal)


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
    """Pad height and width of ``x`` so that a window without padding gives SAME output sizes."""
    (height, width), (down, across) = _pair(kernel), _pair(stride)
    top, bottom = same_padding(x.shape[-2], height, down)
    left, right = same_padding(x.shape[-1], width, across)
    return F.pad(x, (left, right, top, bottom), value=value)


class Conv2d(nn.Conv2d):
    """Convolution with SAME padding and without bias.

    Args:
        in_channels: Number of input channels.
        out_channels: Number of output channels.
        kernel: Side of the window in pixels, odd; or its height and width.
        stride: Stride in pixels; or its vertical and horizontal value.
        groups: Number of groups; ``in_channels`` makes a depthwise convolution.
        dilation: Distance in pixels between the pixels that a window reads; 1 if groups > 1.
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
        """Return the convolution of ``x``."""
        if self.strided and self.window == (1, 1):
            if not cpu.may_run(x):
                return super().forward(x)
            x = subsample(x, self.stride[0], self.stride[1])
            return F.conv2d(x, self.weight, groups=self.groups)
        if self.strided:
            return super().forward(pad_same(x, self.window, self.stride))  # type: ignore[arg-type]
        # On small maps a CPU spends most of the time on setting up the convolution; the gradient of
        # a 5x5 depthwise convolution is slow there. `python -m benchmarks.layers` measures both.
        if self.window == (1, 1) and cpu.is_small(x):
            return cpu.pointwise(x, self.weight)
        if self.groups > 1 and cpu.can_split(x, self.weight):
            return cpu.Depthwise5x5.apply(x, self.weight)
        return super().forward(x)


class SeparableConv(nn.Module):
    """Depthwise convolution, pointwise convolution and batch norm, applied twice.

    The first depthwise convolution has the stride, the first pointwise one changes the channels.
    The ReLU between the two halves is part of the layer; the ReLU before the layer is not.
    """

    reads_relu = True

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, norm: Norm, kernel: int
    ) -> None:
        super().__init__()
        self.depthwise_1 = Conv2d(in_channels, in_channels, kernel, stride, groups=in_channels)
        self.pointwise_1 = Conv2d(in_channels, out_channels)
        self.norm_1 = norm(out_channels)
        self.depthwise_2 = Conv2d(out_channels, out_channels, kernel, groups=out_channels)
        self.pointwise_2 = Conv2d(out_channels, out_channels)
        self.norm_2 = norm(out_channels)

    def forward(self, relu_x: Tensor) -> Tensor:
        """Return the result for a map after its ReLU."""
        x = self.norm_1(self.pointwise_1(self.depthwise_1(relu_x)))
        return self.norm_2(self.pointwise_2(self.depthwise_2(F.relu(x))))


class ConvNorm(nn.Module):
    """Convolution and batch norm. The ReLU before the layer is not part of it."""

    reads_relu = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: PerAxis,
        norm: Norm,
        kernel: PerAxis = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, kernel, stride, dilation=dilation)
        self.norm = norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for a map after its ReLU."""
        return self.norm(self.conv(x))


class ReluConvNorm(ConvNorm):
    """ReLU, convolution and batch norm."""

    reads_relu = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for a map before its ReLU."""
        return super().forward(F.relu(x))


class AsymmetricConv(nn.Sequential):
    """1 x k convolution, batch norm, ReLU, k x 1 convolution, batch norm.

    Each convolution has the stride along its own axis. The ReLU before the layer is not part of it.
    Source: the NASNet paper gives the windows alone; order and strides follow the AmoebaNet code of
    the same authors.
    """

    reads_relu = True

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, norm: Norm, kernel: int
    ) -> None:
        super().__init__(
            ConvNorm(in_channels, out_channels, (1, stride), norm, (1, kernel)),
            ReluConvNorm(out_channels, out_channels, (stride, 1), norm, (kernel, 1)),
        )


class FactorizedReduction(nn.Module):
    """Layer that halves the resolution by two 1x1 convolutions, on even and on odd pixels.

    The second convolution reads the map shifted by one pixel, with a row and a column of zeros
    after the last. There is no ReLU in the layer. Source: the released code of NASNet and of ENAS.

    Args:
        in_channels: Number of input channels.
        out_channels: Number of output channels, at least 2.
        norm: Factory of the batch norm of the concatenated result.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.path_1 = Conv2d(in_channels, out_channels // 2, stride=2)
        self.path_2 = Conv2d(in_channels, out_channels - out_channels // 2, stride=2)
        self.norm = norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, out_channels, ceil(H / 2), ceil(W / 2))``."""
        return self.norm(torch.cat([self.path_1(x), self.path_2(shift(x))], dim=1))


def shift(x: Tensor) -> Tensor:
    """Return ``x`` without its first row and column, for a window of one pixel and a stride of 2.

    Zeros follow the last row and column where such a window reads them.
    """
    if not cpu.may_run(x):  # one operation each way, and no zeros that no window reads
        return F.pad(x, (-1, x.shape[3] % 2, -1, x.shape[2] % 2))
    return F.pad(x[..., 1:, 1:], (0, 1, 0, 1))


def subsample(x: Tensor, down: int, across: int) -> Tensor:
    """Return every ``down``-th row and every ``across``-th column of ``x``.

    A 1x1 convolution without stride on the result equals one with strides on ``x``. With strides
    and few channels, torch 2.14 writes outside of its memory on a CPU (channels_last layout). The
    result is in channels_last layout, which convolutions take without a copy. Other devices need no
    such copy.
    """
    return x[..., ::down, ::across].contiguous(memory_format=torch.channels_last)


def pool_padding(x: Tensor, kernel: int, stride: int) -> tuple[int, int]:
    """Return the padding that gives a pooling with ``ceil_mode`` the windows of ``pad_same``."""
    before = (same_padding(side, kernel, stride)[0] for side in x.shape[2:])
    return tuple(before)  # type: ignore[return-value]


class AveragePool(nn.Module):
    """Average over the valid pixels of each 3x3 window."""

    reads_relu = False

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return the averages of ``x``."""
        if self.stride == 1 and cpu.here(x):
            return cpu.average_pool(x)
        if self.stride == 1:
            return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        if not cpu.here(x):  # a traced network must not hold a map of its image size as a constant
            padding = pool_padding(x, 3, self.stride)
            return F.avg_pool2d(x, 3, self.stride, padding, True, count_include_pad=False)
        ones = x.new_ones((1, 1, *x.shape[-2:]))
        total = F.avg_pool2d(pad_same(x, 3, self.stride), 3, self.stride)
        return total / F.avg_pool2d(pad_same(ones, 3, self.stride), 3, self.stride)


class MaxPool(nn.Module):
    """Maximum over a square window with an odd side of ``kernel`` pixels."""

    reads_relu = False

    def __init__(self, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.stride = stride
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima of ``x``."""
        if self.stride == 1:
            return F.max_pool2d(x, self.kernel, 1, self.kernel // 2)
        if not cpu.may_run(x):
            padding = pool_padding(x, self.kernel, self.stride)
            return F.max_pool2d(x, self.kernel, self.stride, padding, ceil_mode=True)
        x = pad_same(x, self.kernel, self.stride, float("-inf"))
        return F.max_pool2d(x, self.kernel, self.stride)
