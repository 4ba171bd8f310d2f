"""The papers' last step: the best of a search are trained once more, for longer."""

from collections.abc import Iterator, Sequence
from typing import Any

from lightning_nas.evaluation.executors import Executor
from lightning_nas.evaluation.journal import Journal
from lightning_nas.evaluation.trial import FINALIST, Proposal, Trial
from lightning_nas.loops.rollouts import Decode, Rollouts


def finalists(
    best: Sequence[Proposal], decode: Decode, executor: Executor, journal: Journal, **settings: Any
) -> Iterator[Trial]:
    """Evaluate the best once more; those that the journal has already as finalists, not again.

    Args:
        best: As they were proposed.
        decode: From a proposal to its architecture.
        executor: Of longer trainings.
        journal: Of the search, which has ended.
        settings: Of ``Rollouts``.
    """
    ended = journal.ended()
    proposals = [*(trial.proposal for trial in ended), *journal.open_proposals()]
    first = sum(proposal.arm != FINALIST for proposal in proposals)

    def again(number: int) -> Proposal:
        chosen = best[number - first]
        return Proposal(number, chosen.tokens, (), chosen.step, FINALIST)

    stream = Rollouts(
        lambda numbers: [again(number) for number in numbers],
        decode,
        executor,
        journal,
        samples=first + len(best),
        batch=1,
        arm=FINALIST,
        repeat=True,
        consumed=len(ended),
        **settings,
    )
    while not stream.done:
        for batch in stream:
            yield from batch
