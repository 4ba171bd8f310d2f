"""Proposals, outcomes and trials: plain data that can be pickled, sent and stored. No torch."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lightning_nas.errors import InputError

POLICY, RANDOM, DERIVED, FINALIST = "policy", "control", "derived", "finalist"


@dataclass(frozen=True)
class Proposal:
    """An architecture to evaluate.

    Args:
        number: Number of the trial in the search, from 0.
        tokens: Decisions that describe the architecture.
        log_probs: Log-probability of each decision at the time of sampling; empty if unknown.
        step: Number of controller updates before the architecture was sampled.
        arm: ``policy``: proposed by the method. ``control``: the random arm, sampled uniformly.
            ``derived``: sampled by the ENAS controller at the end. ``finalist``: one of the best,
            trained longer at the end.
    """

    number: int
    tokens: tuple[int, ...]
    log_probs: tuple[float, ...] = ()
    step: int = 0
    arm: str = POLICY

    @property
    def log_prob(self) -> float:
        """Log-probability of the whole architecture at the time of sampling."""
        return math.fsum(self.log_probs)


@dataclass(frozen=True)
class Outcome:
    """The result of an evaluation.

    Args:
        reward: Reward in [0, 1] before a budget; the penalty if there is an error.
        accuracies: Validation accuracy in [0, 1] after each epoch.
        parameters: Number of parameters of the network.
        multiply_adds: Multiply-adds for one image.
        latency: Seconds of the network for one batch; None if not measured.
        seconds: Duration of the evaluation.
        error: Reason of a failed evaluation; None if it succeeded.
    """

    reward: float
    accuracies: tuple[float, ...] = ()
    parameters: int | None = None
    multiply_adds: int | None = None
    latency: float | None = None
    seconds: float = 0.0
    error: str | None = None

    def check(self, number: int) -> None:
        """Raise InputError if the reward is not a number in [0, 1]; the message names the trial."""
        if not (math.isfinite(self.reward) and 0 <= self.reward <= 1):
            raise InputError(
                f"trial {number}: the evaluation returned a reward of {self.reward}; legal: 0 to 1"
            )


@dataclass(frozen=True)
class Trial:
    """An evaluated architecture.

    Args:
        proposal: The proposal.
        outcome: Result of the evaluation.
        reward: Reward that the controller learns from: that of the outcome, weighed by the budget.
        order: Place in the order in which trials ended, from 1.
        same_as: Number of the earlier trial whose outcome was copied; None if it was evaluated.
    """

    proposal: Proposal
    outcome: Outcome
    reward: float
    order: int
    same_as: int | None = None

    @property
    def number(self) -> int:
        """Number of the trial in the search."""
        return self.proposal.number


def best_of(trials: Iterable[Trial], count: int) -> list[Trial]:
    """Return the trials with the highest rewards, in falling order, each architecture once."""
    distinct: dict[tuple[int, ...], Trial] = {}
    for trial in sorted(trials, key=lambda trial: -trial.reward):
        distinct.setdefault(trial.proposal.tokens, trial)
    return list(distinct.values())[:count]
