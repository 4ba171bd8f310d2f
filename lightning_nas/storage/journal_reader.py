"""What can be read of ``trials.sqlite``: by the search that writes it, and by anybody beside it."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning_nas.errors import InputError
from lightning_nas.storage.trial import Outcome, Proposal, Trial, best_of

COLUMNS = (
    "number, tokens, log_probs, step, arm, accuracy_reward, accuracies, parameters, "
    "multiply_adds, latency, seconds, error, reward, ended, same_as"
)


class Records:
    """The record of one search, to be read. ``Journal`` writes it."""

    path: Path
    _database: sqlite3.Connection
    _columns = COLUMNS

    def __len__(self) -> int:
        """Return how many architectures were proposed."""
        with self._explained():
            return int(self._database.execute("SELECT count(*) FROM trials").fetchone()[0])

    def ended(self, after: int = 0) -> list[Trial]:
        """Return the trials that ended, in that order, without the first ``after``."""
        return self._trials("ended > ? ORDER BY ended", after)

    def architectures(self) -> list[str]:
        """Return the JSON of the trials that ended, in the order of ``ended``."""
        with self._explained():
            rows = self._database.execute(
                "SELECT architecture FROM trials WHERE ended IS NOT NULL ORDER BY ended"
            ).fetchall()
        return [text for (text,) in rows]

    def best(self, arms: Sequence[str], count: int) -> list[Trial]:
        """Return trials of some arms by falling reward: no errors, every architecture once."""
        marks = ", ".join("?" * len(arms))
        found = self._trials(
            f"arm IN ({marks}) AND ended IS NOT NULL AND error IS NULL AND same_as IS NULL "
            "ORDER BY ended",
            *arms,
        )
        return best_of(found, count)

    def open_proposals(self) -> list[Proposal]:
        """Return the proposals that have not ended, in their order."""
        with self._explained():
            rows = self._database.execute(
                "SELECT number, tokens, log_probs, step, arm FROM trials "
                "WHERE ended IS NULL ORDER BY number"
            ).fetchall()
        return [_proposal(row) for row in rows]

    def _trials(self, where: str, *values: Any) -> list[Trial]:
        with self._explained():
            rows = self._database.execute(
                f"SELECT {self._columns} FROM trials WHERE {where}", values
            ).fetchall()
        return [_trial(row) for row in rows]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the disk and the file can do wrong into one line."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path}: {error}; what is in it stays as it is: make room or mend the disk, "
                "then resume=RUN"
            ) from error


class JournalReader(Records):
    """A journal that is only read, at one state, while another process may be writing it.

    Log-probabilities, the longest part, are left out.

    Args:
        path: The file.

    Raises:
        InputError: If it is missing, or no journal.
    """

    _columns = COLUMNS.replace("log_probs", "'[]'")

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise InputError(f"{self.path}: no such file")
        alone = not self.path.with_name(f"{self.path.name}-wal").exists()
        how = "mode=ro&immutable=1" if alone else "mode=ro"  # alone: no file is made beside it
        with self._explained():
            self._database = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?{how}", uri=True, isolation_level=None
            )
            self._database.execute("BEGIN")  # all that is read belongs together

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    @property
    def is_empty(self) -> bool:
        """Whether the search has not begun to write."""
        with self._explained():
            query = "SELECT count(*) FROM sqlite_master"
            return not self._database.execute(query).fetchone()[0]


def _proposal(row: Sequence[Any]) -> Proposal:
    number, tokens, log_probs, step, arm = row
    return Proposal(number, tuple(json.loads(tokens)), tuple(json.loads(log_probs)), step, arm)


def _trial(row: Sequence[Any]) -> Trial:
    reward, accuracies, *costs = row[5:12]
    outcome = Outcome(reward, tuple(json.loads(accuracies)), *costs)
    return Trial(_proposal(row[:5]), outcome, *row[12:])
