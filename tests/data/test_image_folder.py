"""Image folders: what is read from them, in-memory and streamed images, errors."""

import weakref
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_nas.data import image_folder
from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.image_folder import ImageFolder
from lightning_nas.data.images import ImageFiles
from lightning_nas.data.loader import MemorySource, StreamSource
from lightning_nas.errors import DeadWorkerError, InputError, as_user_error


def set_up(root: Path, **settings) -> ImageFolder:
    settings = {"batch_size": 4, "validation": 0.25, "num_workers": 0} | settings
    data = ImageFolder(root=root, **settings)
    data.prepare_data()
    data.setup()
    return data


def write_classes(write_class, root: Path, number: int = 20, **kind) -> Path:
    for name in ("cat", "dog"):
        write_class(root / name, number, **kind)
    return root


def join_batches(loader) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_classes_channels_size_and_splits_are_read_from_the_folder(tmp_path, write_class):
    write_classes(write_class, tmp_path / "train", 20)
    write_classes(write_class, tmp_path / "val", 3)
    write_classes(write_class, tmp_path / "test", 5)
    data = set_up(tmp_path)
    assert data.classes == ["cat", "dog"]
    assert (data.num_classes, data.channels, data.image_size) == (2, 3, 8)
    assert data.split_sizes == {"train": 40, "validation": 6, "test": 10}
    assert data.split_sizes["test"] > 0


def test_pixels_and_labels_equal_the_files(tmp_path, write_class):
    write_classes(write_class, tmp_path / "train")
    paths = [p for c in ("cat", "dog") for p in write_class(tmp_path / "test" / c, 3)]
    data = set_up(tmp_path, mean=[0, 0, 0], std=[1, 1, 1])
    images, labels = join_batches(data.test_dataloader())
    expected = np.stack([np.asarray(Image.open(path)) for path in paths])
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    assert torch.equal(pixels, torch.from_numpy(expected))
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_without_val_and_test_both_are_held_out(tmp_path, write_class):
    write_classes(write_class, tmp_path / "train", 20)
    assert set_up(tmp_path).split_sizes == {"train": 27, "validation": 9, "test": 4}


def test_a_folder_of_class_folders_is_a_training_split(tmp_path, write_class):
    write_classes(write_class, tmp_path, 20)
    data = set_up(tmp_path)
    assert data.classes == ["cat", "dog"]
    assert sum(data.split_sizes.values()) == 40


@pytest.mark.parametrize(("modes", "channels"), [(("L", "L"), 1), (("L", "RGB"), 3)])
def test_images_are_grey_only_if_all_are(tmp_path, write_class, modes, channels):
    for name, mode in zip(("cat", "dog"), modes, strict=True):
        write_class(tmp_path / name, 10, mode=mode)
    data = set_up(tmp_path)
    images, _ = next(iter(data.train_dataloader()))
    assert data.channels == images.shape[1] == channels


def test_images_of_other_sizes_are_resized_to_their_centre_square(tmp_path, write_class):
    write_classes(write_class, tmp_path / "train", side=(30, 20))
    path = tmp_path / "train" / "cat" / "000.png"
    stripes = np.zeros((20, 30, 3), dtype=np.uint8)
    stripes[:, :3], stripes[:, 27:] = 255, 255  # white, but outside the centre square
    Image.fromarray(stripes).save(path)
    data = set_up(tmp_path, image_size=10, mean=[0, 0, 0], std=[1, 1, 1])
    images, _ = next(iter(data.val_dataloader()))
    assert images.shape[1:] == (3, 10, 10)
    assert not ImageFiles([path], 10, 3)[torch.tensor([0])].any()


