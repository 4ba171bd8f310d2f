"""Early stopping of children that will hardly become good, by the rungs of ASHA.

A rung is a number of epochs. A child that reaches a rung goes on if its accuracy there is among the
best share, and stops otherwise. It is compared with all children of both arms that reached the rung
and had ended without a failure when the child started. This is the variant that never pauses a
child: a child that goes on keeps its weights and its place.

Source: Li et al., 2020, A System for Massively Parallel Hyperparameter Tuning,
https://arxiv.org/abs/1810.05934. None of the three papers stops children.
"""

from bisect import insort
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from lightning_nas.errors import InputError
from lightning_nas.evaluation.executors import Cutoffs
from lightning_nas.storage.trial import Trial

ROUNDING = 1e-9  # a third of three children is one child


@dataclass(frozen=True)
class Rungs:
    """Rungs of the children of a search.

    Args:
        epochs: Epochs after which a child can stop, in rising order; empty = no child stops.
        keep: Share of the children that go on at a rung, in (0, 1).
    """

    epochs: tuple[int, ...] = ()
    keep: float = 1 / 3

    def check(self, whole: int) -> None:
        """Check the rungs against the number of epochs of a whole training.

        Raises:
            InputError: If a number is out of range, or the epochs do not rise.
        """
        bounds = (0, *self.epochs, whole)
        if any(low >= high for low, high in pairwise(bounds)):
            raise InputError(
                "evaluation.rungs must rise from at least 1 to below evaluation.epochs="
                f"{whole}, got {list(self.epochs)}"
            )
        if not 0 < self.keep < 1:
            raise InputError(f"evaluation.keep must be in (0, 1), got {self.keep}")

    def expect_epochs(self, whole: int) -> float:
        """Return the mean number of epochs of a child if a share of ``keep`` passes each rung.

        >>> Rungs((1, 3), keep=0.5).expect_epochs(7)
        3.0
        """
        bounds = (0, *self.epochs, whole)
        parts = [high - low for low, high in pairwise(bounds)]
        return sum(part * self.keep**place for place, part in enumerate(parts))


NO_RUNGS = Rungs()


@dataclass
class RungRecord:
    """The accuracies of all children at the rungs that they have reached.

    Args:
        rungs: Rungs of the search.
    """

    rungs: Rungs
    _accuracies: dict[int, list[float]] = field(default_factory=dict)  # rising, by epoch

    def observe(self, trial: Trial) -> None:
        """Add a trial. Copies of outcomes and failures are left out."""
        reached = trial.outcome.accuracies
        if trial.same_as is not None or trial.outcome.error is not None:
            return
        for epoch in self.rungs.epochs:
            if epoch <= len(reached):
                insort(self._accuracies.setdefault(epoch, []), reached[epoch - 1])

    def cutoffs(self) -> Cutoffs:
        """Return the cutoffs for the next child.

        A child with the accuracy of the cutoff is among the best share, itself counted. A rung with
        too few children has no cutoff: a child that reaches it goes on.
        """
        cutoffs = {}
        for epoch, rising in self._accuracies.items():
            going_on = int((len(rising) + 1) * self.rungs.keep + ROUNDING)
            if going_on:
                cutoffs[epoch] = rising[-going_on]
        return cutoffs


def find_rungs(evaluator: Any) -> Rungs:
    """Return the rungs of an evaluator. An evaluator without this attribute stops no child."""
    rungs: Rungs = getattr(evaluator, "rungs", NO_RUNGS)
    return rungs
