"""The papers' last step: the best of a search are trained once more, for longer."""

from collections.abc import Iterator, Sequence
from typing import Any

from lightning_nas.evaluation.executors import Executor
from lightning_nas.evaluation.journal import Journal
from lightning_nas.evaluation.trial import FINALIST, Proposal, Trial
from lightning_nas.loops.rollouts import Decode, Rollouts


def finalists(
    best: Sequence[Trial], decode: Decode, executor: Executor, journal: Journal, **settings: Any
) -> Iterator[Trial]:
    """Evaluate the best once more; those that the journal has already as finalists, not again.

    Args:
        best: Trials of the search, which has ended.
        decode: From a proposal to its architecture.
        executor: Of longer trainings.
        journal: Of the search.
        settings: Of ``Rollouts``.
    """
    ended = journal.ended()
    ours = [trial for trial in ended if trial.proposal.arm == FINALIST]
    begun = [p for p in journal.open_proposals() if p.arm == FINALIST]
    known = {t.proposal.tokens: t for t in ours if t.outcome.error is None}
    there = known.keys() | {proposal.tokens for proposal in begun}
    missing = [trial.proposal for trial in best if trial.proposal.tokens not in there]
    first, wanted = len(journal), {trial.proposal.tokens for trial in best}

    def again(number: int) -> Proposal:
        chosen = missing[number - first]
        return Proposal(number, chosen.tokens, (), chosen.step, FINALIST)

    yield from (trial for tokens, trial in known.items() if tokens in wanted)
    stream = Rollouts(
        lambda numbers: [again(number) for number in numbers],
        decode,
        executor,
        journal,
        samples=len(ours) + len(begun) + len(missing),
        batch=1,
        arm=FINALIST,
        repeat=True,
        consumed=len(ended),
        **settings,
    )
    while not stream.done:
        for batch in stream:
            yield from (trial for trial in batch if trial.proposal.tokens in wanted)
