"""Reading and writing JSON, YAML and CSV files: one reader per format, and writers that are atomic.

Checkpoints are read in ``weights``, images in ``data``, journals in ``storage``.
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
    """Write a temporary file with ``write``, then rename it to ``path``.

    If the process is killed, the old file or the new file is there, never a part of one.

    Args:
        path: File to create or to replace. A missing folder is created.
        write: Function that writes the content to the temporary path it is called with.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # some writers choose the format by the suffix, so the temporary file has the same one
    part = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
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
    """Write rows to ``path`` as CSV, in one step.

    Args:
        path: File to write.
        names: Names of the columns, in order.
        rows: Values by column. A missing value leaves its cell empty.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), restval="")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(path, text.getvalue())


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        InputError: If the file is damaged or does not hold an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: damaged: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged: not a JSON object")
    return content


def read_yaml(path: Path) -> tuple[str, Any]:
    """Return the text of a YAML file and its content. Tags that could run code are refused.

    Raises:
        InputError: If the file is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return text, yaml.safe_load(text)
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: damaged: {' '.join(str(error).split())}") from None


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file: text by column, with the names of the first line.

    Raises:
        InputError: If the file is damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: damaged: {error}") from None
