"""A cell as the code of a class: its states by name, a line for each block."""

from collections.abc import Iterator
from dataclasses import dataclass

from lightning_nas.architecture import CELL_INPUTS, Block, Cell
from lightning_nas.export.python_code import brackets, item, lines_of

HALVED_IDENTITY = {"enas": "FactorizedReduction", "darts": "ReluReduction"}


@dataclass(frozen=True)
class CellClass:
    """A class to be written: all cells of a network that differ in their sizes alone.

    Args:
        cell: What it computes.
        rules: The architecture's.
        reduces: Whether it halves the resolution.
        raw: State 0 is taken as it comes in, with other channels than the cell's.
    """

    cell: Cell
    rules: str
    reduces: bool
    raw: bool

    @property
    def name(self) -> str:
        """Its name."""
        return ("First" if self.raw else "") + ("ReductionCell" if self.reduces else "NormalCell")

    def code(self) -> str:
        """Return its code."""
        does = "halves" if self.reduces else "keeps"
        which, first = ("first ", "s0") if self.raw else ("", "older")
        halve = "" if self.raw else ", halve_older: bool = False"
        lines = [
            f"class {self.name}(nn.Module):",
            f'    """The {which}cell that {does} the resolution; its sizes are channels."""',
            "",
            f"    def __init__(self, older: int, newer: int, channels: int{halve}) -> None:",
            "        super().__init__()",
            *self._inputs(),
            *lines_of("operations = [", list(self._pairs()), "]", 8),
            "        self.operations = nn.ModuleList(map(nn.ModuleList, operations))",
            *self._fit_outputs(),
            "",
            f"    def forward(self, {first}: Tensor, newer: Tensor) -> Tensor:",
            '        """Return the joined outputs for the outputs of the two cells before."""',
            *self._forward(),
        ]
        return "\n".join(lines)

    # -- layers

    def _inputs(self) -> Iterator[str]:
        """Yield the lines that make what the two inputs go through."""
        if not self.raw:
            fit = "always_fit" if self.rules == "darts" else "fit"
            yield f"        self.older = {fit}(older, channels, halve_older)"
        if self.rules == "enas":
            yield "        self.newer = fit(newer, channels)"
            yield "        self.base = ReluConvNorm(channels, channels)"
        else:
            yield "        self.base = ReluConvNorm(newer, channels)"

    def _width(self, state: int) -> str:
        """Return the channels of a state."""
        if state >= CELL_INPUTS:
            concat = self.cell.blocks[state - CELL_INPUTS].combination == "concat"
            return "2 * channels" if concat else "channels"
        return "older" if state == 0 and self.raw else "channels"

    def _halves(self, state: int) -> bool:
        """Whether what reads a state halves it."""
        return self.reduces and state < CELL_INPUTS

    def _pairs(self) -> Iterator[str]:
        """Yield the code of each block's two layers."""
        for block in self.cell.blocks:
            layers = list(map(self._layer, block.operations, block.inputs))
            yield item("(", layers, ")", 12)

    def _is_bare(self, operation: str, state: int) -> bool:
        """Whether an operation is nothing but the state itself."""
        fits = self._width(state) == "channels" and not self._halves(state)
        return operation == "identity" and fits

    def _layer(self, operation: str, state: int) -> str:
        """Return the code of an operation's layer."""
        if self._is_bare(operation, state):
            return "nn.Identity()"
        width = self._width(state)
        both, stride = f"{width}, channels", "stride=2" if self._halves(state) else ""
        kind, _, window = operation.partition("_")
        if operation == "identity" and self.rules in HALVED_IDENTITY:
            return f"{HALVED_IDENTITY[self.rules]}({both})"
        if kind in ("avg", "max"):
            made = "AveragePool" if kind == "avg" else "MaxPool"
            pool = _call(made, operation[-1] if kind == "max" else "", stride)
            return pool if width == "channels" else f"nn.Sequential({pool}, ConvNorm({both}))"
        if kind == "sep":
            return _call("SeparableConv", both, operation[-1], stride)
        if operation in ("conv_1x3_3x1", "conv_1x7_7x1"):
            return _call("AsymmetricConv", both, operation[-3], stride)
        kernel = "3" if window.endswith("3x3") else ""
        return _call("ReluConvNorm", both, kernel, stride, "dilation=2" if kind == "dil" else "")

    def _fit_outputs(self) -> list[str]:
        """Return the lines that make what outputs go through that do not fit the others."""
        layers = {state: self._fit(state) for state in self.cell.outputs}
        items = [f'"{state}": {layer}' for state, layer in layers.items() if layer]
        if not items:
            return []
        head = "        self.fit_outputs = nn.ModuleDict("
        line = f"{head}{{{', '.join(items)}}})"
        if len(line) <= 100:
            return [line]
        return [head, *lines_of("{", items, "}", 12), "        )"]

    def _fit(self, state: int) -> str:
        """Return the code of an output's layer; nothing where it needs none."""
        width = self._width(state)
        if self._halves(state):
            return f"FactorizedReduction({width}, channels)"
        return "" if width == "channels" else f"ConvNorm({width}, channels)"

    # -- forward

    def _forward(self) -> Iterator[str]:
        """Yield the lines that compute the states which the outputs need."""
        needed = _needed(self.cell)
        if 0 in needed and not self.raw:
            yield "        s0 = self.older(older)"
        if 1 in needed:
            newer = "self.newer(newer)" if self.rules == "enas" else "newer"
            yield f"        s1 = self.base({newer})"
        for index, block in enumerate(self.cell.blocks):
            if index + CELL_INPUTS in needed:
                yield from self._block_lines(index, block)
        outputs = [
            f'self.fit_outputs["{state}"](s{state})' if self._fit(state) else f"s{state}"
            for state in self.cell.outputs
        ]
        if len(outputs) > 1:
            yield from _concat("return ", outputs)
        elif not self._returns(self.cell.outputs[0]):
            yield f"        return {outputs[0]}"

    def _returns(self, state: int) -> bool:
        """Whether a state is all that the cell puts out, as it is."""
        return self.cell.outputs == (state,) and state >= CELL_INPUTS and not self._fit(state)

    def _block_lines(self, index: int, block: Block) -> Iterator[str]:
        """Yield the lines of a block: its layers by name, then its state."""
        names = [_short(operation) for operation in block.operations]
        if names[0] == names[1]:
            names = [f"{names[0]}_a", f"{names[0]}_b"]
        terms = []
        for place, (operation, state) in enumerate(
            zip(block.operations, block.inputs, strict=True)
        ):
            bare = self._is_bare(operation, state)
            terms.append(f"s{state}" if bare else f"{names[place]}(s{state})")
            names[place] = "_" if bare else names[place]
        if names != ["_", "_"]:
            yield f"        {', '.join(names)} = self.operations[{index}]"
        state = index + CELL_INPUTS
        head = "return " if self._returns(state) else f"s{state} = "
        concat = block.combination == "concat"
        yield from _concat(head, terms) if concat else [f"        {head}{' + '.join(terms)}"]


def _short(operation: str) -> str:
    return operation.replace("_conv", "")


def _call(name: str, *arguments: str) -> str:
    return f"{name}({', '.join(filter(None, arguments))})"


def _concat(head: str, states: list[str]) -> list[str]:
    """Return the lines of a concatenation in depth."""
    line = f"        {head}torch.cat([{', '.join(states)}], dim=1)"
    if len(line) <= 100:
        return [line]
    inner = brackets("[", states, "],", 12)
    return [f"        {head}torch.cat(", *inner, "            dim=1,", "        )"]


def _needed(cell: Cell) -> set[int]:
    """Return the states that the outputs need."""
    needed = set(cell.outputs)
    for index in reversed(range(len(cell.blocks))):
        if index + CELL_INPUTS in needed:
            needed |= set(cell.blocks[index].inputs)
    return needed
