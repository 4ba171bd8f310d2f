"""What NAS, NASNet, random search and evolution have in common: children that are evaluated apart.

A method of this family draws proposals and learns from batches of trials; here is all the rest:
the stream of trials, the control arm, resuming, and the choice at the end.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from lightning_nas.architecture import Architecture
from lightning_nas.controllers.rollout import Rollout
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.data.base import ImageData
from lightning_nas.data.seeding import seeded_generator
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import COSTS, Budget, pareto_front
from lightning_nas.evaluation.executors import Evaluator, Executor
from lightning_nas.search.finalists import Progress, train_finalists
from lightning_nas.search.growth import GrowingSpace
from lightning_nas.search.result import LISTED, SearchResult, decode_trials
from lightning_nas.search.rollouts import Rollouts
from lightning_nas.spaces.base import Space
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import POLICY, RANDOM, Proposal, Trial

ARMS = (POLICY, RANDOM)
Draw = tuple[tuple[int, ...], tuple[float, ...]]  # tokens, log-probabilities


class TrialSearch(LightningModule):
    """A search whose every architecture is evaluated by itself.

    Args:
        space: What is searched.
        data: The images; None where the evaluation needs none.
        evaluation: Makes the evaluator from the images.
        executor: Makes the executor from the evaluator.
        journal: Path of ``trials.sqlite``.
        samples: Architectures in all.
        batch: Trials for one update of the method.
        control: Share of the architectures that are drawn uniformly, in [0, 1); the method never
            learns from them.
        budget: Weighs rewards by cost; None = does not.
        repeat: Evaluate an architecture again that was evaluated before.
        redraws: How often a draw is made again, at most, whose architecture the method has drawn
            before; in none of the papers. A controller then explores around what it holds best.
        finalists: How many of the best are evaluated once more before the choice; 0 = none.
        finalist_epochs: Epochs of theirs.
        grow_every: Architectures after which the networks have ``grow_by`` layers more, at least 1;
            None = they do not grow. The paper of NAS: 1,600. For the chain space alone.
        grow_by: The paper of NAS: 2.
        seed: Of all draws: those of trial ``n`` depend on it, ``n`` and the controller alone.

    Raises:
        InputError: If a number is out of range, or the depth is to grow in a space without layers.
    """

    at_once: int | None = None  # see Rollouts

    def __init__(
        self,
        space: Space,
        data: ImageData | None,
        evaluation: Callable[..., Evaluator],
        executor: Callable[[Evaluator], Executor],
        journal: str | Path,
        samples: int,
        batch: int = 20,
        control: float = 0.0,
        budget: Budget | None = None,
        repeat: bool = False,
        redraws: int = 0,
        finalists: int = 0,
        finalist_epochs: int = 100,
        grow_every: int | None = None,
        grow_by: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if samples < 1 or batch < 1 or finalists < 0 or finalist_epochs < 1 or redraws < 0:
            raise InputError(
                "method.samples, method.batch and method.finalist_epochs must be at least 1, "
                "method.finalists and method.redraws at least 0, "
                f"got {samples}, {batch}, {finalist_epochs}, {finalists} and {redraws}"
            )
        if not 0 <= control < 1:
            raise InputError(f"method.control must lie in [0, 1), got {control}")
        self.automatic_optimization = False
        self.space = space
        self.growing = GrowingSpace(space, grow_every, grow_by, samples)
        self.data = data
        self.evaluator = evaluation(data=data)
        self.make_executor = executor
        self.journal_path = Path(journal)
        self.samples = samples
        self.batch = batch
        self.control = control
        self.budget = budget or Budget()
        self.repeat = repeat
        self.redraws = redraws
        self.seen: set[tuple[int, ...]] = set()  # tokens that the method has drawn
        self.finalists = finalists
        self.finalist_epochs = finalist_epochs
        self.seed = seed
        self.updates = 0
        self.scored = 0
        self.poll: Callable[[], None] = lambda: None
        self.watch: Callable[[Trial], None] = lambda trial: None
        self.executor: Executor | None = None
        self.journal: Journal | None = None
        self.rollouts: Rollouts | None = None
        self._consumed = 0

    # ---- what a method says ----------------------------------------------------------------------

    @abstractmethod
    def draw(self, number: int) -> Draw:
        """Return tokens of one architecture, and the log-probability of each."""

    def learn(self, trials: Sequence[Trial]) -> dict[str, Tensor]:
        """Learn from a batch; return what is to be logged."""
        return {}

    def observe(self, trial: Trial) -> None:
        """Take note of a trial that has ended, in the order of endings."""

    def space_at(self, number: int) -> Space:
        """Return the space that a trial is drawn from: where it grows, later ones are deeper."""
        return self.growing.at(number)

    def space_of(self, tokens: Sequence[int]) -> Space:
        """Return the space that tokens were drawn from."""
        return self.growing.of(tokens)

    # ---- the stream of trials --------------------------------------------------------------------

    @staticmethod
    def check(devices: int) -> None:
        """Refuse several devices for the controller.

        Raises:
            InputError: If there are more than one.
        """
        if devices > 1:
            raise InputError(
                "the controller needs one device (trainer.devices=1); "
                "children train side by side with executor=ray"
            )

    def train_dataloader(self) -> Rollouts:
        """Return the stream of trials, which goes on where the journal ends.

        Raises:
            InputError: If the Trainer has several devices, or the journal is of another search.
        """
        self.check(self.trainer.world_size)
        if self.data is not None:
            self.data.trainer = None  # the children's own
        self.executor = self.make_executor(self.evaluator)
        self.journal = Journal(self.journal_path, str(self.space))
        waiting = self.journal.open_proposals()  # of before, where a search goes on
        self.seen.update(proposal.tokens for proposal in waiting if proposal.arm == POLICY)
        self.rollouts = Rollouts(
            self.propose,
            self.architecture,
            self.executor,
            self.journal,
            samples=self.samples,
            batch=self.batch,
            at_once=self.at_once,
            seed_of=self.seed_of,
            observe=self._observe,
            budget=self.budget,
            repeat=self.repeat,
            poll=lambda: self.poll(),
            consumed=self._consumed,
        )
        return self.rollouts

    def propose(self, numbers: range) -> list[Proposal]:
        """Draw the proposals of some trials."""
        return [self._propose(number) for number in numbers]

    def _propose(self, number: int) -> Proposal:
        arm, seed = self.chance(number)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.no_grad():
            # not torch.manual_seed, which formats the stack each time for a GPU that is not in use
            torch.default_generator.manual_seed(seed)
            if devices:
                torch.cuda.manual_seed(seed)
            if arm == RANDOM:
                tokens, log_probs = unpack_draw(UniformController(self.space_at(number)).sample(1))
            else:
                tokens, log_probs = self._drawn_anew(number)
        return Proposal(number, tokens, log_probs, self.updates, arm)

    def _drawn_anew(self, number: int) -> Draw:
        for _ in range(1 + self.redraws):
            tokens, log_probs = self.draw(number)
            if tokens not in self.seen:
                break
        self.seen.add(tokens)
        return tokens, log_probs

    def chance(self, number: int) -> tuple[str, int]:
        """Return a trial's arm, and the seed of its draw.

        Every trial has its own random numbers: whatever happened before a kill, what is drawn after
        it is what would have been drawn.
        """
        generator = seeded_generator("proposal", self.seed, number)
        arm = RANDOM if torch.rand((), generator=generator) < self.control else POLICY
        return arm, int(torch.randint(2**62, (), generator=generator))

    def architecture(self, proposal: Proposal) -> Architecture:
        """Return what a proposal describes."""
        return self.space_of(proposal.tokens).decode(proposal.tokens)

    def seed_of(self, number: int) -> int:
        """Return the seed of a trial's evaluation."""
        generator = seeded_generator("evaluation", self.seed, number)
        return int(torch.randint(2**31, (), generator=generator))

    def _observe(self, trial: Trial) -> None:
        if trial.proposal.arm == POLICY:
            self.seen.add(trial.proposal.tokens)  # those of before, where a search goes on
            self.observe(trial)
        self.watch(trial)

    # ---- one batch -------------------------------------------------------------------------------

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Leave trials as they are: they are no tensors."""
        return batch

    def training_step(self, batch: list[Trial], batch_idx: int) -> None:
        """Learn from a batch of trials."""
        assert self.rollouts is not None
        if batch:
            staleness = sum(self.updates - trial.proposal.step for trial in batch) / len(batch)
            metrics = {
                "reward": torch.tensor(sum(trial.reward for trial in batch) / len(batch)),
                "best": torch.tensor(max(trial.reward for trial in batch)),
                "staleness": torch.tensor(staleness),
                "errors": torch.tensor(float(sum(t.outcome.error is not None for t in batch))),
                **self.learn(batch),
            }
            self.updates += 1
            for name, value in metrics.items():
                self.log(f"controller/{name}", value, on_step=False, on_epoch=True, batch_size=1)
        self.log("trials", float(self.rollouts.ended), on_step=False, on_epoch=True, batch_size=1)
        if self.rollouts.done:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> Any:
        """Return no optimiser: the method learns nothing by gradients."""
        return None

    # ---- the end ---------------------------------------------------------------------------------

    def derive(self, samples: int, progress: Progress) -> SearchResult:
        """Choose the best of all trials, after training the finalists where there are any.

        Args:
            samples: Not looked at: all trials are at hand.
            progress: Wraps the iteration over the finalists, for a progress bar.
        """
        assert self.journal is not None
        ended = [t for t in self.journal.ended() if t.proposal.arm in (POLICY, RANDOM)]
        rewards = {arm: tuple(t.reward for t in ended if t.proposal.arm == arm) for arm in ARMS}
        best = self.journal.best(ARMS, max(self.finalists, LISTED))
        if not best:
            raise InputError(
                f"no architecture could be evaluated; the first error: {ended[0].outcome.error}"
            )
        how = "Reward, each architecture evaluated by itself"
        if self.finalists:
            how = f"{how}, the best once more"
            best = self._train_longer(best[: self.finalists], progress)
        self.scored = len(self.journal)
        return SearchResult(
            decode_trials(best, self.architecture),
            rewards[POLICY],
            rewards[RANDOM],
            how,
            decode_trials(pareto_front(ended, self.budget.cost or COSTS[0]), self.architecture),
        )

    def _train_longer(self, best: Sequence[Trial], progress: Progress) -> list[Trial]:
        assert self.executor is not None
        assert self.journal is not None
        self.executor.close()
        return train_finalists(
            best,
            self.architecture,
            self.make_executor(self.evaluator.final(self.finalist_epochs)),
            self.journal,
            progress,
            seed_of=self.seed_of,
            budget=self.budget,
            poll=lambda: self.poll(),
        )

    # ---- housekeeping ----------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep how far the trials have been learnt from."""
        assert self.rollouts is not None
        checkpoint["trials"] = {"consumed": self.rollouts.consumed, "updates": self.updates}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on after the trials that were learnt from."""
        self._consumed = checkpoint["trials"]["consumed"]
        self.updates = checkpoint["trials"]["updates"]

    def teardown(self, stage: str) -> None:
        """Let workers and journal go."""
        for opened in (self.executor, self.journal):
            if opened is not None:
                opened.close()


def unpack_draw(rollout: Rollout) -> Draw:
    """Return the tokens and log-probabilities of the one architecture of a rollout."""
    return tuple(rollout.tokens_NT[0].tolist()), tuple(rollout.log_prob_NT[0].tolist())
