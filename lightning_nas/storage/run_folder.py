"""The layout of a run folder: which file holds what, and how each file is read.

All code takes the names of the files from this module. Only the configurations repeat two names:
those of the journal and of the metrics. This module reads plain data. It must not build spaces or
networks.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lightning_nas.errors import InputError
from lightning_nas.files import read_csv, read_json, read_yaml, write_json, write_yaml
from lightning_nas.storage.file_types import (
    HydraFile,
    Judgement,
    Summary,
    TestRecord,
    check_types,
)
from lightning_nas.storage.journal_reader import JournalReader

INTERRUPTED, COMPLETE = "interrupted", "complete"  # values of ``status`` in summary.json
LAST_CHECKPOINT = "last.ckpt"
STATE = ("status", "architectures", "best_reward")  # values of summary.json that a resume changes


class RunFolder:
    """The folder of one search, training, test, prediction or export.

    Args:
        path: The folder. It need not exist yet.

    >>> RunFolder("runs/train/1").best_checkpoint
    PosixPath('runs/train/1/checkpoints/best.ckpt')
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.hydra = self.path / ".hydra"
        self.config = self.hydra / "config.yaml"  # the whole configuration of the run
        self.hydra_config = self.hydra / "hydra.yaml"  # settings of Hydra: arguments, search path
        self.resume_settings = self.hydra / "resumed.yaml"  # arguments of the last resume
        self.summary = self.path / "summary.json"
        self.metrics = self.path / "metrics.csv"
        self.journal = self.path / "trials.sqlite"
        self.journal_lock = self.path / "trials.lock"  # stays when the journal is closed
        self.checkpoints = self.path / "checkpoints"
        self.last_checkpoint = self.checkpoints / LAST_CHECKPOINT
        self.best_checkpoint = self.checkpoints / "best.ckpt"
        self.architecture = self.path / "architecture.json"
        self.picture = self.path / "architecture.png"
        self.top = self.path / "top.csv"
        self.pareto = self.path / "pareto.csv"
        self.report = self.path / "report.html"
        self.samples = self.path / "samples.png"  # training images as they reach the network
        self.test_record = self.path / "test.json"
        self.mistakes = self.path / "mistakes.png"
        self.predictions = self.path / "predictions.csv"
        self.export = self.path / "export"
        self.judgement = self.path / "weight_sharing.json"
        self.judge_journal = self.path / "judged.sqlite"
        self.wandb_id = self.path / "wandb_id.txt"

    def __str__(self) -> str:
        return str(self.path)

    # ---- what the folder holds -------------------------------------------------------------------

    @property
    def has_current_report(self) -> bool:
        """Whether the report is of the last command; it is written after the summary."""
        return self.report.exists() and (
            self.report.stat().st_mtime_ns >= self.summary.stat().st_mtime_ns
        )

    @property
    def is_run(self) -> bool:
        """Whether the folder holds the configuration of a run."""
        return self.config.is_file()

    @property
    def has_begun(self) -> bool:
        """Whether a search or a training has written results into the folder."""
        return self.journal.exists() or self.checkpoints.exists()

    @property
    def is_bare(self) -> bool:
        """Whether the folder has no results: only a configuration, logs or an empty journal."""
        names = {path.name for path in self.path.iterdir() if path.suffix not in (".log", ".lock")}
        return names <= {self.hydra.name, "wandb", self.wandb_id.name, *self._list_empty_journal()}

    def _list_empty_journal(self) -> list[str]:
        """Return the file names of the journal if the journal has no proposals; otherwise none."""
        if not self.journal.exists():
            return []
        try:
            with closing(self.open_journal()) as journal:
                is_empty = journal.is_empty or not len(journal)
        except InputError:
            return []
        return [f"{self.journal.name}{end}" for end in ("", "-wal", "-shm") if is_empty]

    @classmethod
    def find(cls, given: str | Path | None) -> "RunFolder | None":
        """Return the run folder of a path: the path itself, its parent or its grandparent.

        ``RUN``, ``RUN/architecture.json``, ``RUN/top/2.json`` and ``RUN/checkpoints/best.ckpt`` all
        give ``RUN``. The result is None if none of the three is a run folder.
        """
        if given is None:
            return None
        path = Path(given)
        folders = (cls(folder) for folder in (path, path.parent, path.parent.parent))
        return next((folder for folder in folders if folder.hydra_config.exists()), None)

    def check_is_run(self, setting: str = "") -> None:
        """Raise InputError if the folder holds no run.

        Args:
            setting: Name of the setting that gave the folder, for the message.
        """
        if self.is_run:
            return
        given = f"{setting}={self.path}" if setting else str(self.path)
        if not self.path.exists():
            raise InputError(f"{given}: no such folder")
        runs = [path.parent for path in self.path.glob(f"*/{self.hydra.name}") if path.is_dir()]
        if runs:
            one = display_path(min(runs, key=lambda run: (len(run.name), run.name)))
            raise InputError(f"{given}: holds {len(runs)} runs; name one of them, such as {one}")
        raise InputError(f"{given}: not a run folder (it has no .hydra/config.yaml)")

    # ---- reading ---------------------------------------------------------------------------------

    def read_config(self) -> tuple[str, dict[str, Any]]:
        """Return the text of the configuration and its settings; references are not resolved.

        Raises:
            InputError: If the folder holds no run, or the file is damaged.
        """
        self.check_is_run()
        text, config = read_yaml(self.config)
        if not isinstance(config, dict):
            raise InputError(f"{self.config}: damaged: it has no settings")
        return text, config

    def read_hydra_config(self) -> dict[str, Any]:
        """Return Hydra's own configuration: arguments, chosen files, search path.

        Raises:
            InputError: If the file is missing or damaged.
        """
        if not self.hydra_config.is_file():
            raise InputError(f"{self.path}: not a run folder (it has no .hydra/hydra.yaml)")
        config = read_yaml(self.hydra_config)[1]
        check_types(HydraFile, config, self.hydra_config)
        return dict(config["hydra"])

    def read_choices(self) -> dict[str, str]:
        """Return the option of each config group that the run uses, such as "digits" for "data".

        A group without an option is left out. The result is empty if Hydra recorded nothing.
        """
        if not self.hydra_config.is_file():
            return {}
        choices = self.read_hydra_config()["runtime"]["choices"]
        return {group: name for group, name in choices.items() if name not in (None, "null")}

    def read_resume_settings(self) -> list[str]:
        """Return the arguments of the last resume, with the trainings of earlier finalists.

        Raises:
            InputError: If the file is damaged.
        """
        if not self.resume_settings.exists():
            return []
        settings = read_yaml(self.resume_settings)[1]
        if not isinstance(settings, list) or not all(isinstance(one, str) for one in settings):
            raise InputError(f"{self.resume_settings}: damaged: not a list of settings")
        return settings

    def read_summary(self) -> dict[str, Any]:
        """Return the content of ``summary.json``; empty if there is none yet.

        Raises:
            InputError: If the file is damaged.
        """
        return _read_facts(self.summary, Summary)

    def read_judgement(self) -> dict[str, Any]:
        """Return the content of ``weight_sharing.json``; empty if the search was not judged.

        Raises:
            InputError: If the file is damaged.
        """
        return _read_facts(self.judgement, Judgement)

    def read_test_record(self) -> dict[str, Any]:
        """Return the content of ``test.json``; empty if no network was tested.

        Raises:
            InputError: If the file is damaged.
        """
        return _read_facts(self.test_record, TestRecord)

    def read_metrics(self) -> list[dict[str, float]]:
        """Return each row of ``metrics.csv`` as column -> value, without empty cells.

        Raises:
            InputError: If the file is damaged.
        """
        if not self.metrics.exists():
            return []
        rows = read_csv(self.metrics)
        try:
            return [{name: float(value) for name, value in row.items() if value} for row in rows]
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.metrics}: damaged: {error}") from None

    def read_chosen(self) -> list[int] | None:
        """Return the trial numbers in ``top.csv``, best first; None if there is no such file.

        The journal cannot replace ``top.csv``: after a search was extended, the journal also holds
        the finalists that were trained before the extension.

        Raises:
            InputError: If the file is damaged.
        """
        if not self.top.exists():
            return None
        try:
            return [int(row["trial"]) for row in read_csv(self.top)]
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{self.top}: damaged: a row has no trial number") from None

    def open_journal(self) -> JournalReader:
        """Open ``trials.sqlite`` for reading; another process may write at the same time.

        Raises:
            InputError: If the file is missing or not a journal.
        """
        return JournalReader(self.journal)

    def find_trained_checkpoint(self) -> Path:
        """Return the checkpoint that the summary names; if it is missing, return ``last.ckpt``.

        If the summary names no checkpoint, ``best.ckpt`` is preferred to ``last.ckpt``.

        Raises:
            InputError: If the folder has no checkpoint.
        """
        named = self.read_summary().get("checkpoint")
        kept = self.checkpoints / Path(str(named)).name if named else self.best_checkpoint
        for checkpoint in (kept, self.last_checkpoint):
            if checkpoint.exists():
                return checkpoint
        raise InputError(
            f"weights={self.path}: no checkpoint in this folder; give the run folder of a training"
        )

    # ---- writing ---------------------------------------------------------------------------------

    def write_summary(self, facts: dict[str, Any]) -> None:
        """Write ``summary.json``. A killed process leaves no partial file."""
        write_json(self.summary, facts)

    def write_resume_settings(self, settings: Sequence[str]) -> None:
        """Replace the arguments of the earlier resume. A killed process leaves one or the other."""
        if settings:
            write_yaml(self.resume_settings, list(settings))
        else:
            self.resume_settings.unlink(missing_ok=True)


def _read_facts(path: Path, kind: type[BaseModel]) -> dict[str, Any]:
    """Return the content of a JSON file of the given types; empty if there is no such file."""
    if not path.exists():
        return {}
    facts = read_json(path)
    check_types(kind, facts, path)
    return facts


def describe_state(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of ``summary.json`` that change if a search is resumed."""
    return {name: summary.get(name) for name in STATE}


def display_path(path: str | Path) -> Path:
    """Return a path for messages: relative if the path is inside the working directory.

    >>> display_path("/usr/lib")
    PosixPath('/usr/lib')
    """
    path = Path(path)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def shell_path(path: Path) -> str:
    """Return a path for a command line: relative if possible, quoted if necessary."""
    return shlex.quote(str(display_path(path.resolve())))


def find_common_parent(folders: Sequence[Path]) -> Path:
    """Return the deepest folder that contains all given folders."""
    return Path(os.path.commonpath([folder.resolve().parent for folder in folders]))
