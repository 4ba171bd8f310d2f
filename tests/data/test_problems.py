"""The warnings on data that can be read, but may mislead."""

import shutil

import pytest

from lightning_nas.data.describe import describe_data
from lightning_nas.data.image_folder import ImageFolder
from lightning_nas.data.problems import list_problems
from lightning_nas.data.synthetic import Synthetic


def set_up(root, **settings):
    data = ImageFolder(root=root, batch_size=8, validation=0.25, image_size=8, **settings)
    data.setup()
    return data


@pytest.fixture
def large(tmp_path, write_class):
    """A folder without problems: two classes in three official splits."""
    for split, count in {"train": 60, "val": 60, "test": 60}.items():
        for name in ("cat", "dog"):
            write_class(tmp_path / split / name, count, seed=split)
    return tmp_path


def test_data_without_problems(large):
    assert list_problems(set_up(large)) == []


def test_small_splits_and_unequal_classes(tmp_path, write_class):
    write_class(tmp_path / "cat", 200)
    write_class(tmp_path / "dog", 20)
    data = set_up(tmp_path)
    validation, test, classes = list_problems(data)
    assert data.split_sizes["validation"] == 50
    assert validation.startswith(
        "only 50 validation images: accuracies on them are uncertain by 14"
    )
    assert test.startswith("only 22 test images")
    assert classes.startswith("the class 'cat' has 200 images, 'dog' has 20")


@pytest.mark.parametrize("side", [8, 96])  # in memory, and read in each epoch
def test_images_in_two_splits(large, side):
    names = sorted((large / "train" / "cat").iterdir())[:3]
    for name in names:
        shutil.copy(name, large / "test" / "cat" / f"copy-{name.name}")
    shutil.copy(names[0], large / "val" / "dog" / f"copy-{names[0].name}")
    data = ImageFolder(root=large, batch_size=8, validation=0.25, image_size=side, num_workers=0)
    data.setup()
    validation, test = list_problems(data)
    words = "{} are also training images (such as {} and train/cat/{}): the accuracy on"
    copied = words.format("1 of 121 validation images", "val/dog/copy-000.png", "000.png")
    assert validation.startswith(copied)
    copied = words.format("3 of 123 test images", "test/cat/copy-000.png", "000.png")
    assert test.startswith(copied)


def test_images_without_files_in_two_splits_have_no_example():
    data = Synthetic(images=600, noise=0.0, batch_size=16, validation=0.25)  # equal in each class
    data.setup()
    ends = ("images are also training images: the accuracy on validation images is too high",
            "images are also training images: the accuracy on test images is too high")  # fmt: skip
    assert all(one.endswith(end) for one, end in zip(list_problems(data), ends, strict=True))


def test_the_line_says_how_images_were_split_and_resized(tmp_path, write_class):
    write_class(tmp_path / "cat", 30, (12, 9))
    write_class(tmp_path / "dog", 30, (10, 20))
    line = describe_data(set_up(tmp_path, seed=3))
    assert "images (split by seed 3), 8x8 RGB resized from 9 to 20 px" in line


def test_official_splits_are_not_called_split(large):
    assert "split by" not in describe_data(set_up(large))


def test_samples_are_augmented_training_images(large):
    data = set_up(large)
    names, samples = data.sample_augmented(classes=2, count=5)
    assert names == ["cat", "dog"]
    assert samples.shape == (2, 5, 8, 8, 3)
    train = data.stored_images[data.splits.train]
    assert all((one == train).flatten(1).all(1).any() for one in samples.flatten(0, 1))


def test_samples_of_a_small_class_repeat(tmp_path, write_class):
    write_class(tmp_path / "cat", 30)
    write_class(tmp_path / "dog", 3)
    assert set_up(tmp_path).sample_augmented(classes=10, count=8)[1].shape[:2] == (2, 8)
