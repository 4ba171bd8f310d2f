"""Choose the settings of a method on CIFAR-100 by successive halving.

Combinations are sampled from a grid without replacement; the settings of the experiment compete
with them. All run with a few seeds, the best third with three times as many new seeds, and so on.
Seeds start at 1000, far from those of the reported results. The score of a combination is the
accuracy after all queries, averaged over all of its seeds so far.

    python -m benchmarks.tabular.tune nasnet -o tuned
"""

import argparse
import csv
import itertools
import os
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tabular.jobs import Job, chunks, completed
from benchmarks.tabular.settings import METHODS
from lightning_nas.errors import InputError

Settings = tuple[str, ...]
GRIDS: dict[str, dict[str, list[object]]] = {
    "evolution": {
        "method.population": [10, 20, 30, 50, 100],
        "method.tournament": [2, 3, 5, 10, 25],
        "method.redraws": [0],
    },
    "nas": {
        "method.controller.optimizer.lr": [0.005, 0.01, 0.02, 0.04, 0.08],
        "method.batch": [5, 10, 20],
        "method.controller.entropy_weight": [0.0, 0.001, 0.01, 0.1],
        "method.controller.baseline.decay": [0.8, 0.95, 0.99],
        "method.redraws": [0],
        "controller.tanh_constant": ["null"],
    },
    "nasnet": {
        "method.controller.optimizer.lr": [0.005, 0.01, 0.02, 0.04],
        "method.batch": [5, 10, 20],
        "method.passes": [2, 4, 8],
        "method.clip": [0.2, 0.4],
        "method.controller.entropy_weight": [0.01, 0.03, 0.1, 0.3],
        "method.normalise": ["true", "false"],
        "method.ranks": ["false"],
        "method.redraws": [0],
    },
    "evolution_finer": {
        "method.population": [5, 10, 20, 30, 50],
        "method.tournament": [5, 10, 20],
        "method.redraws": [100],
    },
    "nas_finer": {
        "method.controller.optimizer.lr": [0.01, 0.02, 0.04],
        "method.batch": [5, 10, 20],
        "method.controller.entropy_weight": [0.0, 0.01, 0.1],
        "method.controller.baseline.decay": [0.95, 0.99],
        "method.redraws": [100],
        "controller.tanh_constant": ["null", 1.5, 2.5],
    },
    "nasnet_finer": {
        "method.controller.optimizer.lr": [0.01, 0.02, 0.03],
        "method.batch": [5, 10, 20],
        "method.passes": [4, 8],
        "method.clip": [0.2, 0.4],
        "method.controller.entropy_weight": [0.05, 0.1, 0.2],
        "controller.tanh_constant": ["null", 1.5],
        "method.ranks": ["true"],
        "method.redraws": [100],
    },
}
COLUMNS = ("round", "seeds", "found_at_half", "found", "standard_error", "settings")
OWN: Settings = ()  # the settings of the experiment
FIRST_SEED = 1000
DATASET = "cifar100"


def sample_combinations(grid: dict[str, list[object]], number: int) -> list[Settings]:
    """Sample combinations of a grid, always the same; impossible combinations are left out."""
    names = list(grid)
    every = [
        tuple(f"{name}={value}" for name, value in zip(names, values, strict=True))
        for values in itertools.product(*grid.values())
        if names[0] != "method.population" or int(str(values[1])) <= int(str(values[0]))
    ]
    return random.Random(0).sample(every, min(number, len(every)))


def run_halving(grid: str, combinations: Sequence[Settings], options: argparse.Namespace) -> None:
    """Run successive halving on a grid; print and write every round."""
    method, seeds = grid.removesuffix("_finer"), options.seeds
    found: dict[Settings, list[list[float]]] = {combination: [] for combination in combinations}
    first = FIRST_SEED
    for number in range(1, options.rounds + 1):
        jobs = [
            Job(method, (*METHODS[method], *combination), DATASET, part, options.queries)
            for combination in found
            for part in chunks(range(first, first + seeds))
        ]
        given = len(METHODS[method])
        for job, results in completed(jobs, options.processes, f"{grid}, round {number}"):
            found[job.settings[given:]] += [result.mean_Q for result in results]
        found = dict(sorted(found.items(), key=lambda item: -_final(item[1])[0]))
        _write(options.output / f"{grid}.csv", number, found)
        first, seeds = first + seeds, 3 * seeds
        found = dict(list(found.items())[: max(1, len(found) // 3)])


def _final(curves: Sequence[Sequence[float]], query: int = -1) -> tuple[float, float]:
    """Return mean and standard error over curves after a query."""
    values = [curve[query] for curve in curves]
    return statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5


def _write(path: Path, number: int, found: dict[Settings, list[list[float]]]) -> None:
    """Print a round and append it to the file."""
    with path.open("a" if number > 1 else "w", newline="") as file:
        writer = csv.writer(file)
        if number == 1:
            writer.writerow(COLUMNS)
        for settings, curves in found.items():
            half, _ = _final(curves, len(curves[0]) // 2 - 1)
            whole, error = _final(curves)
            figures = [f"{value:.5f}" for value in (half, whole, error)]
            writer.writerow([number, len(curves), *figures, " ".join(settings)])
            print(f"{number} {len(curves):>4} {half:.2%} {whole:.2%} +- {error:.2%}", *settings)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grid", choices=GRIDS)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/tuned"))
    parser.add_argument("--combinations", type=int, default=24)
    parser.add_argument(
        "--seeds", type=int, default=12, help="seeds of the first round (default: 12)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    if options.seeds < 2 or min(options.rounds, options.queries, options.processes) < 1:
        parser.error("--seeds must be at least 2, --rounds, --queries and --processes at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Tune one method on one grid."""
    options = parsed(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    combinations = [OWN, *sample_combinations(GRIDS[options.grid], options.combinations)]
    try:
        run_halving(options.grid, combinations, options)
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
