"""The loop of ENAS as a loader: weights phase, random arm, controller phase.

One pass over the loader is one epoch of the search, so Lightning's own loop runs it.
"""

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol, Self

from lightning_nas.errors import InputError

Phase = Literal["weights", "control", "controller"]  # "control" is the random arm


@dataclass(frozen=True)
class EpochSettings:
    """Steps and images of an epoch.

    Args:
        controller_steps: Number of controller steps, at least 0.
        controller_batch: Validation images for each sampled architecture; None = the batch size of
            the data. The final ranking uses batches of at least this size.
        random_steps: Number of steps of the random arm, at least 0; None = a tenth of
            ``controller_steps``. There are none if the controller does not learn.
        calibration_images: Training images for recalibrated batch norm statistics.
        warmup_epochs: First epochs, at least 0, in which uniformly sampled architectures train the
            shared weights and the controller does not learn (TuNAS, Bender et al., 2020,
            https://arxiv.org/abs/2008.06120).
        same_images: Whether all architectures of a step are scored on the same images; false = each
            one on its own share, as in the released code.
        seed: Seed of the random arm, of the trainings of finalists and, on several devices, of the
            sampled architectures. None, for runs whose configuration lacks it: the seed of the
            data, and the number of its trial for a finalist.

    Raises:
        InputError: If a number of steps or epochs is negative.
    """

    controller_steps: int = 30
    controller_batch: int | None = None
    random_steps: int | None = 0
    calibration_images: int = 512
    warmup_epochs: int = 0
    same_images: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        if min(self.controller_steps, self.random_steps or 0) < 0:
            raise InputError(
                "method.controller_steps and method.control_steps must be at least 0, "
                f"got {self.controller_steps} and {self.random_steps}"
            )
        if self.warmup_epochs < 0:
            raise InputError(f"method.warmup_epochs must be at least 0, got {self.warmup_epochs}")


DEFAULT_EPOCH = EpochSettings()


class Loader(Iterable[Any], Sized, Protocol):
    """An iterable of batches whose order depends on the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""


class Alternating:
    """Loader that yields ``(phase, batch)``: all of "weights", then "control", then "controller".

    Args:
        weights: Batches of the training split; one pass is the weights phase.
        controller: Batches of the validation split, without end.
        controller_steps: Number of controller steps in an epoch, at least 0.
        random_steps: Number of steps of the random arm in an epoch, at least 0. They use the first
            batches of the controller.
    """

    batch_sampler = None  # Lightning reads this attribute if a loader has a sampler

    def __init__(
        self, weights: Loader, controller: Loader, controller_steps: int, random_steps: int = 0
    ) -> None:
        self.weights = weights
        self.controller = controller
        self.controller_steps = controller_steps
        self.random_steps = random_steps

    @property
    def sampler(self) -> Self:
        """The loader itself: Lightning calls ``loader.sampler.set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of all phases in the next pass."""
        self.weights.set_epoch(epoch)
        self.controller.set_epoch(epoch)

    def __len__(self) -> int:
        """Return the number of steps in an epoch, all phases together."""
        return len(self.weights) + self.random_steps + self.controller_steps

    def ends_phase(self, batch_idx: int) -> bool:
        """Whether a batch, counted from 0, is the last of its phase."""
        weights = len(self.weights)
        random = weights + self.random_steps
        return batch_idx + 1 in (weights, random, random + self.controller_steps)

    def __iter__(self) -> Iterator[tuple[Phase, Any]]:
        """Yield the batches of one epoch, each with its phase."""
        for batch in self.weights:
            yield "weights", batch
        if self.random_steps:
            for batch in islice(self.controller, self.random_steps):
                yield "control", batch
        if self.controller_steps:
            for batch in islice(self.controller, self.controller_steps):
                yield "controller", batch
