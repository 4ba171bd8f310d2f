"""Milliseconds and peak memory of a training step of NASNet-A: this project against plain torch.

A step is forward, backward and SGD of the CIFAR network (N = 6, F = 32) on generated images. Three
networks are compared: NASNet-A as it is trained here, in channels-last format; the same network
from its exported Python file, in NCHW format with the same weights; and darts_nasnet_a, of similar
size as DARTS builds it, also from its Python file. Each network has its own process. The processes
take turns and use all cores. Figures are medians; ratios compare steps of the same turn. Memory is
the peak of the process minus its memory before the network was built (Linux: VmHWM minus VmRSS).

    python -m benchmarks.training
    python -m benchmarks.training --batch 8 --steps 3 --threads 1
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.machine import parse
from lightning_nas import build_network, load_architecture
from lightning_nas.export.python_file import python_source

CLASSES, SIDE, WARM_UP, MEGABYTE = 10, 32, 2, 1024  # KiB
OURS, PLAIN, DARTS = "ours, channels last", "its Python file, NCHW", "darts_nasnet_a, NCHW"


def ours(name: str) -> nn.Module:
    """Return the network of this project, with the same weights at every call."""
    torch.manual_seed(0)
    return build_network(load_architecture(name), num_classes=CLASSES)


def from_file(name: str) -> nn.Module:
    """Return the network of the exported Python file, with the same weights."""
    defined: dict = {}
    exec(python_source(load_architecture(name), {"num_classes": CLASSES}), defined)
    network = defined["Network"]()
    network.load_state_dict(ours(name).state_dict())
    return network


MAKERS = {
    OURS: lambda: ours("nasnet_a").to(memory_format=torch.channels_last),
    PLAIN: lambda: from_file("nasnet_a"),
    DARTS: lambda: from_file("darts_nasnet_a"),
}


def kibibytes(field: str) -> int:
    """Return a field of ``/proc/self/status`` in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def work(pipe: Connection, name: str, batch: int, threads: int) -> None:
    """Take a step per message and send its seconds and loss; finally send the peak memory."""
    torch.set_num_threads(threads)
    before = kibibytes("VmRSS")
    network = MAKERS[name]().train()
    torch.manual_seed(1)
    images, labels = torch.randn(batch, 3, SIDE, SIDE), torch.randint(CLASSES, (batch,))
    if name == OURS:
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4, nesterov=True
    )
    while pipe.recv():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        pipe.send((time.perf_counter() - start, loss.item()))
    pipe.send((kibibytes("VmHWM") - before) / MEGABYTE)


@contextmanager
def worker(name: str, batch: int, threads: int) -> Iterator[Connection]:
    """Start a process for one network and yield the pipe to it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there, name, batch, threads), daemon=True)
    process.start()
    there.close()
    yield here
    process.join()


def steps(pipes: dict[str, Connection], number: int) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds and the loss of each step; the networks take turns."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in pipes}
    for _ in range(WARM_UP + number):
        for name, pipe in pipes.items():
            pipe.send(True)
            taken[name].append(pipe.recv())
    return taken


def measure(batch: int, number: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the milliseconds of each step and the peak megabytes of each network."""
    threads = torch.get_num_threads()
    with (
        worker(OURS, batch, threads) as one,
        worker(PLAIN, batch, threads) as two,
        worker(DARTS, batch, threads) as three,
    ):
        pipes = dict(zip(MAKERS, (one, two, three), strict=True))
        taken = steps(pipes, number)
        for pipe in pipes.values():
            pipe.send(False)
        memory = {name: pipe.recv() for name, pipe in pipes.items()}
    first = [taken[name][0][1] for name in (OURS, PLAIN)]
    assert abs(first[0] - first[1]) < 1e-3, f"the networks differ: losses {first}"
    return {name: [1e3 * t for t, _ in each[WARM_UP:]] for name, each in taken.items()}, memory


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32, help="images a batch (default: 32)")
    parser.add_argument(
        "--steps", type=int, default=15, help="timed steps of each network (default: 15)"
    )
    arguments = parse(parser, device=False)
    print(
        f"{torch.get_num_threads()} threads, batch {arguments.batch}, float32, "
        f"median of {arguments.steps} alternating steps"
    )
    milliseconds, memory = measure(arguments.batch, arguments.steps)
    print(f"{'':<26}{'ms/step':>10}{'ratio':>8}{'peak, MB':>10}{'ratio':>8}")
    for name in MAKERS:
        ratios = [a / b for a, b in zip(milliseconds[name], milliseconds[OURS], strict=True)]
        memory_ratio = memory[name] / memory[OURS]
        print(
            f"{name:<26}{statistics.median(milliseconds[name]):>10,.0f}"
            f"{statistics.median(ratios):>8.2f}"
            f"{memory[name]:>10,.0f}{memory_ratio:>8.2f}"
        )


if __name__ == "__main__":
    main()
