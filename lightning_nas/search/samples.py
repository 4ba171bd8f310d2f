"""Architectures that are sampled in ENAS's epochs, as trials for the journal."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lightning_nas.controllers.rollout import Rollout
from lightning_nas.storage.trial import POLICY, Outcome, Proposal, Trial

Gather = Callable[[Tensor], Tensor]  # of all processes, one after another along the first dimension


class Samples:
    """Those of a phase of an epoch; they stay on the device until its end.

    Args:
        arm: Theirs.
        updates: Of the controller from one step of the phase to the next.
    """

    def __init__(self, arm: str = POLICY, updates: int = 1) -> None:
        self.arm = arm
        self.updates = updates
        self._steps: list[tuple[Tensor, Tensor, Tensor]] = []

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self._steps)

    def add(self, rollout: Rollout, reward_N: Tensor) -> None:
        """Take those of one step."""
        device = reward_N.device  # processes join what lies on theirs
        log_prob_NT = rollout.log_prob_NT.detach().to(device)
        self._steps.append((rollout.tokens_NT.to(device), log_prob_NT, reward_N))

    def take(self, first: int, updates: int, gather: Gather) -> list[Trial]:
        """Return the trials of all processes, and forget them.

        Args:
            first: Number of the first trial.
            updates: Of the controller before the phase's first step.
            gather: Called by all processes.
        """
        if not self._steps:
            return []
        tokens_NT, log_prob_NT, reward_N = map(torch.cat, zip(*self._steps, strict=True))
        place_N = torch.arange(len(self), device=reward_N.device).repeat_interleave(
            len(reward_N) // len(self)
        )
        step_N = updates + self.updates * place_N
        self._steps.clear()
        rollout = (gather(tokens_NT).tolist(), gather(log_prob_NT).tolist())
        rewards, steps = gather(reward_N).tolist(), gather(step_N).tolist()
        return make_trials(first, *rollout, rewards, steps, [self.arm] * len(rewards))


def make_trials(
    first: int,
    tokens: Sequence[Sequence[int]],
    log_probs: Sequence[Sequence[float]],
    rewards: Sequence[float],
    steps: Sequence[int],
    arms: Sequence[str],
) -> list[Trial]:
    """Return trials of architectures whose accuracy with the shared weights is their reward."""
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
