"""The network of an edge cell as Python code: its nodes by name, a line each."""

from collections.abc import Iterator
from typing import Any

from lightning_nas.architecture import EDGES, EdgeCellArchitecture
from lightning_nas.export.python_code import brackets, lines_of, network_class, stem_line
from lightning_nas.networks.edge_cell import EdgeCell, EdgeCellNetwork

LAYERS = {
    "none": "nn.Identity()",  # which nothing reads: it keeps the place
    "identity": "nn.Identity()",
    "conv_1x1": "ReluConvNorm(channels, channels)",
    "conv_3x3": "ReluConvNorm(channels, channels, 3)",
    "avg_pool_3x3": "AveragePool()",
}


def edge_network_code(architecture: EdgeCellArchitecture, network: EdgeCellNetwork) -> list[str]:
    """Return the classes of the cell and of the network."""
    width: Any = network.stem[0].out_channels
    cells = []
    for cell in network.cells:
        if isinstance(cell, EdgeCell):
            cells.append(f"Cell({width})")
        else:
            cells.append(f"ResidualReduction({width}, {2 * width})")
            width *= 2
    made = [
        stem_line(network.stem),
        *lines_of("self.cells = nn.Sequential(", cells, ")", 8),
        f"        self.norm = batch_norm({width})",
        f"        self.dropout = nn.Dropout({network.dropout.p})",
        f"        self.classifier = nn.Linear({width}, num_classes)",
    ]
    run = [
        "        x = F.relu(self.norm(self.cells(self.stem(images))))",
        "        return self.classifier(self.dropout(x.mean(dim=(2, 3))))",
    ]
    says = "Three stages of the same cell, residual blocks between them."
    num_classes = network.classifier.out_features
    return [_cell(architecture.operations), network_class(says, num_classes, made, run)]


def _cell(operations: tuple[str, ...]) -> str:
    """Return the class of the cell."""
    lines = [
        "class Cell(nn.Module):",
        '    """Four nodes; each is the sum of operations on those before it."""',
        "",
        "    def __init__(self, channels: int) -> None:",
        "        super().__init__()",
        "        self.edges = nn.ModuleList(",
        *lines_of("[", [LAYERS[name] for name in operations], "]", 12),
        "        )",
        "",
        "    def forward(self, n0: Tensor) -> Tensor:",
        '        """Return the last node."""',
        *_forward(operations),
    ]
    return "\n".join(lines)


def _forward(operations: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines that compute the nodes which the last one needs."""
    edges = list(zip(EDGES, operations, strict=True))
    needed = {3}
    for (source, target), operation in reversed(edges):
        if target in needed and operation != "none":
            needed.add(source)
    names: list[str] = []
    terms: dict[int, list[str]] = {node: [] for node in needed}
    for (source, target), operation in edges:
        reads = target in needed and operation != "none"
        called = reads and operation != "identity"
        names.append(f"{operation}_{source}{target}" if called else "_")
        if reads:
            terms[target].append(f"{names[-1]}(n{source})" if called else f"n{source}")
    if set(names) != {"_"}:
        yield from brackets("", names, " = self.edges", 8)
    for node in sorted(needed - {0}):
        head = "return" if node == 3 else f"n{node} ="
        yield f"        {head} {' + '.join(terms[node]) or 'torch.zeros_like(n0)'}"
