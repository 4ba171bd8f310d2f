"""The result that every search returns. It knows no method and no file."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lightning_nas.architecture import Architecture
from lightning_nas.storage.trial import Proposal, Trial

LISTED = 5  # best architectures in tables and figures, unless there are more finalists


@dataclass(frozen=True)
class RankedArchitecture:
    """One of the best architectures of a search, with its trial."""

    architecture: Architecture
    trial: Trial


@dataclass(frozen=True)
class SearchResult:
    """The chosen architecture, and the rewards of the search and of its random arm.

    Args:
        top: Best architectures (the finalists, if any) in descending order of reward. The first one
            is the chosen one.
        sampled: Rewards of the architectures that the method sampled.
        uniform: Rewards of the random arm, evaluated in the same way; may be empty.
        how: Description of the evaluation, for a console line.
        front: Pareto front of accuracy and cost, the cheapest architecture first; may be empty.
    """

    top: tuple[RankedArchitecture, ...]
    sampled: tuple[float, ...]
    uniform: tuple[float, ...]
    how: str
    front: tuple[RankedArchitecture, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """The chosen architecture."""
        return self.top[0].architecture

    @property
    def reward(self) -> float:
        """Reward of the chosen architecture; above 1 only with a budget."""
        return self.top[0].trial.reward

    def summary(self) -> dict[str, float | int]:
        """Return the numbers for ``summary.json``."""
        facts: dict[str, float | int] = {
            "best_reward": self.reward,
            "derived_from": len(self.sampled),
        }
        if self.sampled:
            facts |= {
                "sampled_mean": statistics.fmean(self.sampled),
                "sampled_std": statistics.pstdev(self.sampled),
            }
        if self.uniform:
            facts |= {
                "uniform_mean": statistics.fmean(self.uniform),
                "uniform_std": statistics.pstdev(self.uniform),
                "uniform_best": max(self.uniform),
            }
        return facts

    def __str__(self) -> str:
        arms = (("architectures of the search", self.sampled), ("of the random arm", self.uniform))
        means = [
            f"{len(rewards)} {name} with a mean of {statistics.fmean(rewards):.4f}"
            for name, rewards in arms
            if rewards
        ]
        return f"{self.how}: best {self.reward:.4f}; {', '.join(means)}."


def decode_trials(
    trials: Iterable[Trial], decode: Callable[[Proposal], Architecture]
) -> tuple[RankedArchitecture, ...]:
    """Return the trials with their architectures, in the same order."""
    return tuple(RankedArchitecture(decode(trial.proposal), trial) for trial in trials)
