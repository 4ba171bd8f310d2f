"""How many workers one NASNet search keeps busy, on a simulated cluster.

The search is real: controller, journal, stream of trials, Trainer. The children are simulated: each
has a log-normal duration, and its reward is the share of separable convolutions among its
operations. The virtual clock jumps to the end of the next child. It also advances by the real time
that the search needs between two children, so a search that is too slow leaves workers idle.

The limit is the work of the search itself, which handles one trial after another on one thread.
Most of it is the controller: sampling takes about a twentieth of an update, and an update is four
gradient steps. The two transactions of the journal wait for the disk, up to a quarter of the whole;
decoding takes 3 %. The search keeps as many workers busy as samples and updates fit into the
duration of one child. The default of 10 s shows the limit; in the paper, 500 workers and 20,000
children in four days leave two hours for each child.

The measurement starts when every worker has its first child and ends when the last child starts.
Columns: trials; share of the workers' time spent on training; updates between sampling an
architecture and learning from it; trials per second, and the maximum that the search alone allows;
work of the search as a share of the time.

    python -m benchmarks.cluster
    python -m benchmarks.cluster --workers 500 --trials 20000 --seconds 60
"""

import argparse
import heapq
import math
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.machine import fit, parse, quiet
from lightning_nas.architecture import (
    COMBINATIONS,
    NASNET_OPERATIONS,
    Architecture,
    CellArchitecture,
)
from lightning_nas.controllers.lstm import LSTMController
from lightning_nas.evaluation.executors import Evaluator, Poll
from lightning_nas.methods.nasnet import NASNet
from lightning_nas.modules.controller import ControllerModule
from lightning_nas.policy.baseline import MovingAverageBaseline
from lightning_nas.search.sampling import Sampling
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.storage.trial import Outcome, Trial

SPACE = CellSpace(5, NASNET_OPERATIONS, combinations=COMBINATIONS, rules="nasnet")
BATCH, ROUNDS, LEAST = 20, 4, 200  # a run has ROUNDS trials per worker, at least LEAST


class Separable:
    """Evaluator whose reward is the share of separable convolutions among the operations."""

    def __call__(self, architecture: Architecture, seed: int, poll: Poll) -> Outcome:
        """Return the outcome of an architecture."""
        assert isinstance(architecture, CellArchitecture)
        blocks = (*architecture.normal.blocks, *architecture.reduction.blocks)
        names = [name for block in blocks for name in block.operations]
        return Outcome(sum(name.startswith("sep") for name in names) / len(names))

    def final(self, epochs: int) -> Evaluator:
        """Return itself: there is no more precise evaluation."""
        return self


class SimulatedExecutor:
    """Executor whose children take virtual time.

    Args:
        evaluate: Evaluator; it returns at once.
        slots: Number of workers.
        seconds: Mean duration of a child.
        sigma: Standard deviation of the logarithm of the durations.

    Attributes:
        now: Virtual seconds since the start.
        work: Real seconds that the search itself has used.
        children: Start and end of each child in virtual seconds, in order of the starts.
        worked: Value of ``work`` at the start of each child.
    """

    def __init__(self, evaluate: Evaluator, slots: int, seconds: float, sigma: float) -> None:
        self.evaluate = evaluate
        self.slots = slots
        self.sigma = sigma
        self.mu = math.log(seconds) - sigma**2 / 2  # so that the mean is ``seconds``
        self.durations = random.Random(0)
        self.now = self.work = 0.0
        self.children: list[tuple[float, float]] = []
        self.worked: list[float] = []
        self._running: list[
            tuple[float, int, Outcome]
        ] = []  # a heap: the next child to end is first
        self._left = time.perf_counter()  # time at which the search last got control

    def _count_work(self) -> None:
        used = time.perf_counter() - self._left
        self.now += used
        self.work += used

    def submit(self, number: int, architecture: Architecture, seed: int) -> None:
        """Start a child on a worker."""
        self._count_work()
        end = self.now + self.durations.lognormvariate(self.mu, self.sigma)
        outcome = self.evaluate(architecture, seed, lambda: None)
        heapq.heappush(self._running, (end, number, outcome))
        self.children.append((self.now, end))
        self.worked.append(self.work)
        self._left = time.perf_counter()

    def wait(self, poll: Poll) -> tuple[int, Outcome]:
        """Jump to the end of the next child, unless that time has already passed."""
        self._count_work()
        end, number, outcome = heapq.heappop(self._running)
        self.now = max(self.now, end)
        self._left = time.perf_counter()
        return number, outcome

    def close(self) -> None:
        """Drop the running children."""
        self._running.clear()


