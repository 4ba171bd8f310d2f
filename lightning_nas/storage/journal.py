"""Writing ``trials.sqlite``, the journal of a search.

The journal stores a proposal before the evaluation starts, and an outcome before the controller
learns from the outcome. The write-ahead log of SQLite with full synchronisation survives a kill and
a power failure. One process writes; any number of processes may read.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lightning_nas.errors import InputError
from lightning_nas.storage.journal_reader import Records
from lightning_nas.storage.lock import lock_file
from lightning_nas.storage.trial import Outcome, Proposal, Trial

VERSION = 1
ADVICE = "start a new run, or use the settings that this run started with"
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE trials (
    number INTEGER PRIMARY KEY,  -- number of the proposal, from 0
    arm TEXT NOT NULL,           -- policy, control (the random arm), derived, finalist
    step INTEGER NOT NULL,       -- updates of the controller before the sample
    tokens TEXT NOT NULL,        -- decisions of the architecture, JSON
    log_probs TEXT NOT NULL,     -- log-probability of each decision, JSON
    architecture TEXT,           -- JSON; NULL with shared weights
    proposed REAL NOT NULL,      -- time of the proposal, seconds since 1970
    ended INTEGER UNIQUE,        -- position in the order of outcomes, from 1
    reward REAL,                 -- reward that the controller learns from
    accuracy_reward REAL,        -- reward before the budget
    accuracies TEXT,             -- validation accuracy of each epoch, JSON
    parameters INTEGER,
    multiply_adds INTEGER,
    latency REAL,                -- seconds for one batch
    seconds REAL,                -- duration of the evaluation
    error TEXT,
    same_as INTEGER              -- earlier trial whose outcome was copied
) STRICT;
"""


class Journal(Records):
    """Journal of one search, for writing.

    Args:
        path: Path of the file. A missing file is created.
        space: Description of the search space; must agree with an existing journal.
        task: Name of the task that writes, for messages: ``search`` or ``judge``.
        advice: Advice in the message if an existing journal does not agree.
        about: Further facts by name; must agree with an existing journal.

    Raises:
        InputError: If another process writes the journal, if an existing journal does not agree, or
            if the disk cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        space: str,
        task: str = "search",
        advice: str = ADVICE,
        **about: str,
    ) -> None:
        self.path = Path(path)
        self.task = task
        self.advice = advice
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = lock_file(self.path.with_suffix(".lock"), task)
        with self._explain_errors():
            self._database = sqlite3.connect(self.path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._check_tables()
            self._check_pages()
            self._open({"version": str(VERSION), "space": space, **about})
            self._check_trials()

    def _open(self, about: dict[str, str]) -> None:
        tables = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            with self._transaction():
                for statement in SCHEMA.split(";\n"):
                    self._database.execute(statement)
                self._database.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        found = dict(self._database.execute("SELECT name, value FROM about"))
        for name, expected in about.items():
            if found.get(name) != expected:
                raise InputError(
                    f"{self.path} belongs to another {name}: {found.get(name)}; the {name} of this "
                    f"{self.task}: {expected}; {self.advice}"
                )

    # ---- write -----------------------------------------------------------------------------------

    def propose(self, proposals: Sequence[Proposal], architectures: Sequence[str | None]) -> None:
        """Write proposals in one transaction.

        Args:
            proposals: Proposals. The first number follows the last number in the journal.
            architectures: JSON of each architecture; None = not stored.
        """
        with self._explain_errors(), self._transaction():
            self._insert(proposals, architectures)

    def _insert(self, proposals: Sequence[Proposal], architectures: Sequence[str | None]) -> None:
        now = time.time()
        self._database.executemany(
            "INSERT INTO trials (number, arm, step, tokens, log_probs, architecture, proposed) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (p.number, p.arm, p.step, _dump(p.tokens), _dump(p.log_probs), text, now)
                for p, text in zip(proposals, architectures, strict=True)
            ],
        )

    def end(
        self, number: int, outcome: Outcome, reward: float, same_as: int | None = None
    ) -> Trial:
        """Write the outcome of a proposal and return the trial."""
        with self._explain_errors(), self._transaction():
            self._end(number, outcome, reward, same_as)
        return self.find(number)

    def _end(self, number: int, outcome: Outcome, reward: float, same_as: int | None) -> None:
        updated = self._database.execute(
            "UPDATE trials SET ended = (SELECT coalesce(max(ended), 0) + 1 FROM trials), "
            "reward = ?, accuracy_reward = ?, accuracies = ?, parameters = ?, "
            "multiply_adds = ?, latency = ?, seconds = ?, error = ?, same_as = ? "
            "WHERE number = ? AND ended IS NULL",
            (
                reward,
                outcome.reward,
                _dump(outcome.accuracies),
                outcome.parameters,
                outcome.multiply_adds,
                outcome.latency,
                outcome.seconds,
                outcome.error,
                same_as,
                number,
            ),
        ).rowcount
        assert updated == 1, f"trial {number} was not proposed, or already has an outcome"

    def record(self, trials: Sequence[Trial]) -> None:
        """Write ended trials in one transaction.

        The trials replace all trials in the journal from the first given number on. If the journal
        already has the same architectures under the same numbers, as after a resume, nothing
        changes, and later trials are kept.

        Args:
            trials: Trials with consecutive numbers.
        """
        first = trials[0].number
        with self._explain_errors(), self._transaction():
            existing = self._database.execute(
                "SELECT tokens FROM trials WHERE number >= ? ORDER BY number LIMIT ?",
                (first, len(trials)),
            ).fetchall()
            if [tokens for (tokens,) in existing] == [_dump(t.proposal.tokens) for t in trials]:
                return
            self._database.execute("DELETE FROM trials WHERE number >= ?", (first,))
            self._insert([trial.proposal for trial in trials], [None] * len(trials))
            for trial in trials:
                self._end(trial.number, trial.outcome, trial.reward, trial.same_as)

    # ---- housekeeping ----------------------------------------------------------------------------

    def close(self) -> None:
        """Close the file and release the lock."""
        self._database.close()
        self._lock.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _dump(values: Sequence[float]) -> str:
    return json.dumps(values, separators=(",", ":"))
