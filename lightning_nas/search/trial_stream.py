"""The data loader of a ``TrialSearch``: a stream of trials, in batches.

The stream keeps the executor busy and writes each proposal and each outcome into the journal. It
yields a batch when enough trials have ended, in the order in which they ended. If several children
train at once, a slow child therefore does not delay the updates. One batch is one epoch of
Lightning and one update of the method.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lightning_nas.architecture import Architecture, to_json
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import NO_BUDGET, Budget
from lightning_nas.evaluation.executors import Executor, Poll
from lightning_nas.evaluation.rungs import NO_RUNGS, RungRecord, Rungs
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, POLICY, Proposal, Trial

Propose = Callable[[range], Sequence[Proposal]]  # from trial numbers to proposals
Decode = Callable[[Proposal], Architecture]


@dataclass(frozen=True)
class Stream:
    """Settings of a stream of trials.

    Args:
        samples: Number of architectures, the random arm included, at least 1.
        batch: Number of trials in a batch, at least 1.
        arm: Arm whose trials the stream yields.
        at_once: Maximum number of open proposals (proposals without an outcome), at least 1; None =
            ``batch``: the controller does not change within a batch. An executor that evaluates
            more architectures at once raises the maximum to that number. A proposal that waits
            for the outcome of an equal architecture also counts as open.
        budget: Budget that changes each reward according to the cost of the network.
        repeat: Whether to evaluate equal architectures again. If false, the stream copies the
            outcome of the earlier trial.
        consumed: Number of ended trials that the search used before a resume, at least 0. The
            stream does not yield these trials again.

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
        numbers = {"samples": self.samples, "batch": self.batch, "at_once": self.at_once}
        for name, number in numbers.items():
            if number is not None and number < 1:
                raise InputError(f"{name} must be at least 1, got {number}")
        if self.consumed < 0:
            raise InputError(f"consumed must be at least 0, got {self.consumed}")


class _Job(NamedTuple):
    """A proposal to evaluate, with its architecture."""

    proposal: Proposal
    architecture: Architecture
    key: str  # JSON of the architecture: equal architectures have the same key


