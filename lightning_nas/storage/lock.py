"""The locks of a run folder: one command at a time writes into it.

Locks end with their process, also after a kill. They are those of ``lockf``, because forked workers
would inherit a lock of ``flock``.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning_nas.errors import InputError, describe_os_error

LOCK = "run.lock"


def lock_file(path: Path, task: str) -> Any:
    """Lock a file until the returned file is closed. A missing file is created.

    Args:
        path: The file; other content of it stays.
        task: Name of the task that locks, for the message: ``search``, ``judge`` or ``command``.

    Raises:
        InputError: If another process has locked the file, or the file cannot be written.
    """
    try:
        file = path.open("a")
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError | PermissionError) and path.exists():
            raise InputError(
                f"{path.parent}: another {task} writes into this folder; wait for the end of the "
                f"other {task}, or stop the other {task}"
            ) from None
        raise InputError(f"{path}: {describe_os_error(error)}") from None
    return file


def _is_at(path: Path, file: Any) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a run folder, from before the first file is written to the end of the command.

    The folder is created if it is missing, and removed again if nothing was written into it.

    Args:
        folder: The run folder.

    Raises:
        InputError: If another process has locked the folder, or the folder cannot be written.
    """
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {describe_os_error(error)}") from None
    path = folder / LOCK
    file = lock_file(path, "command")
    while not _is_at(path, file):
        file.close()  # the command that held the lock has just removed the file
        file = lock_file(path, "command")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()
        for one in created:
            if one.is_dir() and not any(one.iterdir()):
                one.rmdir()
