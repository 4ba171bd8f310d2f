"""``trials.sqlite``: every architecture of a search, written before anything is done with it.

A proposal is on the disk before it is evaluated, and its outcome before a controller learns from
it. SQLite's write-ahead log with full synchronisation keeps what was written through a kill and a
pulled plug. One process writes; any number may read.
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
ADVICE = "begin a new run, or give this one the settings that it began with"
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
    """The record of one search.

    Args:
        path: The file; it is made where it is missing.
        space: Says what the search space is: a record of another is refused.
        task: Who writes it, in messages, where it is no search.
        advice: What to do where it is a record of something else, in messages.
        about: What else a record must agree in, by a name for messages.

    Raises:
        InputError: If another process writes it, it is of another space or version, or the disk
            does not take it.
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
        """Write proposals, all in one transaction.

        Args:
            proposals: With numbers that follow those that are there.
            architectures: The JSON of each, or None.
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
        """Write what came of a proposal, and return the whole trial."""
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
        """Write trials that have ended already, in one transaction, in place of all from there on.

        What a search that goes on finds again, the same architectures under the same numbers,
        stays, with all that follows.

        Args:
            trials: With numbers that follow one another.
        """
        first = trials[0].number
        with self._explained(), self._transaction():
            there = self._database.execute(
                "SELECT tokens FROM trials WHERE number >= ? ORDER BY number LIMIT ?",
                (first, len(trials)),
            ).fetchall()
            if [tokens for (tokens,) in there] == [_dump(t.proposal.tokens) for t in trials]:
                return
            self._database.execute("DELETE FROM trials WHERE number >= ?", (first,))
            self._insert([trial.proposal for trial in trials], [None] * len(trials))
            for trial in trials:
                self._end(trial.number, trial.outcome, trial.reward, trial.same_as)

    # ---- housekeeping ----------------------------------------------------------------------------

    def close(self) -> None:
        """Let other processes write it."""
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
    """Hold ``path`` for as long as this process lives.

    ``lockf``, for a lock by ``flock`` would live on in workers that were forked.
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
