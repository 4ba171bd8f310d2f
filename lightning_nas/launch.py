"""What the two commands share: errors of one line, exit codes. No torch here."""

import os
import re
import sys
import warnings
from collections.abc import Callable

from hydra.errors import HydraException, InstantiationException
from omegaconf.errors import OmegaConfBaseException

from lightning_nas.arguments import complete
from lightning_nas.errors import InputError

INPUT_ERROR = 2  # exit status


def command(main: Callable[[], None]) -> None:
    """Run a command; a user's error becomes one line on stderr and exit status 2."""
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)  # Lightning 2.6, torch 2.14
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra hands exceptions on instead of printing
    try:
        sys.argv[1:] = complete(sys.argv[1:])
        main()
    except InputError as error:
        fail(error)
    except InstantiationException as error:
        cause = error.__cause__
        if not isinstance(cause, InputError | TypeError):
            raise
        fail(cause)
    except (HydraException, OmegaConfBaseException) as error:
        fail(error)
    except Exception as error:
        code = getattr(error, "exit_code", None)  # Interrupted, which needs Lightning to import
        if code is None:
            raise
        if not _is_first():  # Lightning kills the first, which may be busy, where another fails
            sys.exit(0)
        print(f"interrupted by {error}; go on with resume=RUN", file=sys.stderr)
        sys.exit(code)


def fail(error: BaseException) -> None:
    """Print an error as one line, on the first process alone, and exit.

    Of Hydra's errors the folders that it looked through are left out.
    """
    if _is_first():
        said = re.split("(?:Config s|S)earch path:", str(error))[0]
        print(f"error: {' '.join(said.split())}", file=sys.stderr)
    sys.exit(INPUT_ERROR)


def _is_first() -> bool:
    return os.environ.get("LOCAL_RANK", "0") == "0"
