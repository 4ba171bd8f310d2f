"""The network of a macro architecture: built for one architecture, to be trained from scratch.

Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Pham et al., 2018, and the final network of the authors' code, which differs from the shared
weights of the search: skips are concatenated, and each pooling doubles the filters.
"""

import torch
from torch import Tensor, nn

from lightning_nas.architecture import MacroArchitecture, MacroLayer, poolings
from lightning_nas.layers.convolutions import FactorizedReduction, Norm, ReluConvNorm
from lightning_nas.layers.operations import POOLINGS, make_operation
from lightning_nas.networks.heads import Classifier, Stem, check_image_size
from lightning_nas.networks.initialization import initialize
from lightning_nas.networks.shared_macro import Sources


class MacroBlock(nn.Module):
    """One layer: ReLU, 1x1 convolution, batch norm; then the same with the operation; then skips.

    Args:
        layer: What it computes.
        index: Which layer it is; all but the first end in a 1x1 convolution of the concatenation
            of their result with the skips.
        channels: Channels in and out.
        norm: Makes batch norms.
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
        """Return the layer's output."""
        x = self.operation(self.conv(x))
        return x if self.join is None else self.join(torch.cat([*skips, x], dim=1))


class MacroNetwork(nn.Module):
    """A network of the macro space.

    Args:
        architecture: Its layers.
        num_classes: Classes.
        channels: Channels of the images.
        image_size: Side of the images in pixels.
        filters: Filters of the first stage, even.
        dropout: Before the classifier.
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
            if index in poolings(len(architecture.layers)):
                self.halvings[str(index)] = self._halvings(index, filters, norm)
                filters *= 2
        self.classifier = Classifier(filters, num_classes, dropout)
        initialize(self)

    def _halvings(self, index: int, filters: int, norm: Norm) -> nn.ModuleDict:
        """One for each output so far that a later layer reads, be it as skip or as input."""
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
