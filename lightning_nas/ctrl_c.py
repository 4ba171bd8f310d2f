"""Ctrl-C outside of a training: a command ends without a traceback."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

pressed: list[int] = []  # signals for which KeyboardInterrupt was raised in this process
RACE = re.compile(r"Signal (\d+) ignored due to race condition")  # text of Python's OSError


@contextmanager
def end_at_ctrl_c() -> Iterator[None]:
    """Exit with status 130 at the first Ctrl-C; a second one ends the process at once.

    Python raises ``KeyboardInterrupt`` wherever the process is, even in the clean-up after another
    one, and only prints it where it falls into a destructor or into the exit of the interpreter.
    OmegaConf's clean-up of a list that is not complete fails, and its error takes the place of the
    ``KeyboardInterrupt``: no error after a Ctrl-C is printed.
    """
    sys.unraisablehook = _end_if_interrupted
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # a background job ignores Ctrl-C
        signal.signal(signal.SIGINT, _raise_once)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception:
        if not pressed:
            raise
        sys.exit(128 + signal.SIGINT)


def raise_if_pressed() -> None:
    """Raise ``KeyboardInterrupt`` again if a library has handled it, or an error in its place.

    Raises:
        KeyboardInterrupt: If Ctrl-C was pressed.
    """
    if pressed:
        raise KeyboardInterrupt


def _raise_once(signum: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    pressed.append(signum)
    raise KeyboardInterrupt


def _end_if_interrupted(lost: Any) -> None:
    """End the process if Python cannot raise a ``KeyboardInterrupt``; print other exceptions.

    Python also complains here about a signal that arrived while its handler was being removed.
    """
    raced = RACE.fullmatch(str(lost.exc_value))
    if not (raced or issubclass(lost.exc_type, KeyboardInterrupt)):
        sys.__unraisablehook__(lost)
        return
    signum = int(raced[1]) if raced else signal.SIGINT
    if signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
