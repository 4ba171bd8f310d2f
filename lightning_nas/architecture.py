"""What a search finds: an architecture as plain, immutable data, and its file.

An architecture says what is computed and nothing about how: no torch here, no weights.
Everything else of the project reads it: networks build it, spaces decode to it, reports draw it.

States of a cell are numbered from its inputs: 0 is the output of the cell before the last, 1 that
of the last cell, and block ``b`` makes state ``b + 2``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from lightning_nas.errors import InputError
from lightning_nas.files import replace_text

VERSION = 1
CELL_OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "identity")
MACRO_OPERATIONS = (
    "conv_3x3",
    "sep_conv_3x3",
    "conv_5x5",
    "sep_conv_5x5",
    "avg_pool_3x3",
    "max_pool_3x3",
)
EDGE_OPERATIONS = ("none", "identity", "conv_1x1", "conv_3x3", "avg_pool_3x3")
NASNET_OPERATIONS = (
    "identity",
    "conv_1x3_3x1",
    "conv_1x7_7x1",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)
COMBINATIONS = ("add", "concat")
CELL_INPUTS = 2
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # of an edge cell: from node, to node


# Legal names of operations by rule set. `register_name` adds to them.
OPERATION_NAMES: dict[str, list[str]] = {
    "enas": list(CELL_OPERATIONS),
    "nasnet": list(NASNET_OPERATIONS),
    "darts": [*CELL_OPERATIONS, "sep_conv_7x7"],
    "macro": list(MACRO_OPERATIONS),
    "edge": list(EDGE_OPERATIONS),
}


def register_name(rules: str, name: str) -> None:
    """Add the name of an operation to a rule set; a name that is there already stays.

    Args:
        rules: Key of ``OPERATION_NAMES``: ``enas``, ``nasnet``, ``darts``, ``macro`` or ``edge``.
        name: Name of the operation in architecture files and settings: letters, digits and ``_``.

    Raises:
        InputError: If the rule set is unknown or the name has other characters.
    """
    if rules not in OPERATION_NAMES:
        raise InputError(
            f"operations.{rules}: unknown rule set; legal: {', '.join(OPERATION_NAMES)}"
        )
    if not isinstance(name, str) or not name.isidentifier():
        raise InputError(
            f"operations.{rules}: {name!r} is not a name of letters, digits and underscores"
        )
    if name not in OPERATION_NAMES[rules]:
        OPERATION_NAMES[rules].append(name)


@dataclass(frozen=True)
class CellRules:
    """Operations and combinations that the blocks of a cell may have.

    Args:
        name: Rule set, a key of ``OPERATION_NAMES``.
        combinations: Legal ways to combine the two results of a block.
    """

    name: str
    combinations: tuple[str, ...]

    @property
    def operations(self) -> tuple[str, ...]:
        """Legal names of operations, registered ones last."""
        return tuple(OPERATION_NAMES[self.name])


CELL_RULES = {
    "enas": CellRules("enas", ("add",)),
    "nasnet": CellRules("nasnet", COMBINATIONS),
    "darts": CellRules("darts", ("add",)),
}


@dataclass(frozen=True)
class Block:
    """Two operations on two earlier states, combined: one new state of a cell.

    Args:
        inputs: The two states that are read; they may be the same one.
        operations: What is applied to each, names that ``CELL_RULES`` allow.
        combination: ``add``: element by element; ``concat``: in depth.
    """

    inputs: tuple[int, int]
    operations: tuple[str, str]
    combination: str = "add"


@dataclass(frozen=True)
class Cell:
    """A cell: its blocks, and the states that are concatenated to make its output.

    Args:
        blocks: In the order in which they are computed.
        outputs: States, ascending. A search fills in the states that no block reads; published
            cells may list others.
    """

    blocks: tuple[Block, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class CellArchitecture:
    """A normal and a reduction cell, and the size of network that they are meant for.

    Args:
        normal: The cell that keeps the resolution.
        reduction: The cell that halves it.
        cells: The papers' N: normal cells in each of the three stacks.
        filters: The papers' F: filters of the first stack.
        rules: Whose rules join the cells into a network, ``enas``, ``nasnet`` or ``darts``.
    """

    kind: ClassVar[str] = "cell"

    normal: Cell
    reduction: Cell
    cells: int = 5
    filters: int = 36
    rules: str = "enas"


@dataclass(frozen=True)
class MacroLayer:
    """One layer: an operation on the layer before, joined with the outputs of earlier ones.

    Args:
        operation: A name from ``MACRO_OPERATIONS``.
        skips: Earlier outputs that are joined, ascending: 0 is the stem, ``j`` is layer ``j - 1``.
            The layer directly before is the operation's input and never among them.
    """

    operation: str
    skips: tuple[int, ...] = ()


@dataclass(frozen=True)
class MacroArchitecture:
    """A whole network, layer by layer.

    Args:
        layers: From the stem to the classifier.
        filters: Filters of the first stage; each of the two poolings doubles them.
    """

    kind: ClassVar[str] = "macro"

    layers: tuple[MacroLayer, ...]
    filters: int = field(default=96)


@dataclass(frozen=True)
class ChainLayer:
    """One convolution: its window, its strides, its filters, and what it reads.

    Args:
        kernel: Height and width of the window in pixels.
        stride: Vertical and horizontal stride in pixels.
        filters: How many filters.
        inputs: Earlier layers whose outputs are concatenated, ascending; none = the image.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    filters: int
    inputs: tuple[int, ...] = ()


