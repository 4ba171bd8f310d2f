"""Trainings of given architectures from scratch, each under one or more seeds.

This is no search: the architectures are known beforehand. Every outcome is in a journal before the
next training begins, so interrupted trainings can be resumed.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lightning_nas.data.seeding import draw_seed
from lightning_nas.evaluation.executors import Executor, Poll
from lightning_nas.search.trial_stream import Decode, Stream, TrialStream
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import Proposal, Trial

Key = tuple[str, tuple[int, ...]]  # arm and tokens


@dataclass(frozen=True)
class Candidate:
    """An architecture to train.

    Args:
        arm: Origin of the architecture.
        tokens: Decisions of the architecture.
        seeds: Number of trainings, each under its own seed, at least 1.
    """

    arm: str
    tokens: tuple[int, ...]
    seeds: int = 1

    @property
    def key(self) -> Key:
        """Arm and tokens, which identify a training in the journal."""
        return self.arm, self.tokens


class Trainings:
    """The trainings of some candidates: those in a journal, and those that are missing.

    All candidates have their first training before any candidate has its second. The journal may
    hold more trainings than requested, and a later call may request more. A training that failed,
    for example out of memory, is repeated in the next call, under the next seed.

    Args:
        wanted: Candidates to train, at least one.
        journal: Journal of such trainings and nothing else.
        seed: Seed of all trainings. The seed of the n-th training of an architecture depends on
            this seed, the architecture and n.

    Attributes:
        ended: Number of trainings that had ended before.
    """

    def __init__(self, wanted: Sequence[Candidate], journal: Journal, seed: int) -> None:
        self.journal = journal
        self.seed = seed
        most = max(candidate.seeds for candidate in wanted)
        self._plan = [
            (place, candidate.key)
            for turn in range(most)
            for place, candidate in enumerate(wanted)
            if turn < candidate.seeds
        ]
        ended = journal.list_ended()
        self.ended = len(ended)
        known = [trial.proposal for trial in ended] + journal.open_proposals()
        self._keys = [_get_key(proposal) for proposal in sorted(known, key=lambda p: p.number)]
        there = Counter(self._keys)
        there -= Counter(_get_key(trial.proposal) for trial in ended if _has_failed(trial))
        for _, key in self._plan:
            if there[key]:
                there[key] -= 1
            else:
                self._keys.append(key)

    def __len__(self) -> int:
        """Return the number of trainings in the journal when all have ended."""
        return len(self._keys)

    def run(
        self,
        decode: Decode,
        executor: Executor,
        observe: Callable[[Trial], None] = lambda trial: None,
        poll: Poll = lambda: None,
    ) -> list[list[Trial]]:
        """Run the trainings that are missing or failed.

        Args:
            decode: Function from a proposal to its architecture.
            executor: Executor of the trainings; it is closed at the end.
            observe: Function to call with each training that ends, earlier trainings first.
            poll: Function to call while a network trains; it may raise an exception to stop.

        Returns:
            The trainings of each candidate. Failed trainings are included only if there are too few
            others.
        """
        try:
            stream = TrialStream(
                lambda numbers: [
                    Proposal(n, self._keys[n][1], arm=self._keys[n][0]) for n in numbers
                ],
                decode,
                executor,
                self.journal,
                Stream(len(self), 1, repeat=True),
                choose_seed=self.choose_seed,
                observe=observe,
                poll=poll,
            )
            while not stream.done:
                deque(stream, maxlen=0)
        finally:
            executor.close()
        return self._group_by_candidate()

    def choose_seed(self, number: int) -> int:
        """Return the seed of a training."""
        arm, tokens = key = self._keys[number]
        turn = self._keys[:number].count(key)
        return draw_seed("alone", self.seed, arm, *tokens, turn)

    def _group_by_candidate(self) -> list[list[Trial]]:
        trials: dict[Key, deque[Trial]] = defaultdict(deque)
        for trial in sorted(self.journal.list_ended(), key=lambda t: (_has_failed(t), t.number)):
            trials[_get_key(trial.proposal)].append(trial)
        places: dict[int, list[Trial]] = defaultdict(list)
        for place, key in self._plan:  # equal candidates must not share a training
            places[place].append(trials[key].popleft())
        return [places[place] for place in sorted(places)]


def _get_key(proposal: Proposal) -> Key:
    return proposal.arm, proposal.tokens


def _has_failed(trial: Trial) -> bool:
    return trial.outcome.error is not None
