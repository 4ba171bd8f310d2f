"""Training, validation and test splits: stratified, random by a seed, disjoint and complete.

This module handles indices only, no pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_nas.data.images import LabelledImages
from lightning_nas.data.seeding import make_generator
from lightning_nas.errors import InputError


@dataclass(frozen=True)
class Splits:
    """Indices of the images of each split. The validation split is shuffled.

    Many data sets are sorted by class. ENAS scores with the batch norm statistics of each batch,
    which a batch of a single class would distort.
    """

    train: Tensor
    validation: Tensor
    test: Tensor


def make_splits(
    data: LabelledImages, validation: int | float, seed: int, test_fraction: float
) -> Splits:
    """Split the images; official splits of the data set are kept.

    A held-out test split is the same for every seed: otherwise the search of one seed would have
    seen test images of another seed.

    Args:
        data: All images.
        validation: Number (int) or fraction (float) of the images outside the test split.
        seed: Seed of the validation split.
        test_fraction: Fraction of the images held out for testing without an official test split.

    Raises:
        InputError: If ``validation`` is out of range, or a split that is made here would lack an
            image of some class. Official splits are not checked.
    """
    given = [part for part in (data.validation, data.test) if part is not None]
    train = _remove(torch.arange(len(data.labels)), torch.cat([*given, torch.arange(0)]))
    test, held_out = data.test, data.validation
    if test is None:
        size = max(round(test_fraction * len(train)), len(data.classes))
        train, test = hold_out(train, size, data, make_generator("test split"))
    if held_out is None and not len(train):  # a test split alone
        held_out = train
    elif held_out is None:
        size = count_held_out(validation, len(train))
        train, held_out = hold_out(train, size, data, make_generator("validation split", seed))
    together = torch.cat([train, held_out, test])
    assert torch.equal(together.sort().values, torch.arange(len(data.labels)))
    return Splits(train, _shuffle(held_out), test)


def leave_out(splits: Splits, data: LabelledImages) -> Splits:
    """Return the splits without unreadable images; the others stay in the same split and order.

    Raises:
        InputError: If a split had images of a class, and none of them is readable.
    """
    unreadable = data.unreadable
    if unreadable is None or not len(unreadable):
        return splits
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    for name, indices in parts.items():
        parts[name] = _remove(indices, unreadable)
        lost = set(data.labels[indices].tolist()) - set(data.labels[parts[name]].tolist())
        if lost:
            raise InputError(
                f"no {name} image of the class {data.classes[min(lost)]!r} is readable; repair them"
            )
    return Splits(**parts)


def count_held_out(validation: int | float, available: int) -> int:
    """Return the number of images that ``validation``, a number or a fraction, stands for.

    >>> count_held_out(0.25, 100), count_held_out(30, 100)
    (25, 30)
    """
    fraction = isinstance(validation, float)
    if not 0 < validation < (1 if fraction else available):
        raise InputError(
            "data.validation must be a fraction between 0 and 1 or a number of images from 1 to "
            f"{available - 1}, got {validation}"
        )
    return round(validation * available) if fraction else int(validation)


def hold_out(
    indices: Tensor, size: int, data: LabelledImages, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Divide ``indices`` into the rest and ``size`` held-out images, with equal class proportions.

    Raises:
        InputError: If one of the two parts would lack images of a class.
    """
    labels = data.labels[indices]
    counts = torch.bincount(labels, minlength=len(data.classes)).tolist()
    _check_counts(size, counts, data.classes)
    chosen = []
    for label, share in enumerate(_class_shares(size, counts)):
        members = indices[labels == label]
        chosen.append(members[torch.randperm(len(members), generator=generator)[:share]])
    held_out = torch.cat(chosen).sort().values
    return _remove(indices, held_out), held_out


def _check_counts(size: int, counts: list[int], classes: list[str]) -> None:
    for name, count in zip(classes, counts, strict=True):
        if count < 2:
            raise InputError(f"the class {name!r} has too few images: each split needs one or more")
    if not len(counts) <= size <= sum(counts) - len(counts):
        raise InputError(
            f"data.validation gives {size} of {sum(counts)} images to validation, but both it and "
            f"training need one image of each of the {len(counts)} classes"
        )


def _class_shares(size: int, counts: list[int]) -> list[int]:
    """Return the number of images to hold out of each class, in proportion to the class sizes.

    Each of the two parts gets at least one image of each class.

    >>> _class_shares(5, [10, 10, 2])
    [2, 2, 1]
    """
    quotas = [size * count / sum(counts) for count in counts]
    shares = [min(max(int(q), 1), count - 1) for q, count in zip(quotas, counts, strict=True)]
    while (missing := size - sum(shares)) != 0:
        step = 1 if missing > 0 else -1
        free = [c for c, share in enumerate(shares) if 1 <= share + step <= counts[c] - 1]
        class_index = max(free, key=lambda c: step * (quotas[c] - shares[c]))
        shares[class_index] += step
    return shares


def _shuffle(indices: Tensor) -> Tensor:
    return indices[torch.randperm(len(indices), generator=make_generator("mixed"))]


def _remove(indices: Tensor, removed: Tensor) -> Tensor:
    return indices[~torch.isin(indices, removed)]