@dataclass(frozen=True)
class ChainArchitecture:
    """A network of convolutions, layer by layer, that join by concatenation.

    Args:
        layers: From the image to the classifier.
        repeats: How often each layer stands in a row, all of them densely connected.
        pools: Layers after whose output the resolution is halved, ascending.
    """

    kind: ClassVar[str] = "chain"

    layers: tuple[ChainLayer, ...]
    repeats: int = 1
    pools: tuple[int, ...] = ()


@dataclass(frozen=True)
class EdgeCellArchitecture:
    """A cell of four nodes with an operation on each edge; a node is the sum of what enters it.

    Node 0 is the output of the cell before, node 3 the output of this one.

    Args:
        operations: One for each of ``EDGES``, names from ``EDGE_OPERATIONS``.
        filters: Filters of the first stage; each of the two reductions doubles them.
        cells: Cells in each of the three stages.
    """

    kind: ClassVar[str] = "edge_cell"

    operations: tuple[str, ...]
    filters: int = 16
    cells: int = 5


Architecture = CellArchitecture | MacroArchitecture | ChainArchitecture | EdgeCellArchitecture


def unused_states(blocks: Sequence[Block]) -> tuple[int, ...]:
    """Return the states of a cell that no block reads, ascending: what a search concatenates.

    >>> unused_states([Block((0, 1), ("identity", "identity"))])
    (2,)
    """
    read = {state for block in blocks for state in block.inputs}
    return tuple(state for state in range(CELL_INPUTS + len(blocks)) if state not in read)


def loose_layers(layers: Sequence[ChainLayer]) -> tuple[int, ...]:
    """Return the layers of a chain that no other reads, ascending: what is classified.

    >>> loose_layers([ChainLayer((3, 3), (1, 1), 24), ChainLayer((1, 1), (1, 1), 36)])
    (0, 1)
    """
    read = {source for layer in layers for source in layer.inputs}
    return tuple(index for index in range(len(layers)) if index not in read)


def poolings(layers: int) -> tuple[int, ...]:
    """Return the two layers, from 0, after which a macro network halves the resolution.

    There are none where fewer than three layers are to be divided.

    >>> poolings(12), poolings(1)
    ((3, 7), ())
    """
    third = layers // 3
    return (third - 1, 2 * third - 1) if third else ()


# ---- the file -----------------------------------------------------------------------------------


def to_json(architecture: Architecture) -> str:
    """Return the text of an architecture file. ``from_json`` reads it back."""
    content = {"version": VERSION, "kind": architecture.kind, **asdict(architecture)}
    return json.dumps(content, indent=2) + "\n"


