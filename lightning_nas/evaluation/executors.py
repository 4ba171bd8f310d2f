"""Protocols of evaluators and executors, and the serial executor.

An evaluator turns an architecture into an outcome. An executor takes architectures and returns
their outcomes as they end, in any order.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from lightning_nas.architecture import Architecture
from lightning_nas.storage.trial import Outcome

Cutoffs = Mapping[int, float]  # epoch: accuracy in [0, 1] below which a child stops
Poll = Callable[[], None]  # called regularly while a child trains; may raise to stop it


class Evaluator(Protocol):
    """Function from an architecture to its outcome."""

    def __call__(self, architecture: Architecture, seed: int, poll: Poll) -> Outcome:
        """Evaluate an architecture. The same seed gives the same outcome.

        An evaluator with rungs (``evaluation/rungs.py``) also takes ``cutoffs``.
        """

    def final(self, epochs: int) -> "Evaluator":
        """Return the evaluator for finalists: more precise, or with trainings of ``epochs``."""

    def on_test_images(self) -> "Evaluator":
        """Return the evaluator that measures accuracies on the test split."""


class Executor(Protocol):
    """Evaluates architectures, one or several at once.

    Attributes:
        slots: Maximum number of submitted architectures that have not ended, at least 1.
        threads: Number of torch threads per evaluation, if the evaluator sets no number; None = the
            number of this process.
    """

    slots: int
    threads: int | None

    def submit(
        self, number: int, architecture: Architecture, seed: int, cutoffs: Cutoffs | None = None
    ) -> None:
        """Start or queue the evaluation of an architecture.

        Only an evaluator with rungs is given ``cutoffs``.
        """

    def wait(self, poll: Poll) -> tuple[int, Outcome]:
        """Return the number and the outcome of the next evaluation that ends."""

    def close(self) -> None:
        """Release all workers. Evaluations that have not ended are dropped."""


def run_evaluator(
    evaluator: Any, architecture: Architecture, seed: int, poll: Poll, cutoffs: Cutoffs | None
) -> Outcome:
    """Return the outcome of an evaluator, which takes cutoffs only if it has rungs."""
    more = {} if cutoffs is None else {"cutoffs": cutoffs}
    outcome: Outcome = evaluator(architecture, seed, poll, **more)
    return outcome


class SerialExecutor:
    """Executor that evaluates one architecture after another in this process.

    Args:
        evaluate: Evaluator.
    """

    slots = 1
    threads = None

    def __init__(self, evaluate: Evaluator) -> None:
        self.evaluate = evaluate
        self._queue: deque[tuple[int, Architecture, int, Cutoffs | None]] = deque()

    def submit(
        self, number: int, architecture: Architecture, seed: int, cutoffs: Cutoffs | None = None
    ) -> None:
        """Queue an architecture."""
        self._queue.append((number, architecture, seed, cutoffs))

    def wait(self, poll: Poll) -> tuple[int, Outcome]:
        """Evaluate the next architecture in the queue."""
        poll()
        number, architecture, seed, cutoffs = self._queue.popleft()
        return number, run_evaluator(self.evaluate, architecture, seed, poll, cutoffs)

    def close(self) -> None:
        """Clear the queue."""
        self._queue.clear()
