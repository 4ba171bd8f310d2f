"""Milliseconds per step: the supernets of this project against a port of the released code.

Measured are a training step (forward, backward, optimiser) of the micro and of the macro supernet,
and scoring one architecture on a validation batch. Both sides alternate with the same
architectures; the figure is the median over architectures. Images are generated, in the size of
CIFAR.

    python -m benchmarks.supernet
    python -m benchmarks.supernet --batch 64 --steps 5 --threads 1
    python -m benchmarks.supernet --device cuda
"""

import argparse
import statistics
from collections.abc import Callable
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.machine import parse
from benchmarks.port import PortCellNetwork, PortMacroNetwork
from lightning_nas.architecture import Architecture
from lightning_nas.evaluation.complexity import synchronised_time
from lightning_nas.modules.optimizers import SharedSGD
from lightning_nas.networks.shared_cell import SharedCellNetwork
from lightning_nas.networks.shared_macro import SharedMacroNetwork
from lightning_nas.spaces.base import Space
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.macro import MacroSpace

CLASSES, SIDE, WARM_UP = 10, 32, 2
Run = Callable[[Architecture], None]


class Micro:
    """The micro supernet of the released script, on both sides."""

    name = "micro"
    space: Space = CellSpace(blocks=5)

    @staticmethod
    def ours() -> nn.Module:
        """Return the supernet of this project."""
        return SharedCellNetwork(
            num_classes=CLASSES, cells=2, filters=20, auxiliary=False, reduction="factorized"
        )

    @staticmethod
    def port() -> nn.Module:
        """Return the port, which stacks the states."""
        return PortCellNetwork(num_classes=CLASSES, cells=2, filters=20)


class MicroList(Micro):
    """The same against a more careful port, which keeps the states in a list."""

    name = "micro, port without stacks"

    @staticmethod
    def port() -> nn.Module:
        """Return the port that keeps the states in a list."""
        return PortCellNetwork(num_classes=CLASSES, cells=2, filters=20, stack=False)


class Macro:
    """The macro supernet of the released script, on both sides."""

    name = "macro"
    space: Space = MacroSpace(layers=12)

    @staticmethod
    def ours() -> nn.Module:
        """Return the supernet of this project."""
        return SharedMacroNetwork(num_classes=CLASSES, layers=12, filters=36)

    @staticmethod
    def port() -> nn.Module:
        """Return the port."""
        return PortMacroNetwork(num_classes=CLASSES, layers=12, filters=36)


def architectures(space: Space, number: int) -> list[Architecture]:
    """Return uniformly random architectures, the same at every call."""
    random = Random(0)
    options = list(space.count_token_options())
    return [space.decode([random.randrange(n) for n in options]) for _ in range(number)]


def training_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> Run:
    """Return a function that trains an architecture for one step."""

    def run(architecture: Architecture) -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(images, architecture), labels).backward()
        optimizer.step()

    return run


def scoring(network: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """Return a function that computes the accuracy of an architecture on the batch."""
    network.eval()

    @torch.no_grad()
    def run(architecture: Architecture) -> None:
        (network(images, architecture).argmax(dim=1) == labels).float().mean()

    return run


def milliseconds(run: Run, architecture: Architecture, device: torch.device) -> float:
    """Return the time of one call, including the work that it queued on the device."""
    start = synchronised_time(device)
    run(architecture)
    return 1e3 * (synchronised_time(device) - start)


def compare(ours: Run, port: Run, space: Space, steps: int, device: torch.device) -> list[float]:
    """Return the two medians over ``steps`` architectures; the two sides alternate."""
    times: tuple[list[float], list[float]] = ([], [])
    for index, architecture in enumerate(architectures(space, WARM_UP + steps)):
        for run, figures in zip((ours, port), times, strict=True):
            elapsed = milliseconds(run, architecture, device)
            if index >= WARM_UP:
                figures.append(elapsed)
    return [statistics.median(figures) for figures in times]


def benchmark(
    side: type[Micro] | type[Macro], batch: int, steps: int, device: torch.device
) -> None:
    """Measure training and scoring at one batch size and print a line for each."""
    torch.manual_seed(0)
    images = torch.randn(batch, 3, SIDE, SIDE, device=device)
    labels = torch.randint(CLASSES, (batch,), device=device)
    last = images.contiguous(memory_format=torch.channels_last)
    ours = side.ours().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    port = side.port().to(device)
    settings = {"lr": 0.05, "momentum": 0.9, "weight_decay": 2e-4, "nesterov": True}
    training = (
        training_step(ours, SharedSGD(ours.parameters(), **settings), last, labels),
        training_step(port, torch.optim.SGD(port.parameters(), **settings), images, labels),
    )
    figures = compare(*training, side.space, steps, device)
    report(f"{side.name}, batch {batch}: training step", figures)
    figures = compare(
        scoring(ours, last, labels), scoring(port, images, labels), side.space, steps, device
    )
    report(f"{side.name}, batch {batch}: scoring", figures)


def report(name: str, figures: list[float]) -> None:
    """Print a line of the table."""
    ours, port = figures
    print(f"{name:<52}{ours:>10.1f}{port:>10.1f}{port / ours:>8.2f}", flush=True)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, help="images a batch (default: 64 and 160)")
    parser.add_argument("--steps", type=int, default=10, help="architectures (default: 10)")
    parser.add_argument(
        "--list", action="store_true", help="also compare with a port that does not stack states"
    )
    arguments = parse(parser)
    device = arguments.device
    print(f"{torch.get_num_threads()} threads, {device.type}, median of {arguments.steps}")
    print(f"{'':<52}{'ours, ms':>10}{'port, ms':>10}{'ratio':>8}")
    for batch in [arguments.batch] if arguments.batch else [64, 160]:
        benchmark(Micro, batch, arguments.steps, device)
        if arguments.list:
            benchmark(MicroList, batch, arguments.steps, device)
        if batch == 64 or arguments.batch:
            benchmark(Macro, batch, arguments.steps, device)


if __name__ == "__main__":
    main()
