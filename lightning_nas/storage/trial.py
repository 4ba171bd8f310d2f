"""What is known of an architecture that is evaluated: as it was proposed, and as it came out.

Plain data that can be pickled, sent and stored. No torch here.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lightning_nas.errors import InputError

POLICY, RANDOM, DERIVED, FINALIST = "policy", "control", "derived", "finalist"


@dataclass(frozen=True)
class Proposal:
    """An architecture that is to be evaluated.

    Args:
        number: Its place in the search, from 0.
        tokens: The decisions that describe it.
        log_probs: Log-probability of each decision as it was sampled; empty where none was.
        step: Updates of the controller before it was sampled.
        arm: ``policy``: drawn by the method. ``control``: drawn uniformly, beside it. ``derived``:
            drawn by ENAS's controller at the end. ``finalist``: among the best, trained for longer
            at the end.
    """

    number: int
    tokens: tuple[int, ...]
    log_probs: tuple[float, ...] = ()
    step: int = 0
    arm: str = POLICY

    @property
    def log_prob(self) -> float:
        """Log-probability with which it was sampled."""
        return math.fsum(self.log_probs)


@dataclass(frozen=True)
class Outcome:
    """What came of an evaluation.

    Args:
        reward: In [0, 1], before a budget; the penalty where there is an error.
        accuracies: On validation images in [0, 1], one for each epoch.
        parameters: Of the network.
        multiply_adds: For one image.
        latency: Seconds for one batch of the network, where it is measured.
        seconds: That the evaluation took.
        error: Why there is no reward, if there is none.
    """

    reward: float
    accuracies: tuple[float, ...] = ()
    parameters: int | None = None
    multiply_adds: int | None = None
    latency: float | None = None
    seconds: float = 0.0
    error: str | None = None

    def check(self, number: int) -> None:
        """Raise InputError where the reward is none; the trial is named."""
        if not (math.isfinite(self.reward) and 0 <= self.reward <= 1):
            raise InputError(
                f"trial {number}: its evaluation returned a reward of {self.reward}; legal: 0 to 1"
            )


@dataclass(frozen=True)
class Trial:
    """An architecture that was evaluated.

    Args:
        proposal: As it was proposed.
        outcome: What came of it.
        reward: What the controller learns from: the outcome's, weighed by the budget.
        order: Its place in the order of endings, from 1.
        same_as: The earlier trial whose outcome it shares, where it was not evaluated again.
    """

    proposal: Proposal
    outcome: Outcome
    reward: float
    order: int
    same_as: int | None = None

    @property
    def number(self) -> int:
        """Its place in the search."""
        return self.proposal.number


def best_of(trials: Iterable[Trial], count: int) -> list[Trial]:
    """Return the best of trials by falling reward, every architecture once."""
    distinct: dict[tuple[int, ...], Trial] = {}
    for trial in sorted(trials, key=lambda trial: -trial.reward):
        distinct.setdefault(trial.proposal.tokens, trial)
    return list(distinct.values())[:count]
