"""Trainings of chosen architectures, each from scratch, perhaps under several seeds.

No search: what is trained is known beforehand. Every outcome is in a journal before the next
training begins, so what was broken off goes on where it was.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lightning_nas.data.seeding import seeded_generator
from lightning_nas.evaluation.executors import Executor, Poll
from lightning_nas.search.rollouts import Decode, Rollouts
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import Proposal, Trial

Key = tuple[str, tuple[int, ...]]  # arm and tokens


@dataclass(frozen=True)
class Candidate:
    """An architecture that is to be trained.

    Args:
        arm: Where it comes from.
        tokens: Its decisions.
        seeds: How often it is trained, at least once.
    """

    arm: str
    tokens: tuple[int, ...]
    seeds: int = 1

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.arm, self.tokens


class Trainings:
    """The trainings of some candidates that a journal has, and those that it lacks.

    All have their first training before one has its second. A journal may have more than is wanted;
    more candidates and more seeds can be wanted the next time. One that failed, for want of memory
    perhaps, has another the next time, under the next seed.

    Args:
        wanted: What is to be trained, at least one.
        journal: Of such trainings and nothing else.
        seed: Of all trainings: the n-th of an architecture depends on it, the architecture and n.

    Attributes:
        ended: How many had ended before.
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
        ended = journal.ended()
        self.ended = len(ended)
        known = [trial.proposal for trial in ended] + journal.open_proposals()
        self._keys = [_key(proposal) for proposal in sorted(known, key=lambda p: p.number)]
        there = Counter(self._keys)
        there -= Counter(_key(trial.proposal) for trial in ended if _failed(trial))
        for _, key in self._plan:
            if there[key]:
                there[key] -= 1
            else:
                self._keys.append(key)

    def __len__(self) -> int:
        """Return how many trainings there will be in the journal."""
        return len(self._keys)

    def run(
        self,
        decode: Decode,
        executor: Executor,
        observe: Callable[[Trial], None] = lambda trial: None,
        poll: Poll = lambda: None,
    ) -> list[list[Trial]]:
        """Train what has not been trained, or failed.

        Args:
            decode: From a proposal to its architecture.
            executor: Trains; it is closed.
            observe: Told of every training, those of before first.
            poll: Called now and then; may raise to stop.

        Returns:
            The trainings of each candidate: those that failed are among them where there are not
            enough others.
        """
        try:
            stream = Rollouts(
                lambda numbers: [
                    Proposal(n, self._keys[n][1], arm=self._keys[n][0]) for n in numbers
                ],
                decode,
                executor,
                self.journal,
                samples=len(self),
                batch=1,
                seed_of=self.seed_of,
                observe=observe,
                repeat=True,
                poll=poll,
            )
            while not stream.done:
                deque(stream, maxlen=0)
        finally:
            executor.close()
        return self._of_each_candidate()

    def seed_of(self, number: int) -> int:
        """Return the seed of a training."""
        arm, tokens = key = self._keys[number]
        turn = self._keys[:number].count(key)
        generator = seeded_generator("alone", self.seed, arm, *tokens, turn)
        return int(torch.randint(2**31, (), generator=generator))

    def _of_each_candidate(self) -> list[list[Trial]]:
        trials: dict[Key, deque[Trial]] = defaultdict(deque)
        for trial in sorted(self.journal.ended(), key=lambda t: (_failed(t), t.number)):
            trials[_key(trial.proposal)].append(trial)
        places: dict[int, list[Trial]] = defaultdict(list)
        for place, key in self._plan:  # of equal ones, each has its own
            places[place].append(trials[key].popleft())
        return [places[place] for place in sorted(places)]


def _key(proposal: Proposal) -> Key:
    return proposal.arm, proposal.tokens


def _failed(trial: Trial) -> bool:
    return trial.outcome.error is not None
