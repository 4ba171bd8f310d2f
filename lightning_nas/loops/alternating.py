"""The loop of ENAS as a loader: a pass for the shared weights, then the controller's steps.

One pass over it is one epoch of the search. Lightning's own loop does the rest.
"""

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any, Literal, Protocol, Self

Phase = Literal["weights", "controller"]


class Loader(Iterable[Any], Sized, Protocol):
    """An iterable of batches whose order depends on the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""


class Alternating:
    """Yields ``("weights", batch)`` for one pass, then ``("controller", batch)`` so many times.

    Args:
        weights: Batches of the training split.
        controller: Batches of the validation split, without end.
        controller_steps: How many of the latter follow a pass, at least 0.
    """

    batch_sampler = None  # Lightning reads it where a loader has a sampler

    def __init__(self, weights: Loader, controller: Loader, controller_steps: int) -> None:
        self.weights = weights
        self.controller = controller
        self.controller_steps = controller_steps

    @property
    def sampler(self) -> Self:
        """The loader itself: Lightning calls ``loader.sampler.set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of both phases in the next pass."""
        self.weights.set_epoch(epoch)
        self.controller.set_epoch(epoch)

    def __len__(self) -> int:
        """Return the steps of an epoch, both phases together."""
        return len(self.weights) + self.controller_steps

    def __iter__(self) -> Iterator[tuple[Phase, Any]]:
        """Yield the batches of one epoch, each with its phase."""
        for batch in self.weights:
            yield "weights", batch
        if self.controller_steps:
            for batch in islice(self.controller, self.controller_steps):
                yield "controller", batch
