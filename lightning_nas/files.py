"""Writing files so that a kill at any moment leaves the old file or the new one, never a part.

And reading what was written as JSON.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning_nas.errors import InputError


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a neighbour of ``path``, then put it in place in one step.

    Args:
        path: The file to make or to replace. Its folder is made if it is missing.
        write: Called with the temporary path; what it wrote is flushed to the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")  # keeps the suffix: some
    try:  # writers choose their format by it
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, in one step."""
    replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file.

    Raises:
        InputError: If it is damaged.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged: {error}") from None
    if not isinstance(facts, dict):
        raise InputError(f"{path}: damaged: not an object of JSON")
    return facts
