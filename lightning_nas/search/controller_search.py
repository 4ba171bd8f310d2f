"""The base class of NAS and NASNet: a controller samples architectures and learns by gradients."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_nas.controllers.rollout import Rollout
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.modules.controller import ControllerModule, Metrics
from lightning_nas.modules.manual import take_step
from lightning_nas.search.sampling import Sample, first_sample, list_samples
from lightning_nas.search.trial_search import TrialSearch
from lightning_nas.spaces.base import Space
from lightning_nas.storage.trial import Trial

AT_ONCE = 25  # redraws that a controller computes in one pass


class ControllerSearch(TrialSearch):
    """Search by trials that a controller samples.

    A controller without parameters, such as the uniform one, samples and learns nothing.

    Args:
        controller: Controller of the search; its space is the space of the search.
        settings: Keyword arguments of ``TrialSearch``.
    """

    passes = 1  # gradient steps on each batch

    def __init__(self, controller: ControllerModule, **settings: Any) -> None:
        super().__init__(space=controller.space, **settings)
        self.controller = controller

    def sample(self, number: int) -> Sample:
        """Return an architecture that the controller samples for a trial."""
        return first_sample(self.controller.sample_from(self.space_at(number)))

    def sample_many(self, number: int, count: int) -> list[Sample]:
        """Return candidates for a trial: half samples of the controller, half uniform samples.

        Each has its log-probability under the controller, as if the controller had sampled it.
        """
        space = self.space_at(number)
        uniform = UniformController(space).sample(count // 2).tokens_NT.tolist()
        own = self.controller.sample_from(space, count - count // 2)
        scored = self.controller.score(uniform, [space] * len(uniform))
        return [*list_samples(own), *list_samples(scored)]

    def sample_new(self, number: int) -> Sample:
        """Return a sample that is new, or the last redraw if none is new. Remember the sample.

        A controller that has converged needs many redraws. The controller computes several of them
        in one pass; the result is the same as of redraws one by one.
        """
        sample = self.sample(number)
        if self.sampling.redraws and sample[0] in self.seen:
            sample = self._redraw(self.space_at(number))
        self.seen.add(sample[0])
        return sample

    def _redraw(self, space: Space) -> Sample:
        controller, redraws = self.controller.controller, self.sampling.redraws
        for first in range(0, redraws, AT_ONCE):
            rollout = controller.sample_in_turn(min(AT_ONCE, redraws - first), space)
            samples = [tuple(tokens) for tokens in rollout.tokens_NT.tolist()]
            tokens = next((one for one in samples if one not in self.seen), samples[-1])
            if tokens not in self.seen:
                break
        scored = self.controller.score([tokens], [space])  # its last digits depend on the batch
        return first_sample(scored)

    def credit(self, reward_N: Tensor) -> Tensor:
        """Return what ``loss`` learns from, ``(N,)``, once for a batch: rewards, or advantages."""
        return reward_N

    @abstractmethod
    def loss(self, rollout: Rollout, sampled_N: Tensor, credit_N: Tensor) -> tuple[Tensor, Metrics]:
        """Return the loss of a batch, a scalar, and the metrics to log.

        Args:
            rollout: Architectures of the batch as the controller scores them now, with the graph.
            sampled_N: Log-probabilities of the architectures when they were sampled.
            credit_N: Result of ``credit`` for the batch.
        """

    def learn(self, trials: Sequence[Trial]) -> dict[str, Tensor]:
        """Take ``passes`` gradient steps on a batch and return the metrics of the last one."""
        tokens = [trial.proposal.tokens for trial in trials]
        spaces = [self.space_of(given) for given in tokens]
        reward_N = torch.tensor([trial.reward for trial in trials], device=self.device)
        sampled_N = reward_N.new_tensor([trial.proposal.log_prob for trial in trials])
        credit_N = self.credit(reward_N)
        for _ in range(self.passes):
            loss, metrics = self.loss(self.controller.score(tokens, spaces), sampled_N, credit_N)
            if self.controller.learns:
                take_step(self, self.optimizers(), loss, self.controller.clip_norm)
        return metrics

    def configure_optimizers(self) -> torch.optim.Optimizer | None:
        """Return the controller's optimiser; None if the controller has no parameters."""
        return self.controller.configure_optimizers() if self.controller.learns else None
