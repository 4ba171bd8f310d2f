"""One page of several runs of a search: what holds over seeds, and what was luck."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from lightning_nas.errors import InputError
from lightning_nas.files import replace_text
from lightning_nas.report import charts
from lightning_nas.report.charts_search import Chart
from lightning_nas.report.html import render, render_charts
from lightning_nas.report.inline import inline_architecture
from lightning_nas.report.progress import compare_arms, list_rewards
from lightning_nas.report.record import NoTrialsError, RunRecord, read_run
from lightning_nas.report.statistics import Mean, compare_pairs, mean_of
from lightning_nas.report.words import ANSWERS, CHANCE, TONES, describe_difference, duration, number
from lightning_nas.storage.run_folder import shell_path
from lightning_nas.storage.trial import POLICY

CURVE = 20  # points of a curve
FEWEST_SEEDS = 3
HEAD = (
    "run", "seed", "evaluated", "best reward", "search", "chance", "difference", "verdict", "time"
)  # fmt: skip
UNLIKE = ("seed", "paths", "resume")  # settings in which runs may differ


def write_common_report(
    folders: Sequence[Path], path: Path, found: Collection[Path] = frozenset()
) -> Path:
    """Write one page of several searches, in one step, and return its path.

    Args:
        folders: The run folders.
        path: Of the page.
        found: Those of them that nobody has named: they are left out where they have no trials yet.

    Raises:
        InputError: If a folder is not that of a search, or given twice, or has no trials.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("a run folder is given twice")
    records, begun = [], []
    for folder in folders:
        try:
            records.append(read_run(folder))
        except NoTrialsError:
            if folder not in found:
                raise
            begun.append(folder)
    if not records:
        raise NoTrialsError(begun[0])
    replace_text(path, render("runs.html", **page_of(records, folders, begun)))
    return path


def page_of(
    records: Sequence[RunRecord], folders: Sequence[Path], begun: Sequence[Path] = ()
) -> dict[str, Any]:
    """Return all that the page says of some runs, and of others that have no trials yet."""
    when, measured = _measured(records)
    unlike = find_differing_settings([record.config for record in records])
    names = [_name(record) for record in records]
    contents = [("summary", "Summary"), ("reward", "Reward"), ("runs", "Runs"), ("best", "Best")]
    return {
        "title": ", ".join(dict.fromkeys(record.name for record in records)),
        "subtitle": f"{len(records)} runs, seeds {', '.join(str(r.seed) for r in records)}.",
        "contents": [*contents, *([("configuration", "Settings that differ")] if unlike else [])],
        "again": " ".join(map(shell_path, folders)),
        "warnings": _warnings(records, unlike, begun),
        "verdict": _verdict(records, when, measured),
        "facts": _facts(records),
        "reward": render_charts(_charts(records)),
        "head": HEAD,
        "rows": [_row(record, when) for record in records],
        "best": [
            {
                "name": name,
                "svg": inline_architecture(
                    record.best[0].architecture, f"run{place}", f"Best of {name}"
                ),
                "words": f"reward {record.best[0].trial.reward:.4f}, trial "
                f"{record.best[0].trial.number}.",
            }
            for place, (record, name) in enumerate(zip(records, names, strict=True))
            if record.best
        ],
        "settings": [[name, ", ".join(map(str, values))] for name, values in unlike.items()],
    }


def _name(record: RunRecord) -> str:
    return f"{record.name}, seed {record.seed}"


