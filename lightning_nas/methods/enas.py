"""ENAS: one set of weights for all architectures, and a controller that learns which are good.

Each epoch: (1) for each batch of the training split, sample an architecture and take a step on the
shared weights; (2) for each controller step, sample a few architectures, take their accuracy on
validation images as reward, and take a REINFORCE step on the controller. At the end: sample
architectures, rank them on the whole validation split, and keep the best. Between (1) and (2) the
random arm is scored in the same way. Nothing learns from it; it shows the value of the controller.

Source: Pham et al., 2018, https://arxiv.org/abs/1802.03268. ``enas.md`` has the details;
``search/shared_search.py`` has data, journal, checks and checkpoints.
"""

from collections import deque

import torch
from torch import Tensor

from lightning_nas.architecture import Architecture
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.modules.manual import take_step
from lightning_nas.modules.supernet import Metrics
from lightning_nas.search.alternating import Phase
from lightning_nas.search.finalists import Progress
from lightning_nas.search.result import LISTED, SearchResult, decode_trials
from lightning_nas.search.samples import make_trials
from lightning_nas.search.shared_search import SharedSearch
from lightning_nas.storage.trial import DERIVED, RANDOM, best_of

Batch = tuple[Phase, tuple[Tensor, Tensor]]
SAMPLED_AHEAD = 128  # architectures for one transfer from the device in the weights phase


class ENAS(SharedSearch):
    """Shared weights and a controller that learn in turns. ``SharedSearch`` has the arguments."""

    # ---- one epoch -------------------------------------------------------------------------------

    def on_train_epoch_start(self) -> None:
        """Begin the weights phase with newly sampled architectures."""
        super().on_train_epoch_start()
        self._ahead: deque[Architecture] = deque()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Take one step of the batch's phase."""
        phase, (images, labels) = batch
        if phase == "weights":
            metrics = self._step_weights(images, labels)
        elif phase == "control":
            metrics = self._score_random_arm(images, labels, batch_idx)
        else:
            metrics = self._step_controller(images, labels)
        self.end_step(phase, batch_idx, metrics)

    def _step_weights(self, images: Tensor, labels: Tensor) -> Metrics:
        loss, metrics = self.supernet.loss(images, labels, self._sample_architecture())
        take_step(self, self.optimizer(0), loss)
        return metrics

    def _sample_architecture(self) -> Architecture:
        if not self._ahead:  # the controller does not change in this phase: sample many at once
            with torch.no_grad():
                self._ahead.extend(self.controller.sample(SAMPLED_AHEAD)[1])
        return self._ahead.popleft()

    def _score_random_arm(self, images: Tensor, labels: Tensor, step: int) -> Metrics:
        rollout, architectures = self.random_arm.sample(self.current_epoch, step, self.global_rank)
        reward_N = self.supernet.score(images, labels, architectures)
        self.phase_samples["control"].add(rollout, reward_N)
        return {"reward": reward_N.mean()}

    def _step_controller(self, images: Tensor, labels: Tensor) -> Metrics:
        rollout, architectures = self.controller.sample(self.controller.samples)
        reward_N = self.supernet.score(images, labels, architectures)
        self.phase_samples["controller"].add(rollout, reward_N)
        loss, metrics = self.controller.loss(rollout, reward_N)
        take_step(self, self.optimizer(1), loss, self.controller.clip_norm)
        return metrics

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the accuracy of a newly sampled architecture for each validation batch."""
        _, architectures = self.controller.sample(1)
        accuracy = self.supernet.score(*batch, architectures).mean()
        self.log("val/accuracy", accuracy, batch_size=len(batch[1]), sync_dist=True, prog_bar=True)

    # ---- the end ---------------------------------------------------------------------------------

    def derive(self, samples: int, progress: Progress) -> SearchResult:
        """Rank sampled architectures on the whole validation split and choose the best.

        Finalists are then trained from scratch, and the best of them is chosen.

        Args:
            samples: Number of architectures to sample, at least 1; the random arm has as many.
            progress: Wrapper of the iteration over all of them, for a progress bar.
        """
        sampled = self.controller.sample(samples)[0]
        uniform = UniformController(self.space).sample(samples)
        tokens_NT = torch.cat([sampled.tokens_NT, uniform.tokens_NT.to(self.device)])
        tokens, accuracies = self.rank(tokens_NT, progress)
        trials = make_trials(
            self.scored,
            tokens,
            [*sampled.log_prob_NT.tolist(), *uniform.log_prob_NT.tolist()],
            accuracies,
            [self.count_updates()] * len(tokens),
            [DERIVED] * samples + [RANDOM] * samples,
        )
        trials[:samples] = self.measure_costs(trials[:samples])
        self.record(trials)
        best = best_of(trials[:samples], max(self.finalists.count, LISTED))
        how = "Accuracy on validation images with the shared weights"
        if self.finalists.count:
            best = self.train_finalists(best, progress)
            how = f"{how}; finalists after {self.finalists.epochs} epochs from scratch"
        return SearchResult(
            decode_trials(best, self.decode),
            tuple(accuracies[:samples]),
            tuple(accuracies[samples:]),
            how,
        )
