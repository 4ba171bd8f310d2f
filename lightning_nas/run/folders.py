"""The folder that a command writes into: no other run and no other command uses it."""

import os
from contextlib import ExitStack
from pathlib import Path

from lightning_nas.errors import InputError, list_some
from lightning_nas.run.arguments import is_restarted_job
from lightning_nas.run.overrides import NOTHING, get_value, is_complete
from lightning_nas.storage.lock import LOCK, lock_folder
from lightning_nas.storage.run_folder import RunFolder, display_path, shell_path

RANKS = ("LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "SLURM_PROCID")  # 0 in the first process of a run
PRINTING_FLAGS = ("--cfg", "-c", "--help", "-h", "--hydra-help", "--info", "-i", "--version")
SWEEP_RECORD = "multirun.yaml"  # file that Hydra writes into the folder of several runs
sweeps: list[Path] = []  # folders of several searches that this command has begun
command_locks, job_locks = ExitStack(), ExitStack()  # of this process; the command closes them


def enter_folder(folder: Path, has_jobs: bool = False) -> None:
    """Check that a folder holds no run, and lock the folder. Other processes of a run do nothing.

    Args:
        folder: The folder.
        has_jobs: Whether the command writes several runs into the folder, each in a sub-folder.

    Raises:
        InputError: If the folder holds a run, or another command writes there.
    """
    if not is_first_of_run():  # the other processes may find the results of the first
        return
    command_locks.enter_context(lock_folder(folder))
    if has_jobs:
        command_locks.callback(remove_record_of_no_runs, folder)  # while the folder is locked
    if not is_restarted_job():
        check_unused(folder, has_jobs)


def remove_record_of_no_runs(sweep: Path) -> None:
    """Remove Hydra's record of several runs if none of the runs left anything.

    The end of the lock then removes the folder, if the command created the folder.
    """
    record = sweep / SWEEP_RECORD
    if record.exists() and {path.name for path in sweep.iterdir()} <= {SWEEP_RECORD, LOCK}:
        record.unlink()


def check_unused(folder: Path, has_jobs: bool = False) -> None:
    """Raise InputError if a folder holds a run, or a run is where one of several jobs may write."""
    run = RunFolder(folder)
    if run.has_begun:
        raise InputError(
            f"{display_path(folder)} holds a run; continue it with resume={shell_path(folder)}, or "
            "choose another folder"
        )
    if not has_jobs:
        return
    written = [*folder.rglob(run.checkpoints.name), *folder.rglob(run.journal.name)]
    runs = sorted({str(path.parent.relative_to(folder)) for path in written})
    if runs:
        raise InputError(
            f"{display_path(folder)} holds runs ({list_some(runs)}); choose another folder: "
            "hydra.sweep.dir=DIR"
        )


def lock_resumed(arguments: list[str]) -> None:
    """Lock the folder of ``resume=RUN``, in the first process of a run.

    Args:
        arguments: Arguments of the command, normalised but not completed.

    Raises:
        InputError: If RUN is no run folder, or another command writes there.
    """
    given = get_value(arguments, "resume")
    only_prints = any(argument.split("=")[0] in PRINTING_FLAGS for argument in arguments)
    if given in NOTHING or only_prints or is_complete(arguments) or not is_first_of_run():
        return
    folder = RunFolder(str(given))
    folder.check_is_run("resume")
    command_locks.enter_context(lock_folder(folder.path))


def is_first_of_run() -> bool:
    """Return whether this is the first process of the whole run, on all its machines."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)
