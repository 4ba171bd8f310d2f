"""Curves of arrows between boxes, and whether they pass through others: geometry, nothing else.

Curves are cubic splines, given by 3n + 1 control points; data flows down.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from lightning_nas.pictures.picture import Box, Point

CLEARANCE = 4.0  # of an arrow from boxes that it does not belong to
STEP = 9.0  # between arrows that leave a box side by side
BENDS = ((0.5, 0.5), (0.8, 0.3), (0.3, 0.8), (1.0, 0.2), (0.2, 1.0))  # where a curve turns
BEND = 60.0  # how far from its ends an arrow that goes around others has turned
FLAT = 9.0  # from its box to the flat part of a bow
LEAST_BOW = 20.0  # how far a bow goes to the side
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
    xs, ys = zip(*curve, strict=True)  # no curve leaves the hull of its control points
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
    """Return curves between boxes that keep clear of the others, for each pair of names.

    Curves at one box stand in the order in which they go on, so they do not cross there.

    Args:
        boxes: All there are, by name.
        splines: For each pair a way around the boxes, between points near these two: where the
            simple curves are not free.
    """
    pairs = [(boxes[start], boxes[end]) for start, end in splines]
    headings: dict[tuple[str, str], float] = {}
    for _ in range(2):  # the second time it is known which ones go around
        starts = spread(pairs, top=False, headings=headings)
        ends = spread([(end, start) for start, end in pairs], top=True, headings=headings)
        curves = {}
        for (start, end), spline in splines.items():
            others = [box for name, box in boxes.items() if name not in {start, end}]
            a, b = starts[start, end], ends[end, start]
            curves[start, end] = curve = simple_curve(a, b, others)
            if not curve:
                curves[start, end] = _around(a, b, spline, others)
                headings[start, end] = x_at(spline, a[1] - BEND)
                headings[end, start] = x_at(spline, b[1] + BEND)
    return curves


def simple_curve(start: Point, end: Point, others: Sequence[Box]) -> tuple[Point, ...]:
    """Return the simplest curve from ``start`` down to ``end`` that keeps clear of ``others``.

    It is empty if none does.
    """
    fall = start[1] - end[1]
    for a, b in BENDS:
        curve = start, (start[0], start[1] - a * fall), (end[0], end[1] + b * fall), end
        if not meets(curve, others, CLEARANCE):
            return curve
    return ()


def _around(
    start: Point, end: Point, spline: Sequence[Point], others: Sequence[Box]
) -> tuple[Point, ...]:
    """Return a way around boxes: a bow on one side of all, else the spline moved to the new ends.

    The spline keeps its own ends where others bring it too near a box.
    """
    own_ends = _with_ends(spline, (spline[0][0], start[1]), (spline[-1][0], end[1]))
    for curve in (*_bows(start, end, spline), _with_ends(spline, start, end)):
        if not meets(curve, others, CLEARANCE):
            return curve
    return own_ends


def _bows(start: Point, end: Point, spline: Sequence[Point]) -> Iterator[tuple[Point, ...]]:
    """Yield a curve that passes where the spline does at its farthest, if that is to one side.

    It leaves above the arrows that stand beside it and arrives below them, so it crosses none.
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
    """Return where a spline passes a height."""
    return min(points_on(spline), key=lambda point: abs(point[1] - y))[0]


def _with_ends(spline: Sequence[Point], start: Point, end: Point) -> tuple[Point, ...]:
    """Return a spline moved to new ends; it keeps its directions there."""
    (x0, y0), (x1, y1) = spline[0], spline[-1]
    second = spline[1][0] + start[0] - x0, spline[1][1] + start[1] - y0
    last_but_one = spline[-2][0] + end[0] - x1, spline[-2][1] + end[1] - y1
    return (start, second, *spline[2:-2], last_but_one, end)


def spread(
    pairs: Iterable[tuple[Box, Box]],
    top: bool,
    headings: Mapping[tuple[str, str], float] = MappingProxyType({}),
) -> dict[tuple[str, str], Point]:
    """Return where on the first box of each pair its arrow to or from the second is attached.

    Arrows at one box stand in the order of the boxes at their other ends, so they do not cross.

    Args:
        pairs: A box, and the box at the other end of the arrow.
        top: Whether the arrows are attached to the top of the first box, or to its bottom.
        headings: Of pairs of names whose arrow does not make straight for the other box: where it
            makes for instead.
    """
    at = defaultdict(list)
    for box, other in pairs:
        at[box].append(other)
    places = {}
    for box, others in at.items():
        step = min(STEP, (box.width - 16) / max(1, len(others) - 1))
        headed = [(headings.get((box.name, other.name), other.x), other.name) for other in others]
        for i, (_, name) in enumerate(sorted(headed)):
            x = box.x + (i - (len(others) - 1) / 2) * step
            places[box.name, name] = (x, box.extent[3 if top else 1])
    return places