@pytest.mark.parametrize("workers", [0, 2])
def test_memory_and_stream_yield_the_same_images(tmp_path, write_class, monkeypatch, workers):
    root = write_classes(write_class, tmp_path)
    settings = {"augmentation": Augmentation(pad=1, flip=True, cutout=2), "num_workers": workers}
    memory = set_up(root, **settings)
    monkeypatch.setattr(image_folder, "IN_MEMORY_SIDE", 4)
    stream = set_up(root, **settings)
    assert isinstance(memory.train_dataloader().source, MemorySource)
    assert isinstance(stream.train_dataloader().source, StreamSource)
    for get in (ImageFolder.val_dataloader, ImageFolder.train_dataloader):
        left, right = get(memory), get(stream)
        for epoch in range(2):  # the second one reuses the workers
            left.set_epoch(epoch)
            right.set_epoch(epoch)
            for a, b in zip(join_batches(left), join_batches(right), strict=True):
                assert torch.equal(a, b)
    for a, b in zip(memory.calibration_batch(7), stream.calibration_batch(7), strict=True):
        assert torch.equal(a, b)


def to_pixels(loader) -> torch.Tensor:
    """Return all pixels of a loader as (N, H, W, C), from 0 to 255."""
    return (join_batches(loader)[0] * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


@pytest.mark.parametrize(("side", "image_size"), [(40, 32), (80, 64), (100, 80)])
def test_evaluation_crops_the_centre_of_decoded_images(tmp_path, write_class, side, image_size):
    root = write_classes(write_class, tmp_path, side=(side + 10, side))
    settings = {"mean": [0] * 3, "std": [1] * 3}
    data = set_up(root, image_size=image_size, crop=0.8, **settings)
    assert data.image_size == image_size
    whole = set_up(root, image_size=side, **settings)
    assert isinstance(data.val_dataloader().source, StreamSource) == (side > 64)
    start = (side - image_size) // 2
    centre = slice(start, start + image_size)
    for get in (ImageFolder.val_dataloader, ImageFolder.test_dataloader):
        assert torch.equal(to_pixels(get(data)), to_pixels(get(whole))[:, centre, centre])
    controller = to_pixels([next(iter(data.controller_dataloader(4)))])
    expected = to_pixels([next(iter(whole.controller_dataloader(4)))])
    assert torch.equal(controller, expected[:, centre, centre])
    (images, _), (larger, _) = data.calibration_batch(5), whole.calibration_batch(5)
    assert torch.equal(images, larger[:, :, centre, centre])


@pytest.mark.parametrize("side", [40, 80])
def test_training_crops_lie_anywhere_in_decoded_images(tmp_path, write_class, side):
    root, small = write_classes(write_class, tmp_path, side=side), side // 2
    settings = {"mean": [0] * 3, "std": [1] * 3, "crop": 0.5, "image_size": small}
    data = set_up(root, augmentation=Augmentation(), **settings)
    whole = set_up(root, mean=[0] * 3, std=[1] * 3)
    for image, original in zip(
        to_pixels(data.train_dataloader()), to_pixels(whole.train_dataloader()), strict=True
    ):
        places = original[..., 0].unfold(0, small, 1).unfold(1, small, 1)
        matches = (places == image[..., 0]).flatten(2).all(2).nonzero()
        assert len(matches) == 1
        top, left = matches[0].tolist()
        assert torch.equal(image, original[top : top + small, left : left + small])


@pytest.mark.parametrize("side", [40, 80])
def test_random_areas_depend_only_on_seed_and_epoch(tmp_path, write_class, side):
    root = write_classes(write_class, tmp_path, side=side)

    def batches(seed: int = 0, epoch: int = 0) -> torch.Tensor:
        augmentation = Augmentation(flip=True, area=[0.2, 1.0], colour=0.3)
        data = set_up(root, image_size=24, crop=24 / side, augmentation=augmentation, seed=seed)
        loader = data.train_dataloader()
        loader.set_epoch(epoch)
        images, _ = join_batches(loader)
        assert images.shape[1:] == (3, 24, 24)
        return images

    assert torch.equal(batches(), batches())
    assert not torch.equal(batches(), batches(epoch=1))
    assert not torch.equal(batches(), batches(seed=1))


def test_a_crop_of_one_changes_nothing(tmp_path, write_class):
    root = write_classes(write_class, tmp_path, side=12)
    augmentation = Augmentation(pad=1, flip=True, cutout=2)
    plain = set_up(root, augmentation=augmentation)
    cropped = set_up(root, augmentation=augmentation, crop=1.0)
    for get in (ImageFolder.train_dataloader, ImageFolder.val_dataloader):
        assert torch.equal(join_batches(get(plain))[0], join_batches(get(cropped))[0])


def test_statistics_are_measured_on_decoded_images(tmp_path, write_class):
    root = write_classes(write_class, tmp_path, side=16)
    settings = {"image_size": 16, "mean": None, "std": None}
    images, _ = set_up(root, **settings).calibration_batch(30)
    centre, _ = set_up(root, image_size=8, crop=0.5).calibration_batch(30)
    assert torch.equal(images[:, :, 4:12, 4:12], centre)


def test_without_image_size_the_crop_is_a_share_of_the_stored_size(tmp_path, write_class):
    data = set_up(write_classes(write_class, tmp_path, side=16), crop=0.875)
    images, _ = next(iter(data.val_dataloader()))
    assert data.image_size == 14
    assert images.shape[1:] == (3, 14, 14)


def test_large_images_are_streamed_and_normalised(tmp_path, write_class):
    data = set_up(
        write_classes(write_class, tmp_path, side=72), augmentation=Augmentation(flip=True)
    )
    loader = data.train_dataloader()
    assert isinstance(loader.source, StreamSource)
    images, labels = join_batches(loader)
    assert images.shape == (24, 3, 72, 72)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images.mean((0, 2, 3)).abs().max() < 0.02
    assert (images.std((0, 2, 3)) - 1).abs().max() < 0.02
    assert set(labels.tolist()) == {0, 1}


def test_endless_loader_of_streamed_images_has_full_batches(tmp_path, write_class):
    data = set_up(write_classes(write_class, tmp_path, side=72), num_workers=1)
    batches = iter(data.controller_dataloader(6))
    assert [len(next(batches)[1]) for _ in range(5)] == [6] * 5


@pytest.mark.parametrize("endless", [False, True])
def test_an_interrupted_pass_frees_its_workers(tmp_path, write_class, endless):
    data = set_up(write_classes(write_class, tmp_path, side=72), num_workers=1)
    loader = data.controller_dataloader(6) if endless else data.train_dataloader()
    source = weakref.ref(loader.source)
    next(iter(loader))
    del loader
    assert source() is None  # at once: no reference cycle waits for the garbage collector


@pytest.mark.parametrize("workers", [0, 2])
def test_the_end_of_a_fit_ends_the_workers_and_loaders_start_new_ones(
    tmp_path, write_class, workers
):
    data = set_up(write_classes(write_class, tmp_path, side=72), num_workers=workers)
    before = set(active_children())
    loaders = [data.train_dataloader(), data.val_dataloader()]
    first = [join_batches(loader)[1] for loader in loaders]
    interrupted = iter(loaders[0])
    next(interrupted)
    assert len(set(active_children()) - before) == 2 * workers
    data.teardown("fit")
    assert set(active_children()) == before
    assert [join_batches(loader)[1].tolist() for loader in loaders] == [y.tolist() for y in first]
    data.teardown("fit")


@pytest.mark.parametrize("workers", [0, 1])
def test_streaming_leaves_the_global_random_state_unchanged(tmp_path, write_class, workers):
    data = set_up(write_classes(write_class, tmp_path, side=72), num_workers=workers)
    before = torch.get_rng_state()
    assert len(join_batches(data.train_dataloader())[1]) == 24
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("damage", [b"not an image", None])
def test_an_unreadable_image_is_named_when_read_into_memory(tmp_path, write_class, damage):
    write_classes(write_class, tmp_path)
    path = tmp_path / "dog" / "001.png"
    path.write_bytes(path.read_bytes()[:60] if damage is None else damage)
    with pytest.raises(InputError, match=rf"^cannot read the image {path}: ") as caught:
        set_up(tmp_path, image_size=8)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_named_when_streamed(tmp_path, write_class, workers):
    data = set_up(write_classes(write_class, tmp_path, side=72), num_workers=workers)
    path = tmp_path / "dog" / "001.png"
    for other in (tmp_path / "dog").iterdir():
        other.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=rf"^cannot read the image {tmp_path}/dog/\S+: ") as caught:
        join_batches(data.train_dataloader())
    assert "\n" not in str(caught.value)


