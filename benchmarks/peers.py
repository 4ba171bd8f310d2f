"""Milliseconds per step: this project against files of other projects that you downloaded.

Give the files that you have. None of them is part of this project:

    python -m benchmarks.peers --micro micro_child.py --macro models/shared_cnn.py --darts cnn

``micro_child.py`` is from https://github.com/MengTianjian/enas-pytorch or a fork of it (such as
https://github.com/volgachen/enas-pytorch), ``shared_cnn.py`` from
https://github.com/TDeVries/enas_pytorch, and ``cnn`` is the folder of that name in
https://github.com/quark0/darts. Compared are training steps and scoring of the two supernets, as in
``benchmarks.supernet``, and training steps of NASNet-A (N = 6, F = 32) on generated images. DARTS
writes NASNet-A with five branches to the concatenation, and the paper with six: both are measured.
Both sides alternate; figures are medians over the steps.
"""

import argparse
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from benchmarks.machine import parse
from benchmarks.supernet import (
    CLASSES,
    SIDE,
    Macro,
    Micro,
    benchmark,
    compare,
    report,
    training_step,
)
from lightning_nas import build_network, load_architecture
from lightning_nas.architecture import (
    CELL_OPERATIONS,
    MACRO_OPERATIONS,
    Architecture,
    Cell,
    CellArchitecture,
    MacroArchitecture,
)

BATCH, CPU = 64, torch.device("cpu")


class MicroPeer(nn.Module):
    """The cell supernet of ``micro_child.py``, called with an architecture of this project."""

    def __init__(self, code: ModuleType) -> None:
        super().__init__()
        self.network = code.CNN(
            Namespace(
                child_num_layers=6,
                child_out_filters=20,
                child_num_branches=5,
                child_num_cells=5,
                child_use_aux_heads=False,
            )
        )

    def forward(self, images: Tensor, architecture: CellArchitecture) -> Tensor:
        """Return logits [B, K]."""
        cells = list_tokens(architecture.normal), list_tokens(architecture.reduction)
        return self.network(images, cells)[0]


def list_tokens(cell: Cell) -> list[int]:
    """Return input, operation, input, operation of each block in turn."""
    return [
        token
        for block in cell.blocks
        for state, operation in zip(block.inputs, block.operations, strict=True)
        for token in (state, CELL_OPERATIONS.index(operation))
    ]


class MacroPeer(nn.Module):
    """The network supernet of ``shared_cnn.py``, called with an architecture of this project."""

    def __init__(self, code: ModuleType) -> None:
        super().__init__()
        self.network = code.SharedCNN(num_layers=12, out_filters=36)

    def forward(self, images: Tensor, architecture: MacroArchitecture) -> Tensor:
        """Return logits [B, K]."""
        layers = {
            str(index): [
                MACRO_OPERATIONS.index(layer.operation),
                [int(source in layer.skips) for source in range(index)],
            ]
            for index, layer in enumerate(architecture.layers)
        }
        return self.network(images, layers)


class OneNetwork(nn.Module):
    """A network that takes no architecture, called as a supernet is."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, _: Architecture) -> Tensor:
        """Return logits [B, K]."""
        logits = self.network(images)
        return logits[0] if isinstance(logits, tuple) else logits  # DARTS: with an auxiliary head


def build_darts(folder: Path) -> nn.Module:
    """Return NASNet-A as the code of DARTS builds it."""
    model, genotypes = (load(folder / f"{name}.py") for name in ("model", "genotypes"))
    network = model.NetworkCIFAR(32, CLASSES, 20, False, genotypes.NASNet)
    network.drop_path_prob = 0.0
    return OneNetwork(network)


def load(path: Path) -> ModuleType:
    """Run a Python file of another project and return it as a module."""
    module = ModuleType(path.stem)
    # today's torch refuses this addition to the output of a ReLU during the backward pass
    code = path.read_text().replace("out += prev_layers[i]", "out = out + prev_layers[i]")
    sys.path.insert(0, str(path.parent))  # the file may import its neighbours
    try:
        exec(compile(code, path, "exec"), module.__dict__)
    finally:
        sys.path.remove(str(path.parent))
    return module


def beside(side: type[Micro] | type[Macro], peer: nn.Module) -> type[Micro] | type[Macro]:
    """Return a side of ``benchmarks.supernet`` with another project's network as the port."""

    class Beside(side):
        @staticmethod
        def port() -> nn.Module:
            return peer

    return Beside


def compare_nasnet(peer: nn.Module, name: str, steps: int) -> None:
    """Compare training steps of a network of this project with that of DARTS, on 16 images."""
    images, labels = torch.randn(16, 3, SIDE, SIDE), torch.randint(CLASSES, (16,))
    last = images.contiguous(memory_format=torch.channels_last)
    ours = OneNetwork(
        build_network(load_architecture(name), num_classes=CLASSES, cells=6, filters=32)
    )
    ours.to(memory_format=torch.channels_last)
    sgd = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
    figures = compare(
        training_step(ours, sgd(ours.parameters()), last, labels),
        training_step(peer, sgd(peer.parameters()), images, labels),
        Micro.space,
        steps,
        CPU,
    )
    report(f"{name}, batch 16: training step", figures)


def main() -> None:
    """Measure what was given and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--micro", type=Path, help="file micro_child.py")
    parser.add_argument("--macro", type=Path, help="file shared_cnn.py")
    parser.add_argument("--darts", type=Path, help="folder cnn of DARTS")
    parser.add_argument("--steps", type=int, default=10, help="pairs (default: 10)")
    arguments = parse(parser, device=False)
    print(f"{torch.get_num_threads()} threads, median of {arguments.steps}")
    print(f"{'':<52}{'ours, ms':>10}{'peer, ms':>10}{'ratio':>8}")
    if arguments.micro:
        benchmark(beside(Micro, MicroPeer(load(arguments.micro))), BATCH, arguments.steps, CPU)
    if arguments.macro:
        benchmark(beside(Macro, MacroPeer(load(arguments.macro))), BATCH, arguments.steps, CPU)
    if arguments.darts:
        peer = build_darts(arguments.darts)
        for name in ("darts_nasnet_a", "nasnet_a"):
            compare_nasnet(peer, name, arguments.steps)


if __name__ == "__main__":
    main()
