"""An operation from outside of the project: a convolution with a gate."""

import torch
from torch import Tensor, nn


class GatedConv(nn.Module):
    """3x3 convolution whose result is multiplied by a gate of the same input; batch norm.

    Args:
        channels_in: Number of input channels.
        channels_out: Number of output channels.
        stride: 1 or 2.
        norm: Factory of batch norms.
    """

    reads_relu = True  # in a cell the layer reads states after their ReLU

    def __init__(self, channels_in, channels_out, stride, norm):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.gate = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1)
        self.norm = norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, channels_out, ceil(H / stride), ceil(W / stride))``."""
        return self.norm(self.conv(x) * torch.sigmoid(self.gate(x)))
