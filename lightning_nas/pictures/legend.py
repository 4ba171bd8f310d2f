"""What stands below a picture: lines of text, and a box and a name for each kind of operation."""

from collections.abc import Sequence, Set

from lightning_nas.pictures.palette import OPERATION_NAMES, QUIET
from lightning_nas.pictures.picture import Box, Label, Picture, text_width

ROW, SPACE = 16.0, 16.0  # of the legend: the height of a row, the space between entries
HINT, HINT_SIZE = 12.0, 7.5  # of a line of text: its height and its font's
ABOVE = 18.0  # between a picture and its legend


def legend(operations: Set[str], width: float, hints: Sequence[str] = ()) -> Picture:
    """Return a strip that explains ``operations``, below lines of text."""
    rows = _rows(operations, width)
    height = ROW * len(rows) + HINT * len(hints) + ABOVE
    labels = [
        Label(hint, width / 2, height - 16 - HINT * number, HINT_SIZE, "center", QUIET)
        for number, hint in enumerate(hints)
    ]
    boxes = []
    for number, row in enumerate(rows):
        x = (width - _row_width(row)) / 2
        y = ROW * (len(rows) - number - 0.5)
        for operation in row:
            boxes.append(Box(f"legend-{operation}", operation, "", x + 8, y, 16, 10))
            labels.append(Label(_full_name(operation), x + 20, y))
            x += _entry_width(operation)
    return Picture(width, height, tuple(boxes), labels=tuple(labels))


def hints_width(hints: Sequence[str]) -> float:
    """Return how much room lines of text below a picture need."""
    return max((text_width(hint, HINT_SIZE) for hint in hints), default=0.0) + 4


def _full_name(operation: str) -> str:
    return OPERATION_NAMES.get(operation, operation.replace("_", " "))


def _entry_width(operation: str) -> float:
    return 20 + text_width(_full_name(operation), 8) + SPACE


def _rows(operations: Set[str], width: float) -> list[list[str]]:
    """Return the entries row by row: as few rows as ``width`` allows, about equally long."""
    rows = _filled(operations, width) if operations else []
    narrower = rows
    while len(narrower) == len(rows) and max(map(len, narrower), default=0) > 1:
        rows = narrower
        width = max(map(_row_width, rows)) - 1
        narrower = _filled(operations, width)
    return rows


def _row_width(row: list[str]) -> float:
    return sum(map(_entry_width, row)) - SPACE


def _filled(operations: Set[str], width: float) -> list[list[str]]:
    rows: list[list[str]] = [[]]
    known = [name for name in OPERATION_NAMES if name in operations]
    for operation in (*known, *sorted(operations - set(known))):
        if rows[-1] and _row_width([*rows[-1], operation]) > width:
            rows.append([])
        rows[-1].append(operation)
    return rows
