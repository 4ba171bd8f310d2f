"""The line with which every command begins: what was read, and what was left out."""

from collections import Counter
from typing import Any

from lightning_nas.data.base import ImageData
from lightning_nas.data.folders import describe_counts


def describe_data(data: ImageData) -> str:
    """Return the line on what was read: classes, splits, size, largest class, what is left out.

    The share of the largest class is the accuracy of a network that always names this class.

    Args:
        data: Data after ``setup``.
    """
    rule = f" ({data.split_rule})" if data.split_rule else ""
    parts = [
        f"data: {data.num_classes:,} classes",
        f"{list_nonempty(data.split_sizes)} images{rule}"
        + ", validation images are training images too" * data.train_on_all,
        describe_shape(data.image_size, data.channels) + _describe_resizing(data),
        f"largest class {data.largest_share:.1%}".replace("%", " %"),
    ]
    return ", ".join(parts) + describe_left_out(data.left_out)


def _describe_resizing(data: ImageData) -> str:
    """Return the sides of the image files, if the images of the batches have other sides."""
    if data.original_sides is None:
        return ""
    shortest, longest = data.original_sides
    if shortest == longest == data.image_size:
        return ""
    sides = f"{shortest} to {longest}" if shortest < longest else str(longest)
    return f" resized from {sides} px"


def summarise_data(data: ImageData) -> dict[str, Any]:
    """Return the facts on the data for ``summary.json``."""
    return {
        "data_line": describe_data(data),
        "classes": data.num_classes,
        "largest_share": data.largest_share,
        "split_sizes": data.split_sizes,
        "left_out": dict(+data.left_out),
    }


def list_nonempty(split_sizes: dict[str, int]) -> str:
    """Return the sizes of the splits that have images.

    >>> list_nonempty({"train": 1200, "validation": 0, "test": 80})
    '1,200 train / 80 test'
    """
    return " / ".join(f"{size:,} {split}" for split, size in split_sizes.items() if size)


def describe_shape(side: int, channels: int) -> str:
    """Return side and channels of images.

    >>> describe_shape(32, 3)
    '32x32 RGB'
    """
    colours = {1: "grey", 3: "RGB"}.get(channels, f"with {channels} channels")
    return f"{side}x{side} {colours}"


def describe_left_out(counts: Counter[str]) -> str:
    """Return the end of the line: the files that were not read, by kind; empty if all were read.

    >>> describe_left_out(Counter({"hidden files": 3}))
    '; left out: 3 hidden files'
    """
    text = describe_counts(counts)
    return f"; left out: {text}" if text else ""
