"""``report.html``: a search on one page."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from lightning_nas.evaluation.budget import find_least_above
from lightning_nas.files import replace_text
from lightning_nas.judge.facts import describe_weight_sharing
from lightning_nas.report.best_reward import explain_best_reward
from lightning_nas.report.charts_search import (
    COST_NAMES,
    chart_arms,
    chart_choices,
    chart_controller,
    chart_front,
    chart_rewards,
    chart_seconds,
)
from lightning_nas.report.comparison import (
    HEAD,
    describe_comparisons,
)
from lightning_nas.report.inline import inline_architecture
from lightning_nas.report.judged import list_comparisons
from lightning_nas.report.page import read_samples, render_charts, render_page
from lightning_nas.report.record import RunRecord, read_run
from lightning_nas.report.shares import COLLAPSE_RULE, find_collapse
from lightning_nas.report.table import format_duration, format_number
from lightning_nas.report.training import is_training, write_training_report
from lightning_nas.report.verdict import describe_short_search, describe_verdict
from lightning_nas.search.result import RankedArchitecture
from lightning_nas.storage.run_folder import COMPLETE, RunFolder, shell_path
from lightning_nas.storage.trial import DERIVED, FINALIST, POLICY, RANDOM, Trial

SECTIONS = {  # titles, by key of the content of the page
    "summary": "Summary",
    "reward": "Reward",
    "choices": "Choices",
    "best": "Top ten",
    "front": "Pareto front",
    "cost": "Cost",
    "sharing": "Weight sharing",
    "configuration": "Configuration",
}


def write_report(folder: Path, named: Collection[str] = ()) -> Path:
    """Write ``report.html`` into the run folder of a search or a training, and return its path.

    The content depends only on the run folder and the working directory.

    Raises:
        InputError: If the folder is of another command, or no trial or epoch has ended yet.
    """
    if is_training(folder):
        return write_training_report(folder)
    record = read_run(folder, named)
    path = RunFolder(folder).report
    replace_text(path, render_page("run.html", build_page(record)))
    return path


def build_page(record: RunRecord) -> dict[str, Any]:
    """Return the values of the variables in the template ``run.html``."""
    has_arms = record.shares_weights and not record.is_random_search
    arms = chart_arms(record) if has_arms else ()
    controller = list(chart_controller(record))
    front, seconds = chart_front(record), chart_seconds(record)
    failed = [trial for trial in record.trials if trial.outcome.error and trial.same_as is None]
    content: dict[str, Any] = {
        "title": record.name,
        "subtitle": _describe_run(record),
        "report_arguments": shell_path(record.folder),
        "partial": record.partial_reason,
        "is_complete": record.summary.get("status") == COMPLETE,
        "resume_command": record.resume_command,
        "train_command": record.train_command,
        "train_data": _name_training_data(record),
        "verdict": describe_verdict(record),
        "comparison_head": HEAD,
        "comparisons": describe_comparisons(list_comparisons(record)),
        "comparison_note": _explain_comparison(record),
        "facts": _list_facts(record),
        "best_reward": explain_best_reward([record]),
        "data": read_samples(RunFolder(record.folder), record.summary),
        "reward_title": "Reward and controller" if controller else "Reward",
        "reward": render_charts([*chart_rewards(record), *arms, *controller]),
        "collapse": find_collapse(record),
        "short_search": describe_short_search(record),
        "collapse_rule": COLLAPSE_RULE,
        "choices": render_charts(chart_choices(record)),
        "best": [
            {
                "title": f"{place}. trial {one.trial.number}",
                "svg": inline_architecture(
                    one.architecture, f"top{place}", f"Architecture of trial {one.trial.number}"
                ),
                "summary": _summarise_architecture(one),
                "words": _describe_architecture(record, one),
            }
            for place, one in enumerate(record.best, start=1)
        ],
        "chosen": [
            inline_architecture(one.architecture, "chosen", "The best architecture")
            for one in record.best[:1]
        ],
        "front": render_charts([front])[0] if front else None,
        "budget": _describe_budget(record),
        "front_head": ["trial", COST_NAMES[record.cost], "accuracy reward"],
        "front_rows": [
            [
                one.trial.number,
                format_number(getattr(one.trial.outcome, record.cost)),
                f"{one.trial.outcome.reward:.4f}",
            ]
            for one in record.front
        ],
        "seconds": render_charts([seconds])[0] if seconds else None,
        "errors": Counter(trial.outcome.error for trial in failed).most_common(10),
        "failed": format_number(len(failed)),
        "evaluations": format_number(record.evaluation_count),
        "sharing": describe_weight_sharing(RunFolder(record.folder)),
        "configuration": record.configuration,
    }
    always = {"summary", "cost", "configuration"}
    content["contents"] = [
        (name, title) for name, title in SECTIONS.items() if name in always or content[name]
    ]
    return content


def _describe_run(record: RunRecord) -> str:
    evaluations = f"{format_number(record.evaluation_count)} evaluations"
    if record.repeat_count:
        evaluations += f", {format_number(record.repeat_count)} repeated proposals"
    data = f" on {record.summary['data']}" if "data" in record.summary else ""
    return f"{record.method}{data}, seed {record.seed}, {evaluations}. Space: {record.space}."


def _explain_comparison(record: RunRecord) -> str:
    """Return the note below the table of comparisons."""
    note = "Mean rewards ± half of the 95 % interval. Random arm: uniformly sampled architectures,"
    if record.shares_weights:
        return (
            f"{note} scored with the same shared weights. These weights were trained on samples of "
            "the controller, so they favour what the controller prefers; weights that were trained "
            "on uniform samples favour nothing, but rank by short training in common. Only "
            "networks that are trained from scratch answer the question. At the end both arms are "
            "ranked on the whole validation split; during the search each epoch is compared with "
            "its own random arm."
        )
    growing = " in the same period, because the space grows" if record.has_growing_space else ""
    if _find_rungs(record):
        note = (
            f"{note} Children of both arms stop early by the same rule; one that stops keeps its "
            "low accuracy, so the difference is larger than after whole trainings. Architectures "
            "of the random arm are"
        )
    return (
        f"{note} evaluated in the same way{growing}. A repeated proposal counts again in the mean, "
        "but not as an evaluation in the interval."
    )


def _list_facts(record: RunRecord) -> list[tuple[str, str, str]]:
    """Return the facts in the section Summary, each as name, value and note."""
    facts = []
    if record.best:
        trial = record.best[0].trial
        if trial.proposal.arm == FINALIST:
            note = "of a finalist"
        else:
            note = "validation accuracy, shared weights" if record.shares_weights else ""
        facts.append(("best reward", f"{trial.reward:.4f}", note))
        accuracy = _format_accuracy(record, trial)
        if accuracy:
            facts.append(("accuracy, last epoch", accuracy, "validation"))
        note = "as a child" if record.shares_weights else "of the best"
        facts += [
            (COST_NAMES[name], format_number(value), note)
            for name in ("parameters", "multiply_adds")
            if (value := getattr(trial.outcome, name))
        ]
    facts.append(("evaluations", format_number(record.evaluation_count), _count_arms(record)))
    if rungs := _find_rungs(record):
        facts.append(_count_epochs(record, rungs))
    if record.repeat_count:
        facts.append(("proposed again", format_number(record.repeat_count), "outcomes copied"))
    if "seconds" in record.summary:
        facts.append(("time", format_duration(record.summary["seconds"]), ""))
    return facts


def _describe_budget(record: RunRecord) -> str:
    """Return target and formula of the budget, and whether any architecture met it."""
    if record.target is None:
        return ""
    name, exponent = COST_NAMES[record.cost], record.budget.get("exponent", 0)
    target = format_number(int(record.target) if record.target >= 1000 else record.target)
    words = (
        f"Budget: the reward is the accuracy reward times ({name} / {target}) to the power of "
        f"{exponent:g}."
    )
    least = find_least_above(record.trials, record.cost, record.target)
    if least is None:
        return words
    return f"{words} No architecture met the target: the lowest is {format_number(least)}."


def _find_rungs(record: RunRecord) -> Sequence[int]:
    """Return the epochs after which children could stop; empty if the search trains none."""
    evaluation = record.config.get("evaluation") or {}
    if record.shares_weights or "epochs" not in evaluation:
        return ()
    return evaluation.get("rungs") or ()


def _count_epochs(record: RunRecord, rungs: Sequence[int]) -> tuple[str, str, str]:
    """Return the fact on early stopping: the epochs of all children, and how many stopped."""
    trained = [
        trial.outcome
        for arm in (POLICY, RANDOM)
        for trial in record.select_arms(arm)
        if trial.same_as is None and trial.outcome.error is None
    ]
    whole = int(record.config["evaluation"]["epochs"])
    stopped = sum(len(outcome.accuracies) < whole for outcome in trained)
    epochs = format_number(sum(len(outcome.accuracies) for outcome in trained))
    note = (
        f"of {format_number(whole * len(trained))}: {format_number(stopped)} children stopped "
        f"after epoch {' or '.join(map(str, rungs))}"
    )
    return "epochs", epochs, note


def _count_arms(record: RunRecord) -> str:
    """Return the number of evaluations of each arm."""
    names = {
        POLICY: "of the search",
        RANDOM: "of the random arm",
        DERIVED: "derived",
        FINALIST: "of finalists",
    }
    counts = {
        name: sum(trial.same_as is None for trial in record.select_arms(arm))
        for arm, name in names.items()
    }
    return ", ".join(f"{format_number(count)} {name}" for name, count in counts.items() if count)


def _format_accuracy(record: RunRecord, trial: Trial) -> str:
    """Return the accuracy after the last epoch of a child; empty if no child was trained."""
    is_trained = not record.shares_weights or trial.proposal.arm == FINALIST
    accuracies = trial.outcome.accuracies
    return f"{accuracies[-1]:.2%}" if is_trained and accuracies else ""


def _name_training_data(record: RunRecord) -> str:
    """Return on which data the command of the page trains the chosen architecture."""
    if record.config.get("data") or not record.reads_table:
        return "on the same data"
    given = record.config.get("train_with") or "data=NAME"
    return f"with {given} (the search read a table without images)"


def _summarise_architecture(one: RankedArchitecture) -> str:
    """Return the reward and the cost of an architecture, the caption of its small picture."""
    parameters = one.trial.outcome.parameters
    size = f", {format_number(parameters)}\N{NO-BREAK SPACE}parameters" if parameters else ""
    return f"reward {one.trial.reward:.4f}{size}"


def _describe_architecture(record: RunRecord, one: RankedArchitecture) -> str:
    trial, outcome = one.trial, one.trial.outcome
    words = [f"reward {trial.reward:.4f}"]
    accuracy = _format_accuracy(record, trial)
    if accuracy:
        words.append(f"accuracy {accuracy}")
    words += [
        f"{format_number(value)} {COST_NAMES[name]}"
        for name in ("parameters", "multiply_adds")
        if (value := getattr(outcome, name))
    ]
    if outcome.seconds and not record.reads_table:
        words.append(format_duration(outcome.seconds))
    arms = {RANDOM: "from the random arm", FINALIST: "a finalist, evaluated again"}
    if trial.proposal.arm in arms:
        words.append(arms[trial.proposal.arm])
    return f"{', '.join(words)}."
