"""The base class of search spaces and the kinds of decisions.

A controller takes the decisions of a space in their order and writes one or more tokens, plain
integers, for each. A space turns tokens into an architecture and back. It must not know
controllers, networks or torch.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lightning_nas.architecture import Architecture
from lightning_nas.errors import InputError


@dataclass(frozen=True)
class Choice:
    """Decision for one of ``n`` named options: one token, 0 to n - 1.

    Args:
        name: Kind of the decision, such as "operation". A controller may share a softmax and an
            embedding among all decisions of one name.
        n: Number of options.
    """

    name: str
    n: int


@dataclass(frozen=True)
class Pick:
    """Decision for one of the ``n`` earlier nodes: one token, 0 to n - 1."""

    n: int


@dataclass(frozen=True)
class Skips:
    """Decision for any subset of the ``n`` earliest nodes: n tokens, each 0 or 1.

    The decision completes a node, as ``NodeEnd`` does.
    """

    n: int


@dataclass(frozen=True)
class CellStart:
    """Marker without a token: a new cell begins, and ``inputs`` nodes exist already."""

    inputs: int


@dataclass(frozen=True)
class NodeEnd:
    """Marker without a token: a node is complete, and later decisions can pick it."""


Decision = Choice | Pick | Skips | CellStart | NodeEnd


class Space(ABC):
    """A search space. A subclass sets ``decisions`` once and never changes them."""

    decisions: tuple[Decision, ...]

    @property
    def length(self) -> int:
        """Number of tokens of one architecture."""
        return len(list(self.count_token_options()))

    @property
    def size(self) -> int:
        """Number of token sequences. Different sequences may describe the same network."""
        return math.prod(self.count_token_options())

    def validate(self, tokens: Sequence[int]) -> None:
        """Check a sequence of tokens.

        Raises:
            InputError: If the length or a token is out of range. The message names the position.
        """
        if len(tokens) != self.length:
            raise InputError(f"expected {self.length} tokens, got {len(tokens)}")
        for position, (token, n) in enumerate(zip(tokens, self.count_token_options(), strict=True)):
            if not 0 <= token < n:
                raise InputError(f"token {position} is {token}; legal: 0 to {n - 1}")

    def count_token_options(self) -> Iterator[int]:
        """Yield the number of values of each token."""
        for decision in self.decisions:
            match decision:
                case Choice(n=n) | Pick(n):
                    yield n
                case Skips(n):
                    yield from [2] * n

    @abstractmethod
    def __str__(self) -> str:
        """Return a text that distinguishes this space from others; journals store it."""

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> Architecture:
        """Return the architecture that valid ``tokens`` describe; see ``validate``."""

    @abstractmethod
    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the tokens of an architecture.

        Raises:
            InputError: If the architecture is not in this space.
        """
