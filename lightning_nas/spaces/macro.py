"""The macro space of ENAS: whole networks, layer by layer, with skip connections.

Source: Pham et al., 2018, https://arxiv.org/abs/1802.03268, Section 2.3, and the authors' code.
"""

from collections.abc import Iterator, Sequence

from lightning_nas.architecture import (
    MACRO_OPERATIONS,
    OPERATION_NAMES,
    Architecture,
    MacroArchitecture,
    MacroLayer,
    check_names,
)
from lightning_nas.errors import InputError
from lightning_nas.spaces.base import Choice, Decision, Skips, Space


class MacroSpace(Space):
    """Macro networks. Each layer chooses an operation and any subset of the earlier outputs.

    The tokens of layer ``i`` are its operation, then ``i`` bits: bit 0 is the stem, bit ``j`` is
    layer ``j - 1``. The layer directly before is the operation's input and has no bit.

    Args:
        layers: Number of layers, at least 1.
        operations: Names of operations to choose from, in the order of their tokens.
        filters: Filters of the first stage, written into decoded architectures.

    Raises:
        InputError: If a number is below 1, or an operation is unknown or given twice.

    >>> MacroSpace(layers=12).length
    78
    """

    def __init__(
        self,
        layers: int = 12,
        operations: Sequence[str] = MACRO_OPERATIONS,
        filters: int = 96,
    ) -> None:
        if min(layers, filters) < 1:
            raise InputError(f"layers and filters must be at least 1, got {layers} and {filters}")
        check_names("space.operations", operations, OPERATION_NAMES["macro"])
        self.layers = layers
        self.operations = tuple(operations)
        self.filters = filters
        self.decisions = tuple(self._decisions())

    def __str__(self) -> str:
        return f"{self.layers} layers out of {', '.join(self.operations)}"

    def _decisions(self) -> Iterator[Decision]:
        for layer in range(self.layers):
            yield Choice("operation", len(self.operations))
            yield Skips(layer)

    def decode(self, tokens: Sequence[int]) -> MacroArchitecture:
        """Return the network that ``tokens`` describe."""
        layers, start = [], 0
        for layer in range(self.layers):
            bits = tokens[start + 1 : start + 1 + layer]
            skips = tuple(source for source, bit in enumerate(bits) if bit)
            layers.append(MacroLayer(self.operations[tokens[start]], skips))
            start += 1 + layer
        return MacroArchitecture(tuple(layers), self.filters)

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the tokens of a network."""
        if not isinstance(architecture, MacroArchitecture):
            raise InputError(f"a {architecture.kind} architecture is not in the macro space")
        if len(architecture.layers) != self.layers:
            raise InputError(
                f"the architecture has {len(architecture.layers)} layers; legal: {self.layers}"
            )
        return tuple(self._encode(architecture))

    def _encode(self, architecture: MacroArchitecture) -> Iterator[int]:
        for index, layer in enumerate(architecture.layers):
            if layer.operation not in self.operations:
                raise InputError(
                    f"layers[{index}] has {layer.operation!r}, which is not in the space"
                )
            yield self.operations.index(layer.operation)
            yield from (int(source in layer.skips) for source in range(index))
