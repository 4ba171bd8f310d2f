"""A space from outside of the package: the normal and the reduction cell are equal."""

from collections.abc import Sequence
from typing import Any

from lightning_nas.architecture import Architecture, CellArchitecture
from lightning_nas.errors import InputError
from lightning_nas.spaces.cell import CellSpace


class TwinSpace(CellSpace):
    """Pairs of equal cells, with half the tokens of a ``CellSpace``.

    Args:
        settings: Keyword arguments passed to ``CellSpace``.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.decisions = self.decisions[: len(self.decisions) // 2]

    def __str__(self) -> str:
        return f"twins: {super().__str__()}"

    def decode(self, tokens: Sequence[int]) -> CellArchitecture:
        """Return the pair of cells."""
        return super().decode([*tokens, *tokens])

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the tokens of one of the two cells."""
        tokens = super().encode(architecture)
        if tokens[: self.length] != tokens[self.length :]:
            raise InputError(
                "the normal and the reduction cell differ; in this space they must be equal"
            )
        return tokens[: self.length]
