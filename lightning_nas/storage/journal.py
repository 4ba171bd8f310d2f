"""Writing ``trials.sqlite``, the journal of a search.

A proposal is on the disk before it is evaluated, and its outcome is on the disk before the
controller learns from it. SQLite's write-ahead log with full synchronisation survives a kill and a
power failure. One process writes; any number of processes may read.
"""

import fcntl
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning_nas.errors import InputError
from lightning_nas.storage.journal_reader import Records
from lightning_nas.storage.trial import Outcome, Proposal, Trial

VERSION = 1
ADVICE = "start a new run, or use the settings that this run started with"
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE trials (
    number INTEGER PRIMARY KEY,  -- place in the order of proposals, from 0
    arm TEXT NOT NULL,           -- policy, control, derived, finalist
    step INTEGER NOT NULL,       -- updates of the controller before it was sampled
    tokens TEXT NOT NULL,        -- its decisions, JSON
    log_probs TEXT NOT NULL,     -- log-probability of each, JSON
    architecture TEXT,           -- JSON, where it was evaluated by itself
    proposed REAL NOT NULL,      -- seconds since 1970
    ended INTEGER UNIQUE,        -- place in the order of endings, from 1
    reward REAL,                 -- what the controller learns from
    accuracy_reward REAL,        -- the same before a budget
    accuracies TEXT,             -- on validation images, one for each epoch, JSON
    parameters INTEGER,
    multiply_adds INTEGER,
    latency REAL,                -- seconds
    seconds REAL,                -- of the evaluation
    error TEXT,
    same_as INTEGER              -- the earlier trial whose outcome it shares
) STRICT;
"""


class Journal(Records):
    """The journal of one search.

    Args:
        path: The file. It is created if it is missing.
        space: Description of the search space. A journal of another space is refused.
        task: Name of the writing task in messages.
        advice: Advice in the message if the journal belongs to something else.
        about: Further facts that must agree with the existing journal, by name.

    Raises:
        InputError: If another process writes the journal, if it belongs to another space or
            version,
            or if the disk refuses to write.
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
        self._lock = _lock(self.path.with_suffix(".lock"), task)
        with self._explained():
            self._database = sqlite3.connect(self.path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._open({"version": str(VERSION), "space": space, **about})

    def _open(self, about: dict[str, str]) -> None:
        tables = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            with self._transaction():
                for statement in SCHEMA.split(";\n"):
                    self._database.execute(statement)
                self._database.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        found = dict(self._database.execute("SELECT name, value FROM about"))
        for name, here in about.items():
            if found.get(name) != here:
                raise InputError(
                    f"{self.path} is of another {name}: {found.get(name)}; this {self.task}'s: "
                    f"{here}; {self.advice}"
                )

    # ---- writing ---------------------------------------------------------------------------------

    def propose(self, proposals: Sequence[Proposal], architectures: Sequence[str | None]) -> None:
        """Write proposals in one transaction.

        Args:
            proposals: Proposals whose numbers continue those in the journal.
            architectures: JSON of each architecture, or None.
        """
        with self._explained(), self._transaction():
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
        with self._explained(), self._transaction():
            self._end(number, outcome, reward, same_as)
        (trial,) = self._trials("number = ?", number)
        return trial

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
        assert updated == 1, f"trial {number} was not proposed, or has ended before"

    def record(self, trials: Sequence[Trial]) -> None:
        """Write ended trials in one transaction, in place of all trials from their first number on.

        If a resumed search repeats the same architectures under the same numbers, nothing changes,
        and later trials are kept.

        Args:
            trials: Trials with consecutive numbers.
        """
        first = trials[0].number
        with self._explained(), self._transaction():
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


def _lock(path: Path, task: str) -> Any:
    """Lock ``path`` for the lifetime of this process.

    Uses ``lockf``: forked workers would inherit a lock by ``flock``.
    """
    try:
        file = path.open("a")
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError | PermissionError) and path.exists():
            raise InputError(
                f"{path.parent}: another {task} writes into this folder; wait for it, or stop it"
            ) from None
        raise InputError(f"{path}: {error.strerror}") from None
    return file


def _dump(values: Sequence[float]) -> str:
    return json.dumps(values, separators=(",", ":"))