def find_differing_settings(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return settings, by their dotted names, that are not the same in all, with their values.

    >>> differing([{"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2}])
    {'a.b': [1, 3]}
    """
    flat = [dict(_flat(config)) for config in configs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    values = {name: [settings.get(name) for settings in flat] for name in names}
    return {name: found for name, found in values.items() if any(v != found[0] for v in found)}


def _flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _warnings(
    records: Sequence[RunRecord], unlike: Mapping[str, Any], begun: Sequence[Path]
) -> list[str]:
    partial = [
        f"{shell_path(record.folder)}: {record.partial}" for record in records if record.partial
    ]
    warnings = [f"partial: {'; '.join(partial)}."] if partial else []
    if begun:
        warnings.append(
            f"left out, for nothing has ended in them: {', '.join(map(shell_path, begun))}."
        )
    more = [name for name in unlike if name.split(".")[0] not in UNLIKE]
    if more:
        warnings.append(f"the runs differ in more than their seeds: {', '.join(more[:6])}.")
    return warnings


def _verdict(records: Sequence[RunRecord], when: str, measured: Sequence[float]) -> dict[str, str]:
    if all(record.uniform for record in records):
        return {"answer": CHANCE, "tone": "", "words": "these searches draw uniformly."}
    over = compare_pairs(measured, FEWEST_SEEDS)
    if len(measured) < FEWEST_SEEDS:
        words = (
            f"Not enough data: {len(measured)} of the runs have a random arm beside them, "
            f"{FEWEST_SEEDS} are the fewest."
        )
        return {"answer": "", "tone": "", "words": words}
    words = (
        f"Over {len(measured)} of {len(records)} runs, {when}, the mean reward of what the "
        f"search proposed less that of its random arm: {describe_difference(over)}"
    )
    return {"answer": ANSWERS[over.verdict], "tone": TONES[over.verdict], "words": words}


def _measured(records: Sequence[RunRecord]) -> tuple[str, list[float]]:
    """Return the part of the search that most runs have a comparison of, and their differences.

    Runs that did not come to their ranking at the end have only those of the search itself, and
    runs that draw uniformly have none.
    """
    found: dict[str, list[float]] = {}
    for record in (one for one in records if not one.uniform):
        for one in compare_arms(record):
            if one.control.count and one.policy.count:
                found.setdefault(one.when, []).append(one.difference.value)
    return max(found.items(), key=lambda pair: len(pair[1]), default=("", []))


def _facts(records: Sequence[RunRecord]) -> list[tuple[str, str, str]]:
    best = mean_of([r.best[0].trial.reward for r in records if r.best])
    seconds = [r.summary["seconds"] for r in records if "seconds" in r.summary]
    half = f"± {best.half:.4f} (95 %)" if best.count > 1 else ""
    facts = [
        *([("best reward, mean", f"{best.value:.4f}", half)] if best.count else []),
        ("runs", number(len(records)), ""),
        ("evaluations", number(sum(r.evaluated for r in records)), "of all runs"),
    ]
    return [*facts, *([("time", duration(sum(seconds)), "in all")] if seconds else [])]


def _row(record: RunRecord, when: str) -> list[Any]:
    found = compare_arms(record)
    first = next((one for one in found if one.when == when), found[0])
    compared = first.policy.count > 0 and first.control.count > 0 and not record.uniform
    return [
        record.folder.name,
        record.seed,
        number(record.evaluated),
        f"{record.best[0].trial.reward:.4f}" if record.best else "",
        _short(first.policy),
        _short(first.control),
        f"{first.difference.value:+.4f}" if compared else "",
        "chance itself" if record.uniform else first.difference.verdict,
        duration(record.summary["seconds"]) if "seconds" in record.summary else "",
    ]


def _short(found: Mean) -> str:
    half = f" ± {found.half:.4f}" if math.isfinite(found.half) else ""
    return f"{found.value:.4f}{half}" if found.count else "none"


def _charts(records: Sequence[RunRecord]) -> Iterator[Chart]:
    """Yield curves over parts of the search, averaged over runs."""
    figure, axes = charts.chart("part of the search (%)", "reward")
    curves = [_curve(list_rewards(record.of(POLICY))) for record in records if record.of(POLICY)]
    for curve in curves:
        axes.plot(*curve, color=charts.POLICY_COLOUR, linewidth=0.6, alpha=0.35)
    charts.band(axes, _averaged(curves), charts.POLICY_COLOUR, "search")
    control = [_curve(list_rewards(record.control())) for record in records if record.control()]
    if control:
        charts.band(axes, _averaged(control), charts.CONTROL_COLOUR, "random")
    charts.legend(axes)
    yield Chart(
        "reward",
        "Reward, averaged over runs",
        "Each run is divided into parts; the thick lines are means over runs, the bands their 95 % "
        "intervals, the thin lines single runs.",
        figure,
    )
    if not any(record.shared for record in records):
        figure, axes = charts.chart("part of the search (%)", "best reward so far")
        best = [
            _best_so_far(list_rewards(record.of(POLICY))) for record in records if record.of(POLICY)
        ]
        for curve in best:
            axes.plot(*curve, color=charts.BEST_COLOUR, linewidth=0.6, alpha=0.35)
        charts.band(axes, _averaged(best), charts.BEST_COLOUR, "best so far")
        yield Chart(
            "best-so-far",
            "Best so far, averaged over runs",
            "The highest reward up to each part of the search; the band is the 95 % interval over "
            "runs, the thin lines are single runs.",
            figure,
        )


Curve = tuple[list[float], list[float]]


def _curve(values: Sequence[float]) -> Curve:
    """Return the means of parts of a search, at the same places in every run.

    In a run of fewer values than parts, neighbouring parts have the same value.
    """
    count = len(values)
    edges = [place * count // CURVE for place in range(CURVE + 1)]
    parts = [values[first : max(first + 1, last)] for first, last in pairwise(edges)]
    return [100 * (place + 0.5) / CURVE for place in range(CURVE)], list(map(fmean, parts))


def _best_so_far(values: Sequence[float]) -> Curve:
    ends = [max(1, round(place * len(values) / CURVE)) for place in range(1, CURVE + 1)]
    at = [100 * place / CURVE for place in range(1, CURVE + 1)]
    return at, [max(values[:end]) for end in ends]


def _averaged(curves: Sequence[Curve]) -> charts.Band:
    values: dict[float, list[float]] = {}
    for at, found in curves:
        for place, value in zip(at, found, strict=True):
            values.setdefault(place, []).append(value)
    places = sorted(values)
    means: list[Mean] = [mean_of(values[place]) for place in places]
    return places, means
