"""The network of a macro architecture, trained from scratch.

Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Pham et al., 2018, and the final network of the authors' code. It differs from the shared
weights of the search: skips are concatenated, and each pooling doubles the filters.
"""

import torch
from torch import Tensor, nn

from lightning_nas.architecture import MacroArchitecture, MacroLayer, find_poolings
from lightning_nas.layers.convolutions import FactorizedReduction, Norm, ReluConvNorm
from lightning_nas.layers.operations import POOLINGS, make_operation
from lightning_nas.networks.heads import Classifier, Stem, check_image_size
from lightning_nas.networks.initialization import initialize
from lightning_nas.networks.shared_macro import Sources


class MacroBlock(nn.Module):
    """One layer of the network.

    ReLU, 1x1 convolution, batch norm; then ReLU, operation, batch norm, or the pooling alone; then,
    except in the first layer, a 1x1 convolution of the result concatenated with the skips.

    Args:
        layer: Operation and skips of the layer.
        index: Index of the layer, from 0.
        channels: Number of input and output channels.
        norm: Factory of batch norms.
    """

    def __init__(self, layer: MacroLayer, index: int, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = ReluConvNorm(channels, channels, 1, norm)
        operation = make_operation("macro", layer.operation, channels, channels, 1, norm)
        pools = layer.operation in POOLINGS
        self.operation = operation if pools else nn.Sequential(nn.ReLU(), operation, norm(channels))
        joined = channels * (len(layer.skips) + 1)
        self.join = ReluConvNorm(joined, channels, 1, norm) if index > 0 else None

    def forward(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """Return the output of the layer."""
        x = self.operation(self.conv(x))
        return x if self.join is None else self.join(torch.cat([*skips, x], dim=1))


class MacroNetwork(nn.Module):
    """Network of one architecture of the macro space.

    Args:
        architecture: Operations and skips of the layers.
        num_classes: Number of classes.
        channels: Number of channels of the images.
        image_size: Side of the images in pixels.
        filters: Filters of the first stage, even.
        dropout: Dropout rate before the classifier, in [0, 1).
    """

    def __init__(
        self,
        architecture: MacroArchitecture,
        *,
        num_classes: int,
        channels: int = 3,
        image_size: int = 32,
        filters: int = 96,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_image_size(image_size)
        norm = nn.BatchNorm2d
        self.architecture = architecture
        self.stem = Stem(channels, filters, norm)
        self.blocks = nn.ModuleList()
        self.halvings = nn.ModuleDict()
        for index, layer in enumerate(architecture.layers):
            self.blocks.append(MacroBlock(layer, index, filters, norm))
            if index in find_poolings(len(architecture.layers)):
                self.halvings[str(index)] = self._make_halvings(index, filters, norm)
                filters *= 2
        self.classifier = Classifier(filters, num_classes, dropout)
        initialize(self)

    def _make_halvings(self, index: int, filters: int, norm: Norm) -> nn.ModuleDict:
        """Return a reduction for each earlier output that a later layer reads as input or skip."""
        later = self.architecture.layers[index + 1 :]
        read = {index + 1} | {skip for layer in later for skip in layer.skips if skip <= index + 1}
        return nn.ModuleDict(
            {
                str(source): FactorizedReduction(filters, 2 * filters, norm)
                for source in sorted(read)
            }
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        return self.classifier(self.features(images)[-1])

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the last map of each resolution, largest first."""
        maps: list[Tensor] = []
        sources = Sources(self.stem(images))
        for index, (block, layer) in enumerate(
            zip(self.blocks, self.architecture.layers, strict=True)
        ):
            skips = [sources[skip] for skip in layer.skips]
            sources.append(block(sources[index], skips))
            if str(index) in self.halvings:
                maps.append(sources[-1])
                sources.halve({int(k): m for k, m in self.halvings[str(index)].items()})  # type: ignore[operator]
        return [*maps, sources[-1]]

    @property
    def stages(self) -> list[list[nn.Module]]:
        """The stem, then the layers of each resolution."""
        ends = [int(index) + 1 for index in self.halvings]
        parts = zip([0, *ends], [*ends, len(self.blocks)], strict=True)
        stages = [list(self.blocks[start:end]) for start, end in parts]
        for stage, halving in zip(stages[1:], self.halvings.values(), strict=True):
            stage.append(halving)
        return [[self.stem], *stages]
