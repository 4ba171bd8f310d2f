"""The random arm of ENAS, and the record of its sampled architectures as trials."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lightning_nas.architecture import Architecture
from lightning_nas.controllers.rollout import Rollout
from lightning_nas.controllers.uniform import UniformController
from lightning_nas.data.seeding import make_generator
from lightning_nas.spaces.base import Space
from lightning_nas.storage.trial import POLICY, Outcome, Proposal, Trial

RANDOM_SHARE = 0.1  # default steps of the random arm, as a share of the controller's steps

Gather = Callable[[Tensor], Tensor]  # concatenates the tensors of all processes along dimension 0


def count_random_steps(controller_steps: int, requested: int | None) -> int:
    """Return the steps of the random arm in an epoch; 0 if no controller learns.

    Args:
        controller_steps: Controller steps in an epoch.
        requested: Requested number of steps; None = a tenth of ``controller_steps``, rounded up.

    >>> count_random_steps(30, None), count_random_steps(2, None), count_random_steps(0, None)
    (3, 1, 0)
    >>> count_random_steps(30, 0), count_random_steps(0, 5)
    (0, 0)
    """
    if not controller_steps:
        return 0
    return math.ceil(RANDOM_SHARE * controller_steps) if requested is None else requested


class RandomArm:
    """Uniformly sampled architectures, scored in the same way as those of the controller.

    Both use the shared weights of the same epoch; the random arm uses the validation images of the
    controller's first steps. What differs, apart from sampling noise, is the controller's effect.
    The arm samples on the CPU and has its own random numbers, which depend on seed, epoch, step and
    process only, so the search is the same with and without it.

    Args:
        space: Search space.
        samples: Number of architectures to sample for each step and process, at least 1.
        seed: Seed of the samples.
    """

    def __init__(self, space: Space, samples: int, seed: int) -> None:
        self.uniform = UniformController(space)
        self.samples = samples
        self.seed = seed

    def sample(self, epoch: int, step: int, rank: int) -> tuple[Rollout, list[Architecture]]:
        """Return the architectures of one step."""
        generator = make_generator("control", self.seed, epoch, step, rank)
        rollout = self.uniform.sample(self.samples, generator=generator)
        space = self.uniform.space
        return rollout, [space.decode(tokens) for tokens in rollout.tokens_NT.tolist()]


class PhaseSamples:
    """Sampled architectures of one phase of an epoch. They stay on the device until its end.

    Args:
        arm: Arm of the architectures.
        updates: Number of controller updates from one step of the phase to the next.
    """

    def __init__(self, arm: str = POLICY, updates: int = 1) -> None:
        self.arm = arm
        self.updates = updates
        self._steps: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, rollout: Rollout, reward_N: Tensor) -> None:
        """Add the architectures of one step."""
        device = reward_N.device  # processes can only gather tensors of their own device
        log_prob_NT = rollout.log_prob_NT.detach().to(device)
        self._steps.append((rollout.tokens_NT.to(device), log_prob_NT, reward_N))

    def take(self, first: int, updates: int, gather: Gather) -> list[Trial]:
        """Return the trials of all processes and forget them. All processes must call this.

        Args:
            first: Number of the first trial.
            updates: Number of controller updates before the first step of the phase.
            gather: Function that concatenates the tensors of all processes.
        """
        if not self._steps:
            return []
        tokens_NT, log_prob_NT, reward_N = map(torch.cat, zip(*self._steps, strict=True))
        steps = len(self._steps)
        place_N = torch.arange(steps, device=reward_N.device).repeat_interleave(
            len(reward_N) // steps
        )
        step_N = updates + self.updates * place_N
        self._steps.clear()
        rollout = (gather(tokens_NT).tolist(), gather(log_prob_NT).tolist())
        rewards, numbers = gather(reward_N).tolist(), gather(step_N).tolist()
        return make_trials(first, *rollout, rewards, numbers, [self.arm] * len(rewards))


def make_trials(
    first: int,
    tokens: Sequence[Sequence[int]],
    log_probs: Sequence[Sequence[float]],
    rewards: Sequence[float],
    steps: Sequence[int],
    arms: Sequence[str],
) -> list[Trial]:
    """Return trials whose reward is the accuracy with the shared weights.

    Args:
        first: Number of the first trial.
        tokens: Decisions of each architecture.
        log_probs: Log-probabilities of these decisions.
        rewards: Accuracy of each architecture, in [0, 1].
        steps: Number of controller updates before each architecture was sampled.
        arms: Arm of each architecture.
    """
    columns = zip(tokens, log_probs, rewards, steps, arms, strict=True)
    return [
        Trial(
            Proposal(number, tuple(token), tuple(log_prob), step, arm),
            Outcome(reward, (reward,)),
            reward,
            order=number + 1,
        )
        for number, (token, log_prob, reward, step, arm) in enumerate(columns, start=first)
    ]
