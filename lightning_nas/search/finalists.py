"""The papers' last step: the best of a search are trained once more, for longer."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lightning_nas.errors import InputError
from lightning_nas.evaluation.executors import Executor
from lightning_nas.search.rollouts import Decode, Rollouts
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, Proposal, Trial, best_of

Progress = Callable[[Iterator[Any], int], Iterator[Any]]  # wraps so many, for a progress bar


def train_finalists(
    best: Sequence[Trial],
    decode: Decode,
    executor: Executor,
    journal: Journal,
    progress: Progress,
    **settings: Any,
) -> list[Trial]:
    """Evaluate the best once more; those that the journal has already as finalists, not again.

    Args:
        best: Trials of the search, which has ended.
        decode: From a proposal to its architecture.
        executor: Of longer trainings; it is closed.
        journal: Of the search.
        progress: Wraps the iteration over them.
        settings: Of ``Rollouts``.

    Returns:
        The finalists by falling reward, those that failed left out.

    Raises:
        InputError: If all failed.
    """
    try:
        stream = _evaluated(best, decode, executor, journal, **settings)
        trials = list(progress(stream, len(best)))
    finally:
        executor.close()
    good = [trial for trial in trials if trial.outcome.error is None]
    if not good:
        raise InputError(
            f"all {len(trials)} finalists failed, the first: {trials[0].outcome.error}; "
            "the search is over: resume=RUN with method.finalists=0 takes the best of it"
        )
    return best_of(good, len(good))


def _evaluated(
    best: Sequence[Trial], decode: Decode, executor: Executor, journal: Journal, **settings: Any
) -> Iterator[Trial]:
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
