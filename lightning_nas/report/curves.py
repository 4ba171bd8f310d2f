"""Curves of arrows between boxes, and whether they pass through others: geometry, nothing else.

Curves are cubic splines, given by 3n + 1 control points; data flows down.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from lightning_nas.report.picture import Box, Point

CLEARANCE = 4.0  # of an arrow from boxes that it does not belong to
STEP = 9.0  # between arrows that leave a box side by side
BENDS = ((0.5, 0.5), (0.8, 0.3), (0.3, 0.8), (1.0, 0.2), (0.2, 1.0))  # where a curve turns
STEPS = 24  # points of a spline's piece that are looked at


def points_on(curve: Sequence[Point]) -> Iterator[Point]:
    """Yield points along a curve, close enough to each other to meet every box on the way."""
    for i in range(0, len(curve) - 3, 3):
        for step in range(STEPS + 1):
            t = step / STEPS
            weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            piece = list(zip(weights, curve[i : i + 4], strict=True))
            yield sum(w * x for w, (x, _) in piece), sum(w * y for w, (_, y) in piece)


def meets(curve: Sequence[Point], boxes: Iterable[Box], clearance: float = 0.0) -> bool:
    """Return whether a curve comes nearer than ``clearance`` to one of ``boxes``."""
    points = list(points_on(curve))
    for box in boxes:
        left, bottom, right, top = box.extent
        for x, y in points:
            if (
                left - clearance < x < right + clearance
                and bottom - clearance < y < top + clearance
            ):
                return True
    return False


def free_curve(
    start: Point, end: Point, spline: Sequence[Point], others: Sequence[Box]
) -> tuple[Point, ...]:
    """Return the simplest curve from ``start`` to ``end`` that keeps clear of ``others``.

    Args:
        start: Where the curve leaves its box, downwards.
        end: Where it enters the other.
        spline: A way around the boxes, between points near these two: the last resort.
        others: Boxes in the way.
    """
    fall = start[1] - end[1]
    simple = [
        (start, (start[0], start[1] - a * fall), (end[0], end[1] + b * fall), end) for a, b in BENDS
    ]
    for curve in (*simple, _with_ends(spline, start, end)):
        if not meets(curve, others, CLEARANCE):
            return curve
    middle = (spline[0][0], start[1]), (spline[-1][0], end[1])
    return _with_ends(spline, *middle)


def _with_ends(spline: Sequence[Point], start: Point, end: Point) -> tuple[Point, ...]:
    """Return a spline moved to new ends; it keeps its directions there."""
    (x0, y0), (x1, y1) = spline[0], spline[-1]
    second = spline[1][0] + start[0] - x0, spline[1][1] + start[1] - y0
    last_but_one = spline[-2][0] + end[0] - x1, spline[-2][1] + end[1] - y1
    return (start, second, *spline[2:-2], last_but_one, end)


def spread(pairs: Iterable[tuple[Box, Box]], top: bool) -> dict[tuple[str, str], Point]:
    """Return where on the first box of each pair its arrow to or from the second is attached.

    Arrows at one box stand in the order of the boxes at their other ends, so they do not cross.

    Args:
        pairs: A box, and the box at the other end of the arrow.
        top: Whether the arrows are attached to the top of the first box, or to its bottom.
    """
    at = defaultdict(list)
    for box, other in pairs:
        at[box].append(other)
    places = {}
    for box, others in at.items():
        step = min(STEP, (box.width - 16) / max(1, len(others) - 1))
        others.sort(key=lambda other: (other.x, other.name))
        for i, other in enumerate(others):
            x = box.x + (i - (len(others) - 1) / 2) * step
            places[box.name, other.name] = (x, box.extent[3 if top else 1])
    return places
