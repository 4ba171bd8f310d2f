"""One page for several runs of a search: what holds over seeds, and what varies between them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import escape

from lightning_nas.errors import InputError
from lightning_nas.files import replace_text
from lightning_nas.report.best_reward import explain_best_rewards
from lightning_nas.report.charts_runs import chart_groups
from lightning_nas.report.comparison import (
    SHORT_VERDICTS,
    compare_arms,
    format_short_mean,
)
from lightning_nas.report.group_pairs import (
    PAIR_HEAD,
    compare_groups,
    describe_against_random_search,
    describe_best,
    describe_pairs,
    rank_groups,
)
from lightning_nas.report.groups import (
    Group,
    choose_comparisons,
    describe_group_verdict,
    find_differing_settings,
    group_runs,
    list_settings,
)
from lightning_nas.report.inline import inline_architecture
from lightning_nas.report.judged import list_comparisons
from lightning_nas.report.page import render_charts, render_page
from lightning_nas.report.record import NoTrialsError, RunRecord, read_run
from lightning_nas.report.statistics import estimate_mean
from lightning_nas.report.table import format_duration, format_number
from lightning_nas.report.verdict import Verdict
from lightning_nas.storage.run_folder import RunFolder, display_path, find_common_parent, shell_path

GROUP_HEAD = ("group", "runs", "best reward", "against its random arm")
HEAD = (
    "run", "group", "seed", "evaluated", "best reward", "search", "random arm", "difference",
    "verdict", "time",
)  # fmt: skip


def find_runs(path: Path) -> list[Path]:
    """Return the folder itself if it is a run, or else the runs in it, ordered by number."""
    if RunFolder(path).is_run or not path.is_dir():
        return [path]
    runs = [folder for folder in path.iterdir() if folder.is_dir() and RunFolder(folder).is_run]
    return sorted(runs, key=lambda run: (len(run.name), run.name)) or [path]


def choose_page(folders: Sequence[Path]) -> Path:
    """Return the file of the page for several runs: ``report.html`` beside them.

    Raises:
        InputError: If that file exists, it is not a page of the same runs, and other runs stand
            beside the given ones.
    """
    path = _default_page(folders)
    beside = {folder.resolve() for folder in find_runs(path.parent)}
    is_alone = beside == {folder.resolve() for folder in folders}
    same = f"lightning_nas.report {escape(_list_paths(folders))}</code>"
    if path.exists() and not is_alone and same not in _read(path):
        raise InputError(
            f"{display_path(path)} may be the report of other runs; name the file to write: "
            "-o FILE.html"
        )
    return path


def _default_page(folders: Sequence[Path]) -> Path:
    return RunFolder(find_common_parent(folders)).report


def write_common_report(
    folders: Sequence[Path],
    path: Path | None = None,
    found: Collection[Path] = frozenset(),
    named: Collection[str] = (),
) -> Path:
    """Write one page for several searches, in one step, and return its path.

    Args:
        folders: Run folders.
        path: File to write; None = ``report.html`` beside the runs.
        found: Those of ``folders`` that the user did not name. They are left out if they have no
            trials yet.
        named: Classes outside of this package that a run may name (``trust.py``).

    Raises:
        InputError: If a folder is not that of a search, is given twice, or has no trials, or if
            ``path`` is None and the file may be the report of other runs.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("a run folder is given twice")
    path = path or choose_page(folders)
    records, empty = read_runs(folders, found, named)
    write_records(records, folders, empty, path)
    return path


def read_runs(
    folders: Sequence[Path], found: Collection[Path], named: Collection[str]
) -> tuple[list[RunRecord], list[Path]]:
    """Return the searches, and the folders that have no trials yet.

    Arguments and errors as those of ``write_common_report``.
    """
    records, empty = [], []
    for folder in folders:
        try:
            records.append(read_run(folder, named))
        except NoTrialsError:
            if folder not in found:
                raise
            empty.append(folder)
    if not records:
        raise NoTrialsError(empty[0])
    return records, empty


