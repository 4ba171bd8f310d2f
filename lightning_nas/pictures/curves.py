"""Geometry of arrows between boxes: cubic splines that keep clear of other boxes.

A curve of n splines has 3n + 1 control points. Arrows point down. This module knows no cells.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from lightning_nas.pictures.picture import Box, Point

CLEARANCE = 4.0  # minimum distance of an arrow from boxes that it does not connect
STEP = 9.0  # between the ends of arrows at one box
BENDS = ((0.5, 0.5), (0.8, 0.3), (0.3, 0.8), (1.0, 0.2), (0.2, 1.0))  # of a simple curve: how far
# its two inner control points lie from its ends, as shares of its height
BEND = 60.0  # an arrow around other boxes has turned to its direction this far from its ends
FLAT = 9.0  # from a box to the flat part of a bow
LEAST_BOW = 20.0  # minimum distance of a bow from both of its ends, to the side
STEPS = 24  # steps between the points of a spline that are compared with boxes


def points_on(curve: Sequence[Point]) -> Iterator[Point]:
    """Yield points along a curve, so close to each other that every box on the way is met."""
    for i in range(0, len(curve) - 3, 3):
        for step in range(STEPS + 1):
            t = step / STEPS
            weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            piece = list(zip(weights, curve[i : i + 4], strict=True))
            yield sum(w * x for w, (x, _) in piece), sum(w * y for w, (_, y) in piece)


def meets(curve: Sequence[Point], boxes: Iterable[Box], clearance: float = 0.0) -> bool:
    """Return whether a curve comes nearer than ``clearance`` points to one of ``boxes``."""
    xs, ys = zip(*curve, strict=True)  # a curve stays inside the hull of its control points
    low, high = (min(xs), min(ys)), (max(xs), max(ys))
    near = []
    for box in boxes:
        left, bottom, right, top = box.extent
        area = left - clearance, bottom - clearance, right + clearance, top + clearance
        if area[0] < high[0] and low[0] < area[2] and area[1] < high[1] and low[1] < area[3]:
            near.append(area)
    return bool(near) and any(
        left < x < right and bottom < y < top
        for x, y in points_on(curve)
        for left, bottom, right, top in near
    )


def curves_around(
    boxes: Mapping[str, Box], splines: Mapping[tuple[str, str], Sequence[Point]]
) -> dict[tuple[str, str], tuple[Point, ...]]:
    """Return curves between boxes that keep clear of all other boxes.

    Curves that leave or enter one box do not cross near the box.

    Args:
        boxes: All boxes by name.
        splines: For each pair of names a way around the other boxes, from near the first box to
            near the second. It is used where simple curves meet a box.

    Returns:
        Control points by pair of names.
    """
    pairs = [(boxes[start], boxes[end]) for start, end in splines]
    headings: dict[tuple[str, str], float] = {}
    for _ in range(2):  # the first pass finds the curves that go around, the second sorts them
        starts, ends = attach(pairs, headings)
        curves = {}
        for (start, end), spline in splines.items():
            others = [box for name, box in boxes.items() if name not in {start, end}]
            a, b = starts[start, end], ends[end, start]
            curves[start, end] = curve = _simple_curve(a, b, others)
            if not curve:
                curves[start, end] = _around(a, b, spline, others)
                headings[start, end] = x_at(spline, a[1] - BEND)
                headings[end, start] = x_at(spline, b[1] + BEND)
    return curves


def _simple_curve(start: Point, end: Point, others: Sequence[Box]) -> tuple[Point, ...]:
    """Return the simplest spline that keeps clear of ``others``; empty if there is none."""
    fall = start[1] - end[1]
    for a, b in BENDS:
        curve = start, (start[0], start[1] - a * fall), (end[0], end[1] + b * fall), end
        if not meets(curve, others, CLEARANCE):
            return curve
    return ()


def _around(
    start: Point, end: Point, spline: Sequence[Point], others: Sequence[Box]
) -> tuple[Point, ...]:
    """Return a bow on one side of all boxes, else the spline with its ends moved.

    If both meet a box, the spline keeps its horizontal ends.
    """
    for curve in (*_bows(start, end, spline), _move_ends(spline, start, end)):
        if not meets(curve, others, CLEARANCE):
            return curve
    return _move_ends(spline, (spline[0][0], start[1]), (spline[-1][0], end[1]))


def _bows(start: Point, end: Point, spline: Sequence[Point]) -> Iterator[tuple[Point, ...]]:
    """Yield a bow for each side on which the spline passes outside of its two ends.

    A bow leaves above the neighbouring arrows and arrives below them, so it crosses none.
    """
    xs = [x for x, _ in points_on(spline)]
    left, right = min(start[0], end[0]) - LEAST_BOW, max(start[0], end[0]) + LEAST_BOW
    for side in (min(xs), max(xs)):
        if not left < side < right:
            top, bottom = start[1] - FLAT, end[1] + FLAT
            turn = min(4 * FLAT, (top - bottom) / 3)
            a, b = (side, top - turn), (side, bottom + turn)
            first = start, (start[0], top), (side, top), a
            last = b, (side, bottom), (end[0], bottom), end
            yield (*first, a, b, *last)


def x_at(spline: Sequence[Point], y: float) -> float:
    """Return the horizontal position of a spline at height ``y``."""
    return min(points_on(spline), key=lambda point: abs(point[1] - y))[0]


def _move_ends(spline: Sequence[Point], start: Point, end: Point) -> tuple[Point, ...]:
    """Return a spline with new ends and the same directions there."""
    (x0, y0), (x1, y1) = spline[0], spline[-1]
    second = spline[1][0] + start[0] - x0, spline[1][1] + start[1] - y0
    last_but_one = spline[-2][0] + end[0] - x1, spline[-2][1] + end[1] - y1
    return (start, second, *spline[2:-2], last_but_one, end)


Ends = dict[tuple[str, str], Point]


def attach(
    pairs: Sequence[tuple[Box, Box]],
    headings: Mapping[tuple[str, str], float] = MappingProxyType({}),
) -> tuple[Ends, Ends]:
    """Return where arrows leave the bottom of a box, and where they enter the top of a box.

    Arrows at one box are sorted by the positions of the boxes at their other ends, so they do not
    cross.

    Args:
        pairs: For each arrow its first and its second box.
        headings: Horizontal position towards which an arrow leaves, for arrows that do not point to
            the other box; keys as in the results.

    Returns:
        The starts by (name of the first box, name of the second), the ends by (second, first).
    """
    back = [(end, start) for start, end in pairs]
    return _spread(pairs, False, headings), _spread(back, True, headings)


def _spread(
    pairs: Sequence[tuple[Box, Box]], is_top: bool, headings: Mapping[tuple[str, str], float]
) -> Ends:
    others_of = defaultdict(list)
    for box, other in pairs:
        others_of[box].append(other)
    ends = {}
    for box, others in others_of.items():
        step = min(STEP, (box.width - 16) / max(1, len(others) - 1))
        order = sorted((headings.get((box.name, o.name), o.x), o.name) for o in others)
        for i, (_, name) in enumerate(order):
            x = box.x + (i - (len(others) - 1) / 2) * step
            ends[box.name, name] = (x, box.extent.top if is_top else box.extent.bottom)
    return ends
