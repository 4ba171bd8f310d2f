"""What each method finds in the table of NAS-Bench-201 with a given number of queries.

A query reads one training of the table; what is reported of the architecture that a search chose is
the mean over its trainings. ``python -m benchmarks.nas_bench_201 --seeds 200 --queries 200``
"""

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.machine import fit, parse, quiet
from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.evaluation.executors import SerialExecutor
from lightning_nas.evaluation.tabular import TabularBenchmark
from lightning_nas.methods.evolution import Evolution
from lightning_nas.methods.nas import NAS
from lightning_nas.methods.nasnet import NASNet
from lightning_nas.methods.random_search import RandomSearch
from lightning_nas.methods.trial_search import TrialSearch
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.spaces.edge_cell import EdgeCellSpace

SPACE = EdgeCellSpace()
NAS_POLICY = {"hidden": 35, "layers": 2, "skips": "sigmoid", "init_range": 0.08}
NASNET_POLICY = {"hidden": 100, "picks": "softmax"}


def controller(rate: float, entropy_weight: float, **policy: object) -> ControllerModule:
    """Return a controller of one of the papers with a learning rate for few samples."""
    lstm = LSTMController(SPACE, bias=True, tanh_constant=None, **policy)  # type: ignore[arg-type]
    optimizer = partial(torch.optim.Adam, lr=rate)
    return ControllerModule(
        lstm, MovingAverageBaseline(0.95), optimizer, entropy_weight=entropy_weight
    )


def method(name: str, seed: int, queries: int, table: TabularBenchmark, folder: str) -> TrialSearch:
    """Return a method over the table."""
    common = {
        "data": None,
        "evaluation": lambda data: table,
        "executor": SerialExecutor,
        "journal": Path(folder) / "trials.sqlite",
        "samples": queries,
        "batch": 10,
        "seed": seed,
    }
    if name == "nas":
        return NAS(controller(0.01, 0.0, **NAS_POLICY), **common)
    if name == "nasnet":
        return NASNet(controller(0.01, 0.1, **NASNET_POLICY), normalise=True, **common)
    if name == "evolution":
        return Evolution(20, 5, space=SPACE, **common)
    return RandomSearch(SPACE, **common)  # type: ignore[arg-type]


def searched(name: str, seed: int, queries: int, table: TabularBenchmark) -> float:
    """Return the mean accuracy of what a method found."""
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        search = method(name, seed, queries, table, folder)
        found: list[float] = []

        def choose() -> None:
            derived = search.derive(1, lambda items, total: items)
            found.append(table.mean_accuracy(derived.architecture))

        search.on_fit_end = choose  # type: ignore[method-assign]
        fit(search, folder)
    return found[0]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--methods", nargs="*", default=["nas", "nasnet", "random", "evolution"])
    parser.set_defaults(threads=1)
    options = parse(parser, device=False)
    quiet()
    table = TabularBenchmark(options.dataset)
    print(f"{options.dataset}: best of the table {table.best():.2%}")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for name in options.methods:
        found = [searched(name, seed, options.queries, table) for seed in tqdm(seeds, name)]
        error = statistics.stdev(found) / len(found) ** 0.5
        print(f"{name:<10} {statistics.fmean(found):.3%} +- {error:.3%}", flush=True)


if __name__ == "__main__":
    main()