def write_records(
    records: Sequence[RunRecord], folders: Sequence[Path], empty: Sequence[Path], path: Path
) -> None:
    """Write one page for several searches that have been read.

    Args:
        records: Searches.
        folders: All run folders, for the command that writes the page again.
        empty: Those of ``folders`` without trials.
        path: File to write.
    """
    output = "" if path == _default_page(folders) else f" -o {shell_path(path)}"
    content = {
        **_build_common_page(records, empty),
        "report_arguments": _list_paths(folders) + output,
    }
    replace_text(path, render_page("runs.html", content))


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8", errors="replace")


def _list_paths(folders: Sequence[Path]) -> str:
    return " ".join(map(shell_path, folders))


def describe_groups(records: Sequence[RunRecord]) -> list[str]:
    """Return which group of runs is best, in one line for each group and a sentence.

    The result is empty for a single group.
    """
    groups = group_runs(records)
    if len(groups) < 2:
        return []
    width = max(len(group.name) for group in groups)
    lines = [
        f"{group.name:<{width}}  best {format_short_mean(group.estimate_best())}, "
        f"{len(group.records)} run{'s' * (len(group.records) > 1)}"
        for group in rank_groups(groups)
    ]
    pairs = compare_groups(groups)
    words = [
        describe_best(groups, pairs),
        describe_against_random_search(pairs),
        explain_best_rewards(groups),
    ]
    return [*lines, *filter(None, words), ""]


def _build_common_page(records: Sequence[RunRecord], empty: Sequence[Path]) -> dict[str, Any]:
    """Return the content of the page, by the names in ``runs.html``; without the footer."""
    groups = group_runs(records)
    pairs = compare_groups(groups)
    unlike = find_differing_settings([group.records[0].config for group in groups])
    settings = list_settings(unlike)
    contents = [("summary", "Summary"), ("reward", "Reward"), ("runs", "Runs"), ("best", "Best")]
    return {
        "title": ", ".join(dict.fromkeys(record.name for record in records)),
        "subtitle": _count_runs(records, groups),
        "contents": [*contents, *([("configuration", "Settings that differ")] if settings else [])],
        "warnings": _list_warnings(records, unlike, empty),
        "verdict": _describe_all(groups),
        "best_group": describe_best(groups, pairs),
        "are_by_trials": not any(record.shares_weights for record in records),
        "against_random_search": describe_against_random_search(pairs),
        "group_head": GROUP_HEAD,
        "group_rows": list_groups(groups) if len(groups) > 1 else [],
        "pair_head": PAIR_HEAD,
        "pair_rows": describe_pairs(pairs),
        "facts": _list_facts(records),
        "best_reward": explain_best_rewards(groups),
        "reward": render_charts(chart_groups(groups)),
        "head": HEAD,
        "rows": [
            _describe_row(group.name, record, next(iter(choose_comparisons(group))))
            for group in groups
            for record in group.records
        ],
        "best": [
            {
                "title": f"{group.name}, seed {record.seed}",
                "svg": inline_architecture(
                    one.architecture,
                    f"run{place}-{number}",
                    f"Best of {group.name}, seed {record.seed}",
                ),
                "summary": f"reward {one.trial.reward:.4f}, trial {one.trial.number}",
                "words": "",
            }
            for place, group in enumerate(groups)
            for number, record in enumerate(group.records)
            for one in record.best[:1]
        ],
        "settings_head": ["setting", *(group.name for group in groups)],
        "settings": settings,
    }


def _count_runs(records: Sequence[RunRecord], groups: Sequence[Group]) -> str:
    """Return the number of runs and groups, and all seeds."""
    seeds = ", ".join(dict.fromkeys(str(record.seed) for record in records))
    in_groups = f" in {len(groups)} groups of equal settings" if len(groups) > 1 else ""
    return f"{len(records)} runs{in_groups}, seeds {seeds}."


