"""Milliseconds of the layers that have a special path on CPUs: torch's layer against ours.

Each figure is the minimum of several rounds of forward and backward; the two layers alternate. The
shapes are those of the searches.

    python -m benchmarks.layers
    python -m benchmarks.layers --batch 160 --threads 1
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.machine import parse
from lightning_nas.layers import cpu

ROUNDS, SECONDS = 5, 0.1  # seconds of a round, approximately
Layer = Callable[[Tensor], Tensor]


def batch_norms(channels: int) -> tuple[Layer, Layer]:
    """Return torch's layer and ours."""
    weight, bias = torch.rand(2, channels)
    weight.requires_grad_()
    bias.requires_grad_()
    return (
        lambda x: F.batch_norm(x, None, None, weight, bias, training=True),
        lambda x: cpu.FoldedBatchNorm.apply(x, weight, bias, 1e-5),
    )


def depthwise(channels: int) -> tuple[Layer, Layer]:
    """Return torch's layer and ours."""
    weight = torch.rand(channels, 1, 5, 5, requires_grad=True)
    return (
        lambda x: F.conv2d(x, weight, padding=2, groups=channels),
        lambda x: cpu.Depthwise5x5.apply(x, weight),
    )


def pointwise(channels: int) -> tuple[Layer, Layer]:
    """Return torch's layer and ours."""
    weight = torch.rand(channels, channels, 1, 1, requires_grad=True)
    return lambda x: F.conv2d(x, weight), lambda x: cpu.pointwise(x, weight)


CASES = {  # channels and image side in pixels, as they occur in the searches
    batch_norms: [(20, 32), (36, 32), (60, 32), (40, 16)],
    depthwise: [(20, 32), (36, 32), (40, 16)],
    pointwise: [(80, 8), (36, 8), (16, 4), (32, 2)],
}


def milliseconds(layer: Layer, x: Tensor, repeats: int) -> float:
    """Return the milliseconds of one forward and backward pass."""
    start = time.perf_counter()
    for _ in range(repeats):
        layer(x).backward(x)
    return 1e3 * (time.perf_counter() - start) / repeats


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64, help="images a batch (default: 64)")
    arguments = parse(parser, device=False)
    print(f"{torch.get_num_threads()} threads, batch {arguments.batch}")
    print(f"{'':<28}{'ours, ms':>10}{'torch, ms':>10}{'ratio':>8}")
    for make, shapes in CASES.items():
        for channels, side in shapes:
            x = torch.randn(arguments.batch, channels, side, side)
            x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
            layers = make(channels)
            repeats = 1 + int(1e3 * SECONDS / max(milliseconds(layer, x, 2) for layer in layers))
            rounds = [[milliseconds(layer, x, repeats) for layer in layers] for _ in range(ROUNDS)]
            torchs, ours = map(min, zip(*rounds, strict=True))
            name = f"{make.__name__} {channels} x {side} x {side}"
            print(f"{name:<28}{ours:>10.2f}{torchs:>10.2f}{torchs / ours:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
