"""What the best reward of a search means, in words for reports and terminals."""

from collections.abc import Sequence

from lightning_nas.report.record import RunRecord
from lightning_nas.storage.trial import FINALIST


def explain_best_reward(records: Sequence[RunRecord]) -> str:
    """Return what the best reward of runs is if it is that of a finalist; otherwise empty."""
    finalists = [r for r in records if r.best and r.best[0].trial.proposal.arm == FINALIST]
    return " ".join(dict.fromkeys(map(_explain_finalist, finalists)))


def _explain_finalist(record: RunRecord) -> str:
    epochs = record.config["method"].get("finalist_epochs")
    source = f"the validation accuracy after {epochs} epochs of training from scratch"
    if record.reads_table:
        source = "the mean accuracy of all its trainings in the table"
    others = "rewards under shared weights" if record.shares_weights else "rewards of the search"
    return (
        f"The best reward is that of a finalist: it follows from {source}, and is not comparable "
        f"with {others}."
    )
