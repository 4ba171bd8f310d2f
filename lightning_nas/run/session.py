"""One execution of a command in its run folder: checks, seeds, status, summary and report.

The steps of the commands are in ``search.py`` and ``train.py``.
"""

import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from lightning_nas.callbacks.interrupt import Interrupted
from lightning_nas.data.base import ImageData
from lightning_nas.data.decode import UnreadableImageError
from lightning_nas.data.describe import summarise_data
from lightning_nas.data.problems import list_problems
from lightning_nas.errors import DeadWorkerError, InputError, as_user_error, log_and_continue
from lightning_nas.files import remove_parts
from lightning_nas.layers.operations import register_operations
from lightning_nas.pictures.sheet import write_sheet
from lightning_nas.report.html import write_report
from lightning_nas.report.record import NoTrialsError
from lightning_nas.run.arguments import is_restarted_job
from lightning_nas.run.checks import check_settings
from lightning_nas.run.folders import is_first_of_run
from lightning_nas.run.recorded import find_trusted_names
from lightning_nas.run.resume import list_resume_settings
from lightning_nas.storage.run_folder import COMPLETE, INTERRUPTED, RunFolder, shell_path

log = logging.getLogger(__name__)
SAMPLE_CLASSES, SAMPLES = 10, 8  # rows and columns of the sheet of samples


# ---- the session of a run folder -----------------------------------------------------------------


