"""Evaluator that trains an architecture several times and returns the mean.

One short training also depends on the initial weights. If an architecture is chosen because of one
training, the choice is partly luck. Further trainings have other seeds.
"""

import statistics
from dataclasses import replace

from lightning_nas.architecture import Architecture
from lightning_nas.data.seeding import draw_seed
from lightning_nas.evaluation.executors import Evaluator, Poll
from lightning_nas.storage.trial import Outcome


class RepeatedTraining:
    """Evaluator that returns the mean of several evaluations of an architecture.

    Args:
        evaluator: Evaluator of one training.
        seeds: Number of trainings, at least 1.

    Attributes:
        penalty: Reward of a failure, that of the evaluator if it has one.
        time_limit: Time limit of all trainings together in seconds; None = no limit.
    """

    def __init__(self, evaluator: Evaluator, seeds: int) -> None:
        self.evaluator = evaluator
        self.seeds = seeds
        self.penalty = float(getattr(evaluator, "penalty", 0.0))
        limit = getattr(evaluator, "time_limit", None)
        self.time_limit = None if limit is None else seeds * limit

    def __call__(self, architecture: Architecture, seed: int, poll: Poll = lambda: None) -> Outcome:
        """Return the mean rewards and accuracies, and all seconds; the first failure ends it.

        Args:
            architecture: Architecture to train.
            seed: Seed of the first training. The others have seeds that follow from it.
            poll: Function to call while a network trains; it may raise an exception to stop.
        """
        outcomes: list[Outcome] = []
        for turn in range(self.seeds):
            its_seed = draw_seed("repeated", seed, turn) if turn else seed
            outcome = self.evaluator(architecture, its_seed, poll)
            outcomes.append(outcome)
            if outcome.error is not None:
                break
        seconds = sum(outcome.seconds for outcome in outcomes)
        if outcomes[-1].error is not None:
            return replace(outcomes[-1], seconds=seconds)
        accuracies = zip(*(outcome.accuracies for outcome in outcomes), strict=True)
        return replace(
            outcomes[0],
            reward=statistics.fmean(outcome.reward for outcome in outcomes),
            accuracies=tuple(map(statistics.fmean, accuracies)),
            seconds=seconds,
        )

    def final(self, epochs: int) -> "RepeatedTraining":
        """Return the evaluator for finalists, which trains as often."""
        return RepeatedTraining(self.evaluator.final(epochs), self.seeds)

    def on_test_images(self) -> "RepeatedTraining":
        """Return the evaluator that measures accuracies on the test split."""
        return RepeatedTraining(self.evaluator.on_test_images(), self.seeds)
