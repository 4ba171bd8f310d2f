"""What every method hands over at the end of a search."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_nas.architecture import Architecture


@dataclass(frozen=True)
class Derived:
    """The architecture that a search chose, and how its controller did against chance.

    Args:
        architecture: The best by reward.
        reward: Its reward in [0, 1].
        sampled: Rewards of the architectures that the controller sampled.
        uniform: Rewards of uniformly drawn ones, evaluated alike; there may be none.
        how: How all of them were evaluated, to be read by people.
    """

    architecture: Architecture
    reward: float
    sampled: tuple[float, ...]
    uniform: tuple[float, ...]
    how: str

    def summary(self) -> dict[str, float | int]:
        """Return plain numbers for ``summary.json``."""
        facts: dict[str, float | int] = {
            "best_reward": self.reward,
            "derived_from": len(self.sampled),
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
        lines = (
            f"{self.how}: best {self.reward:.1%}; {len(self.sampled)} architectures of the search "
            f"{statistics.fmean(self.sampled):.1%} on average"
        )
        if not self.uniform:
            return f"{lines}."
        return f"{lines}, {len(self.uniform)} random ones {statistics.fmean(self.uniform):.1%}."


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


def compare(
    architectures: Sequence[Architecture], sampled: Sequence[float], uniform: Sequence[float]
) -> Derived:
    """Choose the best of ``architectures`` by their rewards ``sampled``."""
    best = max(range(len(sampled)), key=sampled.__getitem__)
    how = "Accuracy on validation images with the shared weights"
    return Derived(architectures[best], sampled[best], tuple(sampled), tuple(uniform), how)
