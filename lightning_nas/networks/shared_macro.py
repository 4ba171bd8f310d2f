"""The shared weights of the macro space: a network whose forward takes an architecture.

Every layer has weights for every operation, and the skips do not change them. Only the operations
that the architecture names are computed. Shapes: ``(N, C, H, W)`` images, ``(N, K)`` logits.

Source: Pham et al., 2018, Section 2.3, and the authors' code; ``enas.md`` lists the differences.
"""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import (
    MACRO_OPERATIONS,
    MacroArchitecture,
    MacroLayer,
    find_poolings,
)
from lightning_nas.errors import InputError
from lightning_nas.layers.convolutions import Conv2d, FactorizedReduction, Norm
from lightning_nas.layers.operations import POOLINGS, make_operation
from lightning_nas.layers.shared import BatchStatistics
from lightning_nas.networks.heads import Classifier, Stem, check_image_size
from lightning_nas.networks.initialization import initialize


class Branch(nn.Module):
    """One operation of a layer: 1x1 convolution, batch norm, ReLU, operation.

    Batch norm (epsilon 1e-3, as in the released code) and ReLU follow, except after a pooling.
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
        channels: Number of input and output channels.
        has_skips: Whether the layer can have skips. The first layer cannot, and needs no batch norm
            for the sum.
        norm: Factory of batch norms.
    """

    def __init__(
        self, operations: Sequence[str], channels: int, has_skips: bool, norm: Norm
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({name: Branch(name, channels, norm) for name in operations})
        self.norm = norm(channels) if has_skips else nn.Identity()

    def forward(self, operation: str, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Return the batch norm of the sum of the operation's result and the skips."""
        return self.norm(sum(skips, start=self.branches[operation](x)))


class Sources:
    """Outputs of the stem and of the layers so far.

    A pooling halves all earlier outputs. Each output is halved when a layer first reads it, so that
    outputs that no layer reads cost nothing.
    """

    def __init__(self, stem: Tensor) -> None:
        self.outputs: list[Tensor] = [stem]
        self.pending: list[list[nn.Module]] = [[]]  # reductions not yet applied, by output

    def append(self, output: Tensor) -> None:
        """Add the output of a layer."""
        self.outputs.append(output)
        self.pending.append([])

    def halve(self, halvings: Mapping[int, nn.Module]) -> None:
        """Halve the outputs with these indices; later layers must not read any other output."""
        for index, halving in halvings.items():
            self.pending[index].append(halving)

    def __getitem__(self, index: int) -> Tensor:
        """Return an output at the current resolution."""
        for halving in self.pending[index]:
            self.outputs[index] = halving(self.outputs[index])
        self.pending[index] = []
        return self.outputs[index]


class SharedMacroNetwork(nn.Module):
    """Network of the macro space whose weights all architectures share.

    Args:
        num_classes: Number of classes.
        channels: Number of channels of the images.
        image_size: Side of the images in pixels, at least 4.
        layers: Number of layers, at least 3.
        filters: Filters of every layer, even.
        operations: Names of the operations of the space.
        batch_norm: Mode of ``BatchStatistics``.
        dropout: Dropout rate before the classifier, in [0, 1).
        initialization: Initial weights, ``he`` or ``identity``, see ``initialize``.

    Raises:
        InputError: If a number or a name is out of range, or the images are too small.
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
            raise InputError(
                "space.layers must be at least 3 and supernet.filters even and at least 2, "
                f"got {layers} and {filters}"
            )
        self.statistics = BatchStatistics(batch_norm)
        norm = self.statistics.norm
        self.stem = Stem(channels, filters, norm)
        self.layers = nn.ModuleList(
            SharedMacroLayer(operations, filters, index > 0, norm) for index in range(layers)
        )
        self.halvings = nn.ModuleDict()
        for index in find_poolings(layers):
            # one reduction for the output of the stem and of each layer up to this one
            paths = (FactorizedReduction(filters, filters, norm) for _ in range(index + 2))
            self.halvings[str(index)] = nn.ModuleList(paths)
        self.classifier = Classifier(filters, num_classes, dropout)
        initialize(self, initialization)

    def forward(self, images: Tensor, architecture: MacroArchitecture) -> Tensor:
        """Return logits of the given architecture."""
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