class Watched(NASNet):
    """NASNet that records the staleness of each sample: updates between sampling and learning."""

    def on_fit_start(self) -> None:
        """Start with an empty record."""
        self.staleness: list[int] = []

    def learn(self, trials: Sequence[Trial]) -> dict[str, Tensor]:
        """Learn as usual. The first samples, all from step 0, are not recorded."""
        later = [trial.proposal for trial in trials if trial.number >= self.executor.slots]
        self.staleness += [self.updates - proposal.step for proposal in later]
        return super().learn(trials)


def search(workers: int, trials: int, seconds: float, sigma: float, folder: str) -> Watched:
    """Run a search and return it."""
    torch.manual_seed(0)
    lstm = LSTMController(SPACE, hidden=100, bias=True, picks="softmax", tanh_constant=None)
    controller = ControllerModule(
        lstm,
        MovingAverageBaseline(0.95),
        partial(torch.optim.Adam, lr=3.5e-4),
        entropy_weight=1e-5,
    )
    method = Watched(
        controller,
        data=None,
        evaluation=lambda data: Separable(),
        executor=partial(SimulatedExecutor, slots=workers, seconds=seconds, sigma=sigma),
        journal=Path(folder) / "trials.sqlite",
        sampling=Sampling(samples=trials, batch=BATCH),
    )
    fit(method, folder)
    return method


def row(executor: SimulatedExecutor, staleness: Sequence[int]) -> str:
    """Return a row of the table."""
    workers = executor.slots
    (first, _), (last, _) = executor.children[workers - 1], executor.children[-1]
    trained = sum(max(0.0, min(end, last) - max(begin, first)) for begin, end in executor.children)
    work = executor.worked[-1] - executor.worked[workers - 1]
    trials = len(executor.children) - workers
    return (
        f"{workers:>7}{trials:>8}{trained / workers / (last - first):>8.1%}"
        f"{statistics.fmean(staleness):>12.1f}{trials / (last - first):>12.2f}"
        f"{trials / work:>14.1f}{work / (last - first):>8.1%}"
    )


def main() -> None:
    """Simulate each number of workers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 10, 50, 100, 200, 500])
    parser.add_argument(
        "--trials", type=int, help=f"default: {ROUNDS} per worker, at least {LEAST}"
    )
    parser.add_argument(
        "--seconds", type=float, default=10, help="mean duration of a child (default: 10)"
    )
    parser.add_argument(
        "--sigma",
        type=float,
        default=0.5,
        help="standard deviation of its logarithm (default: 0.5)",
    )
    parser.set_defaults(threads=1)
    arguments = parse(parser, device=False)
    quiet()
    if arguments.trials and arguments.trials <= max(arguments.workers):
        parser.error("--trials must be larger than --workers")
    print(f"{'workers':>7}{'trials':>8}{'busy':>8}{'staleness':>12}{'trials/s':>12}", end="")
    print(f"{'at most, /s':>14}{'work':>8}")
    for workers in arguments.workers:
        trials = arguments.trials or max(LEAST, ROUNDS * workers)
        with tempfile.TemporaryDirectory() as folder:
            method = search(workers, trials, arguments.seconds, arguments.sigma, folder)
        print(row(method.executor, method.staleness), flush=True)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
