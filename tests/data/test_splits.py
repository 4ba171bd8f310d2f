"""Splits are stratified, disjoint, complete, and depend only on their seed."""

import pytest
import torch

from lightning_nas.data.images import LabelledImages
from lightning_nas.data.splits import Splits, hold_out, make_splits
from lightning_nas.errors import InputError


def make_images(counts: list[int], **given: torch.Tensor) -> LabelledImages:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    images = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    return LabelledImages(images, labels, [f"class {c}" for c in range(len(counts))], **given)


def split_images(data: LabelledImages, validation: int | float = 0.25, seed: int = 0) -> Splits:
    return make_splits(data, validation, seed, test_fraction=0.1)


def count_classes(data: LabelledImages, indices: torch.Tensor) -> list[int]:
    return torch.bincount(data.labels[indices], minlength=len(data.classes)).tolist()


def test_every_image_is_in_exactly_one_split():
    splits = split_images(make_images([30, 50, 20]))
    together = splits.train.tolist() + splits.validation.tolist() + splits.test.tolist()
    assert sorted(together) == list(range(100))


def test_held_out_images_have_the_proportions_of_the_classes():
    data = make_images([100, 40, 20])
    splits = split_images(data, validation=32)
    assert count_classes(data, splits.test) == [10, 4, 2]
    assert count_classes(data, splits.validation) == [20, 8, 4]


def test_validation_split_of_a_data_set_sorted_by_class_is_shuffled():
    labels = torch.repeat_interleave(torch.arange(4), 100)
    images = torch.zeros(400, 1, 1, 1, dtype=torch.uint8)
    data = LabelledImages(images, labels, [f"class {c}" for c in range(4)])
    splits = split_images(data, validation=80)
    for batch in splits.validation.split(20):
        assert min(count_classes(data, batch)) > 0


@pytest.mark.parametrize("size", range(3, 20))
def test_held_out_size_is_exact_and_both_parts_have_all_classes(size):
    data = make_images([15, 5, 2])
    rest, held_out = hold_out(torch.arange(22), size, data, torch.Generator())
    assert len(held_out) == size
    assert min(count_classes(data, held_out) + count_classes(data, rest)) >= 1


def test_seed_changes_the_validation_split_but_not_the_test_split():
    data = make_images([50, 50])
    first, again, other = (
        split_images(data, seed=1),
        split_images(data, seed=1),
        split_images(data, seed=2),
    )
    assert torch.equal(first.validation, again.validation)
    assert not torch.equal(first.validation, other.validation)
    assert torch.equal(first.test, other.test)


def test_official_splits_are_kept():
    given = {"validation": torch.arange(0, 20), "test": torch.arange(20, 50)}
    splits = split_images(make_images([50, 50], **given))
    assert torch.equal(splits.validation.sort().values, given["validation"])
    assert torch.equal(splits.test, given["test"])
    assert torch.equal(splits.train, torch.arange(50, 100))


@pytest.mark.parametrize("validation", [0, -1, 0.0, 1.0, 1.5, -0.1, 90, 5000])
def test_validation_out_of_range_is_refused(validation):
    with pytest.raises(InputError, match=rf"from 1 to 89, got {validation}$"):
        split_images(make_images([50, 50]), validation=validation)


@pytest.mark.parametrize("validation", [1, 89])
def test_a_validation_size_that_leaves_out_a_class_is_refused(validation):
    with pytest.raises(InputError, match=f"gives {validation} of 90 images .* of the 2 classes"):
        split_images(make_images([50, 50]), validation=validation)


def test_a_class_with_too_few_images_is_named():
    with pytest.raises(InputError, match="'class 1' has too few images"):
        split_images(make_images([50, 2]))