def _list_warnings(
    records: Sequence[RunRecord], unlike: Mapping[str, Any], empty: Sequence[Path]
) -> list[str]:
    warnings = []
    partial = [f"{shell_path(r.folder)}: {r.partial_reason}" for r in records if r.partial_reason]
    if partial:
        warnings.append(f"some runs are partial: {'; '.join(partial)}.")
    if empty:
        folders = ", ".join(map(shell_path, empty))
        warnings.append(f"these runs are left out, because they have no trials yet: {folders}.")
    others = [row[0] for _, rows in list_settings(unlike) for row in rows]
    if others and "method_name" not in unlike:  # different methods are a comparison on purpose
        warnings.append(
            f"the runs differ in more than their seeds: {', '.join(others[:6])}. "
            "Each group of equal settings has its own verdict."
        )
    return warnings


def _describe_all(groups: Sequence[Group]) -> Verdict:
    """Return the verdict on a single group, or the verdicts on all groups in one paragraph."""
    verdicts = [describe_group_verdict(group) for group in groups]
    if len(groups) == 1:
        return verdicts[0]
    answers = [
        f"{group.name}: {one.short_answer}" for group, one in zip(groups, verdicts, strict=True)
    ]
    words = "By the mean reward, each search against the random arm inside its runs"
    return Verdict("", f"{words}: {'; '.join(answers)}.")


def list_groups(groups: Sequence[Group]) -> list[list[Any]]:
    """Return the rows of the table with the columns ``GROUP_HEAD``, the best group first."""
    return [_describe_group(group) for group in rank_groups(groups)]


def _describe_group(group: Group) -> list[Any]:
    """Return the row of a group in the table with the columns ``GROUP_HEAD``."""
    verdict = describe_group_verdict(group)
    return [
        group.name,
        len(group.records),
        format_short_mean(group.estimate_best()),
        " ".join(filter(None, (verdict.answer, verdict.words, verdict.command))),
    ]


def _list_facts(records: Sequence[RunRecord]) -> list[tuple[str, str, str]]:
    seconds = [r.summary["seconds"] for r in records if "seconds" in r.summary]
    facts = [
        *_describe_best(records),
        ("runs", format_number(len(records)), ""),
        ("evaluations", format_number(sum(r.evaluation_count for r in records)), "of all runs"),
    ]
    return [*facts, *([("time", format_duration(sum(seconds)), "in total")] if seconds else [])]


def _describe_best(records: Sequence[RunRecord]) -> list[tuple[str, str, str]]:
    """Return the fact "best reward"; none if the runs differ in more than their seeds."""
    best = estimate_mean([r.best[0].trial.reward for r in records if r.best])
    if not best.count or len(group_runs(records)) > 1:
        return []
    half = f"± {best.half:.4f} (95 %)" if best.count > 1 else ""
    return [("best reward, mean", f"{best.value:.4f}", half)]


def _describe_row(group: str, record: RunRecord, when: str) -> list[Any]:
    """Return the row of a run in the table with the columns ``HEAD``."""
    comparisons = list_comparisons(record) or compare_arms(record)
    shown = next((one for one in comparisons if one.when == when), comparisons[0])
    is_compared = shown.has_both_arms and not record.is_random_search
    verdict = SHORT_VERDICTS[shown.difference.verdict]
    return [
        record.folder.name,
        group,
        record.seed,
        format_number(record.evaluation_count),
        f"{record.best[0].trial.reward:.4f}" if record.best else "",
        format_short_mean(shown.search),
        format_short_mean(shown.random_arm),
        f"{shown.difference.value:+.4f}" if is_compared else "",
        "not compared" if record.is_random_search else verdict,
        format_duration(record.summary["seconds"]) if "seconds" in record.summary else "",
    ]
