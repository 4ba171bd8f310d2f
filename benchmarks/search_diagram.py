"""Diagram of a search for the README: ``python -m benchmarks.search_diagram``."""

import argparse
from collections.abc import Sequence
from math import dist
from pathlib import Path

from lightning_nas.pictures.palette import FAINT, INK, NEWER, OLDER, find_style
from lightning_nas.pictures.picture import Box, Label, Line, Picture, Point
from lightning_nas.report.draw import write_picture

WIDTH, HEIGHT = 655.0, 404.0  # points; with its margins the picture is 675 points = 900 pixels wide
TITLE_SIZE, TEXT_SIZE = 11.5, 9.5  # at least 9 points = 12 pixels
LEFT, MIDDLE, RIGHT = 81.0, 335.0, 578.0  # centres of the columns
DASH = (4.0, 1.8)
RADIUS = 8.0  # of rounded corners
DESCRIPTION = (
    "A controller samples architectures. Each is evaluated as a child that is trained from "
    "scratch, or in a supernet with shared weights. The controller learns from the reward. The "
    "random arm samples uniformly and never learns. At the end the best trials become finalists; "
    "the run folder holds the architecture and the report; train.py trains the architecture."
)


def layout_search() -> Picture:
    """Return the diagram of a search."""
    cards = [
        (
            Box("controller", "input1", "", LEFT, 294, 134, 56),
            ("Controller", "samples architectures"),
        ),
        (
            Box("random-arm", "input0", "", LEFT, 184, 134, 68),
            ("Random arm", "samples uniformly,", "never learns"),
        ),
        (
            Box("child", "sep_conv_3x3", "", MIDDLE, 267, 196, 48),
            ("Child", "network trained from scratch"),
        ),
        (
            Box("supernet", "sep_conv_3x3", "", MIDDLE, 191, 196, 48),
            ("Supernet", "network with shared weights"),
        ),
        (
            Box("reward", "avg_pool_3x3", "", RIGHT, 239, 126, 56),
            ("Reward", "function of accuracy"),
        ),
        (
            Box("finalists", "max_pool_3x3", "", LEFT, 36, 134, 68),
            ("Finalists", "best trials,", "trained longer"),
        ),
        (
            Box("run-folder", "end", "", MIDDLE, 36, 220, 68),
            (
                "Run folder",
                "architecture.json: best architecture",
                "report.html: better than random?",
            ),
        ),
        (
            Box("train", "max_pool_3x3", "", RIGHT, 36, 126, 68),
            ("train.py", "trains the architecture,", "prints test accuracy"),
        ),
    ]
    evaluation = Box("evaluation", "frame", "", MIDDLE, 238, 220, 170)
    labels = [
        Label("Search", 14, 389, TITLE_SIZE, is_bold=True),
        Label(
            "learns from the reward: good architectures become more likely",
            MIDDLE,
            369,
            TEXT_SIZE,
            "center",
            NEWER,
        ),
        Label("Evaluation", MIDDLE, 308, TITLE_SIZE, "center", is_bold=True),
        Label("or", MIDDLE, 229, TEXT_SIZE, "center"),
        Label("architecture", 186.5, 302, TEXT_SIZE, "center", NEWER),
        Label("architecture", 186.5, 192, TEXT_SIZE, "center", OLDER),
        Label("accuracy", 480, 247, TEXT_SIZE, "center"),
        Label("at the end", LEFT + 8, 97, TEXT_SIZE),
    ]
    for box, (title, *lines) in cards:
        labels += _write(box, title, lines)
    return Picture(
        WIDTH,
        HEIGHT,
        (evaluation, *(box for box, _ in cards)),
        tuple(_lines()),
        labels=tuple(labels),
    )


def _write(box: Box, title: str, lines: Sequence[str]) -> list[Label]:
    """Return the labels of a box: a bold title and lines below it."""
    colour = find_style(box.kind).text
    top = box.y + 7.5 * len(lines)
    return [
        Label(title, box.x, top, TITLE_SIZE, "center", colour, is_bold=True),
        *(
            Label(line, box.x, top - 3 - 13 * number, TEXT_SIZE, "center", colour)
            for number, line in enumerate(lines, start=1)
        ),
    ]


def _lines() -> list[Line]:
    def arrow(name: str, *points: Point, colour: str = INK) -> Line:
        dash = DASH if colour == OLDER else None
        rounded = _round_corners(points)
        return Line(name, rounded, colour, 1.4, is_curved=True, has_arrow=True, dash=dash)

    edge, bottom = WIDTH / 2, 122.0
    corners = (edge, HEIGHT), (WIDTH, HEIGHT), (WIDTH, bottom), (0.0, bottom), (0.0, HEIGHT)
    outline = _round_corners((*corners, (edge, HEIGHT)))
    return [
        Line("search", outline, FAINT, 0.9, is_curved=True),
        arrow("sample", (148, 294), (225, 294), colour=NEWER),
        arrow("sample-random", (148, 184), (225, 184), colour=OLDER),
        arrow("measure", (445, 239), (515, 239)),
        arrow("learn", (RIGHT, 267), (RIGHT, 358), (LEFT, 358), (LEFT, 322), colour=NEWER),
        arrow("end", (LEFT, bottom), (LEFT, 70)),
        arrow("save", (148, 36), (225, 36)),
        arrow("train-result", (445, 36), (515, 36)),
    ]


def _round_corners(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the control points of splines that follow a polyline and round its corners."""
    control = [points[0]]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        enter, leave = _move_towards(corner, before), _move_towards(corner, after)
        control += [control[-1], enter, enter, corner, corner, leave]
    return (*control, control[-1], points[-1], points[-1])


def _move_towards(corner: Point, other: Point) -> Point:
    share = RADIUS / dist(corner, other)
    return corner[0] + share * (other[0] - corner[0]), corner[1] + share * (other[1] - corner[1])


def main() -> None:
    """Write the diagram to the file that ``--output`` names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("docs/search.svg"),
        help="file to write, which ends in .svg, .png or .pdf (default: %(default)s)",
    )
    output = parser.parse_args().output
    write_picture(layout_search(), DESCRIPTION, output)
    print(output)


if __name__ == "__main__":
    main()
