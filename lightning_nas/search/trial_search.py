"""The base class of NAS, NASNet, random search and evolution: each architecture has its own trial.

A method of this family samples architectures and learns from batches of trials. The base class has
the rest: the stream of trials, the random arm, resuming, and the choice at the end.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_nas.architecture import Architecture
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.data.base import ImageData
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import COSTS, pareto_front
from lightning_nas.evaluation.executors import Evaluator, Executor
from lightning_nas.search.base import Search
from lightning_nas.search.estimate import estimate_children, format_size
from lightning_nas.search.finalists import NO_FINALISTS, Finalists, Progress
from lightning_nas.search.growth import CONSTANT_DEPTH, GrowingSpace, Growth
from lightning_nas.search.result import LISTED, SearchResult, decode_trials
from lightning_nas.search.rollouts import Rollouts, Stream
from lightning_nas.search.sampling import Sample, Sampling, first_sample
from lightning_nas.spaces.base import Space
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import POLICY, RANDOM, Proposal, Trial

ARMS = (POLICY, RANDOM)
TIMED = 3  # children that a dry run times


class TrialSearch(Search):
    """A search that evaluates each architecture separately.

    Args:
        space: Search space.
        data: Images to train and validate on; None if the evaluator needs no images.
        evaluation: Function that builds the evaluator from ``data``.
        executor: Function that builds the executor from the evaluator.
        journal: Path of ``trials.sqlite``.
        sampling: Number and random choice of the architectures.
        finalists: Architectures to evaluate once more before the choice.
        growth: Schedule of the networks' depth; for the chain space only.

    Raises:
        InputError: If the depth is to grow and the space is not the chain space.
    """

    at_once: int | None = None  # see Stream
    make_executor: Callable[[Evaluator], Executor]
    journal_path: Path

    def __init__(
        self,
        space: Space,
        data: ImageData | None,
        evaluation: Callable[..., Evaluator],
        executor: Callable[[Evaluator], Executor],
        journal: str | Path,
        sampling: Sampling,
        finalists: Finalists = NO_FINALISTS,
        growth: Growth = CONSTANT_DEPTH,
    ) -> None:
        super().__init__(space, data, evaluation, executor, journal, finalists)
        assert self.evaluator is not None  # built here: wrong settings stop before the search
        self.sampling = sampling
        self.budget = sampling.budget
        self.growing = GrowingSpace(space, growth, sampling.samples)
        self.seen: set[tuple[int, ...]] = set()  # tokens that the method has sampled
        self.updates = 0
        self.executor: Executor | None = None
        self.rollouts: Rollouts | None = None
        self._consumed = 0

    # ---- what a method defines -------------------------------------------------------------------

    @abstractmethod
    def sample(self, number: int) -> Sample:
        """Return the tokens of an architecture for a trial, and their log-probabilities, if any."""

    def learn(self, trials: Sequence[Trial]) -> dict[str, Tensor]:
        """Learn from a batch of trials and return the metrics to log."""
        return {}

    def observe(self, trial: Trial) -> None:
        """Take note of a trial of the method, in the order of ends.

        A resumed search observes all trials in its journal again.
        """

    def sample_uniformly(self, number: int) -> Sample:
        """Return an architecture of the trial's space, sampled uniformly."""
        return first_sample(UniformController(self.space_at(number)).sample(1))

    def space_at(self, number: int) -> Space:
        """Return the space of a trial: later trials have a deeper space if it grows."""
        return self.growing.at(number)

    def space_of(self, tokens: Sequence[int]) -> Space:
        """Return the space that tokens were sampled from."""
        return self.growing.of(tokens)

    # ---- the stream of trials --------------------------------------------------------------------

    def check_devices(self, devices: int) -> None:
        """Refuse several devices: the controller runs on one.

        Raises:
            InputError: If there is more than one device.
        """
        if devices > 1:
            raise InputError(
                "the controller needs one device (trainer.devices=1); "
                "executor=ray trains children side by side"
            )

    def train_dataloader(self) -> Rollouts:
        """Return the stream of trials, which continues at the end of the journal.

        Raises:
            InputError: If the Trainer has several devices, or the journal is of another search.
        """
        self.check_devices(self.trainer.world_size)
        if self.data is not None:
            self.data.trainer = None  # each child has its own Trainer
        assert self.evaluator is not None
        self.executor = self.make_executor(self.evaluator)
        self.journal = Journal(self.journal_path, str(self.space))
        waiting = self.journal.open_proposals()  # not empty if the search is resumed
        self.seen.update(proposal.tokens for proposal in waiting if proposal.arm == POLICY)
        self.rollouts = Rollouts(
            self.propose,
            self.decode,
            self.executor,
            self.journal,
            Stream(
                self.sampling.samples,
                self.sampling.batch,
                at_once=self.at_once,
                budget=self.budget,
                repeat=self.sampling.repeat,
                consumed=self._consumed,
            ),
            seed_of=self.seed_of,
            observe=self._observe,
            poll=lambda: self.poll(),
        )
        return self.rollouts

    def propose(self, numbers: range) -> list[Proposal]:
        """Return proposals for the given numbers of trials."""
        return [self._propose(number) for number in numbers]

    def _propose(self, number: int) -> Proposal:
        arm, seed = self.sampling.choose_arm(number)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.no_grad():
            # torch.manual_seed would format the stack at each call, for a GPU that is not in use
            torch.default_generator.manual_seed(seed)
            if devices:
                torch.cuda.manual_seed(seed)
            if arm == RANDOM:
                tokens, log_probs = self.sample_uniformly(number)
            else:
                tokens, log_probs = self._sample_new(number)
        return Proposal(number, tokens, log_probs, self.updates, arm)

    def _sample_new(self, number: int) -> Sample:
        for _ in range(1 + self.sampling.redraws):
            tokens, log_probs = self.sample(number)
            if tokens not in self.seen:
                break
        self.seen.add(tokens)
        return tokens, log_probs

    def decode(self, proposal: Proposal) -> Architecture:
        """Return the architecture of a proposal."""
        return self.space_of(proposal.tokens).decode(proposal.tokens)

    def seed_of(self, number: int) -> int:
        """Return the seed of a trial's evaluation."""
        return self.sampling.choose_evaluation_seed(number)

    def _observe(self, trial: Trial) -> None:
        if trial.proposal.arm == POLICY:
            self.seen.add(trial.proposal.tokens)  # the trials of a resumed search come here too
            self.observe(trial)
        self.watch(trial)

    # ---- one batch -------------------------------------------------------------------------------

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Return the trials unchanged: they hold no tensors."""
        return batch

    def training_step(self, batch: list[Trial], batch_idx: int) -> None:
        """Learn from a batch of trials and log its metrics."""
        assert self.rollouts is not None
        metrics = {f"controller/{name}": value for name, value in self._update(batch).items()}
        metrics["trials"] = torch.tensor(float(self.rollouts.ended))
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=1)
        if self.rollouts.done:
            self.trainer.should_stop = True

    def _update(self, batch: list[Trial]) -> dict[str, Tensor]:
        if not batch:
            return {}
        staleness = sum(self.updates - trial.proposal.step for trial in batch) / len(batch)
        metrics = {
            "reward": torch.tensor(sum(trial.reward for trial in batch) / len(batch)),
            "best": torch.tensor(max(trial.reward for trial in batch)),
            "staleness": torch.tensor(staleness),
            "errors": torch.tensor(float(sum(t.outcome.error is not None for t in batch))),
            **self.learn(batch),
        }
        self.updates += 1
        self.new_trials = batch
        return metrics

    def configure_optimizers(self) -> Any:
        """Return no optimiser: by default a method has no parameters."""
        return None

    # ---- the end ---------------------------------------------------------------------------------

    def list_best(self, count: int) -> list[Trial]:
        """Return at most ``count`` of the best trials, the random arm included."""
        assert self.journal is not None
        return self.journal.best(ARMS, count)

    def derive(self, samples: int, progress: Progress) -> SearchResult:
        """Choose the best of all trials, after the finalists if there are any."""
        assert self.journal is not None
        ended = [t for t in self.journal.ended() if t.proposal.arm in ARMS]
        rewards = {arm: tuple(t.reward for t in ended if t.proposal.arm == arm) for arm in ARMS}
        best = self.list_best(max(self.finalists.count, LISTED))
        if not best:
            raise InputError(
                f"no architecture could be evaluated; the first error: {ended[0].outcome.error}"
            )
        how = "Reward of architectures that were evaluated separately"
        if self.finalists.count:
            assert self.executor is not None
            self.executor.close()
            best = self.train_finalists(best, progress)
            how = f"{how}, the best of them once more"
        self.scored = len(self.journal)
        front = pareto_front(ended, self.budget.cost or COSTS[0])
        return SearchResult(
            decode_trials(best, self.decode),
            rewards[POLICY],
            rewards[RANDOM],
            how,
            decode_trials(front, self.decode),
        )

    def estimate_cost(self, make_trainer: Callable[[], pl.Trainer], samples: int) -> dict[str, str]:
        """Time a few children of the beginning, the middle and the end of the search."""
        total = self.sampling.samples
        lines = {
            "space": format_size(self.space_at(total - 1).size),
            "architectures": f"{total:,}",
        }
        if self.evaluator is None or not hasattr(self.evaluator, "steps_of"):
            return lines | {"whole search": "seconds: outcomes are read from a table"}
        executor = self.make_executor(self.evaluator)
        apart = max(1, total // TIMED)
        proposals = self.propose(range(apart // 2, total, apart)[:TIMED])
        children = [self.decode(proposal) for proposal in proposals]
        return lines | estimate_children(self.evaluator, executor, children, total, self.finalists)

    # ---- housekeeping ----------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the number of trials that the method has learned from."""
        assert self.rollouts is not None
        checkpoint["trials"] = {"consumed": self.rollouts.consumed, "updates": self.updates}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue after the trials that the method has learned from."""
        self._consumed = checkpoint["trials"]["consumed"]
        self.updates = checkpoint["trials"]["updates"]

    def teardown(self, stage: str) -> None:
        """Close the executor and the journal."""
        if self.executor is not None:
            self.executor.close()
        super().teardown(stage)
