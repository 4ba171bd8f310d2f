"""Where the boxes and lines of a macro architecture go: a column of layers, and a bus of skips.

Nothing is painted here. Every output that somebody reads has a lane of its own to the right of the
column; every layer that reads has a rail that runs to the farthest lane it needs, and a dot joins
the two for each skip. Where lane and rail cross without a dot, they do not touch.
"""

from collections.abc import Iterator

from lightning_nas.architecture import MacroArchitecture, poolings
from lightning_nas.report.picture import (
    DARK,
    FAINT,
    QUIET,
    Box,
    Dot,
    Label,
    Line,
    Picture,
    legend,
    legend_height,
    short_name,
)

BOX = (66.0, 19.0)
PITCH = 30.0  # from one row to the next
LANE = 13.0  # from one lane to the next
FIRST_LANE = 34.0  # from the column to the nearest lane
LEFT = 96.0  # of the column: what is to the left are the numbers and the stages
WIDTH = 344.0  # at least, for the legend
PORT = 4.0  # rails enter a box above its middle, lanes leave it below
HINT = "dot: the layer's output is joined with this earlier output"
# Neighbouring lanes are told apart, by the colour-blind too. After Paul Tol's "bright" and "muted".
LANE_COLOURS = ("#4477AA", "#CC6677", "#117733", "#AA7700", "#882255", "#008B99")


def layout_macro(architecture: MacroArchitecture) -> Picture:
    """Return the picture of a network.

    Names of shapes: ``stem``, ``layer0``, ..., ``pooling0``, ``pooling1``, ``classifier``;
    ``path0``, ... for the arrows from row to row; and for skips ``lane-2``, ``rail-5`` and their
    dot ``skip-2-5``: layer 5 reads output 2, numbered as in the file (0 is the stem, 2 is layer 1).
    """
    return _Layout(architecture).picture()


class _Layout:
    """The positions of rows and lanes, and the shapes that follow from them."""

    def __init__(self, architecture: MacroArchitecture) -> None:
        self.layers = architecture.layers
        self.filters = architecture.filters
        self.operations = {layer.operation for layer in self.layers}
        read = {source for layer in self.layers for source in layer.skips}
        # the stem's lane is outermost: no output crosses the lane of an earlier one on its way out
        first = LEFT + BOX[0] + FIRST_LANE
        self.lane = {s: first + LANE * i for i, s in enumerate(sorted(read, reverse=True))}
        self.width = max(WIDTH, 14 + max(self.lane.values(), default=0.0))
        self.foot = legend_height(self.operations, self.width) + 36
        self.column = list(self._column())
        self.box = {box.name: box for box in self.column}

    def picture(self) -> Picture:
        boxes, labels = legend(self.operations, self.width, self.foot - 36)
        return Picture(
            self.width,
            self.column[0].extent[3] + 4,
            (*self.column, *boxes),
            (*self._path(), *self._separators(), *self._rails(), *self._lanes()),
            tuple(self._dots()),
            (*self._numbers(), *self._stages(), *labels, *self._hint()),
        )

    # -- rows

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        """Yield name, kind and text of each row, from the top."""
        yield "stem", "end", "stem"
        pools = poolings(len(self.layers))
        for index, layer in enumerate(self.layers):
            yield f"layer{index}", layer.operation, short_name(layer.operation)
            if index in pools:
                yield f"pooling{pools.index(index)}", "pooling", "pooling"
        yield "classifier", "end", "classifier"

    def _column(self) -> Iterator[Box]:
        rows = list(self._rows())
        for row, (name, kind, text) in enumerate(rows):
            y = self.foot + BOX[1] / 2 + PITCH * (len(rows) - 1 - row)
            yield Box(name, kind, text, LEFT + BOX[0] / 2, y, *BOX)

    def _path(self) -> Iterator[Line]:
        for row, (above, below) in enumerate(zip(self.column, self.column[1:], strict=False)):
            points = (above.x, above.extent[1]), (below.x, below.extent[3])
            yield Line(f"path{row}", points, DARK, arrow=True)

    def _numbers(self) -> Iterator[Label]:
        for index in range(len(self.layers)):
            y = self.box[f"layer{index}"].y
            yield Label(str(index), LEFT - 6, y, 7.5, "right", QUIET)

    # -- stages

    def _separators(self) -> Iterator[Line]:
        for box in self.column:
            if box.kind == "pooling":
                left, _, right, _ = box.extent
                for name, start, end in (("left", 0.0, left), ("right", right, self.width)):
                    line = f"{box.name}-{name}"
                    yield Line(line, ((start, box.y), (end, box.y)), FAINT, dotted=True)

    def _stages(self) -> Iterator[Label]:
        """Yield the name and the filters of each stage, at its first row."""
        first = [0, *(index + 1 for index in poolings(len(self.layers)))]
        for stage, index in enumerate(index for index in first if index < len(self.layers)):
            y = self.box[f"layer{index}"].y
            yield Label(f"stage {stage + 1}", 0, y + 1, 8.5, bold=True)
            yield Label(f"{self.filters * 2**stage} filters", 0, y - 11, 7.5, colour=QUIET)

    # -- skips

    def _output_y(self, source: int) -> float:
        return self.box[f"layer{source - 1}" if source else "stem"].y - PORT

    def _rail_y(self, layer: int) -> float:
        return self.box[f"layer{layer}"].y + PORT

    def _rails(self) -> Iterator[Line]:
        right = LEFT + BOX[0]
        for index, layer in enumerate(self.layers):
            if layer.skips:
                y, end = self._rail_y(index), max(self.lane[source] for source in layer.skips)
                yield Line(f"rail-{index}", ((end, y), (right, y)), "#8A8A8A", arrow=True)

    def _lanes(self) -> Iterator[Line]:
        for source, x in self.lane.items():
            last = max(i for i, layer in enumerate(self.layers) if source in layer.skips)
            y, end = self._output_y(source), self._rail_y(last)
            points = (LEFT + BOX[0], y), (x, y), (x, end)
            yield Line(f"lane-{source}", points, _colour(source), width=1.2, bridge=True)

    def _dots(self) -> Iterator[Dot]:
        for index, layer in enumerate(self.layers):
            for source in layer.skips:
                name = f"skip-{source}-{index}"
                yield Dot(name, self.lane[source], self._rail_y(index), _colour(source))

    def _hint(self) -> Iterator[Label]:
        if self.lane:
            yield Label(HINT, self.width / 2, self.foot - 22, 7.5, "center", QUIET)


def _colour(source: int) -> str:
    return LANE_COLOURS[source % len(LANE_COLOURS)]
