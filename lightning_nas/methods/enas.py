"""ENAS: all architectures share one set of weights, and a controller learns to sample good ones.

Each epoch has three phases:

1. For each batch of the training split: sample an architecture and train its shared weights.
2. Score the random arm on validation images. Nothing learns from the random arm.
3. For each controller step: sample a few architectures, score them on validation images, and take
   a REINFORCE step on the controller. The reward of an architecture is its accuracy on its share of
   the batch; ``ControllerModule`` adds an entropy bonus.

In the epochs of the warm-up, architectures are sampled uniformly and only phase 1 has steps.

At the end: sample architectures, rank them on the whole validation split, and choose the best one.

Source: Pham et al., 2018, https://arxiv.org/abs/1802.03268. ``enas.md`` has the details.
The base class in ``search/shared_search.py`` provides data, journal, checks and checkpoints.
"""

from collections import deque

import torch
from torch import Tensor

from lightning_nas.architecture import Architecture
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.evaluation.budget import COSTS, pareto_front
from lightning_nas.modules.manual import take_step
from lightning_nas.modules.supernet import Metrics
from lightning_nas.search.alternating import Phase
from lightning_nas.search.finalists import Progress
from lightning_nas.search.result import LISTED, SearchResult, decode_trials
from lightning_nas.search.samples import make_trials
from lightning_nas.search.shared_search import SharedSearch
from lightning_nas.storage.trial import DERIVED, RANDOM, best_of

Batch = tuple[Phase, tuple[Tensor, Tensor]]
SAMPLES_PER_TRANSFER = 128  # architectures in one transfer from the device to the CPU


class ENAS(SharedSearch):
    """Search with shared weights and a controller. ``SharedSearch`` documents the arguments."""

    # ---- one epoch -------------------------------------------------------------------------------

    def on_train_epoch_start(self) -> None:
        """Drop the architectures that an older state of the controller sampled."""
        super().on_train_epoch_start()
        self._next_architectures: deque[Architecture] = deque()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Take one step of the phase that the batch belongs to."""
        phase, (images, labels) = batch
        metrics: Metrics = {}
        if phase == "weights":
            metrics = self._step_weights(images, labels)
        elif self.is_warming_up:
            pass  # the steps of the phases stay: Lightning's epochs all have the same length
        elif phase == "control":  # the random arm
            metrics = self._score_random_arm(images, labels, batch_idx)
        else:
            metrics = self._step_controller(images, labels)
        self.end_step(phase, batch_idx, metrics)

    def _step_weights(self, images: Tensor, labels: Tensor) -> Metrics:
        loss, metrics = self.supernet.loss(images, labels, self._sample_architecture())
        take_step(self, self.optimizer(0), loss)
        return metrics

    def _sample_architecture(self) -> Architecture:
        if not self._next_architectures:  # many at once: the controller is fixed here
            with torch.no_grad():
                self._next_architectures.extend(self._sample_many(SAMPLES_PER_TRANSFER))
        return self._next_architectures.popleft()

    def _sample_many(self, count: int) -> list[Architecture]:
        if not self.is_warming_up:
            return self.controller.sample(count)[1]
        tokens_NT = UniformController(self.space).sample(count).tokens_NT
        return [self.space.decode(tokens) for tokens in tokens_NT.tolist()]

    def _score(self, images: Tensor, labels: Tensor, architectures: list[Architecture]) -> Tensor:
        """Return the rewards ``(N,)``: each architecture has its share of the batch, or all."""
        if self.same_images:
            return self.supernet.score_together(images, labels, architectures)
        return self.supernet.score(images, labels, architectures)

    def _score_random_arm(self, images: Tensor, labels: Tensor, step: int) -> Metrics:
        rollout, architectures = self.random_arm.sample(self.current_epoch, step, self.global_rank)
        reward_N = self._score(images, labels, architectures)
        self.phase_samples["control"].add(rollout, reward_N)
        return {"reward": reward_N.mean()}

    def _step_controller(self, images: Tensor, labels: Tensor) -> Metrics:
        rollout, architectures = self.controller.sample(self.controller.samples)
        reward_N = self._score(images, labels, architectures)
        self.phase_samples["controller"].add(rollout, reward_N)
        loss, metrics = self.controller.loss(rollout, reward_N)
        take_step(self, self.optimizer(1), loss, self.controller.clip_norm)
        return metrics

    def on_validation_epoch_start(self) -> None:
        """Drop the architectures that an older state of the controller sampled."""
        self._next_architectures = deque()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the accuracy of one sampled architecture on the validation batch."""
        accuracy = self.supernet.score(*batch, [self._sample_architecture()]).mean()
        self.log("val/accuracy", accuracy, batch_size=len(batch[1]), sync_dist=True, prog_bar=True)

    # ---- the end ---------------------------------------------------------------------------------

    def derive(self, samples: int, progress: Progress) -> SearchResult:
        """Rank sampled architectures on the whole validation split and choose the best one.

        If there are finalists: train them from scratch and choose the best finalist.

        Args:
            samples: Number of architectures to sample from the controller, at least 1. The random
                arm samples as many.
            progress: Wrapper of the iteration over the architectures, for a progress bar.
        """
        controller_rollout, _ = self.controller.sample(samples)
        random_rollout = UniformController(self.space).sample(samples)
        random_tokens_NT = random_rollout.tokens_NT.to(self.device)
        tokens_NT = torch.cat([controller_rollout.tokens_NT, random_tokens_NT])
        tokens, accuracies = self.rank(tokens_NT, progress)
        trials = make_trials(
            self.scored,
            tokens,
            [*controller_rollout.log_prob_NT.tolist(), *random_rollout.log_prob_NT.tolist()],
            accuracies,
            [self.count_updates()] * len(tokens),
            [DERIVED] * samples + [RANDOM] * samples,
        )
        candidates = self.measure_costs(trials[:samples])
        self.record([*candidates, *trials[samples:]])
        best = best_of(candidates, max(self.finalists.count, LISTED))
        how = "Accuracy on validation images with the shared weights"
        if self.finalists.count:
            candidates = best = self.train_finalists(best, progress)
            how = f"{how}; finalists {self.finalists.describe()}"
        return SearchResult(
            decode_trials(best, self.decode),
            tuple(accuracies[:samples]),
            tuple(accuracies[samples:]),
            how,
            decode_trials(pareto_front(candidates, COSTS[0]), self.decode),
        )
