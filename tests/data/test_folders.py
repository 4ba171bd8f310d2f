"""Folders as they are in the world: names of splits, hidden files, and what is left out."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightning_nas.data.describe import describe_data, summarise_data
from lightning_nas.data.folders import find_images
from lightning_nas.data.image_folder import ImageFolder
from lightning_nas.data.synthetic import Synthetic
from lightning_nas.errors import InputError, as_user_error


def set_up(root: Path, **settings) -> ImageFolder:
    data = ImageFolder(root=root, batch_size=4, validation=0.25, num_workers=0, **settings)
    data.setup()
    return data


def write_classes(write_class, root: Path, number: int = 10, **kind) -> Path:
    for name in ("cat", "dog"):
        write_class(root / name, number, **kind)
    return root


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Train", "Val", "Test"),
        ("TRAIN", "VALID", "TEST"),
        ("training", "validation", "testing"),
        ("Training", "valid", "Testing"),
    ],
)
def test_the_usual_names_of_splits_are_found_in_any_case(tmp_path, write_class, train, val, test):
    for name, number in ((train, 6), (val, 4), (test, 3)):
        write_classes(write_class, tmp_path / name, number)
    data = set_up(tmp_path)
    assert data.split_sizes == {"train": 12, "validation": 8, "test": 6}
    assert data.classes == ["cat", "dog"]


@pytest.mark.parametrize("names", [("val", "valid"), ("Test", "testing")])
def test_two_folders_for_one_split_are_refused(tmp_path, write_class, names):
    for name in ("train", *names):
        write_classes(write_class, tmp_path / name, 3)
    with pytest.raises(InputError, match=r"two folders for one split: move the images into"):
        set_up(tmp_path)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["train_set/cat", "test_set/cat"], r"rename test_set to test, train_set to train$"),
        (["Train Images/cat", "valid-images/cat"], r"rename Train Images to train, valid-images"),
        (["train/train/cat", "train/test/cat"], r"not classes: data\.root=\S+/train$"),
        (
            ["photos/train/cat", "photos/test/cat"],
            r"holds the splits test, train: data\.root=\S+s$",
        ),
        (["cat/train", "cat/test", "dog/train"], r"splits stand above classes: \S+/test/cat/ "),
        (["train", "bus", "car"], r"beside it lie bus, car: if train is a class too, move all"),
        (["test/cat", "cat", "dog"], r"has test but no train; move cat, dog into train/"),
        (["cat"], r"the data have one class \(cat\); at least 2 are needed"),
    ],
)
def test_folders_that_would_be_misread_are_refused(tmp_path, write_class, folders, message):
    for folder in folders:
        write_class(tmp_path / folder, 4)
    with pytest.raises(InputError, match=message):
        set_up(tmp_path)


def test_classes_may_have_names_of_splits_among_others(tmp_path, write_class):
    for name in ("train", "bus", "test-1", "test-2"):
        write_class(tmp_path / "train" / name, 10)
    assert set_up(tmp_path).classes == ["bus", "test-1", "test-2", "train"]


def test_files_that_are_no_images_of_a_class_are_left_out_and_counted(tmp_path, write_class):
    root = write_classes(write_class, tmp_path)
    write_class(root / "__MACOSX" / "cat", 3)
    write_class(root / "cat" / ".ipynb_checkpoints", 2)
    write_class(root / "cat" / "deep", 1)
    write_class(root / "cat" / "thumbs.png", 1)  # a folder
    for name in ("cat/._000.png", "dog/Thumbs.db", "dog/.DS_Store", "dog/notes.TXT", "dog/README"):
        (root / name).write_bytes(b"nothing")
    Image.new("RGB", (8, 8)).save(root / "stray.png")
    os.mkfifo(root / "dog" / "pipe.png")
    (root / "dog" / "linked").symlink_to(root / "cat")
    data = set_up(root)
    assert sum(data.split_sizes.values()) == 22
    assert +data.left_out == {
        "hidden files": 8,
        ".txt files": 1,
        "files without an extension": 1,
        "images beside the class folders": 1,
        "files that are no regular files": 1,
        "linked folders": 1,
    }
    assert summarise_data(data)["left_out"]["hidden files"] == 8


def test_folders_beside_the_splits_are_counted(tmp_path, write_class):
    write_classes(write_class, tmp_path / "train")
    write_class(tmp_path / "labels", 2)
    assert set_up(tmp_path).left_out["other folders"] == 1


@pytest.mark.parametrize("suffix", [".jfif", ".JPG", ".webp", ".avif", ".tiff", ".jpe", ".pnm"])
def test_all_usual_suffixes_are_read(tmp_path, write_class, suffix):
    formats = {".jfif": "JPEG", ".jpe": "JPEG", ".pnm": "PPM"}
    path = tmp_path / f"x{suffix}"
    Image.new("RGB", (8, 8)).save(path, format=formats.get(suffix))
    left_out: Counter[str] = Counter()
    assert find_images(tmp_path, left_out) == [path]
    assert not +left_out


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], "nothing"),
        (["a.heic", "b.HEIC", "c.txt"], r"2 \.heic files, 1 \.txt file"),
        ([".a.png"], "1 hidden file"),
    ],
)
def test_a_class_folder_without_images_lists_what_was_found(tmp_path, write_class, names, found):
    root = write_classes(write_class, tmp_path)
    (root / "owl").mkdir()
    for name in names:
        (root / "owl" / name).touch()
    with pytest.raises(
        InputError, match=rf"^the class folder {root}/owl has no images; found: {found}$"
    ):
        set_up(root)


def test_images_without_class_folders_are_listed(tmp_path, write_class):
    write_class(tmp_path, 3)
    with pytest.raises(InputError, match=r"one sub-folder of images for each class; found: 3 im"):
        set_up(tmp_path)


def test_a_folder_without_permission_is_named(tmp_path, write_class, monkeypatch):
    """The system's refusal is simulated: tests may run as root, who may read everything."""
    root, scandir = write_classes(write_class, tmp_path), os.scandir

    def refuse(path):
        if Path(path) == root / "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError) as caught:
        set_up(root)
    assert str(as_user_error(caught.value)) == f"{root}/dog: permission denied"


