"""The shared weights of the macro space: a network that takes an architecture at every step.

Every layer has its own weights for every operation; an operation's weights are the same whatever
the skips are. Only what the architecture names is computed. Shapes: ``(N, C, H, W)`` images,
``(N, K)`` logits.

Source: Pham et al., 2018, Section 2.3, and the authors' code; ``enas.md`` lists the differences.
"""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import (
    MACRO_OPERATIONS,
    MacroArchitecture,
    MacroLayer,
    poolings,
)
from lightning_nas.errors import InputError
from lightning_nas.layers.convolutions import Conv2d, FactorizedReduction, Norm
from lightning_nas.layers.operations import POOLINGS, make_operation
from lightning_nas.layers.shared import BatchStatistics
from lightning_nas.networks.heads import Classifier, Stem, check_image_size
from lightning_nas.networks.initialization import initialize


class Branch(nn.Module):
    """One operation of a layer: 1x1 convolution, batch norm, ReLU, then the operation itself.

    Convolutions are followed by batch norm (epsilon 1e-3, as released) and ReLU, poolings by none.
    """

    def __init__(self, name: str, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels)
        self.norm = norm(channels)
        self.operation = make_operation("macro", name, channels, channels, 1, norm)
        self.norm_after = None if name in POOLINGS else norm(channels, 1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        x = self.operation(F.relu(self.norm(self.conv(x))))
        return x if self.norm_after is None else F.relu(self.norm_after(x))


class SharedMacroLayer(nn.Module):
    """One layer with the weights of every operation.

    Args:
        operations: Names of the operations.
        channels: Channels in and out.
        joins: Whether the layer can have skips; the first cannot, and has no batch norm for them.
        norm: Makes batch norms.
    """

    def __init__(self, operations: Sequence[str], channels: int, joins: bool, norm: Norm) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({name: Branch(name, channels, norm) for name in operations})
        self.norm = norm(channels) if joins else nn.Identity()

    def forward(self, operation: str, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Return the batch norm of the operation's result and the skips, added."""
        return self.norm(sum(skips, start=self.branches[operation](x)))


class Sources:
    """The outputs of stem and layers so far, halved at each pooling only if somebody reads them."""

    def __init__(self, stem: Tensor) -> None:
        self.outputs: list[Tensor] = [stem]
        self.pending: list[list[nn.Module]] = [[]]  # the halvings an output has yet to go through

    def append(self, output: Tensor) -> None:
        """Add the newest output."""
        self.outputs.append(output)
        self.pending.append([])

    def halve(self, halvings: Mapping[int, nn.Module]) -> None:
        """Note one halving for the outputs that are named; nobody reads the others any more."""
        for index, halving in halvings.items():
            self.pending[index].append(halving)

    def __getitem__(self, index: int) -> Tensor:
        """Return an output at the present resolution."""
        for halving in self.pending[index]:
            self.outputs[index] = halving(self.outputs[index])
        self.pending[index] = []
        return self.outputs[index]


class SharedMacroNetwork(nn.Module):
    """A network of the macro space, all weights shared.

    Args:
        num_classes: Classes.
        channels: Channels of the images.
        image_size: Side of the images in pixels.
        layers: How many layers, at least 3.
        filters: Filters of every layer, even.
        operations: Names of the operations of the space.
        batch_norm: See ``BatchStatistics``.
        dropout: Before the classifier, in training.
        initialization: How the weights begin, see ``initialize``.

    Raises:
        InputError: If a number is out of range, or the images are too small.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        channels: int = 3,
        image_size: int = 32,
        layers: int = 12,
        filters: int = 36,
        operations: Sequence[str] = MACRO_OPERATIONS,
        batch_norm: str = "batch",
        dropout: float = 0.1,
        initialization: str = "he",
    ) -> None:
        super().__init__()
        check_image_size(image_size)
        if layers < 3 or filters < 2 or filters % 2:
            raise InputError(f"layers must be >= 3 and filters even, got {layers} and {filters}")
        self.statistics = BatchStatistics(batch_norm)
        norm = self.statistics.norm
        self.stem = Stem(channels, filters, norm)
        self.layers = nn.ModuleList(
            SharedMacroLayer(operations, filters, index > 0, norm) for index in range(layers)
        )
        self.halvings = nn.ModuleDict()
        for index in poolings(layers):  # the stem, the layers up to here
            paths = (FactorizedReduction(filters, filters, norm) for _ in range(index + 2))
            self.halvings[str(index)] = nn.ModuleList(paths)
        self.classifier = Classifier(filters, num_classes, dropout)
        initialize(self, initialization)

    def forward(self, images: Tensor, architecture: MacroArchitecture) -> Tensor:
        """Return logits."""
        sources = Sources(self.stem(images))
        for index, (layer, chosen) in enumerate(zip(self.layers, architecture.layers, strict=True)):
            sources.append(self._layer(layer, chosen, index, sources))
            if str(index) in self.halvings:
                sources.halve(dict(enumerate(self.halvings[str(index)])))  # type: ignore[arg-type]
        return self.classifier(sources[-1])

    @staticmethod
    def _layer(layer: nn.Module, chosen: MacroLayer, index: int, sources: Sources) -> Tensor:
        skips = [sources[skip] for skip in chosen.skips]
        return layer(chosen.operation, sources[index], skips)
