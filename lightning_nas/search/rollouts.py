"""The loop of searches by trials as a loader: a stream of evaluated architectures, in batches.

The stream keeps the executor busy, writes every step into the journal, and yields a batch as soon
as enough trials have ended, in the order of their ends: a slow child delays no update. One batch is
one epoch of Lightning's loop, and one update of the controller.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lightning_nas.architecture import Architecture, to_json
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import Budget
from lightning_nas.evaluation.executors import Executor, Poll
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, POLICY, Proposal, Trial

Propose = Callable[[range], Sequence[Proposal]]  # from the numbers of trials
Decode = Callable[[Proposal], Architecture]
NO_BUDGET = Budget()


@dataclass(frozen=True)
class Stream:
    """Length of a stream of trials and the form of its batches.

    Args:
        samples: Number of architectures, the random arm included, at least 1.
        batch: Trials of a batch, at least 1.
        arm: Arm whose trials the stream yields.
        at_once: Maximum number of proposals to make before the first of them has ended, if the
            executor has fewer slots; None = a batch, during which a controller does not change.
        budget: Budget that weighs the rewards.
        repeat: Whether to evaluate an architecture again that was evaluated before.
        consumed: Number of ended trials in the journal that were yielded before, at least 0.

    Raises:
        InputError: If a number is out of range.
    """

    samples: int
    batch: int
    arm: str = POLICY
    at_once: int | None = None
    budget: Budget = NO_BUDGET
    repeat: bool = False
    consumed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.batch < 1:
            raise InputError(
                f"samples and batch must be at least 1, got {self.samples} and {self.batch}"
            )


class _Job(NamedTuple):
    """A proposal to evaluate; its architecture is decoded once."""

    proposal: Proposal
    architecture: Architecture
    key: str  # JSON of the architecture: equal architectures have equal keys


class Rollouts:
    """Loader of batches of trials, one batch an epoch.

    Args:
        propose: Function from the numbers of trials to their proposals.
        decode: Function from a proposal to its architecture.
        executor: Executor that evaluates architectures.
        journal: Journal of all proposals and trials. Its trials are not evaluated again.
        stream: Length of the stream and form of the batches.
        seed_of: Function from a trial's number to the seed of its evaluation.
        observe: Function to call with each trial that ends, those in the journal first.
        poll: Function to call while the stream waits; it may raise an exception to stop.

    Raises:
        InputError: If the journal has fewer trials than were yielded before.

    Attributes:
        consumed: Number of ended trials that have been yielded, or skipped as of another arm. A
            resumed search starts from it.
        ended: Number of architectures of this stream that have been evaluated.
    """

    batch_sampler = None  # Lightning reads this attribute if a loader has a sampler

    def __init__(
        self,
        propose: Propose,
        decode: Decode,
        executor: Executor,
        journal: Journal,
        stream: Stream,
        seed_of: Callable[[int], int] = lambda number: number,
        observe: Callable[[Trial], None] = lambda trial: None,
        poll: Poll = lambda: None,
    ) -> None:
        self.propose = propose
        self.decode = decode
        self.executor = executor
        self.journal = journal
        self.stream = stream
        self.seed_of = seed_of
        self.observe = observe
        self.poll = poll
        self.consumed = stream.consumed
        self.ended = 0
        self._running: dict[int, _Job] = {}
        self._waiting: dict[str, list[Proposal]] = {}  # their architecture is being evaluated
        self._known: dict[str, Trial] = {}
        self._queue: deque[_Job] = deque()
        self._ended: deque[Trial] = deque()
        self._read_journal()

    def _read_journal(self) -> None:
        ended, waiting = self.journal.ended(), self.journal.open_proposals()
        if len(ended) < self.consumed:
            raise InputError(
                f"{self.journal.path} has {len(ended)} trials that have ended, the checkpoint has "
                f"seen {self.consumed}: copy the whole run folder, the -wal file included"
            )
        self._number = len(self.journal)
        self._proposed = sum(map(self._is_own, (*(trial.proposal for trial in ended), *waiting)))
        for trial, key in zip(ended, self.journal.architectures(), strict=True):
            self._note(trial, key)
        for _ in range(self.consumed):
            self._ended.popleft()
        self._queue.extend(self._make_job(p) for p in waiting if self._is_own(p))

    def _is_own(self, proposal: Proposal) -> bool:
        """Whether a proposal belongs to this stream: finalists have a stream of their own."""
        return (proposal.arm == FINALIST) == (self.stream.arm == FINALIST)

    @property
    def done(self) -> bool:
        """Whether all architectures have been evaluated and yielded."""
        return self._proposed >= self.stream.samples and not (self._ended or self._pending)

    def __len__(self) -> int:
        """Return the number of batches in an epoch: one."""
        return 1

    def __iter__(self) -> Iterator[list[Trial]]:
        """Yield one batch; the last one may be smaller or empty."""
        batch: list[Trial] = []
        while len(batch) < self.stream.batch and not self.done:
            if not self._ended:
                self._fill(self.stream.batch - len(batch))
                self._wait()
                continue
            trial = self._ended.popleft()
            self.consumed += 1
            if trial.proposal.arm == self.stream.arm:
                batch.append(trial)
        yield batch

    # ---- keeping the executor busy ---------------------------------------------------------------

    @property
    def _pending(self) -> int:
        """Number of proposals that have not ended."""
        return len(self._queue) + len(self._running) + sum(map(len, self._waiting.values()))

    def _fill(self, missing: int) -> None:
        """Submit jobs until all slots are busy; make proposals if the queue is empty."""
        while len(self._running) < self.executor.slots and not self._ended:
            if not self._queue:
                self._propose(missing)
            if not self._queue:
                return
            self._start(self._queue.popleft())

    def _propose(self, missing: int) -> None:
        free = self.executor.slots - len(self._running)
        ahead = min(missing, self.stream.at_once or self.stream.batch) - self._pending
        count = min(max(free, ahead), self.stream.samples - self._proposed)
        if count > 0:
            proposals = self.propose(range(self._number, self._number + count))
            jobs = [self._make_job(proposal) for proposal in proposals]
            self.journal.propose(proposals, [job.key for job in jobs])
            self._number += count
            self._proposed += count
            self._queue.extend(jobs)

    def _make_job(self, proposal: Proposal) -> _Job:
        architecture = self.decode(proposal)
        return _Job(proposal, architecture, to_json(architecture))

    def _start(self, job: _Job) -> None:
        proposal, architecture, key = job
        if not self.stream.repeat and key in self._known:
            self._end_as(proposal, self._known[key], key)
        elif not self.stream.repeat and key in self._waiting:
            self._waiting[key].append(proposal)
        else:
            self._running[proposal.number] = job
            self._waiting.setdefault(key, [])
            self.executor.submit(proposal.number, architecture, self.seed_of(proposal.number))

    def _wait(self) -> None:
        """Wait for an outcome and record it for all proposals of the same architecture."""
        if self._ended or not self._running:
            return
        number, outcome = self.executor.wait(self.poll)
        outcome.check(number)
        key = self._running.pop(number).key
        reward = self.stream.budget.weigh(outcome)
        trial = self.journal.end(number, outcome, reward)
        self._note(trial, key)
        for other in self._waiting.pop(key, []):
            self._end_as(other, trial, key)

    def _end_as(self, proposal: Proposal, known: Trial, key: str) -> None:
        first = known.number if known.same_as is None else known.same_as
        trial = self.journal.end(proposal.number, known.outcome, known.reward, same_as=first)
        self._note(trial, key)

    def _note(self, trial: Trial, key: str) -> None:
        if trial.outcome.error is None:  # a child that failed is tried again at the next proposal
            self._known.setdefault(key, trial)
        self.ended += self._is_own(trial.proposal)
        self._ended.append(trial)
        self.observe(trial)
