"""The charts of a report: axes, colours and ways to draw. The values are computed elsewhere.

Charts are small, so that their text is legible on a phone. Figures are made directly, never through
pyplot: the figures of a user's notebook stay alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lightning_nas.pictures.palette import STYLES, short_name
from lightning_nas.pictures.picture import FONT
from lightning_nas.report.statistics import Difference, Mean

SIZE = (4.0, 2.7)  # inches; three charts of 9-point text fit side by side
POLICY_COLOUR, RANDOM_COLOUR, BEST_COLOUR = "#1F6FA8", "#A3541A", "#222222"
OTHERS = ("#4477AA", "#EE8866", "#44BB99", "#AA4499", "#BBCC33", "#77AADD", "#FFAABB", "#DDDDDD")
PALE, ABSENT = "#ECECEC", ("not taken", "none")  # colour of options that leave something out
MIN_RANGE = 0.02  # of a vertical axis, as a share of its values
FEW_DOTS = 200  # up to here dots are drawn large and dark
MOST_DOTS = 800  # of more points, evenly spaced ones are drawn
SETTINGS: Any = {
    "font.family": FONT,
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": "#333333",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "axes.grid": True,
    "grid.color": "#E8E8E8",
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "figure.constrained_layout.use": True,
}
Points = tuple[Sequence[float], Sequence[float]]
Band = tuple[Sequence[float], Sequence[Mean]]


@dataclass(frozen=True)
class Chart:
    """A chart of a page.

    Args:
        name: Prefix of all ids in the chart, unique in the page.
        title: Heading.
        caption: How to read the chart, in one or two sentences.
        figure: The chart as a matplotlib figure.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def make_axes(x_label: str, y_label: str, size: tuple[float, float] = SIZE) -> tuple[Figure, Axes]:
    """Return an empty chart; ``size`` is in inches."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=size)
        axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.ticklabel_format(useOffset=False)
    return figure, axes


def thin_points(points: Points) -> Points:
    """Return at most ``MOST_DOTS`` evenly spaced points."""
    count = len(points[0])
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_DOTS)).round().astype(int))
    return [points[0][i] for i in chosen], [points[1][i] for i in chosen]


def add_dots(axes: Axes, points: Points, colour: str, label: str | None = None) -> None:
    """Draw points, small and faint if there are many, and fit the vertical axis to them."""
    size, alpha = (7, 0.28) if len(points[0]) > FEW_DOTS else (14, 0.5)
    axes.scatter(*thin_points(points), s=size, color=colour, alpha=alpha, linewidths=0, label=label)
    low, high = min(points[1]), max(points[1])
    margin = 0.06 * max(high - low, 1e-3)
    axes.set_ylim(low - margin, high + margin)


def cut_at_one(axes: Axes, highest: float) -> None:
    """End the vertical axis near 1 if no reward is above 1, although an interval may be."""
    if highest <= 1:
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.02))


def add_band(axes: Axes, band: Band, colour: str, label: str) -> None:
    """Draw means as a line and their finite intervals as a band around the line."""
    x, means = band
    halves = [mean.half if np.isfinite(mean.half) else 0.0 for mean in means]
    axes.plot(x, [mean.value for mean in means], color=colour, linewidth=1.6, label=label)
    axes.fill_between(
        x,
        [mean.value - half for mean, half in zip(means, halves, strict=True)],
        [mean.value + half for mean, half in zip(means, halves, strict=True)],
        color=colour,
        alpha=0.18,
        linewidth=0,
    )


def add_level(axes: Axes, mean: Mean, colour: str, label: str) -> None:
    """Draw one mean as a horizontal line with its interval."""
    axes.axhline(mean.value, color=colour, linewidth=1.4, linestyle=(0, (5, 2)), label=label)
    if np.isfinite(mean.half):
        axes.axhspan(mean.low, mean.high, color=colour, alpha=0.15, linewidth=0)


def add_legend(axes: Axes, columns: int = 2) -> None:
    """Draw the legend above the chart, where it covers no data."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderaxespad=0.2,
        frameon=False, fontsize=9, columnspacing=1.2, handlelength=1.4, handletextpad=0.5,
    )  # fmt: skip


def draw_lines(x_label: str, y_label: str, curves: Mapping[str, Points]) -> Figure:
    """Return a chart of a few curves, by name."""
    figure, axes = make_axes(x_label, y_label)
    for (name, points), colour in zip(curves.items(), (POLICY_COLOUR, *OTHERS[1:]), strict=False):
        axes.plot(*points, color=colour, linewidth=1.5, label=name)
    if len(curves) > 1:
        add_legend(axes)
    values = [value for _, ys in curves.values() for value in ys]
    margin = MIN_RANGE * max(1e-6, max(map(abs, values)))
    if max(values) - min(values) < margin:  # a constant is a level line, not magnified noise
        axes.set_ylim(min(values) - margin, max(values) + margin)
    return figure


