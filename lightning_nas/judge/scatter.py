"""Draws ``weight_sharing.json``: accuracy from scratch against that with the shared weights."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lightning_nas.files import replace_file
from lightning_nas.pictures.paint import DOTS_PER_INCH, SETTINGS
from lightning_nas.pictures.palette import FAINT, INK, NEWER, OLDER, QUIET
from lightning_nas.report.inline import SETTINGS as SVG
from lightning_nas.storage.trial import DERIVED, POLICY, RANDOM

PANEL, HEIGHT = 2.7, 3.3  # inches
TITLES = {
    "batch": "statistics of the batch",
    "running": "running statistics",
    "recalibrated": "recalibrated statistics",
}
MARKS: dict[str, tuple[str, dict[str, Any]]] = {
    RANDOM: ("uniform", {"marker": "o", "s": 22, "facecolor": "#86B4E4", "edgecolor": NEWER}),
    POLICY: (
        "the controller's",
        {"marker": "^", "s": 28, "facecolor": "#F0926F", "edgecolor": OLDER},
    ),
    DERIVED: ("derived", {"marker": "*", "s": 130, "facecolor": "#F3E39B", "edgecolor": INK}),
}


def draw_scatter(facts: Mapping[str, Any], path: Path) -> None:
    """Write the plot to ``path`` in one step, a panel for each mode of batch norm.

    The same facts give the same bytes. The markers of an arm have its name as their id in an SVG.

    Args:
        facts: As in ``weight_sharing.json``.
        path: Ends in ``.svg`` or ``.png``.
    """
    suffix = path.suffix[1:]
    metadata = {"Date": None} if suffix == "svg" else None
    with mpl.rc_context(SETTINGS | SVG | {"font.size": 8}):
        sheet = scatter(facts)
        replace_file(
            path,
            lambda part: sheet.savefig(
                part, format=suffix, dpi=DOTS_PER_INCH, facecolor="white", metadata=metadata
            ),
        )


def scatter(facts: Mapping[str, Any]) -> Figure:
    """Return the plot as a figure."""
    modes = [mode for mode in TITLES if mode in facts["architectures"][0]["shared"]]
    sheet = Figure(figsize=(PANEL * len(modes) + 0.4, HEIGHT), layout="constrained")
    panels = sheet.subplots(1, len(modes), sharey=True, squeeze=False)[0]
    for panel, mode in zip(panels, modes, strict=True):
        _panel(panel, facts, mode)
    epochs = facts["epochs"]
    panels[0].set_ylabel(f"accuracy after {epochs} epoch{'s' * (epochs != 1)} from scratch")
    sheet.supxlabel("accuracy with the shared weights", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    sheet.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return sheet


def _panel(panel: Axes, facts: Mapping[str, Any], mode: str) -> None:
    for arm, (name, style) in MARKS.items():
        points = [one for one in facts["architectures"] if one["arm"] == arm]
        if points:
            _points(panel, points, mode, label=name, gid=f"{mode}-{arm}", **style)
    found = facts["correlations"].get(mode)
    title, said = TITLES[mode], "uniform ones: no order"
    if found is not None:
        low, high = found["tau_interval"]
        said = f"uniform ones: τ = {found['tau']:.2f} [{low:.2f}, {high:.2f}]"
    panel.set_title(f"{title}\n{said}", fontsize=8, color=INK)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(_percent)
    panel.grid(color=FAINT, linewidth=0.4, alpha=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(colors=QUIET)


def _points(panel: Axes, points: Sequence[Mapping[str, Any]], mode: str, **style: Any) -> None:
    """Draw the mean of the seeds, and a line as long as their deviation each way."""
    shared = [one["shared"][mode] for one in points]
    mean = [statistics.fmean(one["alone"]) for one in points]
    for x, y, one in zip(shared, mean, points, strict=True):
        if len(one["alone"]) > 1:
            deviation = statistics.stdev(one["alone"])
            panel.plot([x, x], [y - deviation, y + deviation], color=QUIET, linewidth=0.7)
    panel.scatter(shared, mean, linewidths=0.7, zorder=3, **style)


def _percent(value: float, place: float = 0) -> str:
    """Return a share as a tick's text.

    >>> _percent(0.95), _percent(0.925)
    ('95 %', '92.5 %')
    """
    return f"{round(100 * value, 6):g} %"
