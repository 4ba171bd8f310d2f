"""Errors of the user, as opposed to defects of the program.

The commands print an error of the user as one line that begins with ``error:``. Every other
exception is a defect and keeps its traceback.
"""

import errno
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

log = logging.getLogger(__name__)

# Exceptions of Hydra, OmegaConf and Lightning, by name: the libraries take long to import
INSTANTIATION = "InstantiationException"
CONFIGURATION = {"HydraException", "OmegaConfBaseException"}  # bases of errors of a configuration
MISSING_VALUE = "MissingMandatoryValue"
MISCONFIGURATION = "MisconfigurationException"
SINGLE_IMAGE = "Expected more than 1 value per channel"  # torch, of batch normalisation
TARGET_NOT_FOUND = "Error locating target"  # how Hydra's message on a missing class begins

DEAD_WORKER = "DataLoader worker"  # in torch's messages about a process that has died
# How torch says that an allocation failed: on a CPU, in cuBLAS or cuDNN, on a GPU
OUT_OF_MEMORY_TEXTS = ("DefaultCPUAllocator", "ALLOC_FAILED", "CUDA out of memory")

# Errors of the system that a user can remove: they say nothing about the program
MACHINE_ERRORS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO),  # the disk
    *(errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
}


class InputError(ValueError):
    """A setting, a file or data that the program cannot use.

    The message is one line. It names the setting or the file, what is wrong, and what is legal.
    """


class DeadWorkerError(InputError):
    """Error of a process of a data loader that has died.

    Attributes:
        hint: What to do; may be extended later, by code that knows more.
    """

    hint = "data.num_workers=0 needs no such process"

    def __str__(self) -> str:
        """Return the message."""
        return f"a process that loads images has died, perhaps for lack of memory; {self.hint}"


def describe_os_error(error: OSError) -> str:
    """Return what the system says of an error, without number and path, for a message."""
    return (error.strerror or str(error)).lower()


def printable(path: object) -> str:
    r"""Return a file name or path as text that every file and terminal can take.

    Bytes that are not UTF-8, and control characters, become ``\xNN``.
    """
    text = os.fsencode(str(path)).decode(errors="backslashreplace")
    return "".join(f"\\x{ord(c):02x}" if ord(c) < 32 or ord(c) == 127 else c for c in text)


def list_some(names: Sequence[str], most: int = 5) -> str:
    """Return the first names, and how many more there are, for a message.

    Args:
        names: All names.
        most: Maximum number of names to list.

    >>> list_some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def as_user_error(error: BaseException) -> BaseException | None:
    """Return the error to print if an exception is the user's; None if it is a defect.

    Errors of the user are: ``InputError``; a misconfiguration that Lightning reports; a mandatory
    setting without a value, and other errors of Hydra and OmegaConf; a class that Hydra cannot
    find; ``TypeError``, ``ValueError`` and ``AttributeError`` of a class that Hydra builds from
    settings, and a package that the class needs; any error of a logger that Hydra
    builds; a batch of one image that batch normalisation cannot use; a full disk, and other
    ``MACHINE_ERRORS``; too little memory; a dead process of a data loader.
    """
    if isinstance(error, InputError) or type(error).__name__ == MISCONFIGURATION:
        return error
    if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
        where = error.filename if error.filename is not None else "this disk"
        return InputError(f"{where}: {describe_os_error(error)}")
    if isinstance(error, ValueError) and SINGLE_IMAGE in str(error):
        return InputError(
            "batch normalisation of a 1x1 map needs two images in a batch: data.batch_size, "
            "method.controller_batch and method.calibration_images must be at least 2"
        )
    if is_out_of_memory(error):
        return InputError(
            "out of memory: choose smaller networks, images or batches, such as data.batch_size"
        )
    if isinstance(error, RuntimeError) and DEAD_WORKER in str(error):
        return DeadWorkerError()
    if type(error).__name__ == MISSING_VALUE:
        name = getattr(error, "full_key", None)
        return InputError(f"{name} has no value: {name}=VALUE")
    if type(error).__name__ != INSTANTIATION:
        return error if {base.__name__ for base in type(error).__mro__} & CONFIGURATION else None
    cause = error.__cause__
    if cause is None:  # Hydra was given something else than a class
        return InputError(f"{_name_settings(error)}{str(error).splitlines()[0]}")
    if str(error).startswith(TARGET_NOT_FOUND):
        missing = _find_missing_package(cause)
        if missing is None:
            return cause
        return InputError(f"{_name_settings(error)}{_explain_missing_package(missing)}")
    if isinstance(cause, InputError):
        return cause
    if isinstance(cause, TypeError | ValueError | AttributeError):  # or an object of a wrong class
        return InputError(f"{_name_settings(error)}{cause}")
    if isinstance(cause, ImportError):
        return InputError(f"{_name_settings(error)}{_explain_missing_package(cause)}")
    known = as_user_error(cause)
    name = _name_settings(error)
    if known is None and name.startswith("settings of logger"):
        return InputError(f"{name}{' '.join(str(cause).split()) or type(cause).__name__}")
    return known


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether Python or torch could not allocate memory."""
    texts = any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and texts)


def _find_missing_package(error: BaseException) -> ImportError | None:
    """Return the error on a package that a target imports; None if the target itself is wrong.

    Args:
        error: What Hydra raised instead of the first error: "Error loading 'a.b.Target': ...".
    """
    first = error.__cause__
    if not isinstance(first, ModuleNotFoundError) or not first.name:
        return None
    is_target = f"'{first.name}." in str(error).splitlines()[0]
    return None if is_target else first


def _explain_missing_package(error: ImportError) -> str:
    """Return the message on a package that a class needs: most libraries say what to install."""
    package = (error.name or "").split(".")[0]
    is_explained = "install" in str(error) or not package
    return str(error) if is_explained else f"{error}; to install it: pip install {package}"


def _name_settings(error: BaseException) -> str:
    """Return the start of a message: the settings that Hydra used, which Python does not name."""
    match = re.search(r"^full_key: (\S+)$", str(error), flags=re.MULTILINE)
    return f"settings of {match[1]}: " if match else ""


@contextmanager
def explain_settings(name: str) -> Iterator[None]:
    """Turn what a class of a library says about its settings into an error of the user.

    Hydra builds a ``_partial_`` class only when the class is called, without an explanation.

    Args:
        name: Name of the group of settings, such as ``module.optimizer``.

    Raises:
        InputError: Instead of ``TypeError`` and ``ValueError``.
    """
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"settings of {name}: {error}") from error


@contextmanager
def log_and_continue(message: str) -> Iterator[None]:
    """Log an exception and continue: a failed report must not fail the run.

    Args:
        message: What is missing now, and how to get it. The reason follows in the log: one line if
            it is an error of the user, such as a full disk, otherwise a traceback.
    """
    try:
        yield
    except Exception as error:
        reason = as_user_error(error)
        if reason is None:
            log.exception(message)
        else:
            log.warning("%s (%s)", message, reason)
