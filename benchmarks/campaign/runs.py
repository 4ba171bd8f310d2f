"""Small runs of each kind, and the comparison of a run that was broken with one that was not."""

import json
import re
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.campaign.commands import Command
from lightning_nas.files import read_csv
from lightning_nas.storage.run_folder import RunFolder

QUIET = ("logger=csv", "callbacks.progress=null", "threads=1")
TABLE = ("search.py", "experiment=nas_bench_201", "method.samples=60")
RESULTS = "number, arm, step, tokens, reward, accuracies, ended, same_as, error"
DIFFERS = re.compile("second|time|memory")  # columns and facts that differ between equal runs
PATHS = {"architecture", "checkpoint", "exported", "predictions"}


@dataclass(frozen=True)
class Kind:
    """A kind of run.

    Args:
        name: Name of the kind.
        words: Script and settings.
        weight: Share of the campaign, in comparison with the other kinds.
    """

    name: str
    words: tuple[str, ...]
    weight: int

    def begin(self, folder: Path) -> list[str]:
        """Return the command that begins the run in a folder."""
        return [*self.words, *QUIET, f"hydra.run.dir={folder}"]

    def resume(self, folder: Path) -> list[str]:
        """Return the command that continues the run."""
        return [self.words[0], f"resume={folder}"]


KINDS = (
    Kind("random search", (*TABLE, "method=random_search"), 4),
    Kind("evolution", (*TABLE, "method=evolution"), 4),
    Kind("NASNet table", TABLE, 4),
    Kind("NAS table", (*TABLE, "method=nas", "controller=nas"), 2),
    Kind("NASNet", ("search.py", "experiment=nasnet_digits", "debug=smoke"), 2),
    Kind("ENAS micro", ("search.py", "experiment=enas_micro_digits", "debug=smoke"), 2),
    Kind("ENAS macro", ("search.py", "experiment=enas_macro_digits", "debug=smoke"), 2),
    Kind("training", ("train.py", "debug=smoke", "trainer.max_epochs=3"), 3),
)


def choose_kinds(names: Sequence[str] = ()) -> tuple[Kind, ...]:
    """Return the kinds of the given names; all if there are none."""
    return tuple(kind for kind in KINDS if not names or kind.name in names)


def read_trials(folder: Path) -> dict[int, tuple[Any, ...]]:
    """Return the ended trials in a journal by number. The run folder is not changed."""
    journal = RunFolder(folder).journal
    if not journal.exists():
        return {}
    with TemporaryDirectory() as copy:
        for path in journal.parent.glob(f"{journal.name}*"):
            shutil.copy(path, copy)
        database = sqlite3.connect(Path(copy) / journal.name)
        try:
            query = f"SELECT {RESULTS} FROM trials WHERE ended IS NOT NULL"
            return {row[0]: row for row in database.execute(query)}
        except sqlite3.OperationalError:  # killed before the tables were there
            return {}
        finally:
            database.close()


def has_results(folder: Path, trials: dict[int, tuple[Any, ...]]) -> bool:
    """Return whether a run can be resumed. One that cannot is begun again.

    Args:
        folder: The run folder; it is missing if the run had nothing to keep.
        trials: The trials of the run (``read_trials``).
    """
    return bool(trials) or (folder / "checkpoints" / "last.ckpt").exists()


def read_results(folder: Path) -> dict[str, Any]:
    """Return the results of a run that must not depend on interruptions."""
    run = RunFolder(folder)
    facts = run.read_summary()
    return {
        "trials": sorted(read_trials(folder).items()),
        "metrics": [_drop_times(row) for row in read_csv(run.metrics)],
        "architecture": run.architecture.read_text() if run.architecture.exists() else None,
        "summary": {k: v for k, v in _drop_times(facts).items() if k not in PATHS},
        "files": sorted(path.name for path in folder.iterdir() if _is_result(path)),
    }


def _drop_times(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if not DIFFERS.search(name)}


def _is_result(path: Path) -> bool:
    return not re.search(r"\.(log|lock)$|-wal$|-shm$", path.name)


def list_differences(expected: dict[str, Any], folder: Path) -> list[str]:
    """Return how a complete run differs from the unbroken run of the same seed."""
    try:
        found = read_results(folder)
    except (OSError, ValueError) as error:
        return [f"unreadable result: {error}"]
    differences = []
    for name, value in expected.items():
        if found[name] != value:
            before, after = (json.dumps(one, default=str)[-500:] for one in (value, found[name]))
            differences.append(f"{name}: {before} became {after}")
    return differences


@cache
def run_unbroken(kind: Kind, folder: Path) -> dict[str, Any]:
    """Return the results of an unbroken run, run once.

    Raises:
        RuntimeError: If the command fails.
    """
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    ended = Command(kind.begin(run), folder).wait(limit=600)
    if ended.code != 0:
        raise RuntimeError(f"{kind.name}: {ended.errors}")
    return read_results(run)