class RunSession:
    """One execution of a command in its run folder.

    Args:
        cfg: The composed configuration. The constructor sets ``cfg.resume`` if SLURM has
            restarted the job and the folder holds a run.

    Attributes:
        folder: The run folder.
        facts: Facts that ``finish`` writes into ``summary.json``.
        status: ``INTERRUPTED`` until the command has succeeded, then ``COMPLETE``. An error leaves
            the status at ``INTERRUPTED``.
        writes_results: Whether ``finish`` writes summary and report; false in a dry run.
        removes_empty_folder: Whether ``finish`` removes a folder without results; true in a dry
            run.
        has_begun: Whether the first training step has succeeded.
        has_failed: Whether the command has ended with an error.
        earlier_summary: Summary of the run that is resumed; empty for a new run.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg
        self.folder = RunFolder(HydraConfig.get().runtime.output_dir)
        if is_restarted_job() and self.folder.has_begun:
            cfg.resume = str(self.folder)
        is_dry_run = bool(cfg.get("dry_run", False))
        self.status = INTERRUPTED
        self.writes_results = not is_dry_run
        self.removes_empty_folder = is_dry_run
        if self.writes_results and is_first_process():
            remove_parts(self.folder.path)
        self.has_begun = self.has_failed = False
        self._samples: Tensor | None = None  # training images for the sheet of samples
        self.earlier_summary = self.folder.read_summary() if cfg.resume else {}
        self.start = time.monotonic() - self.earlier_summary.get("seconds", 0.0)
        self.facts: dict[str, Any] = {
            "experiment": cfg.name,
            "method": self._name_method(),
        }
        if not cfg.get("data"):
            self.facts["data"] = cfg.evaluation.dataset  # the data set of a benchmark table
        elif cfg.get("mode") != "export":
            self.facts["data"] = self.find_choice("data")

    def find_choice(self, group: str) -> str:
        """Return the option of a config group that the run uses, such as "digits" for "data".

        A resumed run has the options only in its run folder, where Hydra recorded them.
        """
        choices: Mapping[str, Any] = HydraConfig.get().runtime.choices
        if group not in choices:
            choices = self.folder.read_choices()
        return str(choices.get(group, "unknown"))

    def _name_method(self) -> str:
        if "method" in self.cfg:
            return str(self.cfg.get("method_name") or self.find_choice("method"))
        return str({"fit": "train"}.get(self.cfg.mode, self.cfg.mode))

    def begin(self) -> None:
        """Note that the first training step has succeeded.

        A resume writes its settings and the status ``INTERRUPTED`` now, because a killed run cannot
        write a summary at the end. A resume that fails earlier leaves the folder as it was.
        """
        if self.has_begun:
            return
        self.has_begun = True
        if self._samples is not None and is_first_process():
            write_sheet(self.folder.samples, self._samples)
        if self.cfg.resume and is_first_process():
            if self.earlier_summary:
                self.folder.write_summary(self.earlier_summary | {"status": INTERRUPTED})
            self.folder.write_resume_settings(list_resume_settings(self.cfg))

    def note_data(self, data: ImageData, is_trained_on: bool = True) -> None:
        """Add the facts on the data, warn of problems, and keep images for the sheet of samples.

        ``begin`` writes the sheet: a command that fails earlier leaves no results.

        Args:
            data: Data after ``setup``.
            is_trained_on: Whether a network will learn from the training images.
        """
        self.add_facts(**summarise_data(data))
        if not is_first_of_run():  # the other processes write nothing
            return
        problems = list_problems(data)
        self.add_facts(data_problems=problems)
        for problem in problems:
            log.warning("%s", problem)
        if is_trained_on and self.writes_results:
            names, self._samples = data.sample_augmented(SAMPLE_CLASSES, SAMPLES)
            self.add_facts(sample_classes=names)

    def add_facts(self, **facts: Any) -> None:
        """Add facts to the summary. ``finish`` writes the facts, also after an interruption."""
        self.facts |= facts

    def note_error(self, error: BaseException) -> None:
        """Decide what ``finish`` does after an error, and add the run folder to the message.

        If a new run fails with an error of the user, ``finish`` removes a folder without results.
        If a resume fails before its first training step, ``finish`` writes nothing.
        """
        self.has_failed = True
        if isinstance(error, Interrupted):
            error.run = shell_path(self.folder.path)
        elif isinstance(error, UnreadableImageError | DeadWorkerError) and self.has_begun:
            error.hint += f"; to continue: resume={shell_path(self.folder.path)}"
        elif isinstance(error, InputError) and self.folder.has_begun:
            resume = f"resume={shell_path(self.folder.path)}"
            error.args = (str(error).replace("resume=RUN", resume),)
        if not self.cfg.resume:
            self.removes_empty_folder = as_user_error(error) is not None
        elif not self.has_begun:
            self.writes_results = False

    def finish(self, write_report: Callable[[Path], None] | None) -> None:
        """Write the summary and the report, end the W&B record, and remove an empty folder.

        After a complete run, write the report first, because the last step of the W&B record
        uploads the report. After an interruption, end the W&B record first, because the process
        may be killed while it writes the report.

        Args:
            write_report: Function that writes the report into the run folder; None = no report.
        """
        is_removed = self.removes_empty_folder and self.folder.is_bare
        is_kept = self.writes_results and not is_removed
        if is_kept and is_first_process():
            seconds = round(time.monotonic() - self.start, 1)
            self.add_facts(status=self.status, seconds=seconds)
            try:
                self.folder.write_summary(self.facts)
            except OSError as error:  # a missing summary must not hide the first error
                if not self.has_failed:
                    raise
                log.warning("no summary: %s", as_user_error(error) or error)
        report = write_report if is_kept and is_first_process() else None
        if report and self.status == COMPLETE:
            report(self.folder.path)
        # if W&B is not installed, its import has failed before, and there is no record to end
        if "wandb" in (self.cfg.get("logger") or ()) and sys.modules.get("wandb"):
            from lightning_nas.callbacks.wandb_upload import finish_record  # the import takes 0.5 s

            finish_record(self.folder.path if is_kept else None)
        if report and self.status == INTERRUPTED:
            report(self.folder.path)
        if is_removed:
            shutil.rmtree(self.folder.path, ignore_errors=True)


@contextmanager
def run_session(
    cfg: DictConfig, write_report: Callable[[Path], None] | None = None
) -> Iterator[RunSession]:
    """Seed all random numbers and yield the session of a command. Always finish the session.

    Args:
        cfg: The composed configuration.
        write_report: Function that writes the report into the run folder; None = no report. Only
            the first process calls the function.

    Raises:
        InputError: If a setting is not legal.
    """
    if HydraConfig.get().job.chdir:  # settings have paths relative to the folder of the user
        os.chdir(HydraConfig.get().runtime.cwd)
    try:
        session = RunSession(cfg)
    except OmegaConfBaseException:  # a setting refers to something that does not exist
        folder = RunFolder(HydraConfig.get().runtime.output_dir)
        if folder.is_bare:
            shutil.rmtree(folder.path, ignore_errors=True)
        raise
    try:
        check_settings(cfg)
        prepare_process(cfg)
        register_operations(cfg.get("operations"))  # before a space checks operation names
        pl.seed_everything(cfg.seed, verbose=False)
        if OmegaConf.select(cfg, "extras.print_config") and is_first_process():
            print(OmegaConf.to_yaml(cfg, resolve=True), flush=True)
        yield session
        session.status = COMPLETE
    except BaseException as error:
        session.note_error(error)
        raise
    finally:
        session.finish(write_report)


def prepare_process(cfg: DictConfig) -> None:
    """Set the number of torch threads, and let Lightning log only warnings and errors."""
    # without this, each Trainer (one for each child) logs its hardware and advertisements
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)


def is_first_process() -> bool:
    """Return whether this is the only process of a run, or the first of several."""
    return not (torch.distributed.is_initialized() and torch.distributed.get_rank() > 0)


def write_report_safely(folder: Path) -> None:
    """Write the report of a run. Log errors: a failed report must not fail the run."""
    command = f"python -m lightning_nas.report {shell_path(folder)}"
    with log_and_continue(
        f"the report failed, all results are saved; to write the report: {command}"
    ):
        try:
            write_report(folder, find_trusted_names())
        except NoTrialsError as error:
            log.info("no report: %s", error)
        except InputError as error:
            log.warning("no report: %s; to write it: %s", error, command)
        except KeyboardInterrupt:
            log.warning("no report; to write the report: %s", command)
