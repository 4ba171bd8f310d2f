"""The charts of a report: axes, bands and colours. What is drawn is computed elsewhere.

Small, so that their text is legible on a phone; figures are made directly, never through pyplot.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lightning_nas.pictures.palette import STYLES, short_name
from lightning_nas.pictures.picture import FONT
from lightning_nas.report.statistics import Difference, Mean

SIZE = (4.5, 3.0)  # inches
POLICY_COLOUR, CONTROL_COLOUR, BEST_COLOUR = "#1F6FA8", "#A3541A", "#222222"
OTHERS = ("#4477AA", "#EE8866", "#44BB99", "#AA4499", "#BBCC33", "#77AADD", "#FFAABB", "#DDDDDD")
PALE, ABSENT = "#ECECEC", ("not taken", "none")  # what is chosen by leaving something out
LEAST_RANGE = 0.02  # of a chart, as a share of its values
FEW = 200  # dots that are drawn boldly
DOTS = 800  # of a cloud: of more, evenly chosen ones
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
    "legend.fontsize": 8.5,
    "figure.constrained_layout.use": True,
}
Points = tuple[Sequence[float], Sequence[float]]
Band = tuple[Sequence[float], Sequence[Mean]]


def chart(across: str, up: str) -> tuple[Figure, Axes]:
    """Return an empty chart with the names of its axes."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=SIZE)
        axes = figure.add_subplot()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.ticklabel_format(useOffset=False)
    return figure, axes


def thin(points: Points, most: int = DOTS) -> Points:
    """Return evenly chosen points where there are too many to draw."""
    count = len(points[0])
    chosen = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    return [points[0][i] for i in chosen], [points[1][i] for i in chosen]


def cloud(axes: Axes, points: Points, colour: str, label: str | None = None) -> None:
    """Draw points, the fainter the more there are; the chart goes as far as they do."""
    many = len(points[0]) > FEW
    size, alpha = (7, 0.28) if many else (14, 0.5)
    axes.scatter(*thin(points), s=size, color=colour, alpha=alpha, linewidths=0, label=label)
    low, high = min(points[1]), max(points[1])
    margin = 0.06 * max(high - low, 1e-3)
    axes.set_ylim(low - margin, high + margin)


def band(axes: Axes, line: Band, colour: str, label: str) -> None:
    """Draw means as a line, their intervals as a band around it."""
    at, means = line
    axes.plot(at, [mean.value for mean in means], color=colour, linewidth=1.6, label=label)
    sure = [np.isfinite(mean.half) for mean in means]
    axes.fill_between(
        at,
        [mean.low if ok else mean.value for mean, ok in zip(means, sure, strict=True)],
        [mean.high if ok else mean.value for mean, ok in zip(means, sure, strict=True)],
        color=colour,
        alpha=0.18,
        linewidth=0,
    )


def level(axes: Axes, mean: Mean, colour: str, label: str) -> None:
    """Draw one mean as a line across the chart, with its interval."""
    axes.axhline(mean.value, color=colour, linewidth=1.4, linestyle=(0, (5, 2)), label=label)
    if np.isfinite(mean.half):
        axes.axhspan(mean.low, mean.high, color=colour, alpha=0.15, linewidth=0)


def legend(axes: Axes, columns: int = 2) -> None:
    """Write what the lines are above the chart, where they are in nobody's way."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderaxespad=0.2,
        frameon=False, fontsize=8.5, columnspacing=1.2, handlelength=1.4, handletextpad=0.5,
    )  # fmt: skip


def lines(across: str, up: str, curves: Mapping[str, Points]) -> Figure:
    """Return a chart of a few curves."""
    figure, axes = chart(across, up)
    for (name, points), colour in zip(curves.items(), (POLICY_COLOUR, *OTHERS[1:]), strict=False):
        axes.plot(*points, color=colour, linewidth=1.5, label=name)
    if len(curves) > 1:
        legend(axes)
    values = [value for _, found in curves.values() for value in found]
    least = LEAST_RANGE * max(1e-6, max(map(abs, values)))
    if max(values) - min(values) < least:  # what stays the same is a level line
        axes.set_ylim(min(values) - least, max(values) + least)
    return figure


def histograms(across: str, arms: Mapping[str, Sequence[float]], colours: Sequence[str]) -> Figure:
    """Return how the rewards of arms are spread, as shares of each."""
    figure, axes = chart(across, "share of the arm")
    values = [value for arm in arms.values() for value in arm]
    edges: Any = np.histogram_bin_edges(values, bins=16)
    for (name, arm), colour in zip(arms.items(), colours, strict=True):
        weights = np.full(len(arm), 1 / len(arm))
        axes.hist(arm, edges, weights=weights, color=colour, alpha=0.45, label=name)
        axes.axvline(float(np.mean(arm)), color=colour, linewidth=1.4)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    legend(axes)
    return figure


def stacked(at: Sequence[float], shares: Mapping[str, Sequence[float]]) -> Figure:
    """Return how shares of options change, one area above the other."""
    figure, axes = chart("architectures of the search", "share")
    others = iter(OTHERS * (1 + len(shares) // len(OTHERS)))
    colours = [
        STYLES[name].face if name in STYLES else PALE if name in ABSENT else next(others)
        for name in shares
    ]
    edges = [STYLES[name].edge if name in STYLES else "#FFFFFF" for name in shares]
    names = [short_name(name) if name in STYLES else name for name in shares]
    one = len(at) == 1  # one part alone: it fills the chart
    areas = axes.stackplot(
        [0, 1] if one else at,
        *([*share, *share] if one else share for share in shares.values()),
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
        handletextpad=0.5, fontsize=8, frameon=False,
    )  # fmt: skip
    return figure


def differences(across: str, line: tuple[Sequence[float], Sequence[Difference]]) -> Figure:
    """Return differences from zero, each with its interval; hollow where there is none."""
    figure, axes = chart(across, "reward above chance")
    axes.axhline(0, color=CONTROL_COLOUR, linewidth=1.4)
    for at, one in zip(*line, strict=True):
        sure = bool(np.isfinite(one.half))
        axes.errorbar(
            [at], [one.value], [one.half] if sure else None, fmt="o", markersize=3.5,
            color=POLICY_COLOUR, markerfacecolor=POLICY_COLOUR if sure else "none",
            elinewidth=1, capsize=0,
        )  # fmt: skip
    return figure


def front(across: str, points: Points, best: Points) -> Figure:
    """Return accuracy against cost, with the line of those that no other beats."""
    figure, axes = chart(across, "accuracy reward")
    cloud(axes, points, POLICY_COLOUR, "all")
    axes.plot(
        *best, color=BEST_COLOUR, linewidth=1.3, marker="o", markersize=4,
        drawstyle="steps-post", label="front",
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: short_number(value))
    legend(axes)
    return figure


def bars(seconds: Mapping[str, float]) -> Figure:
    """Return where the time went."""
    figure, axes = chart("minutes", "")
    names = list(seconds)[::-1]
    axes.barh(names, [seconds[name] / 60 for name in names], color=POLICY_COLOUR, height=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    return figure


def short_number(value: float) -> str:
    """Return a large number in few characters.

    >>> short_number(190_992), short_number(4_200_000), short_number(12)
    ('191k', '4.2M', '12')
    """
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{name}"
    return f"{value:.3g}"