def draw_histograms(
    x_label: str, arms: Mapping[str, Sequence[float]], colours: Sequence[str]
) -> Figure:
    """Return the histograms of arms, as shares of each arm, with vertical lines at the means."""
    figure, axes = make_axes(x_label, "share of the arm")
    values = [value for arm in arms.values() for value in arm]
    edges: Any = np.histogram_bin_edges(values, bins=16)
    for (name, arm), colour in zip(arms.items(), colours, strict=True):
        weights = np.full(len(arm), 1 / len(arm))
        axes.hist(arm, edges, weights=weights, color=colour, alpha=0.45, label=name)
        axes.axvline(float(np.mean(arm)), color=colour, linewidth=1.4)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    add_legend(axes)
    return figure


def draw_shares(x: Sequence[float], shares: Mapping[str, Sequence[float]]) -> Figure:
    """Return the shares of options over a search as stacked areas."""
    figure, axes = make_axes("architectures of the search", "share")
    others = iter(OTHERS * (1 + len(shares) // len(OTHERS)))
    colours = [
        STYLES[name].face if name in STYLES else PALE if name in ABSENT else next(others)
        for name in shares
    ]
    edges = [STYLES[name].edge if name in STYLES else "#FFFFFF" for name in shares]
    names = [short_name(name) if name in STYLES else name for name in shares]
    is_single = len(x) == 1  # a single part fills the whole width
    areas = axes.stackplot(
        [0, 1] if is_single else x,
        *([*share, *share] if is_single else share for share in shares.values()),
        colors=colours,
        labels=names,
    )
    for area, edge in zip(areas, edges, strict=True):
        area.set(edgecolor=edge, linewidth=0.5)
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.0,
        handletextpad=0.5, fontsize=9, frameon=False,
    )  # fmt: skip
    return figure


def draw_differences(x_label: str, x: Sequence[float], differences: Sequence[Difference]) -> Figure:
    """Return differences with their intervals; a hollow dot has no interval."""
    figure, axes = make_axes(x_label, "difference in reward")
    axes.axhline(0, color=RANDOM_COLOUR, linewidth=1.4)
    for place, one in zip(x, differences, strict=True):
        is_finite = bool(np.isfinite(one.half))
        axes.errorbar(
            [place], [one.value], [one.half] if is_finite else None, fmt="o", markersize=3.5,
            color=POLICY_COLOUR, markerfacecolor=POLICY_COLOUR if is_finite else "none",
            elinewidth=1, capsize=0,
        )  # fmt: skip
    return figure


def draw_front(x_label: str, points: Points, front: Points, target: float | None = None) -> Figure:
    """Return accuracy against cost, with the Pareto front and the target of the budget as lines."""
    figure, axes = make_axes(x_label, "accuracy reward")
    add_dots(axes, points, POLICY_COLOUR, "all")
    axes.plot(
        *front, color=BEST_COLOUR, linewidth=1.3, marker="o", markersize=4,
        drawstyle="steps-post", label="front",
    )  # fmt: skip
    if target is not None:
        axes.axvline(
            target, color=RANDOM_COLOUR, linewidth=1.2, linestyle=(0, (4, 3)), label="target"
        )
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: abbreviate_number(value))
    add_legend(axes)
    return figure


def draw_confusion(counts_KK: np.ndarray, classes: Sequence[str]) -> Figure:
    """Return a confusion matrix: the shares of the answers in the images of each class.

    Args:
        counts_KK: Number of images by class (row) and answer (column).
        classes: Names of the classes.
    """
    figure, axes = make_axes("answer of the network", "class")
    share_KK = counts_KK / np.maximum(counts_KK.sum(1, keepdims=True), 1)
    axes.imshow(share_KK, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    names = [name if len(name) <= 12 else f"{name[:11]}…" for name in classes]
    places = range(len(names))
    axes.set_xticks(places, names, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(places, names)
    axes.grid(visible=False)
    if len(names) <= 10:
        for row, column in np.ndindex(*share_KK.shape):
            if counts_KK[row, column]:
                colour = "white" if share_KK[row, column] > 0.5 else "#333333"
                axes.text(column, row, f"{100 * share_KK[row, column]:.0f}", ha="center",
                          va="center", color=colour, fontsize=8)  # fmt: skip
    return figure


def draw_minutes(seconds: Mapping[str, float]) -> Figure:
    """Return a bar for each phase of a search, in minutes.

    Args:
        seconds: Seconds of each phase, by its name.
    """
    figure, axes = make_axes("minutes", "", (SIZE[0], 0.7 + 0.3 * len(seconds)))
    names = list(seconds)[::-1]
    axes.barh(names, [seconds[name] / 60 for name in names], color=POLICY_COLOUR, height=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    return figure


def abbreviate_number(value: float) -> str:
    """Return a number with three significant digits and a unit prefix.

    >>> abbreviate_number(190_992), abbreviate_number(4_200_000), abbreviate_number(12)
    ('191k', '4.2M', '12')
    """
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{name}"
    return f"{value:.3g}"
