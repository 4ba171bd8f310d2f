"""The loop of NAS and NASNet as a loader: a stream of evaluated architectures, in batches.

It keeps the executor busy, writes every step into the journal, and yields a batch as soon as
enough trials have ended, whichever they are: a slow child delays its own result and no update.
One batch is one epoch of Lightning's own loop, and one update of the controller.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lightning_nas.architecture import Architecture, to_json
from lightning_nas.errors import InputError
from lightning_nas.evaluation.budget import Budget
from lightning_nas.evaluation.executors import Executor, Poll
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, POLICY, Proposal, Trial

NO_BUDGET = Budget()
Propose = Callable[[range], Sequence[Proposal]]  # for these numbers
Decode = Callable[[Proposal], Architecture]


class _Job(NamedTuple):
    """A proposal that is to be evaluated, decoded once."""

    proposal: Proposal
    architecture: Architecture
    key: str  # its JSON, by which it is known again


class Rollouts:
    """Yields batches of trials, one an epoch.

    Args:
        propose: Draws the proposals of some numbers.
        decode: From a proposal to its architecture.
        executor: Evaluates architectures.
        journal: Where all is written down. What it holds already is not evaluated again.
        samples: Architectures in all, the control arm included; finalists are counted apart.
        batch: Trials that make a batch.
        arm: The arm whose trials are yielded.
        at_once: Proposals that may be drawn before the outcome of the first is known, where the
            executor has fewer slots. A controller stands still between batches: its whole batch.
        seed_of: From a trial's number to the seed of its evaluation.
        observe: Told of every trial as it ends.
        budget: Weighs rewards by cost.
        repeat: Evaluate an architecture again that was evaluated before.
        poll: Called now and then while it waits; may raise to stop.
        consumed: How many of the trials in the journal were yielded before.

    Raises:
        InputError: If a number is below 1, or the journal has fewer trials than were yielded.

    Attributes:
        consumed: How many of the trials that ended have been yielded or, of another arm, passed
            over: what to resume from.
        ended: How many architectures of this stream have been evaluated.
    """

    batch_sampler = None  # Lightning reads it where a loader has a sampler

    def __init__(
        self,
        propose: Propose,
        decode: Decode,
        executor: Executor,
        journal: Journal,
        *,
        samples: int,
        batch: int,
        arm: str = POLICY,
        at_once: int | None = None,
        seed_of: Callable[[int], int] = lambda number: number,
        observe: Callable[[Trial], None] = lambda trial: None,
        budget: Budget = NO_BUDGET,
        repeat: bool = False,
        poll: Poll = lambda: None,
        consumed: int = 0,
    ) -> None:
        if samples < 1 or batch < 1:
            raise InputError(f"samples and batch must be at least 1, got {samples} and {batch}")
        self.propose = propose
        self.decode = decode
        self.executor = executor
        self.journal = journal
        self.samples = samples
        self.batch = batch
        self.arm = arm
        self.at_once = at_once or batch
        self.seed_of = seed_of
        self.observe = observe
        self.budget = budget
        self.repeat = repeat
        self.poll = poll
        self.consumed = consumed
        self.ended = 0
        self._running: dict[int, _Job] = {}
        self._waiting: dict[str, list[Proposal]] = {}  # for the same architecture, being evaluated
        self._known: dict[str, Trial] = {}
        self._queue: deque[_Job] = deque()
        self._ended: deque[Trial] = deque()
        self._read_journal()

    def _read_journal(self) -> None:
        ended, waiting = self.journal.ended(), self.journal.open_proposals()
        if len(ended) < self.consumed:
            raise InputError(
                f"{self.journal.path} has {len(ended)} trials that have ended, the checkpoint has "
                f"seen {self.consumed}: bring the whole folder, the file that ends in -wal too"
            )
        self._number = len(self.journal)
        self._proposed = sum(map(self._own, (*(trial.proposal for trial in ended), *waiting)))
        for trial, key in zip(ended, self.journal.architectures(), strict=True):
            self._note(trial, key)
        for _ in range(self.consumed):
            self._ended.popleft()
        self._queue.extend(self._job(proposal) for proposal in waiting if self._own(proposal))

    def _own(self, proposal: Proposal) -> bool:
        """Whether a proposal is of this stream: finalists, which train longer, have their own."""
        return (proposal.arm == FINALIST) == (self.arm == FINALIST)

    @property
    def done(self) -> bool:
        """Whether all architectures have been evaluated and yielded."""
        return self._proposed >= self.samples and not (self._ended or self._pending)

    def __len__(self) -> int:
        """Return the batches of an epoch: one."""
        return 1

    def __iter__(self) -> Iterator[list[Trial]]:
        """Yield one batch; a smaller one, perhaps empty, when nothing is left to evaluate."""
        batch: list[Trial] = []
        while len(batch) < self.batch and not self.done:
            if not self._ended:
                self._fill(self.batch - len(batch))
                self._wait()
                continue
            trial = self._ended.popleft()
            self.consumed += 1
            if trial.proposal.arm == self.arm:
                batch.append(trial)
        yield batch

    # ---- keeping the executor busy ---------------------------------------------------------------

    @property
    def _pending(self) -> int:
        """Proposals that have not ended."""
        return len(self._queue) + len(self._running) + sum(map(len, self._waiting.values()))

    def _fill(self, missing: int) -> None:
        """Give the executor as much as it can take; draw proposals where there are none left."""
        while len(self._running) < self.executor.slots and not self._ended:
            if not self._queue:
                self._draw(missing)
            if not self._queue:
                return
            self._start(self._queue.popleft())

    def _draw(self, missing: int) -> None:
        free = self.executor.slots - len(self._running)
        ahead = min(missing, self.at_once) - self._pending
        count = min(max(free, ahead), self.samples - self._proposed)
        if count > 0:
            proposals = self.propose(range(self._number, self._number + count))
            jobs = [self._job(proposal) for proposal in proposals]
            self.journal.propose(proposals, [job.key for job in jobs])
            self._number += count
            self._proposed += count
            self._queue.extend(jobs)

    def _job(self, proposal: Proposal) -> _Job:
        architecture = self.decode(proposal)
        return _Job(proposal, architecture, to_json(architecture))

    def _start(self, job: _Job) -> None:
        proposal, architecture, key = job
        if not self.repeat and key in self._known:
            self._end_as(proposal, self._known[key], key)
        elif not self.repeat and key in self._waiting:
            self._waiting[key].append(proposal)
        else:
            self._running[proposal.number] = job
            self._waiting.setdefault(key, [])
            self.executor.submit(proposal.number, architecture, self.seed_of(proposal.number))

    def _wait(self) -> None:
        """Wait for the next outcome; write it down, and for all that asked for the same."""
        if self._ended or not self._running:
            return
        number, outcome = self.executor.wait(self.poll)
        outcome.check(number)
        key = self._running.pop(number).key
        reward = self.budget.weigh(outcome)
        trial = self.journal.end(number, outcome, reward)
        self._note(trial, key)
        for other in self._waiting.pop(key, []):
            self._end_as(other, trial, key)

    def _end_as(self, proposal: Proposal, known: Trial, key: str) -> None:
        first = known.number if known.same_as is None else known.same_as
        trial = self.journal.end(proposal.number, known.outcome, known.reward, same_as=first)
        self._note(trial, key)

    def _note(self, trial: Trial, key: str) -> None:
        if trial.outcome.error is None:  # a child that failed may do better another time
            self._known.setdefault(key, trial)
        self.ended += self._own(trial.proposal)
        self._ended.append(trial)
        self.observe(trial)
