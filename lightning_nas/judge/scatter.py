"""The plot of weight sharing: accuracy from scratch against accuracy with the shared weights."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lightning_nas.files import replace_file
from lightning_nas.pictures.palette import INK, NEWER, OLDER, QUIET
from lightning_nas.report import charts, inline
from lightning_nas.storage.trial import DERIVED, POLICY, RANDOM

PANEL, HEIGHT, DOTS_PER_INCH = 2.7, 3.3, 200  # inches, inches
SHARED_LABEL = "accuracy with the shared weights"
STYLE: Any = charts.SETTINGS | inline.SETTINGS | {"font.size": 8}
TITLES = {
    "batch": "statistics of the batch",
    "running": "running statistics",
    "recalibrated": "recalibrated statistics",
}
MARKS: dict[str, dict[str, Any]] = {
    RANDOM: {
        "label": "random arm", "marker": "o", "s": 22, "facecolor": "#86B4E4", "edgecolor": NEWER
    },
    POLICY: {
        "label": "controller", "marker": "^", "s": 28, "facecolor": "#F0926F", "edgecolor": OLDER
    },
    DERIVED: {
        "label": "derived", "marker": "*", "s": 130, "facecolor": "#F3E39B", "edgecolor": INK
    },
}  # fmt: skip


def draw_scatter(facts: Mapping[str, Any], path: Path) -> None:
    """Write the plot to ``path`` in one step. The same facts give the same bytes.

    Args:
        facts: Content of ``weight_sharing.json``.
        path: File that ends in ``.svg`` or ``.png``.
    """
    suffix = path.suffix[1:]
    metadata = {"Date": None} if suffix == "svg" else None
    figure = make_scatter(facts)
    with mpl.rc_context(STYLE):
        replace_file(
            path,
            lambda part: figure.savefig(part, format=suffix, dpi=DOTS_PER_INCH, metadata=metadata),
        )


def make_scatter(facts: Mapping[str, Any]) -> Figure:
    """Return the plot, with a panel for each mode of batch norm.

    In an SVG the markers of an arm have the id ``MODE-ARM``.

    Args:
        facts: Content of ``weight_sharing.json``.
    """
    modes = list_modes(facts)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PANEL * len(modes) + 0.4, HEIGHT))
        panels = figure.subplots(1, len(modes), sharey=True, squeeze=False)[0]
        for panel, mode in zip(panels, modes, strict=True):
            _draw_panel(panel, facts, mode)
        panels[0].set_ylabel(_describe_training(facts))
        figure.supxlabel(SHARED_LABEL, fontsize=8)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def make_small_scatter(facts: Mapping[str, Any], mode: str) -> Figure:
    """Return the plot of one mode of batch norm, in the size of the charts of a report."""
    figure, axes = charts.make_axes(SHARED_LABEL, _describe_training(facts))
    _draw_marks(axes, facts, mode)
    charts.add_legend(axes, 3)
    return figure


def list_modes(facts: Mapping[str, Any]) -> list[str]:
    """Return the modes of batch norm that were judged, in the order of ``TITLES``."""
    return [mode for mode in TITLES if mode in facts["architectures"][0]["shared"]]


def _describe_training(facts: Mapping[str, Any]) -> str:
    epochs = facts["epochs"]
    return f"accuracy after {epochs} epoch{'s' * (epochs != 1)} from scratch"


def _draw_panel(panel: Axes, facts: Mapping[str, Any], mode: str) -> None:
    """Draw the marks of a mode, below a title with the rank correlation."""
    _draw_marks(panel, facts, mode)
    correlation = facts["correlations"].get(mode)
    words = "random arm: no order"
    if correlation is not None:
        low, high = correlation["tau_interval"]
        words = f"random arm: τ = {correlation['tau']:.2f} [{low:.2f}, {high:.2f}]"
    panel.set_title(f"{TITLES[mode]}\n{words}", fontsize=8, color=INK)


def _draw_marks(panel: Axes, facts: Mapping[str, Any], mode: str) -> None:
    """Draw the mean over the seeds of each architecture; its bar is their standard deviation."""
    for arm, style in MARKS.items():
        points = [one for one in facts["architectures"] if one["arm"] == arm]
        x = [one["shared"][mode] for one in points]
        y = [statistics.fmean(one["alone"]) for one in points]
        for place, mean, one in zip(x, y, points, strict=True):
            if len(one["alone"]) > 1:
                deviation = statistics.stdev(one["alone"])
                ends = [mean - deviation, mean + deviation]
                panel.plot([place, place], ends, color=QUIET, linewidth=0.7)
        if points:
            panel.scatter(x, y, linewidths=0.7, zorder=3, gid=f"{mode}-{arm}", **style)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(_format_percent)
    panel.set_axisbelow(True)


def _format_percent(value: float, place: float = 0) -> str:
    """Return the label of a tick.

    >>> _format_percent(0.95), _format_percent(0.925)
    ('95 %', '92.5 %')
    """
    return f"{round(100 * value, 6):g} %"