def from_json(text: str, source: str = "architecture") -> Architecture:
    """Read an architecture from the text of its file.

    Args:
        text: What ``to_json`` wrote, or a person.
        source: Named in the error, usually the file's path.

    Raises:
        InputError: If the text is not a whole, valid architecture; the bad field is named.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{source}: not a whole JSON file (line {error.lineno}: {error.msg}); "
            "was it cut off? Write it again with search.py"
        ) from None
    return _Reader(source).architecture(content)


def write_architecture(architecture: Architecture, path: Path) -> None:
    """Write ``path`` in one step."""
    replace_text(path, to_json(architecture))


def read_architecture(path: Path) -> Architecture:
    """Read and check an architecture file.

    Raises:
        InputError: If it cannot be read or is not valid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise InputError(f"{path}: cannot be read ({reason.lower()})") from None
    return from_json(text, str(path))


T = TypeVar("T")


class _Reader:
    """Turns parsed JSON into architectures, and names the field that is at fault."""

    def __init__(self, source: str) -> None:
        self.source = source

    def architecture(self, content: object) -> Architecture:
        if not isinstance(content, dict):
            raise self.error("", content, "an object")
        if content.get("version") != VERSION:
            raise self.error("version", content.get("version"), f"{VERSION}")
        if content.get("kind") == CellArchitecture.kind:
            return self.cell_architecture(content)
        if content.get("kind") == MacroArchitecture.kind:
            return self.macro_architecture(content)
        if content.get("kind") == ChainArchitecture.kind:
            return self.chain_architecture(content)
        if content.get("kind") == EdgeCellArchitecture.kind:
            return self.edge_cell_architecture(content)
        raise self.error("kind", content.get("kind"), "'cell', 'macro', 'chain' or 'edge_cell'")

    def cell_architecture(self, content: Mapping[str, Any]) -> CellArchitecture:
        names = ("version", "kind", "normal", "reduction", "cells", "filters", "rules")
        self.only(content, "", names)
        rules = self.one_of(content.get("rules", "enas"), "rules", tuple(CELL_RULES))
        return CellArchitecture(
            normal=self.cell(content.get("normal"), "normal", CELL_RULES[rules]),
            reduction=self.cell(content.get("reduction"), "reduction", CELL_RULES[rules]),
            cells=self.integer(content.get("cells"), "cells", 1),
            filters=self.integer(content.get("filters"), "filters", 1),
            rules=rules,
        )

    def cell(self, content: object, where: str, rules: CellRules) -> Cell:
        fields = self.mapping(content, where, ("blocks", "outputs"))
        block = partial(self.block, rules=rules)
        blocks = self.each(fields.get("blocks"), f"{where}.blocks", block, least=1)
        last = CELL_INPUTS + len(blocks) - 1
        outputs = self.states(fields.get("outputs"), f"{where}.outputs", last)
        if not outputs:
            raise self.error(f"{where}.outputs", [], "at least one state")
        return Cell(blocks, outputs)

    def block(self, content: object, where: str, index: int, rules: CellRules) -> Block:
        fields = self.mapping(content, where, ("inputs", "operations", "combination"))
        last = CELL_INPUTS + index - 1

        def state(value: object, where: str, _: int) -> int:
            return self.integer(value, where, 0, last)

        def operation(value: object, where: str, _: int) -> str:
            return self.one_of(value, where, rules.operations)

        inputs = self.each(fields.get("inputs"), f"{where}.inputs", state, 2, 2)
        operations = self.each(fields.get("operations"), f"{where}.operations", operation, 2, 2)
        combination = fields.get("combination", "add")
        return Block(
            (inputs[0], inputs[1]),
            (operations[0], operations[1]),
            self.one_of(combination, f"{where}.combination", rules.combinations),
        )

    def macro_architecture(self, content: Mapping[str, Any]) -> MacroArchitecture:
        self.only(content, "", ("version", "kind", "layers", "filters"))
        layers = self.each(content.get("layers"), "layers", self.layer, least=1)
        return MacroArchitecture(layers, self.integer(content.get("filters"), "filters", 1))

    def layer(self, content: object, where: str, index: int) -> MacroLayer:
        fields = self.mapping(content, where, ("operation", "skips"))
        operation = self.one_of(
            fields.get("operation"), f"{where}.operation", OPERATION_NAMES["macro"]
        )
        return MacroLayer(operation, self.states(fields.get("skips"), f"{where}.skips", index - 1))

    def chain_architecture(self, content: Mapping[str, Any]) -> ChainArchitecture:
        self.only(content, "", ("version", "kind", "layers", "repeats", "pools"))
        layers = self.each(content.get("layers"), "layers", self.chain_layer, least=1)
        repeats = self.integer(content.get("repeats", 1), "repeats", 1)
        pools = self.states(content.get("pools", []), "pools", len(layers) - 1)
        return ChainArchitecture(layers, repeats, pools)

    def chain_layer(self, content: object, where: str, index: int) -> ChainLayer:
        fields = self.mapping(content, where, ("kernel", "stride", "filters", "inputs"))
        return ChainLayer(
            self.pair(fields.get("kernel"), f"{where}.kernel"),
            self.pair(fields.get("stride"), f"{where}.stride"),
            self.integer(fields.get("filters"), f"{where}.filters", 1),
            self.states(fields.get("inputs"), f"{where}.inputs", index - 1),
        )

    def edge_cell_architecture(self, content: Mapping[str, Any]) -> EdgeCellArchitecture:
        self.only(content, "", ("version", "kind", "operations", "filters", "cells"))

        def operation(value: object, where: str, _: int) -> str:
            return self.one_of(value, where, OPERATION_NAMES["edge"])

        edges = len(EDGES)
        return EdgeCellArchitecture(
            self.each(content.get("operations"), "operations", operation, edges, edges),
            self.integer(content.get("filters"), "filters", 1),
            self.integer(content.get("cells"), "cells", 1),
        )

    # -- fields

    def pair(self, value: object, where: str) -> tuple[int, int]:
        """Two whole numbers of at least 1, the vertical first."""

        def size(value: object, where: str, _: int) -> int:
            return self.integer(value, where, 1)

        vertical, horizontal = self.each(value, where, size, 2, 2)
        return vertical, horizontal

    def each(
        self,
        value: object,
        where: str,
        read: Callable[[object, str, int], T],
        least: int = 0,
        most: int | None = None,
    ) -> tuple[T, ...]:
        if not isinstance(value, list) or len(value) < least or (most and len(value) > most):
            legal = f"a list of {least}" if most == least else f"a list of at least {least}"
            raise self.error(where, value, legal)
        return tuple(read(item, f"{where}[{i}]", i) for i, item in enumerate(value))

    def states(self, value: object, where: str, last: int) -> tuple[int, ...]:
        """A set of earlier states, ascending, each once."""

        def state(value: object, where: str, _: int) -> int:
            return self.integer(value, where, 0, last)

        states = self.each(value, where, state)
        if list(states) != sorted(set(states)):
            raise self.error(where, list(states), "ascending, each number once")
        return states

    def mapping(self, value: object, where: str, names: Sequence[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(where, value, f"an object with {' and '.join(names)}")
        self.only(value, where, names)
        return value

    def only(self, content: Mapping[str, Any], where: str, names: Sequence[str]) -> None:
        for name in content:
            if name not in names:
                dot = "." if where else ""
                raise self.error(f"{where}{dot}{name}", content[name], f"only {', '.join(names)}")

    def one_of(self, value: object, where: str, names: Sequence[str]) -> str:
        if value not in names:
            raise self.error(where, value, f"one of {', '.join(names)}")
        return str(value)

    def integer(self, value: object, where: str, least: int, most: int | None = None) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and most is not None and most < least:
            raise self.error(where, value, "absent: there is nothing earlier to read")
        if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]
            legal = f"a whole number of at least {least}" if most is None else f"{least} to {most}"
            raise self.error(where, value, legal)
        return int(value)  # type: ignore[call-overload]

    def error(self, where: str, value: object, legal: str) -> InputError:
        shown = json.dumps(value)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return InputError(f"{self.source}: {where or 'the file'} is {shown}; legal: {legal}")
