"""The space of NAS. The search chooses kernels, strides, filters and inputs of convolutions.

Source: Zoph and Le, 2017, https://arxiv.org/abs/1611.01578, Sections 3.1, 3.3 and 4.1.
"""

from collections.abc import Iterator, Sequence

from lightning_nas.architecture import Architecture, ChainArchitecture, ChainLayer
from lightning_nas.errors import InputError
from lightning_nas.spaces.base import Choice, Decision, Skips, Space

FIELDS = ("height", "width", "vertical stride", "horizontal stride", "filters")


class ChainSpace(Space):
    """Space of networks of convolutions. A layer reads any subset of the earlier layers.

    The tokens of layer ``i`` are, in this order: height and width of the kernel, vertical and
    horizontal stride (only if there is more than one stride to choose from), number of filters, and
    ``i`` bits. Bit ``j`` is 1 if the layer reads layer ``j``.

    Args:
        layers: Number of layers, at least 1.
        kernels: Heights and widths of kernels to choose from, odd, in pixels.
        strides: Strides to choose from, in pixels. A single stride needs no token. Strides of the
            paper: only 1, or 1, 2 and 3.
        filters: Numbers of filters to choose from.
        repeats: Number of copies of each layer in a row, at least 1; 3 in the pooling variant of
            the paper. The number is a part of every architecture.
        pools: Indices of the layers after which the resolution is halved, ascending. The indices
            are a part of every architecture.

    Raises:
        InputError: If a setting is out of range.

    >>> ChainSpace(layers=15).length, ChainSpace(layers=2, strides=(1, 2, 3)).length
    (150, 11)
    """

    def __init__(
        self,
        layers: int = 6,
        kernels: Sequence[int] = (1, 3, 5, 7),
        strides: Sequence[int] = (1,),
        filters: Sequence[int] = (24, 36, 48, 64),
        repeats: int = 1,
        pools: Sequence[int] = (),
    ) -> None:
        options = {"kernels": kernels, "strides": strides, "filters": filters}
        for name, values in options.items():
            if not values or min(values) < 1 or len(set(values)) < len(values):
                raise InputError(f"space.{name} must be different numbers >= 1, got {list(values)}")
        if any(kernel % 2 == 0 for kernel in kernels):
            raise InputError(f"space.kernels must be odd, got {list(kernels)}")
        if min(layers, repeats) < 1:
            raise InputError(
                f"space.layers and space.repeats must be at least 1, got {layers} and {repeats}"
            )
        if list(pools) != sorted({pool for pool in pools if 0 <= pool < layers}):
            raise InputError(
                "space.pools must be ascending layer indices from 0 to "
                f"{layers - 1}, got {list(pools)}"
            )
        self.layers = layers
        self.kernels = tuple(kernels)
        self.strides = tuple(strides)
        self.filters = tuple(filters)
        self.repeats = repeats
        self.pools = tuple(pools)
        options_of_fields = (self.kernels, self.kernels, self.strides, self.strides, self.filters)
        self._fields = {
            name: values
            for name, values in zip(FIELDS, options_of_fields, strict=True)
            if len(values) > 1 or "stride" not in name
        }
        self.decisions = tuple(self._decisions())

    def add_layers(self, layers: int) -> "ChainSpace":
        """Return a space with ``layers`` more layers and the same options."""
        return ChainSpace(
            self.layers + layers, self.kernels, self.strides, self.filters, self.repeats, self.pools
        )

    def __str__(self) -> str:
        fields = "; ".join(f"{name} {list(values)}" for name, values in self._fields.items())
        return f"{self.layers} convolutions out of {fields}"

    def _decisions(self) -> Iterator[Decision]:
        for layer in range(self.layers):
            for name, values in self._fields.items():
                yield Choice(name, len(values))
            yield Skips(layer)

    def decode(self, tokens: Sequence[int]) -> ChainArchitecture:
        """Return the architecture of the given tokens."""
        remaining = iter(tokens)
        layers = tuple(self._decode_layer(index, remaining) for index in range(self.layers))
        return ChainArchitecture(layers, self.repeats, self.pools)

    def _decode_layer(self, index: int, tokens: Iterator[int]) -> ChainLayer:
        numbers = {name: values[next(tokens)] for name, values in self._fields.items()}
        height, width, down, across, filters = (
            numbers.get(name, self.strides[0]) for name in FIELDS
        )
        inputs = tuple(source for source in range(index) if next(tokens))
        return ChainLayer((height, width), (down, across), filters, inputs)

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the tokens of an architecture."""
        if not isinstance(architecture, ChainArchitecture):
            raise InputError(f"a {architecture.kind} architecture is not in the chain space")
        if len(architecture.layers) != self.layers:
            raise InputError(
                f"the architecture has {len(architecture.layers)} layers; legal: {self.layers}"
            )
        return tuple(
            token
            for index, layer in enumerate(architecture.layers)
            for token in self._encode_layer(index, layer)
        )

    def _encode_layer(self, index: int, layer: ChainLayer) -> Iterator[int]:
        numbers = dict(zip(FIELDS, (*layer.kernel, *layer.stride, layer.filters), strict=True))
        for name, number in numbers.items():
            legal = self._fields.get(name, self.strides)
            if number not in legal:
                raise InputError(f"layers[{index}]: {name} is {number}; legal: {list(legal)}")
            if name in self._fields:
                yield legal.index(number)
        yield from (int(source in layer.inputs) for source in range(index))
