"""Unlabelled images for predictions: search of files, equality with test images, errors."""

import itertools
from pathlib import Path

import pytest
import torch

from lightning_nas.data.image_folder import ImageFolder
from lightning_nas.data.unlabelled import UnlabelledImages
from lightning_nas.errors import InputError

SETTINGS = {"image_size": 12, "channels": 3, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}


def make_unlabelled(root: Path, **settings) -> UnlabelledImages:
    return UnlabelledImages(root, **(SETTINGS | settings))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(("image_size", "crop"), [(12, 1.0), (12, 0.75), (63, 0.875)])
def test_images_equal_those_of_evaluation(tmp_path, write_class, workers, image_size, crop):
    for split, number in (("train", 10), ("test", 5)):
        for name in ("cat", "dog"):
            write_class(tmp_path / split / name, number, side=(30, 22))
    same = SETTINGS | {"image_size": image_size, "crop": crop, "num_workers": workers}
    images = make_unlabelled(tmp_path / "test", batch_size=4, **same)
    data = ImageFolder(
        root=tmp_path,
        batch_size=4,
        validation=0.2,
        **{name: value for name, value in same.items() if name != "channels"},
    )
    data.setup()
    expected = torch.cat([batch for batch, _ in data.test_dataloader()])
    for _ in range(2):  # the second pass yields the same
        paths, batches = zip(*images, strict=True)
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert torch.equal(torch.cat(batches), expected)
        assert list(itertools.chain(*paths)) == sorted((tmp_path / "test").rglob("*.png"))
    assert len(images) == 3
    assert batches[0].is_contiguous(memory_format=torch.channels_last)
    assert batches[0].dtype == torch.float32


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_share_the_batches_one_after_the_other(tmp_path, write_class, world_size):
    paths = write_class(tmp_path, 7)
    shares = [
        make_unlabelled(tmp_path, batch_size=2, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    found = [path for share in shares for files, _ in share for path in files]
    assert sorted(found) == paths
    assert next(path for path, _ in shares[0]) == paths[:2]
    assert sum(map(len, shares)) == 4
    assert all(share.paths == paths for share in shares)


def test_each_process_has_a_batch_or_the_images_are_refused(tmp_path, write_class):
    write_class(tmp_path, 3)
    assert [len(make_unlabelled(tmp_path, rank=rank, world_size=2)) for rank in (0, 1)] == [2, 1]
    with pytest.raises(InputError, match="3 images are too few for 4 processes"):
        make_unlabelled(tmp_path, world_size=4)


def test_images_are_found_at_any_depth_and_sorted(tmp_path, write_class):
    paths = [*write_class(tmp_path / "b" / "deep", 2), *write_class(tmp_path / "a", 2)]
    (tmp_path / "notes.txt").touch()
    write_class(tmp_path, 1)[0].rename(tmp_path / "Z.PNG")
    assert make_unlabelled(tmp_path).paths == sorted([*paths, tmp_path / "Z.PNG"])


def test_a_file_is_a_batch_of_one(tmp_path, write_class):
    path = write_class(tmp_path, 1)[0].rename(tmp_path / "upload")  # a name without a suffix
    ((paths, images),) = make_unlabelled(path)
    assert paths == [path]
    assert images.shape == (1, 3, 12, 12)


def test_images_are_converted_to_grey_for_one_channel(tmp_path, write_class):
    write_class(tmp_path, 3)
    ((_, images),) = make_unlabelled(tmp_path, channels=1, mean=[0.5], std=[0.5])
    assert images.shape == (3, 1, 12, 12)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=f"^{tmp_path}/none is neither a folder nor a file$"):
        make_unlabelled(tmp_path / "none")


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(
        InputError, match=rf"^{tmp_path} has no images \(.*\.bmp, .*\.webp\); found: 1 \.txt file$"
    ):
        make_unlabelled(tmp_path)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_file_is_listed_and_the_others_are_read(tmp_path, write_class, workers):
    paths = write_class(tmp_path, 5)
    clean = torch.cat([images for _, images in make_unlabelled(tmp_path)])
    paths[1].write_bytes(b"not an image")
    images = make_unlabelled(tmp_path, num_workers=workers, batch_size=2)
    for _ in range(2):  # the second pass lists the same
        batches = list(images)
        assert [path for paths, _ in batches for path in paths] == paths
        read = torch.cat([images for _, images in batches])
        assert torch.equal(read[[0, 2, 3, 4]], clean[[0, 2, 3, 4]])
        assert list(images.errors) == [str(paths[1])]
        assert "none of the formats PNG" in images.errors[str(paths[1])]
        assert images.left_out["unreadable images"] == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch_size": 0}, "the batch size must be 1 or more, got 0"),
        ({"image_size": 0}, "data.image_size must be 1 or more, got 0"),
        ({"crop": 1.5}, "data.crop must be above 0 and up to 1, got 1.5"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, write_class, setting, message):
    write_class(tmp_path, 1)
    with pytest.raises(InputError, match=message):
        make_unlabelled(tmp_path, **setting)
