"""The loop of ENAS as a loader: a pass for the shared weights, then the controller's steps.

Between them a few uniformly drawn architectures are scored, to compare the controller with chance.
One pass over the loader is one epoch of the search. Lightning's own loop does the rest.
"""

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any, Literal, Protocol, Self

Phase = Literal["weights", "control", "controller"]


class Loader(Iterable[Any], Sized, Protocol):
    """An iterable of batches whose order depends on the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""


class Alternating:
    """Yields a pass of ``("weights", batch)``, then ``("control", ...)``, ``("controller", ...)``.

    Args:
        weights: Batches of the training split.
        controller: Batches of the validation split, without end.
        controller_steps: How many of the latter the controller has in an epoch, at least 0.
        control_steps: How many the control arm has, the same ones; at least 0.
    """

    batch_sampler = None  # Lightning reads it where a loader has a sampler

    def __init__(
        self, weights: Loader, controller: Loader, controller_steps: int, control_steps: int = 0
    ) -> None:
        self.weights = weights
        self.controller = controller
        self.controller_steps = controller_steps
        self.control_steps = control_steps

    @property
    def sampler(self) -> Self:
        """The loader itself: Lightning calls ``loader.sampler.set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of all phases in the next pass."""
        self.weights.set_epoch(epoch)
        self.controller.set_epoch(epoch)

    def __len__(self) -> int:
        """Return the steps of an epoch, all phases together."""
        return len(self.weights) + self.control_steps + self.controller_steps

    def ends_phase(self, batch_idx: int) -> bool:
        """Whether a batch, counted from 0, is the last of its phase."""
        weights = len(self.weights)
        control = weights + self.control_steps
        return batch_idx + 1 in (weights, control, control + self.controller_steps)

    def __iter__(self) -> Iterator[tuple[Phase, Any]]:
        """Yield the batches of one epoch, each with its phase."""
        for batch in self.weights:
            yield "weights", batch
        if self.control_steps:
            for batch in islice(self.controller, self.control_steps):
                yield "control", batch
        if self.controller_steps:
            for batch in islice(self.controller, self.controller_steps):
                yield "controller", batch
