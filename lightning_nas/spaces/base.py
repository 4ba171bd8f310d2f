"""A search space: an ordered list of decisions, and what they mean.

A controller walks ``decisions`` and writes ``tokens``, plain integers, in that order. A space turns
tokens into an architecture and back. It knows nothing of controllers, networks or torch.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lightning_nas.architecture import Architecture
from lightning_nas.errors import InputError


@dataclass(frozen=True)
class Choice:
    """One of ``n`` options: one token, 0 to n - 1.

    Args:
        name: Decisions of one name mean the same thing wherever they stand ("operation"), so a
            controller may use one softmax and one embedding for all of them.
        n: How many options.
    """

    tokens: ClassVar[int] = 1
    name: str
    n: int

    @property
    def options(self) -> int:
        """How many outcomes the decision has."""
        return self.n


@dataclass(frozen=True)
class Pick:
    """One of the ``n`` earlier nodes: one token, 0 to n - 1."""

    tokens: ClassVar[int] = 1
    n: int

    @property
    def options(self) -> int:
        """How many outcomes the decision has."""
        return self.n


@dataclass(frozen=True)
class Skips:
    """Any subset of the ``n`` earliest nodes: n tokens, each 0 or 1. It completes a node."""

    n: int

    @property
    def tokens(self) -> int:
        """One for each candidate."""
        return self.n

    @property
    def options(self) -> int:
        """How many outcomes the decision has."""
        return 2**self.n


@dataclass(frozen=True)
class CellStart:
    """Nothing to decide: a new cell begins, with ``inputs`` nodes that are given."""

    tokens: ClassVar[int] = 0
    options: ClassVar[int] = 1
    inputs: int


@dataclass(frozen=True)
class NodeEnd:
    """Nothing to decide: a node is complete and can be picked from here on."""

    tokens: ClassVar[int] = 0
    options: ClassVar[int] = 1


Decision = Choice | Pick | Skips | CellStart | NodeEnd


class Space(ABC):
    """A search space. ``decisions`` is set by the space and never changes."""

    decisions: tuple[Decision, ...]

    @property
    def length(self) -> int:
        """How many tokens describe one architecture."""
        return sum(decision.tokens for decision in self.decisions)

    @property
    def size(self) -> int:
        """How many sequences of tokens there are; different ones may mean the same network."""
        return math.prod(decision.options for decision in self.decisions)

    def validate(self, tokens: Sequence[int]) -> None:
        """Check a sequence of tokens.

        Raises:
            InputError: If its length or a token is out of range; the position is named.
        """
        if len(tokens) != self.length:
            raise InputError(f"expected {self.length} tokens, got {len(tokens)}")
        for position, (token, n) in enumerate(zip(tokens, self.token_options(), strict=True)):
            if not 0 <= token < n:
                raise InputError(f"token {position} is {token}; legal: 0 to {n - 1}")

    def token_options(self) -> Iterator[int]:
        """Yield, for each token, how many values it can have."""
        for decision in self.decisions:
            if isinstance(decision, Skips):
                yield from [2] * decision.n
            elif decision.tokens:
                yield decision.options

    @abstractmethod
    def __str__(self) -> str:
        """Say what distinguishes this space from others of its kind."""

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> Architecture:
        """Return the architecture that ``tokens`` describe. Trusts them: ``validate`` first."""

    @abstractmethod
    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the tokens of an architecture.

        Raises:
            InputError: If the architecture does not lie in this space.
        """
