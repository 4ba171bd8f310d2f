"""What every method hands over at the end of a search."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lightning_nas.architecture import Architecture
from lightning_nas.storage.trial import Proposal, Trial

LISTED = 5  # of the best that are written and shown, where no more finalists are asked for


@dataclass(frozen=True)
class RankedArchitecture:
    """An architecture among the best, and what is known of it."""

    architecture: Architecture
    trial: Trial


@dataclass(frozen=True)
class SearchResult:
    """The architecture that a search chose, and how its controller did against chance.

    Args:
        top: The best by reward, the chosen one first; where finalists were trained, those.
        sampled: Rewards of the architectures that the controller sampled.
        uniform: Rewards of uniformly drawn ones, evaluated alike; there may be none.
        how: How all of them were evaluated, to be read by people.
        front: Those that no other beats in both accuracy and cost, the cheapest first.
    """

    top: tuple[RankedArchitecture, ...]
    sampled: tuple[float, ...]
    uniform: tuple[float, ...]
    how: str
    front: tuple[RankedArchitecture, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """The chosen one."""
        return self.top[0].architecture

    @property
    def reward(self) -> float:
        """Its reward; a budget's may be above 1."""
        return self.top[0].trial.reward

    def summary(self) -> dict[str, float | int]:
        """Return plain numbers for ``summary.json``."""
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
        means = [
            f"{len(rewards)} {whose} {statistics.fmean(rewards):.4f} on average"
            for whose, rewards in (
                ("architectures of the search", self.sampled),
                ("random ones", self.uniform),
            )
            if rewards
        ]
        return f"{self.how}: best {self.reward:.4f}; {', '.join(means)}."


@dataclass(frozen=True)
class Estimate:
    """What a search would cost, from a few steps that were timed.

    Args:
        space: Architectures in the space.
        parameters: Parameters that are trained in all.
        steps: For each kind of step, its seconds and how often it happens in an epoch.
        deriving: Seconds of ranking one architecture at the end.
    """

    space: int
    parameters: int
    steps: dict[str, tuple[float, int]]
    deriving: float

    def seconds(self, epochs: int, derived: int) -> float:
        """Return the seconds of so many epochs, and of ranking so many architectures."""
        epoch = sum(seconds * times for seconds, times in self.steps.values())
        return epochs * epoch + derived * self.deriving


def decode_trials(
    trials: Iterable[Trial], decode: Callable[[Proposal], Architecture]
) -> tuple[RankedArchitecture, ...]:
    """Return trials with their architectures, in their order."""
    return tuple(RankedArchitecture(decode(trial.proposal), trial) for trial in trials)
