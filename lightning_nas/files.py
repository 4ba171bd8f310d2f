"""Reading and writing files: one reader a format, and writers that a kill cannot interrupt halfway.

A file here is one of three kinds of text: JSON, YAML or CSV. Checkpoints are read in
``weights/files.py``, images in ``data/images.py``, journals in ``storage/journal_reader.py``.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lightning_nas.errors import InputError


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file, then put it in place of ``path`` in one step.

    A kill at any moment leaves the old file or the new one, never a part of either.

    Args:
        path: File to create or to replace. Its folder is created if it is missing.
        write: Function that is called with the temporary path. The content is flushed to the disk.
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


def write_json(path: Path, content: Any, indent: int = 2) -> None:
    """Write ``content`` to ``path`` as JSON, in one step."""
    replace_text(path, json.dumps(content, indent=indent) + "\n")


def write_yaml(path: Path, content: Any) -> None:
    """Write ``content`` to ``path`` as YAML, in one step."""
    replace_text(path, yaml.safe_dump(content, allow_unicode=True, sort_keys=False))


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to ``path`` as CSV, in one step. A value that a row lacks is left empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), restval="")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(path, text.getvalue())


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        InputError: If the file is damaged or holds something else than an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged: not an object of JSON")
    return content


def read_yaml(path: Path) -> tuple[str, Any]:
    """Return the text of a YAML file and its content; no tag in it can run code.

    Raises:
        InputError: If the file is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return text, yaml.safe_load(text)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: damaged: {' '.join(str(error).split())}") from None


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text, by the names in its first line.

    Raises:
        InputError: If the file is damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: damaged: {error}") from None
