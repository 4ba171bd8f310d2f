"""Menus: all that could have been chosen, as small boxes, and what was chosen in colour.

Nothing is painted here. Pictures of spaces consist of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from lightning_nas.pictures.palette import short_name
from lightning_nas.pictures.picture import Box

GAP = 2.0  # between the boxes of a menu, and around them
SIZE = 7.5  # of the font
CHOSEN_WIDTH, POSSIBLE_WIDTH = 1.6, 0.7  # of lines
LONGEST = 7  # boxes in a column


@dataclass(frozen=True)
class Option:
    """One box of a menu: the end of its name, its colours where it is chosen, and its text."""

    name: str
    kind: str
    text: str


@dataclass(frozen=True)
class Menu:
    """Options in columns of the same length, one of them chosen.

    Args:
        name: Of its frame; its boxes are called that, a hyphen, and their own names.
        options: All there are.
        chosen: The name of one.
        box: Width and height of an option's box.
        columns: How many side by side; none = as many as keep to ``LONGEST``.
    """

    name: str
    options: Sequence[Option]
    chosen: str
    box: tuple[float, float] = (45.0, 13.0)
    columns: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Columns and rows."""
        columns = self.columns or ceil(len(self.options) / LONGEST)
        return columns, ceil(len(self.options) / columns)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the frame."""
        (columns, rows), (width, height) = self.shape, self.box
        return columns * (width + GAP) + GAP, rows * (height + GAP) + GAP

    def boxes(self, x: float, y: float) -> Iterator[Box]:
        """Yield the frame around the centre ``x``, ``y``, and the options in it."""
        width, height = self.size
        yield Box(self.name, "frame", "", x, y, width, height)
        for number, option in enumerate(self.options):
            column, row = divmod(number, self.shape[1])
            chosen = option.name == self.chosen
            yield Box(
                f"{self.name}-{option.name}",
                option.kind if chosen else "option",
                option.text,
                x - width / 2 + GAP + self.box[0] / 2 + column * (self.box[0] + GAP),
                y + height / 2 - GAP - self.box[1] / 2 - row * (self.box[1] + GAP),
                *self.box,
                size=SIZE,
                chosen=chosen,
            )


def operation_options(operations: Sequence[str]) -> list[Option]:
    """Return an option for each operation, called as it is.

    >>> operation_options(["sep_conv_3x3"])
    [Option(name='sep_conv_3x3', kind='sep_conv_3x3', text='sep 3x3')]
    """
    return [Option(name, name, short_name(name)) for name in operations]
