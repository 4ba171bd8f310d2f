"""What every network has at its two ends: stem, classifier, auxiliary head.

Shapes: ``(N, C, H, W)`` images or maps in, ``(N, K)`` logits out, K classes.
"""

import logging
from itertools import count

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.errors import InputError
from lightning_nas.layers.convolutions import Conv2d, Norm, pad_same

log = logging.getLogger(__name__)
REDUCTIONS = 2
STEM_REDUCTIONS = {"cifar": 0, "imagenet": 2}  # cells that follow the stem's convolution
STEM_KERNEL = 3


class Stem(nn.Sequential):
    """A 3x3 convolution and batch norm.

    ``cifar``, for small images, keeps their size. ``imagenet`` halves it, without padding; it is
    NASNet's, and there two reduction cells follow.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm: Norm, kind: str = "cifar"
    ) -> None:
        convolution: nn.Module = Conv2d(in_channels, out_channels, STEM_KERNEL)
        if kind == "imagenet":
            convolution = nn.Conv2d(in_channels, out_channels, STEM_KERNEL, stride=2, bias=False)
        super().__init__(convolution, norm(out_channels))


def map_size(image_size: int, halvings: int, stem: str = "cifar") -> int:
    """Return the side of a map after the stem's convolution and some reductions.

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
    """A second classifier on a map in the middle of a network, for training only.

    Average pooling 5 by stride 3, 1x1 convolution to 128, a convolution as large as the map that is
    left to 768, and a linear layer. Source: the released code of ENAS and of NASNet.

    Args:
        channels: Channels of the map that it reads.
        size: Side of that map in pixels, at least 5.
        num_classes: Classes.
        norm: Makes its batch norms.
        padded: Whether the last convolution has SAME padding, as in ENAS. In NASNet it has none.
        bias: Of the linear layer: NASNet's has one, that of ENAS has none.
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
        left = (size - 5) // 3 + 1
        self.project = Conv2d(channels, 128)
        self.norm_1 = norm(128)
        self.conv = nn.Conv2d(128, 768, left, bias=False)
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
    """Return the head that reads the map after some reductions, or None where that is too small.

    Args:
        channels: Channels of the map.
        image_size: Side of the network's images.
        num_classes: Classes.
        norm: Makes its batch norms.
        halvings: How often the map's side was halved after the stem's convolution.
        stem: As in ``Stem``.
        options: ``padded`` and ``bias`` of ``AuxiliaryHead``.
    """
    size = map_size(image_size, halvings, stem)
    if size < AuxiliaryHead.smallest:
        least = next(
            side
            for side in count(image_size)
            if map_size(side, halvings, stem) == AuxiliaryHead.smallest
        )
        log.warning(
            "auxiliary head left off: its map has %d px, it needs %d (images of %d px or more); "
            "auxiliary=false says so beforehand",
            size,
            AuxiliaryHead.smallest,
            least,
        )
        return None
    return AuxiliaryHead(channels, size, num_classes, norm, **options)


def check_image_size(image_size: int, stem: str = "cifar") -> None:
    """Raise InputError where the reductions leave nothing of the image, or the stem is unknown."""
    if stem not in STEM_REDUCTIONS:
        raise InputError(f"stem must be {' or '.join(STEM_REDUCTIONS)}, got {stem!r}")
    halvings = REDUCTIONS + (3 if stem == "imagenet" else 0)
    least = 2**halvings
    if image_size < least:
        raise InputError(
            f"images of {image_size} px are too small for {halvings} reductions; "
            f"at least {least} px are needed (data.image_size resizes a folder's images)"
        )
