"""Reading and writing JSON, YAML and CSV files: one reader per format, and writers that are atomic.

Checkpoints are read in ``weights``, images in ``data``, journals in ``storage``.
"""

import csv
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from lightning_nas.errors import InputError

LARGEST_TEXT = 256 * 2**20  # bytes of a JSON, YAML or CSV file
PART = re.compile(r"\.(\d+)\.part(\.\w+)?$")  # the number is that of the process that writes
DEEPEST = 50  # levels of a YAML file
MOST_VALUES = 100_000  # values of a YAML file, with those that aliases stand for


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a temporary file with ``write``, then rename it to ``path``.

    If the process is killed, the old file or the new file is there, never a part of one.

    Args:
        path: File to create or to replace. A missing folder is created.
        write: Function that writes the content to the temporary path it is called with.

    Raises:
        InputError: If the path is a device or a pipe: a file must not take its place.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: not a regular file")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = name_part(path)
    try:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # the system names no file on a full disk
        raise
    finally:
        part.unlink(missing_ok=True)


def name_part(path: Path) -> Path:
    """Return the path of a temporary file of this process, which ``remove_parts`` recognises.

    Some writers choose the format by the suffix, so the temporary file has the same suffix.
    """
    return path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")


def remove_parts(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder and its sub-folders."""
    for path in folder.rglob("*.part*"):
        match = PART.search(path.name)
        if match and not Path(f"/proc/{match[1]}").exists():
            path.unlink(missing_ok=True)


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


def read_text(path: Path) -> str:
    """Return the text of a regular file in UTF-8.

    Raises:
        InputError: If the path is not a regular file (a pipe would block for ever), or the file is
            too large or not UTF-8.
        OSError: If the file does not exist or cannot be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: not a regular file")
    if status.st_size > LARGEST_TEXT:
        raise InputError(f"{path}: damaged: {status.st_size:,} bytes are too many")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: damaged: line {line}: not UTF-8 ({error.reason})") from None


def find_first_problem(error: ValidationError) -> tuple[str, str]:
    """Return the dotted name of the first damaged field, and what is wrong with it.

    The name is empty if the content as a whole is damaged.
    """
    first = error.errors(include_url=False)[0]
    return ".".join(map(str, first["loc"])), first["msg"]


def parse_json(text: str) -> Any:
    """Return the content of JSON text.

    Raises:
        ValueError: If the text is no JSON, is nested too deeply, or has a number with thousands of
            digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        InputError: If the file is damaged or does not hold an object.
    """
    text = read_text(path)
    try:
        content = parse_json(text)
    except ValueError as error:
        raise InputError(f"{path}: damaged: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged: not a JSON object")
    return content


class _StrictLoader(yaml.SafeLoader):
    """Loader of YAML without tags of Python, aliases, duplicate keys and deep nesting.

    A few lines of aliases can stand for more values than fit into memory.
    """

    has_aliases = False

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.depth = 0
        self.counts: dict[int, int] = {}  # values of each complete node, by identity

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if self.check_event(yaml.AliasEvent) and not self.has_aliases:
            raise ComposerError(None, None, "aliases are not legal here", event.start_mark)
        anchored = self.anchors.get(getattr(event, "anchor", None))
        if self.check_event(yaml.AliasEvent) and anchored and id(anchored) not in self.counts:
            raise ComposerError(None, None, "an alias refers to itself", event.start_mark)
        self.depth += 1
        if self.depth > DEEPEST:
            raise ComposerError(None, None, "nested too deeply", event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if self.count_values(node) > MOST_VALUES:
            raise ComposerError(None, None, "aliases stand for too many values", event.start_mark)
        return node

    def count_values(self, node: Any) -> int:
        """Return the number of values of a node, with those that its aliases stand for."""
        counts = self.counts
        if id(node) not in counts:
            children = node.value if isinstance(node, yaml.CollectionNode) else []
            pairs = isinstance(node, yaml.MappingNode)
            parts = [part for pair in children for part in pair] if pairs else children
            counts[id(node)] = 1 + sum(self.count_values(part) for part in parts)
        return counts[id(node)]

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in names:
                raise ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
            names.add(key.value)
        return super().construct_mapping(node, deep)


class _LoaderWithAliases(_StrictLoader):
    has_aliases = True


def read_yaml(path: Path, has_aliases: bool = False) -> tuple[str, Any]:
    """Return the text of a YAML file and its content.

    Args:
        path: The file.
        has_aliases: Whether aliases are legal, as in a file of the user.

    Raises:
        InputError: If the file is damaged. The message names the line.
    """
    text = read_text(path)
    try:
        return text, yaml.load(text, _LoaderWithAliases if has_aliases else _StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{path}: damaged: {line}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as a number or a date
        raise InputError(f"{path}: damaged: {' '.join(str(error).split())}") from None


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file: text by column, with the names of the first line.

    Raises:
        InputError: If the file is damaged or a row has more cells than the first line.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path), newline="")))
    except csv.Error as error:
        raise InputError(f"{path}: damaged: {error}") from None
    for number, row in enumerate(rows, start=2):
        if None in row:
            raise InputError(f"{path}: damaged: line {number} has too many cells")
    return rows
