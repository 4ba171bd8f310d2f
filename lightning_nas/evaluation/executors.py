"""Where architectures are evaluated; the simplest place is this process, one after another.

An executor takes architectures and gives outcomes back as they end, in any order.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from lightning_nas.architecture import Architecture
from lightning_nas.storage.trial import Outcome

Poll = Callable[[], None]  # called now and then while a child trains; may raise to stop


class Evaluator(Protocol):
    """From an architecture to its outcome."""

    def __call__(self, architecture: Architecture, seed: int, poll: Poll) -> Outcome:
        """Evaluate an architecture; the same seed gives the same outcome."""

    def final(self, epochs: int) -> "Evaluator":
        """Return what evaluates the best once more, at the end: more exactly, for longer."""


class Executor(Protocol):
    """Evaluates architectures, perhaps several at once.

    Attributes:
        slots: How many at once; no more are to be submitted.
        threads: torch's threads for each, where the evaluator does not say; None = this process's.
    """

    slots: int
    threads: int | None

    def submit(self, number: int, architecture: Architecture, seed: int) -> None:
        """Begin with an architecture, or queue it."""

    def wait(self, poll: Poll) -> tuple[int, Outcome]:
        """Return the number and the outcome of the next that ends."""

    def close(self) -> None:
        """Let go of all workers; what has not ended is given up."""


class SerialExecutor:
    """Evaluates one architecture after another, in this process.

    Args:
        evaluate: From an architecture to its outcome.
    """

    slots = 1
    threads = None

    def __init__(self, evaluate: Evaluator) -> None:
        self.evaluate = evaluate
        self._queue: deque[tuple[int, Architecture, int]] = deque()

    def submit(self, number: int, architecture: Architecture, seed: int) -> None:
        """Queue an architecture."""
        self._queue.append((number, architecture, seed))

    def wait(self, poll: Poll) -> tuple[int, Outcome]:
        """Evaluate the next in the queue."""
        poll()
        number, architecture, seed = self._queue.popleft()
        return number, self.evaluate(architecture, seed, poll)

    def close(self) -> None:
        """Forget the queue."""
        self._queue.clear()