def test_an_unreadable_image_is_named_when_its_header_is_read(tmp_path, write_class):
    write_classes(write_class, tmp_path)
    path = tmp_path / "cat" / "000.png"
    path.write_bytes(b"not an image")
    with pytest.raises(InputError, match=rf"^cannot read the image {path}: "):
        set_up(tmp_path)


def test_a_missing_root_is_refused(tmp_path):
    with pytest.raises(InputError, match=f"data.root={tmp_path}/none is not a folder"):
        set_up(tmp_path / "none")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path} has no class folders: it needs one"):
        set_up(tmp_path)


def test_a_class_folder_without_images_is_refused(tmp_path, write_class):
    write_classes(write_class, tmp_path)
    (tmp_path / "owl").mkdir()
    (tmp_path / "owl" / "notes.txt").touch()
    with pytest.raises(InputError, match=f"the class folder {tmp_path}/owl has no images"):
        set_up(tmp_path)


def test_a_folder_with_test_but_without_train_is_refused(tmp_path, write_class):
    write_classes(write_class, tmp_path / "test")
    with pytest.raises(InputError, match="has test but no train"):
        set_up(tmp_path)


@pytest.mark.parametrize(("extra", "split"), [("train", "val"), ("val", "val"), ("test", "test")])
def test_the_first_class_that_differs_is_named(tmp_path, write_class, extra, split):
    for name in ("train", "val", "test"):
        write_classes(write_class, tmp_path / name)
    write_class(tmp_path / extra / "owl", 3)
    verb = "lacks" if extra == "train" else "has"
    with pytest.raises(InputError, match=f"{tmp_path}/{split} {verb} the class 'owl'"):
        set_up(tmp_path)


