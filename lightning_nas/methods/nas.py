"""NAS: a controller writes a network layer by layer and learns by REINFORCE from its accuracy.

Until so many architectures have been trained: sample one, train it from scratch, take the cube of
its validation accuracy as reward; after every few, take a REINFORCE step on the controller. The
networks grow deeper as the search goes on.

Source: Zoph and Le, 2017, https://arxiv.org/abs/1611.01578. ``nas.md`` has the details.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lightning_nas.controllers.rollout import Rollout
from lightning_nas.errors import InputError
from lightning_nas.methods.controller_search import ControllerSearch
from lightning_nas.modules.controller import ControllerModule, Metrics
from lightning_nas.policy.reinforce import importance
from lightning_nas.spaces.base import Space
from lightning_nas.spaces.chain import ChainSpace


class NAS(ControllerSearch):
    """The controller, its children, and how it learns from them.

    Args:
        controller: The controller.
        grow_every: Architectures after which the networks have ``grow_by`` layers more, at least 1;
            None = they do not grow. The paper: 1,600. For the chain space alone.
        grow_by: The paper: 2.
        importance: Let a sample of before an update count by the ratio of its probabilities now and
            then, at most 1. Where children end in the order of their proposals, there is none.
        settings: Of ``TrialSearch``.

    Raises:
        InputError: If the depth is to grow in a space without layers.
    """

    def __init__(
        self,
        controller: ControllerModule,
        grow_every: int | None = None,
        grow_by: int = 2,
        importance: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(controller, **settings)
        if grow_every is not None and (grow_every < 1 or not isinstance(self.space, ChainSpace)):
            raise InputError(
                f"method.grow_every={grow_every}: at least 1, and for the chain space alone"
            )
        self.grow_every = grow_every
        self.grow_by = grow_by
        self.importance = importance
        self._spaces = {self.space.length: self.space}

    def space_at(self, number: int) -> Space:
        """Return the space that a trial is drawn from: later ones are deeper."""
        if self.grow_every is None:
            return self.space
        assert isinstance(self.space, ChainSpace)
        space = self.space.deeper(number // self.grow_every * self.grow_by)
        return self._spaces.setdefault(space.length, space)

    def space_of(self, tokens: Sequence[int]) -> Space:
        """Return the space that tokens were drawn from: their number tells the depth."""
        if len(tokens) not in self._spaces:
            for number in range(0, self.samples, self.grow_every or self.samples):
                self.space_at(number)
        if len(tokens) not in self._spaces:
            raise InputError(
                f"the journal has an architecture of {len(tokens)} decisions, which "
                f"method.grow_every={self.grow_every} does not lead to"
            )
        return self._spaces[len(tokens)]

    def loss(self, rollout: Rollout, sampled_N: Tensor, credit_N: Tensor) -> tuple[Tensor, Metrics]:
        """Return REINFORCE's loss."""
        weight_N = importance(rollout.log_prob_N, sampled_N) if self.importance else None
        return self.controller.loss(rollout, credit_N, weight_N)
