"""The one exception that means "what the user gave is at fault", and nothing else.

The commands print it as a single line that begins with ``error:``. Anything else that is raised is
a defect of the program and keeps its traceback.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

log = logging.getLogger(__name__)
INSTANTIATION = "InstantiationException"  # Hydra's, by name: it takes long to import
NOT_FOUND = "Error locating target"  # of which it says so
MISCONFIGURATION = "MisconfigurationException"  # Lightning's, the same


class InputError(ValueError):
    """A setting, a file or a data set that cannot be used.

    The message is one line: it names the file or the setting, what was wrong, and what is legal.
    """


def few(names: Sequence[str], most: int = 5) -> str:
    """Return the first few names, and how many more there are, for a message.

    >>> few(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def users_error(error: BaseException) -> BaseException | None:
    """Return what to show of an error that is the user's; None if the error is the program's.

    A setting that a class refuses, one of Lightning's for instance, is the user's too, and so is a
    class that is not there.
    """
    if isinstance(error, InputError) or type(error).__name__ == MISCONFIGURATION:
        return error
    cause = error.__cause__
    if type(error).__name__ != INSTANTIATION or cause is None:
        return None
    if isinstance(cause, TypeError | ValueError) or str(error).startswith(NOT_FOUND):
        return cause
    return users_error(cause)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Tell of what goes wrong in showing a run, and go on: it takes nothing from the run itself.

    Args:
        what: Is missing now, and how to have it; the reason follows.
    """
    try:
        yield
    except Exception:
        log.exception(what)
