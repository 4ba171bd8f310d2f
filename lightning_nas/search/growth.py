"""The space of a search whose networks grow deeper as it goes on, as NAS has it."""

from collections.abc import Sequence

from lightning_nas.errors import InputError
from lightning_nas.spaces.base import Space
from lightning_nas.spaces.chain import ChainSpace


class GrowingSpace:
    """A space, and the deeper ones that later architectures are drawn from.

    Args:
        space: Of the first architectures.
        every: Architectures after which the networks have ``by`` layers more, at least 1; None =
            they do not grow. For the chain space alone.
        by: Layers, at least 0.
        samples: Architectures in all.

    Raises:
        InputError: If a number is out of range, or the depth is to grow in a space without layers.
    """

    def __init__(self, space: Space, every: int | None, by: int, samples: int) -> None:
        if every is not None and (every < 1 or by < 0 or not isinstance(space, ChainSpace)):
            raise InputError(
                f"method.grow_every={every} method.grow_by={by}: at least 1 and 0, and for the "
                "chain space alone (method.grow_every=null: the networks do not grow)"
            )
        self.first = space
        self.every = every
        self.by = by
        self.samples = samples
        self._spaces = {space.length: space}

    def at(self, number: int) -> Space:
        """Return the space that a trial is drawn from: later ones are deeper."""
        if self.every is None:
            return self.first
        assert isinstance(self.first, ChainSpace)
        space = self.first.deeper(number // self.every * self.by)
        return self._spaces.setdefault(space.length, space)

    def of(self, tokens: Sequence[int]) -> Space:
        """Return the space that tokens were drawn from: their number tells the depth."""
        if len(tokens) not in self._spaces:
            for number in range(0, self.samples, self.every or self.samples):
                self.at(number)
        if len(tokens) not in self._spaces:
            raise InputError(
                f"the journal has an architecture of {len(tokens)} decisions, which "
                f"method.grow_every={self.every} does not lead to"
            )
        return self._spaces[len(tokens)]
