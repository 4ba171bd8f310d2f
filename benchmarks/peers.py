"""Milliseconds per step: this project against files of other projects that you downloaded.

Give the files that you have. None of them is part of this project:

    python -m benchmarks.peers --micro micro_child.py --macro models/shared_cnn.py --darts cnn

``micro_child.py`` is from https://github.com/MengTianjian/enas-pytorch or a fork of it (such as
https://github.com/volgachen/enas-pytorch), ``shared_cnn.py`` from
https://github.com/TDeVries/enas_pytorch, and ``cnn`` is the folder of that name in
https://github.com/quark0/darts. Compared are training steps and scoring of the two supernets, as in
``benchmarks.supernet``, and training steps of NASNet-A (N = 6, F = 32) on generated images. DARTS
writes NASNet-A with five branches to the concatenation, and the paper with six: both are measured.
Both sides alternate, and ratios are medians over the pairs.
"""

import argparse
import statistics
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.machine import parse
from benchmarks.supernet import (
    CLASSES,
    SIDE,
    WARM_UP,
    Macro,
    Micro,
    Run,
    architectures,
    milliseconds,
    scoring,
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
from lightning_nas.modules.optimizers import SharedSGD

SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 2e-4, "nesterov": True}


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


class DartsPeer(nn.Module):
    """NASNet-A as the code of DARTS builds it."""

    def __init__(self, code: ModuleType, genotypes: ModuleType) -> None:
        super().__init__()
        self.network = code.NetworkCIFAR(32, CLASSES, 20, False, genotypes.NASNet)
        self.network.drop_path_prob = 0.0

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, K]."""
        return self.network(images)[0]


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


def compare(name: str, ours: Run, peer: Run, calls: Sequence[Architecture | None]) -> None:
    """Time both sides in turn, and print the medians and the median of the ratios."""
    times: list[tuple[float, float]] = []
    for call in calls:
        one, other = (milliseconds(run, call, torch.device("cpu")) for run in (ours, peer))  # type: ignore[arg-type]
        times.append((one, other))
    times = times[WARM_UP:]
    medians = [statistics.median(side) for side in zip(*times, strict=True)]
    ratio = statistics.median(other / one for one, other in times)
    print(f"{name:<44}{medians[0]:>10.1f}{medians[1]:>10.1f}{ratio:>8.2f}", flush=True)


def compare_supernets(side: type[Micro] | type[Macro], peer: nn.Module, steps: int) -> None:
    """Compare training steps at 64 images and scoring of one of the two supernets."""
    images, labels = make_batch(64)
    last = images.contiguous(memory_format=torch.channels_last)
    calls = architectures(side.space, WARM_UP + steps)
    ours = side.ours().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    train_ours = training_step(ours, SharedSGD(ours.parameters(), **SGD), last, labels)
    train_peer = training_step(peer, torch.optim.SGD(peer.parameters(), **SGD), images, labels)
    compare(f"{side.name}: training step, 64 images", train_ours, train_peer, calls)
    score = scoring(ours, last, labels), scoring(peer, images, labels)
    compare(f"{side.name}: scoring, 64 images", *score, calls)


def compare_nasnet(peer: nn.Module, name: str, steps: int, batch: int = 16) -> None:
    """Compare training steps of a network of this project with that of DARTS."""
    images, labels = make_batch(batch)
    last = images.contiguous(memory_format=torch.channels_last)
    ours = build_network(load_architecture(name), num_classes=CLASSES, cells=6, filters=32)
    ours = ours.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    runs = [train(ours, last, labels), train(peer, images, labels)]
    compare(f"{name}: training step, {batch} images", *runs, [None] * (WARM_UP + steps))


def train(network: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """Return a function that trains a network for one step."""
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), **SGD)

    def run(_: Architecture) -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return run


def make_batch(size: int) -> tuple[Tensor, Tensor]:
    """Return generated images in NCHW format, and labels."""
    torch.manual_seed(0)
    return torch.randn(size, 3, SIDE, SIDE), torch.randint(CLASSES, (size,))


def main() -> None:
    """Measure what was given and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--micro", type=Path, help="file micro_child.py")
    parser.add_argument("--macro", type=Path, help="file shared_cnn.py")
    parser.add_argument("--darts", type=Path, help="folder cnn of DARTS")
    parser.add_argument("--steps", type=int, default=10, help="pairs (default: 10)")
    arguments = parse(parser, device=False)
    print(f"{torch.get_num_threads()} threads, median of {arguments.steps}")
    print(f"{'':<44}{'ours, ms':>10}{'peer, ms':>10}{'ratio':>8}")
    if arguments.micro:
        compare_supernets(Micro, MicroPeer(load(arguments.micro)), arguments.steps)
    if arguments.macro:
        compare_supernets(Macro, MacroPeer(load(arguments.macro)), arguments.steps)
    if arguments.darts:
        peer = DartsPeer(*(load(arguments.darts / f"{name}.py") for name in ("model", "genotypes")))
        for name in ("darts_nasnet_a", "nasnet_a"):
            compare_nasnet(peer, name, arguments.steps)


if __name__ == "__main__":
    main()
