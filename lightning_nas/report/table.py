"""What a search found as tables: ``top.csv``, ``pareto.csv``, and the lines that are printed."""

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

from lightning_nas.architecture import write_architecture
from lightning_nas.files import replace_text
from lightning_nas.search.result import RankedArchitecture, SearchResult

SHOWN = 10
COLUMNS = ("trial", "reward", "accuracy", "parameters", "multiply_adds", "latency", "architecture")


def write_tables(derived: SearchResult, folder: Path) -> None:
    """Write the best, and the Pareto front where there is one, each with its architectures.

    ``top/1.json`` is the first line of ``top.csv``, and so on. Accuracy is that after the last
    epoch; the front is of the reward before a budget and of its cost, by default the parameters.
    """
    for name, ranked in (("top", derived.top), ("pareto", derived.front)):
        shutil.rmtree(folder / name, ignore_errors=True)  # of before the run was resumed
        if ranked:
            _write(name, ranked, folder)


def _write(name: str, ranked: Sequence[RankedArchitecture], folder: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for place, one in enumerate(ranked, start=1):
        file = Path(name) / f"{place}.json"
        write_architecture(one.architecture, folder / file)
        writer.writerow([*list_figures(one), file])
    replace_text(folder / f"{name}.csv", text.getvalue())


def list_figures(one: RankedArchitecture) -> list[float | None]:
    """Return what is known of an architecture, in the order of ``COLUMNS``, without the last."""
    outcome = one.trial.outcome
    return [
        one.trial.number,
        one.trial.reward,
        outcome.accuracies[-1] if outcome.accuracies else None,
        outcome.parameters,
        outcome.multiply_adds,
        outcome.latency,
    ]


def format_top(top: Sequence[RankedArchitecture]) -> str:
    """Return the best as lines for a terminal, ten at most."""
    lines = [f"{'the best':<14}{'trial':>7}{'reward':>9}{'accuracy':>10}{'parameters':>13}"]
    for place, one in enumerate(top[:SHOWN], start=1):
        outcome = one.trial.outcome
        accuracy = f"{outcome.accuracies[-1]:.2%}" if outcome.accuracies else ""
        parameters = "" if outcome.parameters is None else f"{outcome.parameters:,}"
        name = f"top/{place}.json"
        line = f"{name:<14}{one.trial.number:>7}{one.trial.reward:>9.4f}{accuracy:>10}"
        lines.append(f"{line}{parameters:>13}".rstrip())
    return "\n".join(lines)
