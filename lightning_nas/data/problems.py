"""What may be wrong with readable data: few images, unequal classes, images in two splits.

A problem is a warning, not an error: the run goes on.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from lightning_nas.data.base import ImageData
from lightning_nas.data.images import ImageFiles

FEW_IMAGES = 100  # of a validation or test split: its accuracy is uncertain by 10 points
START = 4096  # bytes of a file that are compared before the whole file
UNEQUAL = 10  # ratio of the largest class to the smallest one


def list_problems(data: ImageData) -> list[str]:
    """Return the problems of data after ``setup``, each in one line.

    Duplicates are images of equal pixels, or files of equal content if images are read in each
    epoch.
    """
    return [*_find_small_splits(data), *_find_unequal_classes(data), *_find_duplicates(data)]


def _find_small_splits(data: ImageData) -> Iterator[str]:
    for split in ("validation", "test"):
        size = data.split_sizes[split]
        if 0 < size < FEW_IMAGES:
            points = 98 / size**0.5  # half of the 95 % interval at an accuracy of one half
            uncertain = f"accuracies on them are uncertain by {points:.0f} points"
            yield f"only {size} {split} images: {uncertain}"


def _find_unequal_classes(data: ImageData) -> Iterator[str]:
    by_size = sorted(zip(data.class_sizes, data.classes, strict=True))
    (least, smallest), (most, largest) = by_size[0], by_size[-1]
    if most >= UNEQUAL * least:
        yield (
            f"the class {largest!r} has {most:,} images, {smallest!r} has {least:,}: a high "
            "accuracy may hide that small classes are not recognised"
        )


def _find_duplicates(data: ImageData) -> Iterator[str]:
    splits = {"validation": data.splits.validation, "test": data.splits.test}
    keys = _make_keys(data.stored_images, [*splits.values(), data.splits.train])
    trained = {keys[index]: index for index in data.splits.train.tolist() if index in keys}
    for name, indices in splits.items():
        pairs = [(i, trained[keys[i]]) for i in indices.tolist() if keys.get(i) in trained]
        if pairs:
            first, second = (data.find_path(index) for index in min(pairs))
            example = f" (such as {first} and {second})" if first else ""
            yield (
                f"{len(pairs):,} of {len(indices):,} {name} images are also training images"
                f"{example}: the accuracy on {name} images is too high"
            )


def _make_keys(images: Tensor | ImageFiles, splits: list[Tensor]) -> dict[int, bytes]:
    """Return digests of the images by index; images that are surely unique may be left out."""
    indices = [index for split in splits for index in split.tolist()]
    if isinstance(images, Tensor):
        pixels = images.numpy()
        return {index: _digest(pixels[index].tobytes()) for index in indices}
    paths = {index: Path(images.paths[index]) for index in indices}
    # Each step looks only at what may still be equal: of a million files, few are read to the end.
    alike = _keep_equal({index: path.stat().st_size for index, path in paths.items()})
    alike = _keep_equal({index: (alike[index], _read_start(paths[index])) for index in alike})
    return {index: _digest(paths[index].read_bytes()) for index in alike}


def _keep_equal(keys: dict[int, Any]) -> dict[int, Any]:
    """Return the entries whose key occurs at least twice."""
    counts = Counter(keys.values())
    return {index: key for index, key in keys.items() if counts[key] > 1}


def _read_start(path: Path) -> bytes:
    with path.open("rb") as file:
        return _digest(file.read(START))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
