"""The supernets as torch ports of the released code write them: the reference for speed.

Tensors are contiguous in NCHW format. An operation has one stacked parameter for all states that it
may read. The states of a cell are stacked and indexed. Each operation starts with its own ReLU. The
unused states are concatenated and convolved with the gathered weights. Only the operations of the
architecture are computed. A test compares the results with those of ``lightning_nas.networks``.

After https://github.com/melodyguan/enas and its ports, such as
https://github.com/MengTianjian/enas-pytorch and https://github.com/TDeVries/enas_pytorch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nas.architecture import (
    CELL_INPUTS,
    MACRO_OPERATIONS,
    Cell,
    CellArchitecture,
    MacroArchitecture,
)


def conv(in_channels: int, out_channels: int, kernel: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution without bias that keeps the resolution."""
    return nn.Conv2d(
        in_channels, out_channels, kernel, padding=kernel // 2, groups=groups, bias=False
    )


def norm(channels: int, eps: float = 1e-5) -> nn.BatchNorm2d:
    """Return a batch norm that uses the statistics of the current batch only."""
    return nn.BatchNorm2d(channels, eps, track_running_stats=False)


def pool(x: Tensor, operation: str) -> Tensor:
    """Apply a 3x3 pooling with stride 1."""
    if operation == "avg_pool_3x3":
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    return F.max_pool2d(x, 3, 1, 1)


class FactorizedReduction(nn.Module):
    """Two strided 1x1 convolutions on shifted pixels, concatenated."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.path_1 = conv(in_channels, out_channels // 2)
        self.path_2 = conv(in_channels, out_channels // 2)
        self.norm = norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the resolution."""
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        path_1 = self.path_1(F.avg_pool2d(x, 1, 2))
        path_2 = self.path_2(F.avg_pool2d(shifted, 1, 2))
        return self.norm(torch.cat([path_1, path_2], dim=1))


class ReluConvNorm(nn.Module):
    """ReLU, 1x1 convolution, batch norm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = conv(in_channels, out_channels)
        self.norm = norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convert ``x`` to the channels of the cell."""
        return self.norm(self.conv(F.relu(x)))


class StackedSeparableConv(nn.Module):
    """Separable convolution, applied twice, with weights for every state that it may read."""

    def __init__(self, states: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.channels, self.padding = channels, kernel // 2
        for stack in (1, 2):
            depthwise, pointwise = (
                torch.stack([nn.init.kaiming_normal_(torch.empty(shape)) for _ in range(states)])
                for shape in ((channels, 1, kernel, kernel), (channels, channels, 1, 1))
            )
            self.register_parameter(f"depthwise_{stack}", nn.Parameter(depthwise))
            self.register_parameter(f"pointwise_{stack}", nn.Parameter(pointwise))
            self.register_parameter(f"scale_{stack}", nn.Parameter(torch.ones(states, channels)))
            self.register_parameter(f"shift_{stack}", nn.Parameter(torch.zeros(states, channels)))

    def forward(self, x: Tensor, state: int) -> Tensor:
        """Return the result for the state numbered ``state``."""
        for depthwise, pointwise, scale, shift in (
            (self.depthwise_1, self.pointwise_1, self.scale_1, self.shift_1),
            (self.depthwise_2, self.pointwise_2, self.scale_2, self.shift_2),
        ):
            x = F.relu(x)
            x = F.conv2d(x, depthwise[state], padding=self.padding, groups=self.channels)
            x = F.conv2d(x, pointwise[state])
            x = F.batch_norm(x, None, None, scale[state], shift[state], training=True)
        return x


class PortCell(nn.Module):
    """A cell of stride 1.

    Args:
        older: Channels of state 0 as it comes in.
        newer: Channels of state 1 as it comes in.
        channels: Channels of every state.
        blocks: Blocks of the cell.
        halve_older: State 0 comes in at twice the resolution.
        stack: Stack the states for every block, as the released graph does; else keep a list.
    """

    def __init__(
        self, older: int, newer: int, channels: int, blocks: int, halve_older: bool, stack: bool
    ) -> None:
        super().__init__()
        self.stack = stack
        self.older: nn.Module = nn.Identity()
        if halve_older:
            self.older = nn.Sequential(nn.ReLU(), FactorizedReduction(older, channels))
        elif older != channels:
            self.older = ReluConvNorm(older, channels)
        self.newer = nn.Identity() if newer == channels else ReluConvNorm(newer, channels)
        kernels = {"sep_conv_3x3": 3, "sep_conv_5x5": 5}
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                nn.ModuleDict(
                    {
                        name: StackedSeparableConv(CELL_INPUTS + block, channels, kernel)
                        for name, kernel in kernels.items()
                    }
                )
                for _ in range(2)
            )
            for block in range(blocks)
        )
        outputs = torch.empty(CELL_INPUTS + blocks, channels, channels, 1, 1)
        self.outputs = nn.Parameter(nn.init.normal_(outputs, std=(2 / channels) ** 0.5))
        self.norm = norm(channels)

    def forward(self, older: Tensor, newer: Tensor, cell: Cell) -> Tensor:
        """Return the output of the cell."""
        states = [self.older(older), self.newer(newer)]
        for sides, block in zip(self.blocks, cell.blocks, strict=True):
            stacked = torch.stack(states) if self.stack else states
            left, right = (
                self._operate(sides[side], stacked[state], state, operation)
                for side, (state, operation) in enumerate(
                    zip(block.inputs, block.operations, strict=True)
                )
            )
            states.append(left + right)
        unused = list(cell.outputs)
        joined = F.relu(torch.cat([states[state] for state in unused], dim=1))
        kernel = self.outputs[unused].transpose(0, 1).flatten(1, 2)  # (C, unused * C, 1, 1)
        return self.norm(F.conv2d(joined, kernel))

    @staticmethod
    def _operate(convs: nn.Module, x: Tensor, state: int, operation: str) -> Tensor:
        if operation == "identity":
            return x
        return convs[operation](x, state) if operation in convs else pool(x, operation)  # type: ignore[operator,index]


