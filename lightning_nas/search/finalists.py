"""The end of a search: the best architectures are evaluated once more, or their cost is measured.

Source: Zoph et al., 2018, https://arxiv.org/abs/1707.07012, trains the best 250 to convergence.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from lightning_nas.architecture import Architecture
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import Budget
from lightning_nas.evaluation.child_training import ChildTraining
from lightning_nas.evaluation.executors import Executor, Poll
from lightning_nas.search.trial_stream import Decode, Stream, TrialStream
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, Proposal, Trial, best_of

log = logging.getLogger(__name__)
MEASURED = 10  # best architectures whose cost is measured: each network has to be built for it

Progress = Callable[[Iterator[Any], int, str], Iterator[Any]]  # an iterator, its length and name


@dataclass(frozen=True)
class Finalists:
    """Number of finalists and their trainings.

    Args:
        count: Number of best architectures to evaluate once more before the choice; 0 = none.
        epochs: Epochs of each of these trainings, at least 1.
        seeds: Trainings of each finalist, each under its own seed, at least 1; their mean counts.

    Raises:
        InputError: If a number is out of range.
    """

    count: int = 0
    epochs: int = 100
    seeds: int = 1

    def __post_init__(self) -> None:
        if self.count < 0 or min(self.epochs, self.seeds) < 1:
            raise InputError(
                "method.finalists must be at least 0, method.finalist_epochs and "
                "method.finalist_seeds at least 1, "
                f"got {self.count}, {self.epochs} and {self.seeds}"
            )

    @property
    def trainings(self) -> int:
        """Number of trainings of all finalists."""
        return self.count * self.seeds

    def describe(self) -> str:
        """Return how a finalist of a search with shared weights is trained.

        >>> Finalists(10, epochs=3, seeds=2).describe()
        'trained from scratch for 3 epochs (mean of 2 trainings)'
        """
        mean = f" (mean of {self.seeds} trainings)" if self.seeds > 1 else ""
        return f"trained from scratch for {self.epochs} epochs{mean}"


NO_FINALISTS = Finalists()


def evaluate_finalists(
    best: Sequence[Trial],
    decode: Decode,
    executor: Executor,
    journal: Journal,
    progress: Progress,
    choose_seed: Callable[[int], int],
    budget: Budget,
    poll: Poll,
) -> list[Trial]:
    """Evaluate the best trials of a search once more.

    An architecture that the journal already has as a finalist is not evaluated again.

    Args:
        best: Trials of a search that has ended.
        decode: Function from a proposal to its architecture.
        executor: Executor of the longer trainings; it is closed at the end.
        journal: Journal of the search.
        progress: Wrapper of the iteration over the finalists, for a progress bar.
        choose_seed: Function from a trial's number to the seed of its evaluation.
        budget: Budget that weighs the rewards.
        poll: Function to call while a finalist trains; it may raise an exception to stop.

    Returns:
        The finalists in descending order of reward, without those that failed.

    Raises:
        InputError: If all finalists fail.
    """
    ended = journal.list_ended()
    earlier = [trial for trial in ended if trial.proposal.arm == FINALIST]
    begun = [p for p in journal.open_proposals() if p.arm == FINALIST]
    known = {t.proposal.tokens: t for t in earlier if t.outcome.error is None}
    proposed = known.keys() | {proposal.tokens for proposal in begun}
    missing = [trial.proposal for trial in best if trial.proposal.tokens not in proposed]
    first, wanted = len(journal), {trial.proposal.tokens for trial in best}

    def propose(numbers: range) -> list[Proposal]:
        chosen = [missing[number - first] for number in numbers]
        return [
            Proposal(number, proposal.tokens, (), proposal.step, FINALIST)
            for number, proposal in zip(numbers, chosen, strict=True)
        ]

    def evaluate() -> Iterator[Trial]:
        yield from (trial for tokens, trial in known.items() if tokens in wanted)
        samples = len(earlier) + len(begun) + len(missing)
        stream = TrialStream(
            propose,
            decode,
            executor,
            journal,
            Stream(samples, 1, arm=FINALIST, repeat=True, budget=budget, consumed=len(ended)),
            choose_seed=choose_seed,
            poll=poll,
        )
        while not stream.done:
            for batch in stream:
                yield from (trial for trial in batch if trial.proposal.tokens in wanted)

    try:
        trials = list(progress(evaluate(), len(best), "Training finalists"))
    finally:
        executor.close()
    succeeded = [trial for trial in trials if trial.outcome.error is None]
    if not succeeded:
        raise InputError(
            f"all {len(trials)} finalists failed, the first: {trials[0].outcome.error}; "
            "resume=RUN method.finalists=0 chooses the best architecture without finalists"
        )
    return best_of(succeeded, len(succeeded))


def add_costs(trials: Sequence[Trial], decode: Decode, training: ChildTraining) -> list[Trial]:
    """Return the trials, the best with the parameters and multiply-adds of their networks.

    torch's random state stays as it is.

    Args:
        trials: Trials whose outcomes have no costs.
        decode: Function from a proposal to its architecture.
        training: Training that knows the size of the networks and of the images.
    """
    best = {trial.number for trial in best_of(trials, MEASURED)}
    with torch.random.fork_rng(devices=[]):
        return [
            _add_cost(trial, training, decode(trial.proposal)) if trial.number in best else trial
            for trial in trials
        ]


def _add_cost(trial: Trial, training: ChildTraining, architecture: Architecture) -> Trial:
    try:
        cost = training.cost(architecture)
    except InputError as error:  # the search itself does not need the settings of evaluation
        log.warning("trial %d: the cost of its network is unknown: %s", trial.number, error)
        return trial
    outcome = replace(trial.outcome, parameters=cost.parameters, multiply_adds=cost.multiply_adds)
    return replace(trial, outcome=outcome)
