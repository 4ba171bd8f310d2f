"""The file ``predictions.csv``: one row per image, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from torch import Tensor, distributed

from lightning_nas.errors import InputError, printable
from lightning_nas.files import replace_text

# A spreadsheet runs a cell that begins with one of these as a formula.
FORMULA_STARTS = ("=", "+", "-", "@")  # control characters are replaced


COLUMNS = ("file", "class", "probability", "error")
Batch = tuple[Sequence[Path], Tensor]  # image files, and their class probabilities (B, K)


def gather_predictions(
    batches: Sequence[Batch] | None, errors: dict[str, str], world_size: int
) -> tuple[list[Batch], dict[str, str]]:
    """Return the predictions and errors of all processes, in the order of the images.

    Args:
        batches: Predictions of this process: those of every ``world_size``-th batch of the images,
            beginning with its rank; None if Lightning did not return them.
        errors: What is wrong with the unreadable images of this process, by path.
        world_size: Number of processes. All of them must call this function.

    Raises:
        InputError: If the processes have ended, as those of ``ddp_spawn``.
    """
    if world_size == 1:
        return list(batches or ()), errors
    if batches is None or not distributed.is_initialized():
        raise InputError(
            "mode=predict on several devices needs trainer.strategy=ddp; or use trainer.devices=1"
        )
    shares: list[Any] = [None] * world_size
    distributed.all_gather_object(shares, (batches, errors))
    rounds = zip_longest(*(share for share, _ in shares))
    gathered = [batch for one in rounds for batch in one if batch is not None]
    return gathered, {path: error for _, some in shares for path, error in some.items()}


def write_predictions(
    path: Path,
    batches: Iterable[Batch],
    classes: Sequence[str],
    errors: Mapping[str, str] | None = None,
    top: int = 1,
) -> None:
    r"""Write a CSV file in UTF-8, one row for each image.

    The columns are ``file``, ``class``, ``probability``, ``error``, then ``class_2`` and
    ``probability_2`` for the second most likely class, and so on. An unreadable image has an error,
    but no class and no probability. Bytes of a file name that are not UTF-8, and control
    characters, become ``\xNN``. See ``make_safe_name`` and ``make_safe_path`` for names that look
    like formulas.

    Args:
        path: File to write.
        batches: Pairs of image files and their class probabilities, shape ``(B, K)``.
        classes: Names of the K classes; if empty, the column ``class`` has class numbers.
        errors: What is wrong with unreadable images, by path.
        top: Number of classes of each image, at least 1; all classes if there are fewer.
    """
    errors = errors or {}
    rows: list[dict[str, Any]] = []
    for files, probabilities_BK in batches:
        best_BT, numbers_BT = probabilities_BK.topk(min(top, probabilities_BK.shape[1]))
        for file, best, numbers in zip(files, best_BT.tolist(), numbers_BT.tolist(), strict=True):
            row: dict[str, Any] = {"file": make_safe_path(file)}
            rows.append(row)
            if (error := errors.get(str(file))) is not None:
                row["error"] = make_safe_name(error)
                continue
            for place, (probability, number) in enumerate(zip(best, numbers, strict=True), start=1):
                end = f"_{place}" if place > 1 else ""
                row[f"class{end}"] = make_safe_name(classes[number]) if classes else number
                row[f"probability{end}"] = f"{probability:.4f}"
    text = io.StringIO()
    names = dict.fromkeys((*COLUMNS, *(name for row in rows for name in row)))
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(path, text.getvalue())


def make_safe_name(name: str) -> str:
    """Return a name with an apostrophe in front if a spreadsheet would run it as a formula.

    A name that begins with an apostrophe gets one more, so that removing one gives every name back.

    >>> make_safe_name("=1+1"), make_safe_name("cat"), make_safe_name("'t")
    ("'=1+1", 'cat', "''t")
    """
    name = printable(name)
    return f"'{name}" if name.startswith((*FORMULA_STARTS, "'")) else name


def make_safe_path(path: str | Path) -> str:
    """Return a path with ``./`` in front if a spreadsheet would run it as a formula.

    >>> make_safe_path("-1.png"), make_safe_path("a/-1.png")
    ('./-1.png', 'a/-1.png')
    """
    name = printable(path)
    return f"./{name}" if name.startswith(FORMULA_STARTS) else name
