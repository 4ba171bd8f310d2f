"""The space of a search whose networks grow deeper, as in NAS.

Source: Zoph and Le, 2017, https://arxiv.org/abs/1611.01578, Section 4.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_nas.errors import InputError
from lightning_nas.spaces.base import Space
from lightning_nas.spaces.chain import ChainSpace


@dataclass(frozen=True)
class Growth:
    """Schedule of the depth of a search's networks. Only the chain space can grow.

    Args:
        every: Number of architectures after which networks are ``by`` layers deeper, at least 1;
            None = constant depth. NAS: 1,600.
        by: Number of layers to add, at least 0. NAS: 2.

    Raises:
        InputError: If a number is out of range.
    """

    every: int | None = None
    by: int = 2

    def __post_init__(self) -> None:
        if self.every is not None and (self.every < 1 or self.by < 0):
            raise InputError(
                f"method.grow_every={self.every} method.grow_by={self.by}: grow_every must be at "
                "least 1 (or null: constant depth) and grow_by at least 0"
            )


CONSTANT_DEPTH = Growth()


class GrowingSpace:
    """Search space whose depth depends on the number of the trial.

    Args:
        space: Space of the first architectures.
        growth: Schedule of the depth.
        samples: Number of architectures in the search.

    Raises:
        InputError: If the depth is to grow and the space is not the chain space.
    """

    def __init__(self, space: Space, growth: Growth, samples: int) -> None:
        if growth.every is not None and not isinstance(space, ChainSpace):
            raise InputError(
                f"method.grow_every={growth.every}: only the chain space (space=chain) can grow; "
                "method.grow_every=null keeps the depth constant"
            )
        self.first = space
        self.growth = growth
        self.samples = samples
        self._spaces = {space.length: space}

    def find_space(self, number: int) -> Space:
        """Return the space of a trial."""
        if self.growth.every is None:
            return self.first
        assert isinstance(self.first, ChainSpace)
        space = self.first.add_layers(number // self.growth.every * self.growth.by)
        return self._spaces.setdefault(space.length, space)

    def find_space_of(self, tokens: Sequence[int]) -> Space:
        """Return the space that tokens were sampled from; their number determines the depth.

        Raises:
            InputError: If no space of the search has so many tokens, or a token is out of range.
        """
        if len(tokens) not in self._spaces:
            for number in range(0, self.samples, self.growth.every or self.samples):
                self.find_space(number)
        if len(tokens) not in self._spaces:
            raise InputError(
                f"the journal has an architecture of {len(tokens)} decisions, but no space of this "
                f"search has so many (method.grow_every={self.growth.every}): give the run the "
                "settings that it began with"
            )
        space = self._spaces[len(tokens)]
        try:
            space.validate(tokens)
        except InputError as error:  # of a damaged journal
            raise InputError(f"the journal has an architecture of another space: {error}") from None
        return space
