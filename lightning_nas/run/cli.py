"""What the two commands share: errors of one line, exit codes. No torch here."""

import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hydra.errors import HydraException, InstantiationException
from omegaconf.errors import OmegaConfBaseException

from lightning_nas.errors import as_user_error
from lightning_nas.run.arguments import complete_arguments

INPUT_ERROR = 2  # exit status
CONFIGURATION = (HydraException, OmegaConfBaseException)


def run_command(main: Callable[[], None]) -> None:
    """Run a command; a user's error becomes one line on stderr and exit status 2."""
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)  # Lightning 2.6, torch 2.14
    warnings.filterwarnings("ignore", ".*configure_optimizers. returned .None")  # random search
    warnings.filterwarnings("ignore", ".*smaller than the logging interval")  # few images
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra hands exceptions on instead of printing
    try:
        with print_user_errors():
            sys.argv[1:] = complete_arguments(sys.argv[1:])
            main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # before there was anything to save
    except BaseException as error:
        code = getattr(error, "exit_code", None)  # Interrupted, which needs Lightning to import
        if code is None:
            raise
        if not _is_first():  # Lightning kills the first, which may be busy, where another fails
            sys.exit(0)
        run_command = f"python {sys.argv[0]} resume={error.run}"  # type: ignore[attr-defined]
        print(f"interrupted by {error}; go on with {run_command}", file=sys.stderr)
        sys.exit(code)


@contextmanager
def print_user_errors() -> Iterator[None]:
    """Print a user's error as one line and exit with status 2.

    What a command does with its configuration is wrapped on its own, too, for Hydra puts a line
    before an error that it sees.
    """
    try:
        yield
    except Exception as error:
        shown = as_user_error(error)
        if isinstance(error, CONFIGURATION) and not isinstance(error, InstantiationException):
            shown = shown or error
        if shown is None:
            raise
        exit_with_error(shown)


def exit_with_error(error: BaseException) -> None:
    """Print an error as one line, on the first process alone, and exit.

    Of Hydra's errors the folders that it looked through are left out.
    """
    if _is_first():
        said = re.split("(?:Config s|S)earch path:", str(error))[0]
        said = said.removeprefix("In 'search': ").removeprefix("In 'train': ")
        said = said.replace("\n\nAvailable options", "; available options")
        said = re.sub(r"To append to your config use \S+", "All settings: --cfg job", said)
        print(f"error: {' '.join(said.split())}", file=sys.stderr)
    sys.exit(INPUT_ERROR)


def _is_first() -> bool:
    rank = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0"))
    return rank == "0"
