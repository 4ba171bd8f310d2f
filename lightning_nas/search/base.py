"""The base class of all searches: the interface for commands and callbacks.

``SharedSearch`` (ENAS) and ``TrialSearch`` (all other methods) define how a search samples and
evaluates architectures. This module must not depend on a method.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning import LightningModule

from lightning_nas.architecture import Architecture
from lightning_nas.data.base import ImageData
from lightning_nas.data.seeding import draw_seed
from lightning_nas.errors import explain_settings
from lightning_nas.evaluation.budget import NO_BUDGET
from lightning_nas.evaluation.executors import Evaluator, Executor
from lightning_nas.evaluation.repeated import RepeatedTraining
from lightning_nas.search.finalists import Finalists, Progress, evaluate_finalists
from lightning_nas.search.result import SearchResult
from lightning_nas.spaces.base import Space
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import Proposal, Trial


class Search(LightningModule, ABC):
    """A search that a Trainer runs: one call of ``fit`` is one search.

    Args:
        space: Search space.
        data: Images for training and validation; None if the evaluator needs no images.
        evaluation: Function that builds the evaluator from ``data``; None = no evaluator.
        executor: Function that builds the executor from an evaluator; None = no executor.
        journal: Path of ``trials.sqlite``; None = no journal.
        finalists: Number of finalists and their trainings.

    Attributes:
        result: Result of the search; None before the end of the search.
        journal: Open journal; None before the fit.
        seed: Seed of the evaluations of trials; None = the number of a trial is its seed.
        scored: Number of trials so far; ``TrialSearch`` sets the number only at the end.
        poll: Function to call while the search waits; it may raise an exception to stop the search.
        watch: Function that ``TrialSearch`` calls with each trial that ends.
        budget: Budget that changes each reward according to the cost of the network.
        ends_now: Whether the fit has no further epoch: the search only derives.
        new_trials: Trials of the latest batch (ENAS: of the latest epoch) that
            ``take_new_trials`` has not returned yet.
    """

    def __init__(
        self,
        space: Space,
        data: ImageData | None,
        evaluation: Callable[..., Evaluator] | None,
        executor: Callable[[Evaluator], Executor] | None,
        journal: str | Path | None,
        finalists: Finalists,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.space = space
        self.data = data
        self.make_evaluator = evaluation
        self.make_executor = executor
        self.journal_path = None if journal is None else Path(journal)
        self.finalists = finalists
        self.budget = NO_BUDGET
        self.result: SearchResult | None = None
        self.journal: Journal | None = None
        self.scored = 0
        self.seed: int | None = None
        self.poll: Callable[[], None] = lambda: None
        self.watch: Callable[[Trial], None] = lambda trial: None
        self.ends_now = False
        self.new_trials: list[Trial] = []

    @cached_property
    def evaluator(self) -> Evaluator | None:
        """Evaluator of single architectures. The first use builds the evaluator.

        Raises:
            InputError: If the evaluator cannot use a setting.
        """
        if self.make_evaluator is None:
            return None
        with explain_settings("evaluation"):
            return self.make_evaluator(data=self.data)

    # ---- interface for commands and callbacks ----------------------------------------------------

    def check_devices(self, devices: int) -> None:
        """Check the total number of devices on all nodes.

        Args:
            devices: Number of devices of the Trainer, at least 1.

        Raises:
            InputError: If the search cannot use this number of devices.
        """

    @abstractmethod
    def estimate_cost(self, make_trainer: Callable[[], pl.Trainer], samples: int) -> dict[str, str]:
        """Return the cost estimates of a dry run, by name, as text.

        The call may change the weights. Do not fit the search after this call.

        Args:
            make_trainer: Function that builds the Trainer of the search.
            samples: Number of architectures to sample in ``derive``, at least 1.
        """

    def decode(self, proposal: Proposal) -> Architecture:
        """Return the architecture of a proposal."""
        return self.space.decode(proposal.tokens)

    @abstractmethod
    def list_best(self, count: int) -> list[Trial]:
        """Return at most ``count`` trials, the best so far, in descending order of reward.

        ``SharedSearch`` returns only trials of the controller in the last epoch.
        """

    def take_new_trials(self) -> list[Trial]:
        """Return the trials of the latest batch (ENAS: of the latest epoch) and forget them.

        A second call before the next update returns an empty list. The random arm and the
        finalists are left out.
        """
        trials, self.new_trials = self.new_trials, []
        return trials

    @abstractmethod
    def derive(self, samples: int, progress: Progress) -> SearchResult:
        """Choose the best architecture at the end of the search. All processes must call this.

        Args:
            samples: Number of architectures to sample and rank, at least 1. ``TrialSearch`` ignores
                this number and chooses among the trials in the journal.
            progress: Wrapper of the iteration over evaluations, for a progress bar.

        Raises:
            InputError: If no architecture could be evaluated.
        """

    # ---- finalists -------------------------------------------------------------------------------

    def choose_seed(self, number: int) -> int:
        """Return the seed of a trial's evaluation."""
        if self.seed is None:
            return number
        return draw_seed("evaluation", self.seed, number)

    def train_finalists(self, best: Sequence[Trial], progress: Progress) -> list[Trial]:
        """Evaluate the best trials again as finalists, with longer training.

        Returns:
            The finalists in descending order of reward.

        Raises:
            InputError: If all finalists fail.
        """
        assert self.journal is not None, "finalists need a journal"
        assert self.evaluator is not None
        assert self.make_executor is not None
        evaluator = self.evaluator.final(self.finalists.epochs)
        if self.finalists.seeds > 1:
            evaluator = RepeatedTraining(evaluator, self.finalists.seeds)
        executor = self.make_executor(evaluator)
        return evaluate_finalists(
            best[: self.finalists.count],
            self.decode,
            executor,
            self.journal,
            progress,
            choose_seed=self.choose_seed,
            budget=self.budget,
            poll=lambda: self.poll(),
        )

    def teardown(self, stage: str) -> None:
        """Close the journal."""
        if self.journal is not None:
            self.journal.close()
