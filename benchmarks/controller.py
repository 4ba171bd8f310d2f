"""Milliseconds for twenty architectures from the LSTM controller: in one batch, and one by one.

python -m benchmarks.controller
"""

import argparse
import statistics
from collections.abc import Callable

import torch

from benchmarks.machine import parse
from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.evaluation.complexity import now
from lightning_nas.spaces.base import Space
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.macro import MacroSpace

ARCHITECTURES, HIDDEN, WARM_UP = 20, 64, 2


def median_milliseconds(run: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return the median time of a call, with all work that it queued."""
    times = []
    for _ in range(WARM_UP + repeats):
        start = now(device)
        run()
        times.append(1e3 * (now(device) - start))
    return statistics.median(times[WARM_UP:])


def main() -> None:
    """Measure both spaces and print their times and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="default: 10")
    arguments = parse(parser)
    device = arguments.device
    spaces: dict[str, Space] = {"micro": CellSpace(blocks=5), "macro": MacroSpace(layers=12)}
    print(f"{'':<10}{'batch, ms':>12}{'one by one, ms':>16}{'ratio':>8}")
    for name, space in spaces.items():
        controller = LSTMController(space, hidden=HIDDEN).to(device)

        def batched(controller: LSTMController = controller) -> None:
            controller.sample(ARCHITECTURES)

        def one_by_one(controller: LSTMController = controller) -> None:
            for _ in range(ARCHITECTURES):
                controller.sample(1)

        fast, slow = (
            median_milliseconds(run, arguments.repeats, device) for run in (batched, one_by_one)
        )
        print(f"{name:<10}{fast:>12.1f}{slow:>16.1f}{slow / fast:>8.1f}")


if __name__ == "__main__":
    main()
