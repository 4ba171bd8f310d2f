"""Predictions for images without labels, as a table that other programs read."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from torch import Tensor

from lightning_nas.files import replace_text


def write_predictions(
    path: Path, batches: Iterable[tuple[Sequence[Path], Tensor]], classes: Sequence[str]
) -> None:
    """Write a CSV file with a line an image: ``file``, ``class`` and ``probability``.

    Args:
        path: The file to write.
        batches: Files, and probabilities ``(B, K)`` for each.
        classes: Names of the K classes; where there are none, the class's number is written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "class", "probability"])
    for files, probabilities in batches:
        chances, numbers = probabilities.max(dim=1)
        for file, chance, number in zip(files, chances.tolist(), numbers.tolist(), strict=True):
            writer.writerow([file, classes[number] if classes else number, f"{chance:.4f}"])
    replace_text(path, text.getvalue())
