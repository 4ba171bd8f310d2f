"""The one exception that means "what the user gave is at fault", and nothing else.

The commands print it as a single line that begins with ``error:``. Anything else that is raised is
a defect of the program and keeps its traceback.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

log = logging.getLogger(__name__)
INSTANTIATION = "InstantiationException"  # Hydra's, by name: it takes long to import
NOT_FOUND = "Error locating target"  # of which it says so
MISSING = "MissingMandatoryValue"  # OmegaConf's, the same
MISCONFIGURATION = "MisconfigurationException"  # Lightning's, the same


class InputError(ValueError):
    """A setting, a file or a data set that cannot be used.

    The message is one line: it names the file or the setting, what was wrong, and what is legal.
    """


def list_some(names: Sequence[str], most: int = 5) -> str:
    """Return the first few names, and how many more there are, for a message.

    >>> few(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def as_user_error(error: BaseException) -> BaseException | None:
    """Return what to show of an error that is the user's; None if the error is the program's.

    A setting that a class refuses, one of Lightning's for instance, is the user's too, and so is a
    class that is not there.
    """
    if isinstance(error, InputError) or type(error).__name__ == MISCONFIGURATION:
        return error
    if type(error).__name__ == MISSING:
        name = getattr(error, "full_key", None)
        return InputError(f"{name} has no value: {name}=VALUE")
    cause = error.__cause__
    if type(error).__name__ != INSTANTIATION or cause is None:
        return None
    if isinstance(cause, InputError) or str(error).startswith(NOT_FOUND):
        return cause
    if isinstance(cause, TypeError | ValueError):
        return InputError(f"{_settings_of(error)}{cause}")
    return as_user_error(cause)


def _settings_of(error: BaseException) -> str:
    """Return whose settings Hydra could not use: what Python says of them often does not tell."""
    found = re.search(r"^full_key: (\S+)$", str(error), flags=re.MULTILINE)
    return f"settings of {found[1]}: " if found else ""


@contextmanager
def log_and_continue(what: str) -> Iterator[None]:
    """Tell of what goes wrong in showing a run, and go on: it takes nothing from the run itself.

    Args:
        what: Is missing now, and how to have it; the reason follows.
    """
    try:
        yield
    except Exception:
        log.exception(what)
