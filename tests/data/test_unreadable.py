"""Unreadable images: found before a run begins, named, or left out on request."""

import itertools

import pytest
import torch
from PIL import Image

from lightning_nas.data.decode import UnreadableImageError
from lightning_nas.data.image_folder import ImageFolder
from lightning_nas.errors import InputError

HINT = r"; repair it, or go on without it: data\.skip_unreadable=true$"


def set_up(root, **settings) -> ImageFolder:
    data = ImageFolder(root=root, batch_size=4, validation=0.25, num_workers=0, **settings)
    data.setup()
    return data


def truncate(path, bytes_to_keep: int = -30) -> None:
    path.write_bytes(path.read_bytes()[:bytes_to_keep])


@pytest.fixture(params=[8, 72], ids=["in memory", "streamed"])
def folder(request, tmp_path, write_class):
    """A folder with all splits."""
    for split in ("train", "val", "test"):
        for name in ("cat", "dog"):
            write_class(tmp_path / split / name, 6, side=request.param)
    return tmp_path


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("keep", [0, 20, 60, -30])
def test_a_truncated_image_of_any_split_is_found_before_the_run(folder, split, keep):
    path = folder / split / "dog" / "004.png"
    truncate(path, keep)
    with pytest.raises(InputError, match=rf"^cannot read the image {path}: .*{HINT}") as caught:
        set_up(folder)
    assert "\n" not in str(caught.value)


def test_the_number_of_unreadable_images_is_named(folder):
    for number in range(3):
        truncate(folder / "val" / "cat" / f"00{number}.png")
    with pytest.raises(InputError, match=r"000.png: .* \(2 more of 36 images are unreadable\)"):
        set_up(folder)


def test_unreadable_images_are_left_out_on_request(folder):
    whole, readers = set_up(folder), (ImageFolder.test_dataloader, ImageFolder.val_dataloader)
    all_images = [torch.cat([images for images, _ in read(whole)]) for read in readers]
    for name in ("train/cat/000.png", "train/dog/001.png", "val/cat/002.png", "test/dog/005.png"):
        truncate(folder / name)
    data = set_up(folder, skip_unreadable=True)
    assert data.split_sizes == {"train": 10, "validation": 11, "test": 11}
    assert data.left_out["unreadable images"] == 4
    assert data.channels == whole.channels == 3
    data.pixel_mean, data.pixel_std = whole.pixel_mean, whole.pixel_std
    for read, before in zip(readers, all_images, strict=True):
        kept = torch.cat([images for images, _ in read(data)])
        is_kept = [any(torch.equal(image, one) for one in kept) for image in before]
        assert torch.equal(before[torch.tensor(is_kept)], kept)
        assert len(kept) == 11
    assert len(list(data.train_dataloader())) == 2


def test_the_other_images_stay_in_their_splits(tmp_path, write_class):
    paths = [*write_class(tmp_path / "cat", 30), *write_class(tmp_path / "dog", 30)]
    whole = set_up(tmp_path)
    for path in paths[::7]:
        truncate(path)
    data = set_up(tmp_path, skip_unreadable=True)
    for name in ("train", "validation", "test"):
        indices = getattr(whole.splits, name).tolist()
        expected = [index for index in indices if index % 7]
        assert getattr(data.splits, name).tolist() == expected
        assert data.split_sizes[name] == len(expected)


def test_damage_inside_of_a_file_is_left_out_too(tmp_path, write_class):
    paths = [path for name in ("cat", "dog") for path in write_class(tmp_path / name, 20, side=72)]
    levels = torch.arange(72, dtype=torch.uint8).repeat(72, 1) ** 2
    # PIL finds this damage in WebP. In PNG, it does not compare the checksums of the pixels.
    Image.fromarray(levels.numpy()).convert("RGB").save(paths[3], format="WEBP")
    data = bytearray(paths[3].read_bytes())
    data[100:120] = b"\xff" * 20
    paths[3].write_bytes(data)
    assert set_up(tmp_path, skip_unreadable=True).left_out["unreadable images"] == 1

    def read_all() -> None:  # header and end of the file are complete
        data = set_up(tmp_path)
        list(
            itertools.chain(data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
        )

    with pytest.raises(UnreadableImageError, match=rf"^cannot read the image {paths[3]}: .*{HINT}"):
        read_all()


def test_a_class_without_readable_images_is_refused(tmp_path, write_class):
    for name in ("cat", "dog"):
        for path in write_class(tmp_path / "train" / name, 6):
            if name == "dog":
                truncate(path)
    with pytest.raises(InputError, match="no train image of the class 'dog' is readable"):
        set_up(tmp_path, skip_unreadable=True)


def test_a_folder_without_readable_images_is_refused(tmp_path, write_class):
    for name in ("cat", "dog"):
        for path in write_class(tmp_path / name, 6):
            truncate(path)
    with pytest.raises(InputError, match=r"\(11 more of 12 images are unreadable\)"):
        set_up(tmp_path, skip_unreadable=True)
