"""Stem, classifier and auxiliary head of the networks.

Shapes: ``(N, C, H, W)`` images or maps in, ``(N, K)`` logits out, K classes.
"""

import logging
from itertools import count

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.errors import InputError
from lightning_nas.layers.convolutions import Conv2d, Norm, pad_same

log = logging.getLogger(__name__)
REDUCTIONS = 2  # between the three stacks of a network
STEM_REDUCTIONS = {"cifar": 0, "imagenet": 2}  # reduction cells after the stem's convolution
STEM_KERNEL = 3


class Stem(nn.Sequential):
    """3x3 convolution and batch norm.

    The kind ``cifar``, for small images, keeps the size of the images. The kind ``imagenet``, from
    NASNet, halves it without padding; two reduction cells follow.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm: Norm, kind: str = "cifar"
    ) -> None:
        convolution: nn.Module = Conv2d(in_channels, out_channels, STEM_KERNEL)
        if kind == "imagenet":
            convolution = nn.Conv2d(in_channels, out_channels, STEM_KERNEL, stride=2, bias=False)
        super().__init__(convolution, norm(out_channels))


def map_size(image_size: int, halvings: int, stem: str = "cifar") -> int:
    """Return the side in pixels of a map after the stem's convolution and ``halvings`` reductions.

    >>> map_size(32, 2), map_size(224, 2, "imagenet")
    (8, 28)
    """
    side = (image_size - STEM_KERNEL) // 2 + 1 if stem == "imagenet" else image_size
    return -(-side // 2**halvings)


class Classifier(nn.Module):
    """Global average pooling, dropout, and a linear layer."""

    def __init__(self, channels: int, num_classes: int, dropout: float, bias: bool = False) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, num_classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return self.linear(self.dropout(x.mean(dim=(2, 3))))


class AuxiliaryHead(nn.Module):
    """Second classifier on a map in the middle of a network, used in training only.

    Layers: 5x5 average pooling with stride 3, 1x1 convolution to 128 channels, convolution to 768
    channels with a kernel as large as the remaining map, linear layer. Source: the released code of
    ENAS and of NASNet.

    Args:
        channels: Number of channels of the map.
        size: Side of the map in pixels, at least 5.
        num_classes: Number of classes.
        norm: Factory of batch norms.
        padded: Whether the last convolution has SAME padding: true in ENAS, false in NASNet.
        bias: Whether the linear layer has a bias: false in ENAS, true in NASNet.
    """

    smallest = 5

    def __init__(
        self,
        channels: int,
        size: int,
        num_classes: int,
        norm: Norm,
        padded: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.padded = padded
        kernel = (size - 5) // 3 + 1
        self.project = Conv2d(channels, 128)
        self.norm_1 = norm(128)
        self.conv = nn.Conv2d(128, 768, kernel, bias=False)
        self.norm_2 = norm(768)
        self.linear = nn.Linear(768, num_classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return auxiliary logits."""
        x = F.avg_pool2d(F.relu(x), 5, 3)
        x = F.relu(self.norm_1(self.project(x)))
        x = pad_same(x, self.conv.kernel_size[0], 1) if self.padded else x
        x = F.relu(self.norm_2(self.conv(x)))
        return self.linear(x.mean(dim=(2, 3)))


def auxiliary_head(
    channels: int,
    image_size: int,
    num_classes: int,
    norm: Norm,
    halvings: int = REDUCTIONS,
    stem: str = "cifar",
    **options: bool,
) -> nn.Module | None:
    """Return an auxiliary head; if its map is too small, log a warning and return None.

    Args:
        channels: Number of channels of the map.
        image_size: Side of the images in pixels.
        num_classes: Number of classes.
        norm: Factory of batch norms.
        halvings: Number of reductions between the stem's convolution and the map.
        stem: Kind of the stem, ``cifar`` or ``imagenet``.
        options: Arguments ``padded`` and ``bias`` of ``AuxiliaryHead``.
    """
    size = map_size(image_size, halvings, stem)
    if size < AuxiliaryHead.smallest:
        least = next(
            side
            for side in count(image_size)
            if map_size(side, halvings, stem) == AuxiliaryHead.smallest
        )
        log.warning(
            "auxiliary head omitted: its map has %d px and needs %d (images of %d px or more); "
            "set auxiliary=false to avoid this warning",
            size,
            AuxiliaryHead.smallest,
            least,
        )
        return None
    return AuxiliaryHead(channels, size, num_classes, norm, **options)


def check_image_size(image_size: int, stem: str = "cifar") -> None:
    """Raise InputError if the images are too small for the reductions or the stem is unknown."""
    if stem not in STEM_REDUCTIONS:
        raise InputError(f"stem must be {' or '.join(STEM_REDUCTIONS)}, got {stem!r}")
    halvings = REDUCTIONS + (3 if stem == "imagenet" else 0)
    least = 2**halvings
    if image_size < least:
        raise InputError(
            f"images of {image_size} px are too small for {halvings} reductions; "
            f"at least {least} px are needed (data.image_size resizes the images of a folder)"
        )