class PortCellNetwork(nn.Module):
    """The released micro supernet; a factorised reduction halves the resolution before cells."""

    def __init__(
        self,
        *,
        num_classes: int,
        cells: int = 2,
        filters: int = 20,
        blocks: int = 5,
        dropout: float = 0.1,
        stack: bool = True,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 3 * filters, 3), norm(3 * filters))
        self.halvings = nn.ModuleDict()
        self.cells = nn.ModuleList()
        self.reductions = (cells, 2 * cells + 1)
        older = newer = 3 * filters
        for index in range(3 * cells + 2):
            reduces = index in self.reductions
            if reduces:
                self.halvings[str(index)] = FactorizedReduction(newer, 2 * filters)
                filters *= 2
                older, newer = newer, filters
            self.cells.append(PortCell(older, newer, filters, blocks, reduces, stack))
            older, newer = newer, filters
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(filters, num_classes, bias=False)

    def forward(self, images: Tensor, architecture: CellArchitecture) -> Tensor:
        """Return logits."""
        x = self.stem(images)
        layers = [x, x]
        for index, cell in enumerate(self.cells):
            reduces = index in self.reductions
            if reduces:
                x = self.halvings[str(index)](x)
                layers = [layers[-1], x]
            x = cell(
                layers[0], layers[1], architecture.reduction if reduces else architecture.normal
            )
            layers = [layers[-1], x]
        x = F.adaptive_avg_pool2d(F.relu(x), 1).flatten(1)
        return self.linear(self.dropout(x))


class PortBranch(nn.Module):
    """1x1 convolution, batch norm, ReLU, then one operation."""

    def __init__(self, name: str, channels: int) -> None:
        super().__init__()
        self.name = name
        self.conv = conv(channels, channels)
        self.norm = norm(channels)
        if "pool" in name:
            return
        kernel = int(name[-1])
        self.operation: nn.Module = conv(channels, channels, kernel)
        if name.startswith("sep_"):
            depthwise = conv(channels, channels, kernel, groups=channels)
            self.operation = nn.Sequential(depthwise, conv(channels, channels))
        self.norm_after = norm(channels, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        x = F.relu(self.norm(self.conv(x)))
        if "pool" in self.name:
            return pool(x, self.name)
        return F.relu(self.norm_after(self.operation(x)))


class PortMacroLayer(nn.Module):
    """One layer with all operations."""

    def __init__(self, channels: int, joins: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {name: PortBranch(name, channels) for name in MACRO_OPERATIONS}
        )
        self.norm = norm(channels) if joins else nn.Identity()


class PortMacroNetwork(nn.Module):
    """The released macro supernet: both poolings apply to all earlier outputs."""

    def __init__(
        self, *, num_classes: int, layers: int = 12, filters: int = 36, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, filters, 3), norm(filters))
        self.layers = nn.ModuleList(PortMacroLayer(filters, index > 0) for index in range(layers))
        self.halvings = nn.ModuleDict()
        for index in (layers // 3 - 1, 2 * (layers // 3) - 1):
            halvings = (FactorizedReduction(filters, filters) for _ in range(index + 2))
            self.halvings[str(index)] = nn.ModuleList(halvings)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(filters, num_classes, bias=False)

    def forward(self, images: Tensor, architecture: MacroArchitecture) -> Tensor:
        """Return logits."""
        outputs = [self.stem(images)]
        for index, (layer, chosen) in enumerate(zip(self.layers, architecture.layers, strict=True)):
            x = layer.branches[chosen.operation](outputs[-1])  # type: ignore[index,union-attr]
            for skip in chosen.skips:
                x = x + outputs[skip]
            outputs.append(layer.norm(x))  # type: ignore[operator]
            if str(index) in self.halvings:
                halvings = self.halvings[str(index)]
                outputs = [halve(x) for halve, x in zip(halvings, outputs, strict=True)]  # type: ignore[arg-type]
        x = F.adaptive_avg_pool2d(outputs[-1], 1).flatten(1)
        return self.linear(self.dropout(x))
