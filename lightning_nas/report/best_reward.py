"""What the best reward of a search means, in words for reports and terminals."""

from collections.abc import Sequence

from lightning_nas.report.groups import Group
from lightning_nas.report.record import RunRecord
from lightning_nas.storage.trial import FINALIST


def explain_best_reward(records: Sequence[RunRecord]) -> str:
    """Return what the best reward of runs is if it is that of a finalist; otherwise empty."""
    finalists = [r for r in records if r.best and r.best[0].trial.proposal.arm == FINALIST]
    return " ".join(dict.fromkeys(map(_explain_finalist, finalists)))


def explain_best_rewards(groups: Sequence[Group]) -> str:
    """Return what the best rewards of groups are if they are those of finalists; otherwise empty.

    Groups with shared weights are compared by other accuracies (``Group.estimate_best``).
    """
    words = {
        group.name: explain_best_reward(group.records)
        for group in groups
        if not group.records[0].shares_weights
    }
    if len(words) == len(groups) and len(set(words.values())) == 1:
        return next(iter(words.values()))
    return " ".join(f"{name}: {text}" for name, text in words.items() if text)


def _explain_finalist(record: RunRecord) -> str:
    method = record.config["method"]
    epochs, seeds = method.get("finalist_epochs"), method.get("finalist_seeds", 1)
    source = f"the validation accuracy after {epochs} epochs of training from scratch"
    if seeds > 1:
        source += f" (mean of {seeds} trainings)"
    if record.reads_table:
        source = "the mean accuracy of all its trainings in the table"
    others = "rewards under shared weights" if record.shares_weights else "rewards of the search"
    return (
        f"The best reward is that of a finalist: it follows from {source}, and is not comparable "
        f"with {others}."
    )