@pytest.mark.parametrize("position", [0, 17, 99])
def test_one_colour_image_among_many_grey_ones_is_enough_for_colour(
    tmp_path, write_class, position
):
    write_class(tmp_path / "cat", 100, mode="L")
    write_class(tmp_path / "dog", 100, mode="L")
    assert set_up(tmp_path).channels == 1
    colour = np.zeros((8, 8, 3), dtype=np.uint8)
    colour[..., 0] = 255
    Image.fromarray(colour).save(tmp_path / "dog" / f"{position:03}.png")
    assert set_up(tmp_path).channels == 3


@pytest.mark.parametrize("kind", ["16 bits", "LA", "1"])
def test_grey_images_of_other_modes_are_grey(tmp_path, write_class, kind):
    for path in [p for name in ("a", "b") for p in write_class(tmp_path / name, 4, mode="L")]:
        grey = Image.open(path)
        wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        (wide if kind == "16 bits" else grey.convert(kind)).save(path)
    assert set_up(tmp_path).channels == 1


@pytest.mark.parametrize("layout", ["", "Test"])
def test_a_test_alone_reads_all_images(tmp_path, write_class, layout):
    write_classes(write_class, tmp_path / layout, 40)
    data = set_up(tmp_path, test_only=True)
    assert data.split_sizes == {"train": 0, "validation": 0, "test": 80}
    assert sum(len(labels) for _, labels in data.test_dataloader()) == 80
    assert describe_data(data) == ("data: 2 classes, 80 test images, 8x8 RGB, largest class 50.0 %")


def test_a_test_alone_keeps_the_splits_of_a_folder_that_has_some(tmp_path, write_class):
    write_classes(write_class, tmp_path / "train", 20)
    assert set_up(tmp_path, test_only=True).split_sizes["test"] == 4
    write_classes(write_class, tmp_path / "test", 7)
    assert set_up(tmp_path, test_only=True).split_sizes == {"train": 0, "validation": 0, "test": 14}
    (tmp_path / "train").rename(tmp_path / ".train")
    with pytest.raises(InputError, match="has test but no train"):
        set_up(tmp_path)


def test_the_line_names_classes_images_splits_share_and_what_is_left_out(tmp_path, write_class):
    write_class(tmp_path / "cat", 100)
    write_class(tmp_path / "dog", 10)
    for number in range(3):
        (tmp_path / f".{number}").touch()
    assert describe_data(set_up(tmp_path)) == (
        "data: 2 classes, 74 train / 25 validation / 11 test images (split by seed 0), 8x8 RGB, "
        "largest class 90.9 %; left out: 3 hidden files"
    )


def test_the_line_fits_data_without_files():
    data = Synthetic(images=1500, channels=2, batch_size=16, validation=0.25)
    data.setup()
    assert describe_data(data) == (
        "data: 4 classes, 900 train / 300 validation / 300 test images (split by seed 0), "
        "8x8 with 2 channels, largest class 25.0 %"
    )


def test_a_class_name_that_is_not_utf_8_is_printable(tmp_path, write_class):
    write_class(tmp_path / "b", 10)
    (tmp_path / "b").rename(tmp_path / "caf\udce9")
    write_class(tmp_path / "a", 10)
    assert set_up(tmp_path).classes == ["a", r"caf\xe9"]


def test_images_that_are_all_of_one_colour_are_refused(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.new("RGB", (8, 8), (7, 7, 7)).save(tmp_path / name / f"{number}.png")
    for given in ({}, {"mean": [0.5] * 3, "std": [0.5] * 3}):
        with pytest.raises(InputError, match="all pixels of all 14 training images have the val"):
            set_up(tmp_path, **given)
