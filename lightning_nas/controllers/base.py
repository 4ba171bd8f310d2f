"""The protocol of controllers. Shapes: N = architectures, T = tokens of one architecture."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lightning_nas.controllers.rollout import Rollout
from lightning_nas.spaces.base import Space


class Controller(nn.Module, ABC):
    """A policy over the decisions of a space. It may have no parameters: then nothing is learned.

    A subclass with ``sample`` and ``score`` works with every method. Networks of NAS may grow
    during a search. Therefore ``sample`` and ``score`` must also accept a space with more layers
    than the controller's space and with the same kinds of decisions.

    Args:
        space: Space whose decisions the controller takes.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space

    @abstractmethod
    def sample(
        self, n: int, space: Space | None = None, generator: torch.Generator | None = None
    ) -> Rollout:
        """Sample architectures. Gradients flow through their log-probabilities.

        Args:
            n: Number of architectures, at least 1.
            space: Space to sample from; None = the controller's own.
            generator: Source of random numbers, on the controller's device; None = torch's global
                generator. ``TrialSearch`` seeds the global generator for each trial.
        """

    def sample_in_turn(self, n: int, space: Space | None = None) -> Rollout:
        """Sample the architectures that ``n`` calls of ``sample(1)`` would sample.

        A subclass may compute all of them in one pass; each architecture must use the same random
        numbers as its call.

        Args:
            n: Number of architectures, at least 1.
            space: Space to sample from; None = the controller's own.
        """
        return Rollout.join([self.sample(1, space) for _ in range(n)], torch.arange(n))

    @abstractmethod
    def score(self, tokens_NT: Tensor, space: Space | None = None) -> Rollout:
        """Return the log-probabilities and entropies of architectures, as differentiable tensors.

        Args:
            tokens_NT: Valid tokens, int64.
            space: Space of the tokens; None = the controller's own.
        """