class TrialStream:
    """Data loader that yields batches of trials, one batch in each epoch.

    Args:
        propose: Function from trial numbers to proposals.
        decode: Function from a proposal to its architecture.
        executor: Executor that evaluates architectures.
        journal: Journal of all proposals and trials. Trials in the journal are not evaluated again.
        stream: Settings of the stream.
        choose_seed: Function from a trial number to the seed of the evaluation.
        observe: Function to call with each trial that ends; the trials in the journal come first.
        poll: Function to call while the stream waits; it may raise an exception to stop.
        rungs: Rungs at which children can stop.

    Raises:
        InputError: If the journal has fewer ended trials than ``stream.consumed``.

    Attributes:
        consumed: Number of ended trials that the stream has yielded or skipped. The stream skips
            the trials of other arms. A resumed search continues after this number.
        others: Number of proposals in the journal that do not belong to this stream. The trials of
            a search and its finalists have separate streams.
        ended: Number of ended trials of the search and its random arm, or of the finalists; copied
            outcomes are included.
    """

    batch_sampler = None  # Lightning reads this attribute

    def __init__(
        self,
        propose: Propose,
        decode: Decode,
        executor: Executor,
        journal: Journal,
        stream: Stream,
        choose_seed: Callable[[int], int] = lambda number: number,
        observe: Callable[[Trial], None] = lambda trial: None,
        poll: Poll = lambda: None,
        rungs: Rungs = NO_RUNGS,
    ) -> None:
        self.propose = propose
        self.decode = decode
        self.executor = executor
        self.journal = journal
        self.stream = stream
        self.choose_seed = choose_seed
        self.observe = observe
        self.poll = poll
        self._rung_record = RungRecord(rungs)
        self.consumed = stream.consumed
        self.ended = 0
        self._queue: deque[_Job] = deque()  # jobs that have not started
        self._running_jobs: dict[int, _Job] = {}  # jobs in the executor, by trial number
        self._copies: dict[str, list[Proposal]] = {}  # proposals that wait for an equal job
        self._successful: dict[bytes, int] = {}  # trial number by the digest of the architecture
        self._trials_to_yield: deque[Trial] = deque()  # in the order in which they ended
        self._read_journal()

    def _read_journal(self) -> None:
        ended, open_proposals = self.journal.list_ended(), self.journal.open_proposals()
        if len(ended) < self.consumed:
            raise InputError(
                f"{self.journal.path} has {len(ended)} ended trials, but the checkpoint was saved "
                f"after {self.consumed}; if you copied the run folder, copy all files, also "
                f"{self.journal.path.name}-wal"
            )
        self._next_number = len(self.journal)
        proposals = [trial.proposal for trial in ended] + open_proposals
        self._proposal_count = sum(map(self._is_own, proposals))
        self.others = len(proposals) - self._proposal_count
        for trial, key in zip(ended, self.journal.architectures(), strict=True):
            self._note(trial, key)
        for _ in range(self.consumed):
            self._trials_to_yield.popleft()
        self._queue.extend(self._make_job(p) for p in open_proposals if self._is_own(p))

    def _is_own(self, proposal: Proposal) -> bool:
        """Return whether a proposal belongs to this stream. Finalists have their own stream."""
        return (proposal.arm == FINALIST) == (self.stream.arm == FINALIST)

    @property
    def done(self) -> bool:
        """Whether the stream has yielded all of its trials."""
        all_proposed = self._proposal_count >= self.stream.samples
        # the journal of an extended search also has earlier finalists, of another stream
        waits = any(self._is_own(trial.proposal) for trial in self._trials_to_yield)
        return all_proposed and not (waits or self._open_count)

    def __len__(self) -> int:
        """Return the number of batches in an epoch: one."""
        return 1

    def __iter__(self) -> Iterator[list[Trial]]:
        """Yield one batch. The last batch may be smaller, or empty."""
        batch: list[Trial] = []
        while len(batch) < self.stream.batch and not self.done:
            if not self._trials_to_yield:
                self._fill(self.stream.batch - len(batch))
                self._wait()
                continue
            trial = self._trials_to_yield.popleft()
            self.consumed += 1
            if trial.proposal.arm == self.stream.arm:
                batch.append(trial)
        yield batch

    # ---- jobs of the executor --------------------------------------------------------------------

    @property
    def _open_count(self) -> int:
        """Number of open proposals."""
        return len(self._queue) + len(self._running_jobs) + sum(map(len, self._copies.values()))

    def _fill(self, missing: int) -> None:
        """Submit jobs until all slots are busy. If the queue is empty, make proposals.

        Args:
            missing: Number of trials that the batch still needs.
        """
        while len(self._running_jobs) < self.executor.slots and not self._trials_to_yield:
            if not self._queue:
                self._propose(missing)
            if not self._queue:
                return
            self._start(self._queue.popleft())

    def _propose(self, missing: int) -> None:
        most = self.stream.at_once or self.stream.batch
        free = self.executor.slots - len(self._running_jobs)
        room = max(most, self.executor.slots) - self._open_count  # waiting copies are open too
        ahead = min(missing, most) - self._open_count
        count = min(max(free, ahead), room, self.stream.samples - self._proposal_count)
        if count > 0:
            proposals = self.propose(range(self._next_number, self._next_number + count))
            jobs = [self._make_job(proposal) for proposal in proposals]
            self.journal.propose(proposals, [job.key for job in jobs])
            self._next_number += count
            self._proposal_count += count
            self._queue.extend(jobs)

    def _make_job(self, proposal: Proposal) -> _Job:
        architecture = self.decode(proposal)
        return _Job(proposal, architecture, to_json(architecture))

    def _start(self, job: _Job) -> None:
        proposal, architecture, key = job
        known = None if self.stream.repeat else self._successful.get(_digest(key))
        if known is not None:
            self._copy_outcome(proposal, self.journal.find(known), key)
        elif not self.stream.repeat and key in self._copies:
            self._copies[key].append(proposal)
        else:
            self._running_jobs[proposal.number] = job
            self._copies.setdefault(key, [])
            record = self._rung_record
            cutoffs = {"cutoffs": record.cutoffs()} if record.rungs.epochs else {}
            seed = self.choose_seed(proposal.number)
            self.executor.submit(proposal.number, architecture, seed, **cutoffs)

    def _wait(self) -> None:
        """Wait for an outcome. Record it for all open proposals of the same architecture."""
        if self._trials_to_yield or not self._running_jobs:
            return
        number, outcome = self.executor.wait(self.poll)
        outcome.check(number)
        key = self._running_jobs.pop(number).key
        reward = self.stream.budget.weigh(outcome)
        trial = self.journal.end(number, outcome, reward)
        self._note(trial, key)
        for other in self._copies.pop(key, []):
            self._copy_outcome(other, trial, key)

    def _copy_outcome(self, proposal: Proposal, known: Trial, key: str) -> None:
        first = known.number if known.same_as is None else known.same_as
        trial = self.journal.end(proposal.number, known.outcome, known.reward, same_as=first)
        self._note(trial, key)

    def _note(self, trial: Trial, key: str | None) -> None:
        # failures are not copied: an equal architecture is evaluated again
        if trial.outcome.error is None and key is not None:
            self._successful.setdefault(_digest(key), trial.number)
        self.ended += self._is_own(trial.proposal)
        self._trials_to_yield.append(trial)
        if self._is_own(trial.proposal):
            self._rung_record.observe(trial)
        self.observe(trial)


def _digest(key: str) -> bytes:
    """Return a digest of an architecture's JSON, because all full texts need too much memory."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest()
