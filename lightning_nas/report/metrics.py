"""Curves from the rows of ``metrics.csv``."""

from collections.abc import Mapping, Sequence


def read_curve(self, metric: str) -> tuple[list[float], list[float]]:
        """Return the epochs (from 1) and values of a metric; empty lists for an unlogged metric."""
        return read_curve(self.metrics, metric)

    def decode(self, proposal: Proposal) -> Architecture:
        """Return the architecture of a proposal.

        Architectures are decoded on demand: a search may have hundreds of thousands of trials.
        """
        text = self.texts.get(proposal.tokens)
        journal = RunFolder(self.folder).journal
        if text is not None:
            return from_json(text, str(journal))
        try:
            return self.space.decode(proposal.tokens)
        except (IndexError, KeyError, ValueError) as error:
            raise InputError(f"{journal}: trial {proposal.number} is not of the space") from error

    @property
    def budget(self) -> dict[str, Any]:
        """Settings of the budget; may be empty."""
        return self.config["method"].get("budget") or {}

    @property
    def cost(self) -> str:
        """Cost in the Pareto front: ``parameters``, ``multiply_adds`` or ``latency``."""
        return self.budget.get("cost") or COSTS[0]

    @property
    def target(self) -> float | None:
        """Target of the budget; None without a budget."""
        return self.budget.get("target") if self.budget.get("cost") else None

    @cached_property
    def front(self) -> tuple[RankedArchitecture, ...]:
        """Pareto front of accuracy and cost, by rising cost; empty for shared weights."""
        if self.shares_weights:
            return ()
        trials = [trial for trial in self.trials if trial.proposal.arm != FINALIST]
        return decode_trials(pareto_front(trials, self.cost), self.decode)

    @cached_property
    def best(self) -> tuple[RankedArchitecture, ...]:
        """The best architectures, at most ten: first the final ranking, then other trials.

        Before the end of a search, the finalists so far replace the final ranking. The other trials
        are the derived architectures. A search without derived architectures uses the trials of
        the method and, unless weights are shared, of the random arm.
        """
        valid = [t for t in self.trials if t.outcome.error is None and t.same_as is None]
        if self.chosen is None:
            first = best_of((t for t in valid if t.proposal.arm == FINALIST), TOP)
        else:
            by_number = {trial.number: trial for trial in valid}
            first = [by_number[number] for number in self.chosen if number in by_number]
        others = [t for t in valid if t.proposal.arm == DERIVED]
        if not others:
            arms = (POLICY,) if self.shares_weights else (POLICY, RANDOM)
            others = [t for t in valid if t.proposal.arm in arms]
        tokens = {trial.proposal.tokens for trial in first}
        rest = [t for t in best_of(others, 2 * TOP) if t.proposal.tokens not in tokens]
        return decode_trials([*first, *rest][:TOP], self.decode)


def read_curve(
    metrics: Sequence[Mapping[str, float]], metric: str
) -> tuple[list[float], list[float]]:
    """Return the epochs (from 1) and values of a metric; empty lists for an unlogged metric.

    The column ``METRIC_epoch`` is preferred, because that column has one value per epoch.

    Args:
        metrics: Rows of ``metrics.csv``.
        metric: Name of the metric.
    """
    for column in (f"{metric}_epoch", metric):
        rows = [row for row in metrics if column in row and "epoch" in row]
        if rows:
            return [row["epoch"] + 1 for row in rows], [row[column] for row in rows]
    return [], []
