"""The base class of NAS, NASNet, random search and evolution.

In a search by trials each architecture has its own evaluation, for example the training of a child.
A method samples architectures and learns from trials. The base class has the rest: the stream of
trials, the random arm, the resume, and the choice at the end.
"""

import logging
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
from lightning_nas.evaluation.budget import COSTS, find_least_above, pareto_front
from lightning_nas.evaluation.executors import Evaluator, Executor
from lightning_nas.evaluation.rungs import find_rungs
from lightning_nas.search.base import Search
from lightning_nas.search.dry_run import estimate_trial_search
from lightning_nas.search.finalists import NO_FINALISTS, Finalists, Progress
from lightning_nas.search.growth import CONSTANT_DEPTH, GrowingSpace, Growth
from lightning_nas.search.result import LISTED, SearchResult, decode_trials
from lightning_nas.search.sampling import Sample, Sampling, first_sample, list_samples
from lightning_nas.search.surrogate import build_surrogate
from lightning_nas.search.trial_stream import Stream, TrialStream
from lightning_nas.spaces.base import Space
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import POLICY, RANDOM, Proposal, Trial

log = logging.getLogger(__name__)
ARMS = (POLICY, RANDOM)


class TrialSearch(Search):
    """Search that evaluates each architecture separately.

    Args:
        space: Search space.
        data: Images for training and validation; None if the evaluator needs no images.
        evaluation: Function that builds the evaluator from ``data``.
        executor: Function that builds the executor from the evaluator.
        journal: Path of ``trials.sqlite``.
        sampling: Number of architectures, share of the random arm, and seeds.
        finalists: Number of architectures to evaluate again at the end, and their trainings.
        growth: Schedule of the depth of the networks; for the chain space only.

    Raises:
        InputError: If ``growth`` changes the depth and the space is not the chain space.
    """

    at_once: int | None = None  # maximum number of open proposals; see Stream
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
        assert self.evaluator is not None  # builds it: wrong settings must fail before the fit
        self.sampling = sampling
        self.seed = sampling.seed
        self.budget = sampling.budget
        self.growing = GrowingSpace(space, growth, sampling.samples)
        self.seen: set[tuple[int, ...]] = set()  # tokens that the method has sampled
        self.surrogate = build_surrogate(self.space_at(sampling.samples - 1), sampling)
        self.updates = 0  # number of batches that the method has learned from
        self.executor: Executor | None = None
        self.stream: TrialStream | None = None
        self._consumed = 0  # trials taken from the stream before a resume

    # ---- methods for subclasses ------------------------------------------------------------------

    @abstractmethod
    def sample(self, number: int) -> Sample:
        """Return tokens for trial ``number`` (without finalists), and log-probabilities or ()."""

    def learn(self, trials: Sequence[Trial]) -> dict[str, Tensor]:
        """Learn from a batch of trials and return the metrics to log."""
        return {}

    def observe(self, trial: Trial) -> None:
        """Update the method after one of its trials, in the order in which they end.

        A resumed search first repeats the calls for all trials in its journal.
        """

    def sample_uniformly(self, number: int) -> Sample:
        """Return a uniformly sampled architecture for a trial."""
        return first_sample(UniformController(self.space_at(number)).sample(1))

    def space_at(self, number: int) -> Space:
        """Return the space of a trial. If the space grows, later trials have a deeper space."""
        return self.growing.find_space(number)

    def space_of(self, tokens: Sequence[int]) -> Space:
        """Return the space of the given tokens."""
        return self.growing.find_space_of(tokens)

    # ---- the stream of trials --------------------------------------------------------------------

    def check_devices(self, devices: int) -> None:
        """Refuse several devices: the search runs in one process.

        Raises:
            InputError: If there is more than one device.
        """
        if devices > 1:
            raise InputError(
                "this search needs trainer.devices=1 and trainer.num_nodes=1; to train several "
                "children at once use executor=ray"
            )

    def train_dataloader(self) -> TrialStream:
        """Return the stream of trials. If the search is resumed, the stream continues the journal.

        Raises:
            InputError: If the Trainer has several devices, or the journal belongs to another space.
        """
        self.check_devices(self.trainer.world_size)
        if self.data is not None:
            self.data.trainer = None  # each child has its own Trainer
        assert self.evaluator is not None
        self.executor = self.make_executor(self.evaluator)
        self.journal = Journal(self.journal_path, str(self.space))
        open_proposals = self.journal.open_proposals()  # of the interrupted search
        self.seen.update(p.tokens for p in open_proposals if p.arm == POLICY)
        self.stream = TrialStream(
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
            choose_seed=self.choose_seed,
            observe=self.receive,
            poll=lambda: self.poll(),
            rungs=find_rungs(self.evaluator),
        )
        if self.stream.ended > self.sampling.samples:
            log.warning(
                "the run has %d trials already: method.samples=%d adds none",
                *(self.stream.ended, self.sampling.samples),
            )
        # a resume after the last batch has no epoch
        self.trainer.should_stop = self.stream.done or self.ends_now
        return self.stream

    def propose(self, numbers: range) -> list[Proposal]:
        """Return one proposal for each of the given trial numbers."""
        return [self._propose(number) for number in numbers]

    def _propose(self, number: int) -> Proposal:
        place = number - (self.stream.others if self.stream else 0)
        arm, seed = self.sampling.choose_arm(number, place)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.no_grad():
            # torch.manual_seed is slow if CUDA is not in use: each call formats a stack trace
            torch.default_generator.manual_seed(seed)
            if devices:
                torch.cuda.manual_seed(seed)
            sample = self.sample_uniformly if arm == RANDOM else self.sample_next
            tokens, log_probs = sample(place)
        return Proposal(number, tokens, log_probs, self.updates, arm)

    def sample_next(self, number: int) -> Sample:
        """Return and note a new sample. If there is a surrogate, it chooses among candidates."""
        if self.surrogate is None or not self.surrogate.is_ready:
            return self.sample_new(number)
        candidates = dict(self.sample_many(number, self.sampling.candidates))
        tokens = self.surrogate.choose_new(list(candidates), self.seen)
        return tokens, candidates[tokens]

    def sample_many(self, number: int, count: int) -> list[Sample]:
        """Return candidates for a trial: half samples of the method, half uniform samples."""
        uniform = UniformController(self.space_at(number)).sample(count // 2)
        own = [self.sample(number) for _ in range(count - count // 2)]
        return [*own, *list_samples(uniform)]

    def sample_new(self, number: int) -> Sample:
        """Return and note a sample that is new, or the last redraw if none is new."""
        for _ in range(1 + self.sampling.redraws):
            tokens, log_probs = self.sample(number)
            if tokens not in self.seen:
                break
        self.seen.add(tokens)
        return tokens, log_probs

    def decode(self, proposal: Proposal) -> Architecture:
        """Return the architecture of a proposal."""
        return self.space_of(proposal.tokens).decode(proposal.tokens)

    def receive(self, trial: Trial) -> None:
        """Pass a trial that has ended to the surrogate, the method and the watcher."""
        if trial.proposal.arm == POLICY:
            self.seen.add(trial.proposal.tokens)  # needed for the trials of a resumed search
            if self.surrogate is not None:
                self.surrogate.observe(trial.proposal.tokens, trial.reward)
            self.observe(trial)
        self.watch(trial)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Return the trials unchanged: trials hold no tensors."""
        return batch

    def training_step(self, batch: list[Trial], batch_idx: int) -> None:
        """Learn from a batch of trials and log the metrics."""
        assert self.stream is not None
        metrics = {f"controller/{name}": value for name, value in self._update(batch).items()}
        metrics["trials"] = torch.tensor(float(self.stream.ended))
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=1)
        self.trainer.should_stop |= self.stream.done

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
        """Return None: by default a method has no parameters to optimise."""
        return None

    # ---- the end ---------------------------------------------------------------------------------

    def list_best(self, count: int) -> list[Trial]:
        """Return the best trials of both arms so far, at most ``count``."""
        assert self.journal is not None
        return self.journal.best(ARMS, count)

    def derive(self, samples: int, progress: Progress) -> SearchResult:
        """Choose the best trial, or the best finalist if there are finalists.

        The chosen trial may belong to the random arm.
        """
        assert self.journal is not None
        ended = [t for t in self.journal.list_ended() if t.proposal.arm in ARMS]
        rewards = {arm: tuple(t.reward for t in ended if t.proposal.arm == arm) for arm in ARMS}
        best = self.list_best(max(self.finalists.count, LISTED))
        if not best:
            reason = f"the first error: {ended[0].outcome.error}" if ended else "none has ended"
            raise InputError(f"no architecture could be evaluated; {reason}")
        self._warn_of_target(ended)
        how = "Reward of architectures that were evaluated separately"
        if self.finalists.count:
            assert self.executor is not None
            self.executor.close()
            best = self.train_finalists(best, progress)
            how = f"{how}; finalists evaluated again"
        self.scored = len(self.journal)
        return SearchResult(
            decode_trials(best, self.decode),
            rewards[POLICY],
            rewards[RANDOM],
            how,
            decode_trials(pareto_front(ended, self.budget.cost or COSTS[0]), self.decode),
        )

    def _warn_of_target(self, trials: Sequence[Trial]) -> None:
        """Warn if no architecture met the target of the budget."""
        cost, target = self.budget.cost, self.budget.target
        if cost is None or target is None:
            return
        least = find_least_above(trials, cost, target)
        if least is not None:
            log.warning(
                "no architecture met method.budget.target=%g: the lowest %s is %g",
                *(target, cost.replace("_", "-"), least),
            )

    def estimate_cost(self, make_trainer: Callable[[], pl.Trainer], samples: int) -> dict[str, str]:
        """Measure the training time of a few children and estimate the cost of the search."""
        return estimate_trial_search(self)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the number of trials taken from the stream and the number of updates."""
        assert self.stream is not None
        checkpoint["trials"] = {"consumed": self.stream.consumed, "updates": self.updates}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load the number of trials taken from the stream and the number of updates."""
        self._consumed = checkpoint["trials"]["consumed"]
        self.updates = checkpoint["trials"]["updates"]

    def teardown(self, stage: str) -> None:
        """Close the executor and the journal."""
        if self.executor is not None:
            self.executor.close()
        super().teardown(stage)
