"""How a search by trials samples: numbers, shares and seeds. It knows no method."""

from dataclasses import dataclass

import torch

from lightning_nas.controllers.rollout import Rollout
from lightning_nas.data.seeding import make_generator
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import NO_BUDGET, Budget
from lightning_nas.storage.trial import POLICY, RANDOM

Sample = tuple[tuple[int, ...], tuple[float, ...]]  # tokens, log-probability of each (or none)


@dataclass(frozen=True)
class Sampling:
    """Number and random choice of a search's architectures.

    Args:
        samples: Number of architectures, the random arm included, at least 1.
        batch: Trials for one update of the method, at least 1.
        random_share: Share of the random arm, in [0, 1). The method never learns from it.
        stratify: Whether the first n trials, for every n, have exactly ``round(n * random_share)``
            of the random arm; false = the arm of each trial is chosen by chance.
        budget: Budget that weighs the rewards.
        repeat: Whether to evaluate an architecture again that was evaluated before.
        redraws: Maximum number of redraws when an architecture was already sampled, at least 0.
            Not in the papers: the method then explores around its best architectures.
        candidates: Number of samples for each trial, at least 1. If there are several, a model of
            the method's trials so far chooses one (``surrogate.py``), once there are ``batch``
            trials and at least ten. Then ``redraws`` has no effect. Not in the papers.
        seed: Seed of all samples. Trial ``n`` depends only on the seed, ``n`` and the controller.

    Raises:
        InputError: If a number is out of range.
    """

    samples: int
    batch: int = 20
    random_share: float = 0.0
    stratify: bool = False  # the default continues runs whose configuration lacks this setting
    budget: Budget = NO_BUDGET
    repeat: bool = False
    redraws: int = 0
    candidates: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.samples, self.batch, self.candidates) < 1 or self.redraws < 0:
            raise InputError(
                "method.samples, method.batch and method.candidates must be at least 1, "
                "method.redraws at least 0, "
                f"got {self.samples}, {self.batch}, {self.candidates} and {self.redraws}"
            )
        if not 0 <= self.random_share < 1:
            raise InputError(f"method.control must be in [0, 1), got {self.random_share}")

    def choose_arm(self, number: int, place: int | None = None) -> tuple[str, int]:
        """Return the arm of a trial and the seed of its sample.

        Both depend on the numbers alone. A resumed search therefore samples what it would have
        sampled without the interruption, and a search that is extended keeps its share.

        Args:
            number: Number of the trial in the journal.
            place: Number of the trial if finalists are not counted; None = ``number``.
        """
        generator = make_generator("proposal", self.seed, number)
        is_random = bool(torch.rand((), generator=generator) < self.random_share)
        if self.stratify:
            place = number if place is None else place
            is_random = self.count_random(place + 1) > self.count_random(place)
        return RANDOM if is_random else POLICY, int(torch.randint(2**62, (), generator=generator))

    def count_random(self, trials: int) -> int:
        """Return how many of the first ``trials`` belong to a stratified random arm."""
        return round(trials * self.random_share)


def list_samples(rollout: Rollout) -> list[Sample]:
    """Return the architectures of a rollout."""
    tokens, log_probs = rollout.tokens_NT.tolist(), rollout.log_prob_NT.tolist()
    return list(zip(map(tuple, tokens), map(tuple, log_probs), strict=True))


def first_sample(rollout: Rollout) -> Sample:
    """Return the first architecture of a rollout."""
    return list_samples(rollout)[0]
