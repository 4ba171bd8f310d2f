"""Numbers and tables as text: figures of a report, ``top.csv``, ``pareto.csv``, terminal lines."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from lightning_nas.architecture import write_architecture
from lightning_nas.files import write_csv
from lightning_nas.search.result import RankedArchitecture, SearchResult
from lightning_nas.storage.run_folder import RunFolder

MOST_LINES = 10
COLUMNS = ("trial", "reward", "accuracy", "parameters", "multiply_adds", "latency", "architecture")


def format_number(value: float) -> str:
    """Return an integer with thousands separators, or a float with three significant digits.

    >>> format_number(190992), format_number(0.01234)
    ('190,992', '0.0123')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def format_duration(seconds: float) -> str:
    """Return a duration in its natural unit.

    >>> [format_duration(seconds) for seconds in (42.4, 340, 9000, 400_000)]
    ['42 s', '5 min 40 s', '2.5 h', '4.6 days']
    """
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def format_interval(ends: Sequence[float], digits: int = 4) -> str:
    """Return an interval; "unknown" if an end is infinite or NaN.

    >>> format_interval((-0.01, 0.025))
    '-0.0100 to 0.0250'
    """
    if not all(map(math.isfinite, ends)):
        return "unknown"
    return " to ".join(f"{end:.{digits}f}" for end in ends)


def write_tables(result: SearchResult, folder: Path) -> None:
    """Write ``top.csv``, and ``pareto.csv`` if there is a front, each with its architectures.

    ``top/1.json`` is the architecture of the first row of ``top.csv``, and so on. The accuracy is
    the one after the last epoch. The front weighs the reward before a budget against the cost of
    the budget, or against the number of parameters if there is no budget.
    """
    run = RunFolder(folder)
    for table, ranked in ((run.top, result.top), (run.pareto, result.front)):
        shutil.rmtree(table.with_suffix(""), ignore_errors=True)  # from before the run was resumed
        if not ranked:
            continue
        rows = []
        for place, one in enumerate(ranked, start=1):
            file = Path(table.stem) / f"{place}.json"
            write_architecture(one.architecture, folder / file)
            rows.append(dict(zip(COLUMNS, [*list_figures(one), file], strict=True)))
        write_csv(table, COLUMNS, rows)


def list_figures(one: RankedArchitecture) -> list[float | None]:
    """Return the figures of an architecture in the order of ``COLUMNS``, without its file."""
    outcome = one.trial.outcome
    return [
        one.trial.number,
        one.trial.reward,
        outcome.accuracies[-1] if outcome.accuracies else None,
        outcome.parameters,
        outcome.multiply_adds,
        outcome.latency,
    ]


def format_best(top: Sequence[RankedArchitecture]) -> str:
    """Return at most ten of the best architectures as lines for a terminal."""
    lines = [f"{'the best':<14}{'trial':>7}{'reward':>9}{'accuracy':>10}{'parameters':>13}"]
    for place, one in enumerate(top[:MOST_LINES], start=1):
        outcome = one.trial.outcome
        accuracy = f"{outcome.accuracies[-1]:.2%}" if outcome.accuracies else ""
        parameters = "" if outcome.parameters is None else f"{outcome.parameters:,}"
        name = f"top/{place}.json"
        line = f"{name:<14}{one.trial.number:>7}{one.trial.reward:>9.4f}{accuracy:>10}"
        lines.append(f"{line}{parameters:>13}".rstrip())
    return "\n".join(lines)
