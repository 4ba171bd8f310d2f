"""The network of a chain architecture, with the rules of NAS for joining layers.

Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Zoph and Le, 2017, Section 3.3 and Appendix. Choices of this project where the paper gives
none: the order convolution, batch norm, ReLU; zeros on all sides of a smaller input; a pooling
halves the image and all earlier outputs; an average over all pixels before the classifier.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import ChainArchitecture, ChainLayer, find_loose_layers
from lightning_nas.errors import InputError
from lightning_nas.layers.convolutions import Conv2d
from lightning_nas.networks.initialization import initialize


class ConvNormRelu(nn.Module):
    """Convolution with SAME padding and without bias, batch norm, ReLU."""

    def __init__(self, in_channels: int, layer: ChainLayer) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, layer.filters, layer.kernel, layer.stride)
        self.norm = nn.BatchNorm2d(layer.filters)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, filters, ceil(H / stride), ceil(W / stride))``."""
        return F.relu(self.norm(self.conv(x)))


class ChainBlock(nn.Module):
    """One layer of the architecture, repeated in a densely connected row.

    Args:
        in_channels: Number of channels of the concatenated inputs.
        layer: Kernel, stride and filters of the layer.
        repeats: Number of copies in the row, at least 1. Each reads the inputs and all copies
            before it.
    """

    def __init__(self, in_channels: int, layer: ChainLayer, repeats: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ConvNormRelu(in_channels + i * layer.filters, layer) for i in range(repeats)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last copy."""
        first, *others = self.layers
        out = first(x)
        for layer in others:
            x = torch.cat([x, out], dim=1)
            out = layer(x)
        return out


class ChainNetwork(nn.Module):
    """Convolutions that read the image or earlier convolutions, and a linear classifier.

    A layer without inputs reads the image. Inputs of different sizes are padded with zeros to the
    largest. Outputs that no layer reads are concatenated, averaged over all pixels and classified.

    Args:
        architecture: Layers, their connections and the poolings.
        num_classes: Number of classes.
        channels: Number of channels of the images.
        image_size: Side of the images in pixels.
        dropout: Dropout rate before the classifier, in [0, 1).
        wider: Number of filters to add to every layer; the paper's largest network has 40.

    Raises:
        InputError: If repeated layers have strides, or the images are too small for the poolings.
    """

    def __init__(
        self,
        architecture: ChainArchitecture,
        *,
        num_classes: int,
        channels: int = 3,
        image_size: int = 32,
        dropout: float = 0.0,
        wider: int = 0,
    ) -> None:
        super().__init__()
        layers = [
            ChainLayer(layer.kernel, layer.stride, layer.filters + wider, layer.inputs)
            for layer in architecture.layers
        ]
        if architecture.repeats > 1 and any(layer.stride != (1, 1) for layer in layers):
            raise InputError(
                "repeated layers must have stride 1: set space.repeats=1 or space.strides=[1]"
            )
        if image_size < 2 ** len(architecture.pools):
            raise InputError(
                f"images of {image_size} px are too small for {len(architecture.pools)} poolings; "
                f"at least {2 ** len(architecture.pools)} px are needed"
            )
        self.architecture = architecture
        self.blocks = nn.ModuleList()
        for layer in layers:
            joined = sum(layers[source].filters for source in layer.inputs) or channels
            self.blocks.append(ChainBlock(joined, layer, architecture.repeats))
        self.sides = _map_sides(architecture, image_size)
        self.loose = find_loose_layers(layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(sum(layers[i].filters for i in self.loose), num_classes)
        initialize(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        outputs = self._outputs(images)
        x = join([outputs[index] for index in self.loose])
        return self.classifier(self.dropout(x.mean(dim=(2, 3))))

    def _outputs(self, images: Tensor, unpooled: list[Tensor] | None = None) -> list[Tensor]:
        """Return all outputs at the last resolution; append unpooled ones to ``unpooled``."""
        outputs: list[Tensor] = []
        for index, (block, layer) in enumerate(
            zip(self.blocks, self.architecture.layers, strict=True)
        ):
            inputs = [outputs[source] for source in layer.inputs] or [images]
            outputs.append(block(join(inputs)))
            if unpooled is not None:
                unpooled.append(outputs[-1])
            if index in self.architecture.pools:
                images = F.max_pool2d(images, 2, ceil_mode=True)
                outputs = [F.max_pool2d(output, 2, ceil_mode=True) for output in outputs]
        return outputs

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the last layer's output at each resolution, largest first.

        The number of maps does not depend on ``images``: resolutions that are equal for images of
        ``image_size`` count as one.
        """
        outputs: list[Tensor] = []
        self._outputs(images, outputs)
        last = dict(zip(self.sides, outputs, strict=True))
        return [last[sides] for sides in sorted(last, key=math.prod, reverse=True)]

    @property
    def stages(self) -> list[list[nn.Module]]:
        """Thirds of the layers: a chain has no stem and may have a single resolution."""
        total = len(self.blocks)
        ends = [round(total * third / 3) for third in range(4)]
        return [list(self.blocks[start:end]) for start, end in pairwise(ends)]


def _map_sides(architecture: ChainArchitecture, image_size: int) -> list[tuple[int, int]]:
    """Return height and width of the output of each layer, for square images.

    >>> layers = (ChainLayer((3, 3), (1, 1), 4), ChainLayer((3, 3), (1, 2), 4, (0,)))
    >>> _map_sides(ChainArchitecture(layers, pools=(0,)), image_size=32)
    [(32, 32), (16, 8)]
    """
    sides: list[tuple[int, int]] = []
    now: list[tuple[int, int]] = []  # of all outputs, after the poolings so far
    image = (image_size, image_size)
    for index, layer in enumerate(architecture.layers):
        inputs = [now[source] for source in layer.inputs] or [image]
        height, width = (max(axis) for axis in zip(*inputs, strict=True))
        sides.append((-(-height // layer.stride[0]), -(-width // layer.stride[1])))
        now.append(sides[-1])
        if index in architecture.pools:
            image, *now = [(-(-height // 2), -(-width // 2)) for height, width in [image, *now]]
    return sides


def join(inputs: Sequence[Tensor]) -> Tensor:
    """Concatenate maps along the channels; center smaller maps in zeros."""
    if len(inputs) == 1:
        return inputs[0]
    height = max(x.shape[2] for x in inputs)
    width = max(x.shape[3] for x in inputs)
    return torch.cat([_pad_to(x, height, width) for x in inputs], dim=1)


def _pad_to(x: Tensor, height: int, width: int) -> Tensor:
    down, across = height - x.shape[2], width - x.shape[3]
    if not down and not across:
        return x
    return F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
