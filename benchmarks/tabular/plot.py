"""Plot of the curves of all methods, one panel per data set.

``python -m benchmarks.tabular.plot`` draws ``nas_bench_201.svg`` of ``docs/`` from its ``.csv``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.tabular.jobs import open_table
from benchmarks.tabular.results import Point, read_points

DOCS = Path(__file__).parents[2] / "docs"
CURVES = DOCS / "nas_bench_201.csv"
TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16": "ImageNet16-120"}


class Style(NamedTuple):
    """Label and look of a curve: the marker names the method, the dashes the settings."""

    label: str
    colour: str
    marker: str
    dashes: Any
    first_mark: int  # markers of curves that coincide lie side by side


# colours for colour-blind readers (Okabe and Ito); dashed and hollow: settings of the papers
STYLES = {
    "nasnet": Style("NASNet, tuned", "#D55E00", "o", "-", 0),
    "nasnet_paper": Style("NASNet, as published", "#D55E00", "o", (0, (5, 2)), 1),
    "nas": Style("NAS, tuned", "#0072B2", "s", "-", 2),
    "nas_paper": Style("NAS, as published", "#0072B2", "s", (0, (1.5, 1.5)), 3),
    "evolution": Style("evolution, tuned", "#009E73", "^", "-", 1),
    "evolution_paper": Style("evolution, as published", "#009E73", "^", (0, (6, 2, 1, 2)), 0),
    "random": Style("random search", "#666666", "", "-", 0),
}
FROM, EVERY = 10, 10  # first query of a curve (all methods start at random), and step
MARK_EVERY = 4  # points of a curve


def select_points(points: Sequence[Point]) -> list[Point]:
    """Return the points of a curve that are drawn."""
    first = min(FROM, len(points))
    return [points[query - 1] for query in range(first, len(points) + 1, EVERY)]


def read_curves(path: Path) -> dict[str, dict[str, list[Point]]]:
    """Return the points of ``curves.csv`` by data set and method."""
    curves: dict[str, dict[str, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for point in read_points(path):
        curves[point.dataset][point.method].append(point)
    return curves


def draw(
    curves: Mapping[str, Mapping[str, Sequence[Point]]],
    best: Mapping[str, float],
    path: Path,
) -> None:
    """Draw curves with bands of one standard error. The same curves give the same bytes.

    Args:
        curves: Points to draw, by data set and method.
        best: Highest accuracy in the table, by data set.
        path: File that ends in ``.svg`` or ``.png``.
    """
    figure = Figure(figsize=(4 * len(curves), 4.3), layout="constrained")
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (dataset, methods) in zip(panels, curves.items(), strict=True):
        _panel(axes, dataset, methods, best[dataset])
    panels[0].set_ylabel("accuracy of the best so far (%)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9,
        handlelength=4,
    )  # fmt: skip
    with mpl.rc_context({"svg.hashsalt": "nas_bench_201", "svg.fonttype": "none"}):
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def _panel(axes: Axes, dataset: str, methods: Mapping[str, Sequence[Point]], best: float) -> None:
    last = min(points[-1].queries for points in methods.values())
    for method, style in STYLES.items():
        if method not in methods:
            continue
        shown = methods[method]
        queries = [point.queries for point in shown]
        low, mean, high = (
            [100 * (point.mean + side * point.error) for point in shown] for side in (-1, 0, 1)
        )
        axes.fill_between(queries, low, high, color=style.colour, alpha=0.15, linewidth=0)
        axes.plot(
            queries, mean, color=style.colour, linestyle=style.dashes, linewidth=1.5,
            marker=style.marker, markersize=5, markevery=(style.first_mark, MARK_EVERY),
            markerfacecolor=style.colour if style.dashes == "-" else "white", label=style.label,
        )  # fmt: skip
    axes.axhline(100 * best, color="black", linewidth=0.8, linestyle=":")
    note = {"xytext": (0, 3), "textcoords": "offset points", "fontsize": 8, "ha": "right"}
    axes.annotate(f"best of the table {best:.2%}", (last, 100 * best), **note)
    axes.set_title(TITLES[dataset], fontsize=11)
    axes.set_xlabel("queries")
    axes.margins(x=0.02, y=0.08)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.4, alpha=0.5)


def draw_docs(path: Path) -> None:
    """Draw the curves of ``docs/nas_bench_201.csv`` into ``path``."""
    curves = read_curves(CURVES)
    draw(curves, {dataset: open_table(dataset).best() for dataset in curves}, path)


if __name__ == "__main__":
    draw_docs(CURVES.with_suffix(".svg"))
