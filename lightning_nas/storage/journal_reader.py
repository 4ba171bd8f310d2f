"""Reading ``trials.sqlite``: for the search that writes it, and for other processes."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, Json, TypeAdapter, ValidationError

from lightning_nas.errors import InputError
from lightning_nas.files import find_first_problem
from lightning_nas.storage.trial import Outcome, Proposal, Trial, best_of

COLUMNS = (
    "number, tokens, log_probs, step, arm, accuracy_reward, accuracies, parameters, "
    "multiply_adds, latency, seconds, error, reward, ended, same_as"
)
FEWEST_ENTROPIES = 5  # samples at the start and at the end


# Types of the columns
Count = Annotated[int, Field(ge=0)]
Token = Annotated[int, Field(ge=0, le=10**9)]
PROPOSAL_COLUMNS = (
    *(Count, Json[tuple[Token, ...]], Json[tuple[FiniteFloat, ...]], Count),
    Literal["policy", "control", "derived", "finalist"],
)
TRIAL_COLUMNS = (
    *(*PROPOSAL_COLUMNS, FiniteFloat, Json[tuple[FiniteFloat, ...]], Count | None, Count | None),
    *(FiniteFloat | None, FiniteFloat, str | None, FiniteFloat, Count, Count | None),
)
PROPOSAL: TypeAdapter[Any] = TypeAdapter(tuple[PROPOSAL_COLUMNS])  # type: ignore[valid-type]
TRIAL: TypeAdapter[Any] = TypeAdapter(tuple[TRIAL_COLUMNS])  # type: ignore[valid-type]
TEXTS: TypeAdapter[Any] = TypeAdapter(tuple[str | None])
# Errors of SQLite about the disk and the access to the file, not about its content
MACHINE_ERRORS = tuple(
    f"SQLITE_{name}"
    for name in ("FULL", "IOERR", "READONLY", "CANTOPEN", "BUSY", "LOCKED", "PERM", "NOMEM")
)


class Records:
    """Queries on the journal of one search. ``Journal`` adds the writing."""

    path: Path
    _database: sqlite3.Connection
    _columns = COLUMNS

    def __len__(self) -> int:
        """Return the number of proposals."""
        with self._explain_errors():
            return int(self._database.execute("SELECT count(*) FROM trials").fetchone()[0])

    def list_ended(self, after: int = 0) -> list[Trial]:
        """Return the ended trials in the order of ending, without the first ``after``."""
        return self._trials("ended > ? ORDER BY ended", after)

    def find(self, number: int) -> Trial:
        """Return the trial of a proposal that has ended."""
        (trial,) = self._trials("number = ? AND ended IS NOT NULL", number)
        return trial

    def architectures(self) -> list[str | None]:
        """Return the JSON of the architectures of ended trials, in the order of ``list_ended``."""
        with self._explain_errors():
            rows = self._database.execute(
                "SELECT architecture FROM trials WHERE ended IS NOT NULL ORDER BY ended"
            ).fetchall()
        return [text for (text,) in self._check(rows, TEXTS)]

    def best(self, arms: Sequence[str], count: int) -> list[Trial]:
        """Return the best trials of the given arms, without errors, each architecture once."""
        marks = ", ".join("?" * len(arms))
        found = self._trials(
            f"arm IN ({marks}) AND ended IS NOT NULL AND error IS NULL AND same_as IS NULL "
            "ORDER BY ended",
            *arms,
        )
        return best_of(found, count)

    def open_proposals(self) -> list[Proposal]:
        """Return the proposals that have not ended, by number."""
        return self._proposals("ended IS NULL ORDER BY number")

    def sample_entropies(self, share: float) -> tuple[list[float], list[float]]:
        """Return samples of the entropy of the controller, in nats, at the start and at the end.

        A sample is the negative log-probability of an architecture: an unbiased estimate. If the
        space grows, only architectures with as many decisions as the last one are compared.

        Args:
            share: Share of these architectures at the start, and at the end; above 0, at most 0.5.

        Returns:
            Two lists of equal length, both empty if the method has no controller.
        """
        where = (
            "arm = 'policy' AND ended IS NOT NULL AND json_array_length(log_probs) = "
            "(SELECT json_array_length(log_probs) FROM trials WHERE arm = 'policy' "
            "ORDER BY number DESC LIMIT 1) AND json_array_length(log_probs) > 0"
        )
        with self._explain_errors():
            (count,) = self._database.execute(
                f"SELECT count(*) FROM trials WHERE {where}"
            ).fetchone()
        part = min(max(FEWEST_ENTROPIES, round(share * count)), count // 2)
        start, end = (
            [-proposal.log_prob for proposal in self._proposals(f"{where} {order} LIMIT ?", part)]
            for order in ("ORDER BY number", "ORDER BY number DESC")
        )
        return start, end

    def _proposals(self, where: str, *values: Any) -> list[Proposal]:
        with self._explain_errors():
            rows = self._database.execute(
                f"SELECT number, tokens, log_probs, step, arm FROM trials WHERE {where}", values
            ).fetchall()
        return [_make_proposal(row) for row in self._check(rows, PROPOSAL)]

    def _trials(self, where: str, *values: Any) -> list[Trial]:
        with self._explain_errors():
            rows = self._database.execute(
                f"SELECT {self._columns} FROM trials WHERE {where}", values
            ).fetchall()
        return [_make_trial(row) for row in self._check(rows, TRIAL)]

    def _check(self, rows: Iterable[Any], kind: TypeAdapter[Any]) -> Iterator[Any]:
        """Yield each row with its JSON parsed, after a check of types and ranges."""
        for row in rows:
            try:
                yield kind.validate_python(row, strict=True)
            except ValidationError as error:
                place, problem = find_first_problem(error)
                column = COLUMNS.split(", ")[int(place.split(".")[0])]
                raise InputError(
                    f"{self.path}: damaged: trial {row[0]}: {column}: {problem.lower()}"
                ) from None

    def _check_pages(self) -> None:
        """Raise InputError if a page of the file is damaged: later writes would fail."""
        with self._explain_errors():
            problem = self._database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise InputError(f"{self.path}: damaged: {problem.splitlines()[-1]}")

    def _check_tables(self) -> None:
        """Raise InputError if the file has more than tables: a view may never end."""
        with self._explain_errors():
            query = "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'trigger')"
            found = self._database.execute(query).fetchone()
        if found:
            raise InputError(f"{self.path}: damaged: it has a {found[0]}, {found[1]!r}")

    def _check_trials(self) -> None:
        """Raise InputError if a column or a proposal is missing: later writes would fail."""
        with self._explain_errors():
            query = "SELECT name FROM pragma_table_info('trials')"
            found = {name for (name,) in self._database.execute(query)}
            missing = sorted({*COLUMNS.split(", "), "architecture", "proposed"} - found)
            if missing:
                raise InputError(f"{self.path}: damaged: no such column: {missing[0]}")
            query = "SELECT count(*), coalesce(max(number) + 1, 0) FROM trials"
            count, expected = self._database.execute(query).fetchone()
        if count != expected:
            raise InputError(
                f"{self.path}: damaged: it has {count} trials, but their numbers go up to "
                f"{expected - 1}"
            )

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Convert errors of the disk and of the file into an InputError."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            # texts that are not UTF-8 raise an error without a name
            if not getattr(error, "sqlite_errorname", "").startswith(MACHINE_ERRORS):
                raise InputError(f"{self.path}: damaged: {error}") from error
            raise InputError(
                f"{self.path}: {error}; its content is safe: make room or repair the disk, then "
                "resume=RUN"
            ) from error


class JournalReader(Records):
    """Read-only view of a journal at one moment; another process may be writing it.

    Log-probabilities are left out: they are the longest part.

    Args:
        path: The file.

    Raises:
        InputError: If the file is missing or not a journal.
    """

    _columns = COLUMNS.replace("log_probs", "'[]'")

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise InputError(f"{self.path}: no such file")
        if not self.path.is_file():  # a pipe would block for ever
            raise InputError(f"{self.path}: not a regular file")
        alone = not self.path.with_name(f"{self.path.name}-wal").exists()
        how = (
            "mode=ro&immutable=1" if alone else "mode=ro"
        )  # without a -wal file: SQLite creates no files
        with self._explain_errors():
            self._database = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?{how}", uri=True, isolation_level=None
            )
            self._database.execute("BEGIN")  # all queries see the same state
        self._check_tables()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @property
    def is_empty(self) -> bool:
        """Whether the search has not written anything yet."""
        with self._explain_errors():
            query = "SELECT count(*) FROM sqlite_master"
            return not self._database.execute(query).fetchone()[0]


def _make_proposal(row: Sequence[Any]) -> Proposal:
    number, tokens, log_probs, step, arm = row
    return Proposal(number, tokens, log_probs, step, arm)


def _make_trial(row: Sequence[Any]) -> Trial:
    return Trial(_make_proposal(row[:5]), Outcome(*row[5:12]), *row[12:])
