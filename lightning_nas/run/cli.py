"""What ``search.py`` and ``train.py`` share: errors in one line, exit codes. No torch here."""

import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from lightning_nas.ctrl_c import end_at_ctrl_c, raise_if_pressed
from lightning_nas.errors import InputError, as_user_error
from lightning_nas.run.arguments import complete_arguments, is_first_of_launcher
from lightning_nas.run.folders import command_locks, job_locks, lock_resumed
from lightning_nas.run.joint_report import write_joint_report
from lightning_nas.run.overrides import is_complete, normalise_arguments
from lightning_nas.run.suggestions import explain_unknown_name

INPUT_ERROR_STATUS = 2
LONGEST_MESSAGE = 1500  # characters
SPIN_COUNT = "3000"  # about as fast as libgomp's 300,000 on free cores, docs/results.md
failed_jobs: list[str] = []  # of the several runs of this process


def run_command(main: Callable[[], None]) -> None:
    """Complete the arguments and run a command.

    A user's error becomes one line on stderr and exit status 2; an interruption becomes one line
    with the command that continues the run, and exit status 128 + the number of the signal.

    Args:
        main: Function decorated with ``hydra.main``.
    """
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)  # Lightning 2.6, torch 2.14
    warnings.filterwarnings("ignore", ".*configure_optimizers. returned .None")  # random search
    warnings.filterwarnings("ignore", ".*smaller than the logging interval")  # small data
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # resume
    logging.raiseExceptions = False  # a log file on a full disk must not print a traceback
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # without it Hydra prints the error itself
    let_waiting_threads_sleep()
    with (
        end_at_ctrl_c(),
        print_resume_command(),
        print_user_errors(),
        command_locks,
        job_locks,
    ):
        if not is_complete(sys.argv):
            sys.argv[1:] = normalise_arguments(sys.argv[1:])
        lock_resumed(sys.argv[1:])
        sys.argv[1:] = complete_arguments(sys.argv[1:], sys.argv[0])
        with list_failed_jobs(), write_joint_report():
            main()


def let_waiting_threads_sleep() -> None:
    """Let torch's threads sleep soon when they wait, unless the user has chosen how they wait.

    Threads that wait by spinning make a step several times slower where other work has a core.
    Torch's library reads the variable when torch is imported, so call this before.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


@contextmanager
def print_resume_command() -> Iterator[None]:
    """Print the command that continues an interrupted run, and exit with the signal's status."""
    try:
        yield
    except BaseException as error:
        # found by its attribute, because the class Interrupted takes Lightning to import
        code = getattr(error, "exit_code", None)
        if code is None:
            raise
        # on status > 0, Lightning kills the first process, which may be saving
        if not is_first_of_launcher():
            sys.exit(0)
        command = f"python {sys.argv[0]} resume={error.run}"  # type: ignore[attr-defined]
        is_search = Path(sys.argv[0]).name == "search.py"
        end = f"; to end it now: {command} finish=true" if is_search else ""
        print(f"interrupted by {error}; to continue: {command}{end}", file=sys.stderr)
        sys.exit(code)


@contextmanager
def print_user_errors() -> Iterator[None]:
    """Print a user's error as one line and exit with status 2; let other errors pass.

    Commands use it inside ``hydra.main`` too, because Hydra prints a line before an error that
    passes through it. An error of one of several runs passes nevertheless: Hydra goes on with the
    next run, and raises the error at the end.

    Raises:
        KeyboardInterrupt: If Ctrl-C was pressed: the errors that follow are not the user's.
    """
    raise_if_pressed()
    try:
        yield
    except Exception as error:
        raise_if_pressed()
        user_error = find_user_error(error)
        if is_one_of_several():
            failed_jobs.append(f"#{HydraConfig.get().job.num}")
            if user_error is not None:
                print_error(user_error, f"run {failed_jobs[-1]}: ")
            else:
                traceback.print_exc()
            raise
        if user_error is None:
            raise
        print_error(user_error)
        sys.exit(INPUT_ERROR_STATUS)


@contextmanager
def list_failed_jobs() -> Iterator[None]:
    """List the failed ones of several runs, of which Hydra raises only the first error.

    Raises:
        InputError: If runs have failed, and the first one by an error of the user.
    """
    try:
        yield
    except Exception as error:
        if not failed_jobs or find_user_error(error) is None:
            raise
        raise InputError(
            f"{len(failed_jobs)} of the runs failed: {', '.join(failed_jobs)}; their errors stand "
            "above, and all others are complete"
        ) from None


def is_one_of_several() -> bool:
    """Return whether this code runs inside one of the runs of ``-m``."""
    return (
        HydraConfig.initialized()
        and HydraConfig.get().mode == RunMode.MULTIRUN
        and not OmegaConf.is_missing(HydraConfig.get().job, "num")
    )


def find_user_error(error: Exception) -> BaseException | None:
    """Return the error to print if an exception is the user's; None if it is a defect."""
    message = explain_unknown_name(error)
    return InputError(message) if message else as_user_error(error)


def print_error(error: BaseException, prefix: str = "") -> None:
    """Print an error as one line, on the first process only.

    Hydra's lists of search paths are left out.
    """
    if is_first_of_launcher():
        text = re.split("(?:Config s|S)earch path:", str(error))[0]
        text = text.removeprefix("In 'search': ").removeprefix("In 'train': ")
        text = " ".join(text.split())
        if len(text) > LONGEST_MESSAGE:  # such as a path of thousands of characters
            text = f"{text[: LONGEST_MESSAGE // 2]} ... {text[-LONGEST_MESSAGE // 2 :]}"
        print(f"error: {prefix}{text}", file=sys.stderr)
