"""``report.html``: a search on one page that needs no network, no script and no other file.

From Python ``write_report``, from the command line ``python -m lightning_nas.report RUN``.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lightning_nas.files import replace_text
from lightning_nas.report.charts_search import (
    COST_NAMES,
    Chart,
    arm_charts,
    choice_charts,
    controller_charts,
    front_chart,
    reward_charts,
    seconds_chart,
)
from lightning_nas.report.inline import inline_architecture, inline_figure
from lightning_nas.report.judged import describe_weight_sharing
from lightning_nas.report.progress import RULE, Collapse, compare_arms, find_collapse
from lightning_nas.report.record import RunRecord, read_run
from lightning_nas.report.words import (
    describe_comparisons,
    describe_verdict,
    duration,
    number,
)
from lightning_nas.search.result import RankedArchitecture
from lightning_nas.storage.run_folder import shell_path
from lightning_nas.storage.trial import DERIVED, FINALIST, POLICY, RANDOM, Trial

NAME = "report.html"
SECTIONS = {
    "summary": "Summary",
    "reward": "Reward",
    "arms": "Controller against uniform",
    "controller": "Controller",
    "choices": "What was chosen",
    "best": "Top ten",
    "front": "Pareto front",
    "cost": "Cost",
    "sharing": "Weight sharing",
    "configuration": "Configuration",
}
MEANS = "Mean rewards, ± half of their 95 % intervals."
IDS = {"arms": "arms-beside"}


def write_report(folder: Path) -> Path:
    """Write the report of a search into its run folder, in one step, and return its path.

    The same run gives the same bytes, from the same working directory.

    Raises:
        InputError: If the folder is not that of a search, or there are no trials yet.
    """
    record = read_run(folder)
    path = folder / NAME
    replace_text(path, render("run.html", **page_of(record)))
    return path


def render(template: str, **content: Any) -> str:
    """Return a page."""
    environment = Environment(
        loader=PackageLoader("lightning_nas.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**content)


def page_of(record: RunRecord) -> dict[str, Any]:
    """Return all that the page of a run says."""
    found = find_collapse(record)
    front = front_chart(record)
    failed = [trial for trial in record.trials if trial.outcome.error and trial.same_as is None]
    seconds = seconds_chart(record)
    content: dict[str, Any] = {
        "title": record.name,
        "subtitle": _subtitle(record),
        "again": shell_path(record.folder),
        "partial": record.partial,
        "resume_line": record.resume_line,
        "train_line": record.train_line,
        "verdict": describe_verdict(record),
        "comparisons": [] if record.uniform else describe_comparisons(compare_arms(record)),
        "compared_note": _compared_note(record),
        "facts": _facts(record),
        "reward": render_charts(reward_charts(record)),
        "arms": render_charts(arm_charts(record)) if record.shared and not record.uniform else [],
        "controller": render_charts(controller_charts(record)),
        "collapse": found and _collapse(found),
        "rule": RULE,
        "choices": render_charts(choice_charts(record)),
        "best": [_best(record, one, place) for place, one in enumerate(record.best, start=1)],
        "chosen": [
            inline_architecture(one.architecture, "chosen", "The best architecture")
            for one in record.best[:1]
        ],
        "front": render_charts([front])[0] if front else None,
        "front_head": ["trial", COST_NAMES[record.cost], "accuracy reward"],
        "front_rows": [
            [
                one.trial.number,
                number(getattr(one.trial.outcome, record.cost)),
                f"{one.trial.outcome.reward:.4f}",
            ]
            for one in record.front
        ],
        "seconds": render_charts([seconds])[0] if seconds else None,
        "errors": Counter(trial.outcome.error for trial in failed).most_common(10),
        "failed": number(len(failed)),
        "evaluated": number(record.evaluated),
        "sharing": describe_weight_sharing(record.folder),
        "configuration": record.configuration,
    }
    always = {"summary", "cost", "configuration"}
    content["contents"] = [
        (IDS.get(name, name), title)
        for name, title in SECTIONS.items()
        if name in always or content[name]
    ]
    return content


def render_charts(charts: Iterable[Chart]) -> list[dict[str, Any]]:
    """Return charts as the templates draw them."""
    return [
        {
            "name": f"chart-{chart.name}",
            "title": chart.title,
            "caption": chart.caption,
            "svg": inline_figure(chart.figure, chart.name, chart.title),
        }
        for chart in charts
    ]


def _subtitle(record: RunRecord) -> str:
    evaluated = f"{number(record.evaluated)} evaluations"
    if record.repeats:
        evaluated += f", {number(record.repeats)} more proposals of what had been evaluated"
    images = f" on {record.summary['data']}" if "data" in record.summary else ""
    return f"{record.method}{images}, seed {record.seed}: {evaluated}; searched: {record.space}."


def _compared_note(record: RunRecord) -> str:
    if record.shared:
        return (
            f"{MEANS} Chance: uniformly drawn architectures under the same weights. At the "
            "end both are ranked on the whole validation split; within the search epochs are "
            "compared, each with its own."
        )
    when = "at the same time, as the space grows" if record.grows else "during the whole search"
    return (
        f"{MEANS} Chance: the random arm, drawn uniformly and evaluated alike {when}. "
        "An architecture that was proposed again counts again in the mean, but is one evaluation "
        "in the interval."
    )


def _facts(record: RunRecord) -> list[tuple[str, str, str]]:
    """Return the large figures of the summary: name, value, note."""
    facts = []
    if record.best:
        trial = record.best[0].trial
        outcome = trial.outcome
        accuracy = _accuracy(record, trial)
        if accuracy:
            facts.append(("accuracy, last epoch", accuracy, "validation"))
        note = "validation accuracy, shared weights" if record.shared else ""
        trained = trial.proposal.arm == FINALIST
        facts.insert(
            0, ("best reward", f"{trial.reward:.4f}", "of the finalists" if trained else note)
        )
        alone = "as a network of its own" if record.shared else "of the best"
        for name in ("parameters", "multiply_adds"):
            value = getattr(outcome, name)
            if value:
                facts.append((COST_NAMES[name], number(value), alone))
    facts.append(("evaluations", number(record.evaluated), _arms(record)))
    if record.repeats:
        facts.append(("proposed again", number(record.repeats), "outcomes copied"))
    if "seconds" in record.summary:
        facts.append(("time", duration(record.summary["seconds"]), ""))
    return facts


def _arms(record: RunRecord) -> str:
    """Return how many evaluations each arm had."""
    names = {
        POLICY: "of the search",
        RANDOM: "drawn uniformly",
        DERIVED: "derived",
        FINALIST: "of finalists",
    }
    counts = {
        name: sum(trial.same_as is None for trial in record.of(arm)) for arm, name in names.items()
    }
    return ", ".join(f"{number(count)} {name}" for name, count in counts.items() if count)


def _accuracy(record: RunRecord, trial: Trial) -> str:
    """Return the accuracy of the last epoch of a training; empty where there was none."""
    trained = not record.shared or trial.proposal.arm == FINALIST
    return f"{trial.outcome.accuracies[-1]:.2%}" if trained and trial.outcome.accuracies else ""


def _collapse(found: Collapse) -> dict[str, Any]:
    same = f"the commonest of the last {found.last} is {found.same:.0%} of them"
    entropy = "" if found.entropy is None else f"; entropy {found.entropy:.1%} of a uniform draw's"
    return {"collapsed": found.collapsed, "words": f"{same}{entropy}."}


def _best(record: RunRecord, one: RankedArchitecture, place: int) -> dict[str, Any]:
    trial, outcome = one.trial, one.trial.outcome
    words = [f"reward {trial.reward:.4f}"]
    accuracy = _accuracy(record, trial)
    if accuracy:
        words.append(f"accuracy {accuracy}")
    words += [
        f"{number(getattr(outcome, name))} {COST_NAMES[name]}"
        for name in ("parameters", "multiply_adds")
        if getattr(outcome, name)
    ]
    if outcome.seconds and not record.tabular:
        words.append(duration(outcome.seconds))
    said = {RANDOM: "drawn at random", FINALIST: "a finalist, trained for longer"}
    if trial.proposal.arm in said:
        words.append(said[trial.proposal.arm])
    title = f"Architecture of trial {trial.number}"
    return {
        "number": trial.number,
        "svg": inline_architecture(one.architecture, f"top{place}", title),
        "words": ", ".join(words) + ".",
    }