@pytest.mark.parametrize("sides", [(8, 9), ((8, 9), (8, 9))])
def test_images_without_a_common_square_size_need_a_setting(tmp_path, write_class, sides):
    for name, side in zip(("cat", "dog"), sides, strict=True):
        write_class(tmp_path / name, 10, side=side)
    with pytest.raises(InputError, match=r"set data\.image_size"):
        set_up(tmp_path)
    assert set_up(tmp_path, image_size=6).image_size == 6


def test_image_size_below_one_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"data\.image_size must be 1 or more, got 0"):
        set_up(tmp_path, image_size=0)


@pytest.mark.parametrize("crop", [0, -0.5, 1.01])
def test_crops_out_of_range_are_refused(tmp_path, crop):
    with pytest.raises(InputError, match=rf"^data\.crop must be above 0 and up to 1, got {crop}$"):
        set_up(tmp_path, crop=crop)


@pytest.mark.parametrize("kind", [EOFError, ConnectionResetError, FileNotFoundError])
def test_a_process_that_dies_while_it_sends_a_batch_is_an_error_of_the_user(kind):
    class Dying:
        num_workers = 0

        def __iter__(self):
            raise kind

    files, labels = ImageFiles([Path("a.png")], 8, 3), torch.zeros(1, dtype=torch.long)
    source = StreamSource(files, labels, torch.device("cpu"), num_workers=0)
    source._loader = Dying()
    with pytest.raises(RuntimeError) as raised:
        next(source.decode([]))
    assert isinstance(as_user_error(raised.value), DeadWorkerError)
