"""Plot of the curves of all methods, one panel per data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.tabular.results import Point

TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16": "ImageNet16-120"}
# colours for colour-blind readers (Okabe and Ito); dashed: settings of the papers
STYLES: dict[str, tuple[str, str, Any]] = {
    "nasnet": ("NASNet, tuned", "#D55E00", "-"),
    "nasnet_paper": ("NASNet, as published", "#D55E00", (0, (4, 2))),
    "nas": ("NAS, tuned", "#0072B2", "-"),
    "nas_paper": ("NAS, as published", "#0072B2", (0, (4, 2))),
    "evolution": ("evolution, tuned", "#009E73", "-"),
    "evolution_paper": ("evolution, as published", "#009E73", (0, (4, 2))),
    "random": ("random search", "#666666", "-"),
}
FROM, EVERY = 10, 2  # first query of the plot (all methods start at random), and step


def draw(
    curves: Mapping[str, Mapping[str, Sequence[Point]]], best: Mapping[str, float], folder: Path
) -> None:
    """Draw curves with bands of one standard error into ``nas_bench_201.svg`` and ``.png``.

    Args:
        curves: Points by data set and method.
        best: Highest accuracy in the table, by data set.
        folder: Folder of the pictures.
    """
    figure = Figure(figsize=(4 * len(curves), 4.3), layout="constrained")
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (dataset, methods) in zip(panels, curves.items(), strict=True):
        _panel(axes, dataset, methods, best[dataset])
    panels[0].set_ylabel("accuracy of the best so far (%)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    # same curves, same bytes; text stays text
    with mpl.rc_context({"svg.hashsalt": "nas_bench_201", "svg.fonttype": "none"}):
        figure.savefig(folder / "nas_bench_201.svg", metadata={"Date": None})
    figure.savefig(folder / "nas_bench_201.png", dpi=150)


def _panel(axes: Axes, dataset: str, methods: Mapping[str, Sequence[Point]], best: float) -> None:
    last = min(map(len, methods.values()))
    first = min(FROM, last)
    for method, (label, colour, dashes) in STYLES.items():
        if method not in methods:
            continue
        shown = [methods[method][query - 1] for query in range(first, last + 1, EVERY)]
        queries = [point.queries for point in shown]
        low, mean, high = (
            [100 * (point.mean + side * point.error) for point in shown] for side in (-1, 0, 1)
        )
        axes.fill_between(queries, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(queries, mean, color=colour, linestyle=dashes, linewidth=1.5, label=label)
    axes.axhline(100 * best, color="black", linewidth=0.8, linestyle=":")
    note = {"xytext": (0, 3), "textcoords": "offset points", "fontsize": 8, "ha": "right"}
    axes.annotate(f"best of the table {best:.2%}", (last, 100 * best), **note)
    axes.set_title(TITLES[dataset], fontsize=11)
    axes.set_xlabel("queries")
    axes.margins(x=0, y=0.08)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.4, alpha=0.5)
