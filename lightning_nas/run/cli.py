"""What ``search.py`` and ``train.py`` share: errors in one line, exit codes. No torch here."""

import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lightning_nas.errors import InputError, as_user_error
from lightning_nas.run.arguments import complete_arguments, is_first_of_launcher, lock_given_folder
from lightning_nas.run.suggestions import explain_unknown_name

INPUT_ERROR_STATUS = 2
LONGEST_MESSAGE = 1500  # characters


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
    try:
        with print_user_errors(), lock_given_folder(sys.argv[1:]):
            sys.argv[1:] = complete_arguments(sys.argv[1:])
            main()
    except KeyboardInterrupt:  # before there was anything to save
        sys.exit(128 + signal.SIGINT)
    except BaseException as error:
        # found by its attribute, because the class Interrupted takes Lightning to import
        code = getattr(error, "exit_code", None)
        if code is None:
            raise
        # on status > 0, Lightning kills the first process, which may be saving
        if not is_first_of_launcher():
            sys.exit(0)
        command = f"python {sys.argv[0]} resume={error.run}"  # type: ignore[attr-defined]
        print(f"interrupted by {error}; to continue: {command}", file=sys.stderr)
        sys.exit(code)


@contextmanager
def print_user_errors() -> Iterator[None]:
    """Print a user's error as one line and exit with status 2; let other errors pass.

    Commands use it inside ``hydra.main`` too, because Hydra prints a line before an error that
    passes through it.
    """
    try:
        yield
    except Exception as error:
        message = explain_unknown_name(error)
        user_error = InputError(message) if message else as_user_error(error)
        if user_error is None:
            raise
        exit_with_error(user_error)


def exit_with_error(error: BaseException) -> None:
    """Print an error as one line, on the first process only, and exit with status 2.

    Hydra's lists of search paths are left out.
    """
    if is_first_of_launcher():
        text = re.split("(?:Config s|S)earch path:", str(error))[0]
        text = text.removeprefix("In 'search': ").removeprefix("In 'train': ")
        text = " ".join(text.split())
        if len(text) > LONGEST_MESSAGE:  # such as a path of thousands of characters
            text = f"{text[: LONGEST_MESSAGE // 2]} ... {text[-LONGEST_MESSAGE // 2 :]}"
        print(f"error: {text}", file=sys.stderr)
    sys.exit(INPUT_ERROR_STATUS)
