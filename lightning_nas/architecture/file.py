"""The file of an architecture: JSON, checked field by field."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from lightning_nas.architecture.kinds import (
    CELL_INPUTS,
    EDGES,
    Architecture,
    Block,
    Cell,
    CellArchitecture,
    ChainArchitecture,
    ChainLayer,
    EdgeCellArchitecture,
    MacroArchitecture,
    MacroLayer,
)
from lightning_nas.architecture.operation_names import CELL_RULES, OPERATION_NAMES, CellRules
from lightning_nas.errors import InputError, describe_os_error
from lightning_nas.files import parse_json, read_text, replace_text

VERSION = 1
# A file from a stranger must not ask for a network that fills the memory of any machine.
MOST_FILTERS, MOST_CELLS, MOST_LAYERS, MOST_PIXELS = 65_536, 1_000, 1_000, 1_024
T = TypeVar("T")


def to_json(architecture: Architecture) -> str:
    """Return the text of an architecture file. ``from_json`` reads it back."""
    content = {"version": VERSION, "kind": architecture.kind, **asdict(architecture)}
    return json.dumps(content, indent=2) + "\n"


def from_json(text: str, source: str = "architecture") -> Architecture:
    """Read an architecture from the text of its file.

    Args:
        text: Text that ``to_json`` or a person wrote.
        source: Name of the source in error messages, usually the path of the file.

    Raises:
        InputError: If the text is no valid architecture. The message names the first bad field.
    """
    try:
        content = parse_json(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{source}: not a whole JSON file (line {error.lineno}: {error.msg}); "
            "was it cut off? Write it again with search.py"
        ) from None
    except ValueError as error:
        raise InputError(f"{source}: damaged: {error}") from None
    return _Reader(source).architecture(content)


def write_architecture(architecture: Architecture, path: Path) -> None:
    """Write the file of an architecture in one step."""
    replace_text(path, to_json(architecture))


def read_architecture(path: Path) -> Architecture:
    """Read and check an architecture file.

    Raises:
        InputError: If the file cannot be read or is not valid.
    """
    try:
        text = read_text(path)
    except OSError as error:
        reason = describe_os_error(error)
        raise InputError(f"{path}: cannot be read ({reason})") from None
    return from_json(text, str(path))


class _Reader:
    """Reader of parsed JSON. Its errors name the file, the field and the legal values."""

    def __init__(self, source: str) -> None:
        self.source = source

    def architecture(self, content: object) -> Architecture:
        if not isinstance(content, dict):
            raise self.error("", content, "an object")
        if content.get("version") != VERSION:
            raise self.error("version", content.get("version"), f"{VERSION}")
        readers: dict[object, Callable[[Mapping[str, Any]], Architecture]] = {
            CellArchitecture.kind: self.cell_architecture,
            MacroArchitecture.kind: self.macro_architecture,
            ChainArchitecture.kind: self.chain_architecture,
            EdgeCellArchitecture.kind: self.edge_cell_architecture,
        }
        kind = content.get("kind")
        if not isinstance(kind, str) or kind not in readers:
            raise self.error("kind", kind, "'cell', 'macro', 'chain' or 'edge_cell'")
        return readers[kind](content)

    def cell_architecture(self, content: Mapping[str, Any]) -> CellArchitecture:
        names = ("version", "kind", "normal", "reduction", "cells", "filters", "rules")
        self.only(content, "", names)
        rules = self.one_of(content.get("rules", "enas"), "rules", tuple(CELL_RULES))
        return CellArchitecture(
            normal=self.cell(content.get("normal"), "normal", CELL_RULES[rules]),
            reduction=self.cell(content.get("reduction"), "reduction", CELL_RULES[rules]),
            cells=self.integer(content.get("cells"), "cells", 1, MOST_CELLS),
            filters=self.integer(content.get("filters"), "filters", 1, MOST_FILTERS),
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
        layers = self.each(content.get("layers"), "layers", self.layer, 1, MOST_LAYERS)
        return MacroArchitecture(
            layers, self.integer(content.get("filters"), "filters", 1, MOST_FILTERS)
        )

    def layer(self, content: object, where: str, index: int) -> MacroLayer:
        fields = self.mapping(content, where, ("operation", "skips"))
        operation = self.one_of(
            fields.get("operation"), f"{where}.operation", OPERATION_NAMES["macro"]
        )
        return MacroLayer(operation, self.states(fields.get("skips"), f"{where}.skips", index - 1))

    def chain_architecture(self, content: Mapping[str, Any]) -> ChainArchitecture:
        self.only(content, "", ("version", "kind", "layers", "repeats", "pools"))
        layers = self.each(content.get("layers"), "layers", self.chain_layer, 1, MOST_LAYERS)
        repeats = self.integer(content.get("repeats", 1), "repeats", 1, MOST_CELLS)
        pools = self.states(content.get("pools", []), "pools", len(layers) - 1)
        return ChainArchitecture(layers, repeats, pools)

    def chain_layer(self, content: object, where: str, index: int) -> ChainLayer:
        fields = self.mapping(content, where, ("kernel", "stride", "filters", "inputs"))
        return ChainLayer(
            self.pair(fields.get("kernel"), f"{where}.kernel"),
            self.pair(fields.get("stride"), f"{where}.stride"),
            self.integer(fields.get("filters"), f"{where}.filters", 1, MOST_FILTERS),
            self.states(fields.get("inputs"), f"{where}.inputs", index - 1),
        )

    def edge_cell_architecture(self, content: Mapping[str, Any]) -> EdgeCellArchitecture:
        self.only(content, "", ("version", "kind", "operations", "filters", "cells"))

        def operation(value: object, where: str, _: int) -> str:
            return self.one_of(value, where, OPERATION_NAMES["edge"])

        edges = len(EDGES)
        return EdgeCellArchitecture(
            self.each(content.get("operations"), "operations", operation, edges, edges),
            self.integer(content.get("filters"), "filters", 1, MOST_FILTERS),
            self.integer(content.get("cells"), "cells", 1, MOST_CELLS),
        )

    def pair(self, value: object, where: str) -> tuple[int, int]:
        """Return two whole numbers of at least 1, the vertical one first."""

        def size(value: object, where: str, _: int) -> int:
            return self.integer(value, where, 1, MOST_PIXELS)

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
        """Return earlier states, ascending, each once, at most ``last``."""

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
        text = json.dumps(value)
        text = text if len(text) <= 60 else text[:57] + "..."
        return InputError(f"{self.source}: {where or 'the file'} is {text}; legal: {legal}")
