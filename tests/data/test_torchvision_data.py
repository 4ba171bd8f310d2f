"""CIFAR and Fashion-MNIST from torchvision's files and image folders, without a network."""

import pickle
import socket
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from lightning_nas.data.cifar10 import Cifar10
from lightning_nas.data.cifar100 import Cifar100
from lightning_nas.data.fashion_mnist import FashionMnist
from lightning_nas.errors import InputError

SETTINGS = {"batch_size": 5, "validation": 0.2}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_args, **_settings):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)


def write_cifar10(folder: Path) -> np.ndarray:
    """Write small batches in the layout of CIFAR-10 and return the pixels of the test batch."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        pixels = generator.integers(0, 256, (20, 3 * 32 * 32), dtype=np.uint8)
        labels = [i % 10 for i in range(20)]
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels}))
    names = [f"name {i}" for i in range(10)]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    return pixels.reshape(20, 3, 32, 32)


@pytest.mark.parametrize("place", ["cifar-10-batches-py", "."])
def test_cifar10_reads_files_of_torchvision(tmp_path, monkeypatch, place):
    pixels = write_cifar10(tmp_path / "cifar10" / place)

    def present(path: str, _md5: str | None = None) -> bool:
        return Path(path).is_file()  # the small files have other checksums than the real ones

    monkeypatch.setattr(datasets.cifar, "check_integrity", present)
    data = Cifar10(root=tmp_path / "cifar10", mean=[0, 0, 0], std=[1, 1, 1], **SETTINGS)
    data.prepare_data()
    data.setup()
    assert data.classes == [f"name {i}" for i in range(10)]
    assert (data.channels, data.image_size) == (3, 32)
    assert data.split_sizes == {"train": 80, "validation": 20, "test": 20}
    images = torch.cat([images for images, _ in data.test_dataloader()])
    assert torch.equal((images * 255).round().to(torch.uint8), torch.from_numpy(pixels))


def test_fashion_mnist_reads_files_of_torchvision(tmp_path):
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for split, number in (("train", 60), ("t10k", 20)):
        pixels = generator.integers(0, 256, (number, 28, 28), dtype=np.uint8)
        head = struct.pack(">4i", 0x803, number, 28, 28)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        labels = np.arange(number, dtype=np.uint8) % 10
        head = struct.pack(">2i", 0x801, number)
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    data = FashionMnist(root=tmp_path, **SETTINGS)
    data.prepare_data()
    data.setup()
    assert (data.channels, data.image_size, data.num_classes) == (1, 28, 10)
    assert data.split_sizes == {"train": 48, "validation": 12, "test": 20}


@pytest.mark.parametrize(
    ("module", "shape"), [(Cifar10, (3, 32)), (Cifar100, (3, 32)), (FashionMnist, (1, 28))]
)
def test_image_folders_are_read(tmp_path, write_class, module, shape):
    for split, number in (("train", 10), ("test", 4)):
        for name in ("cat", "dog"):
            write_class(tmp_path / split / name, number, side=36)
    data = module(root=tmp_path, **SETTINGS)
    data.prepare_data()
    data.setup()
    assert (data.channels, data.image_size) == shape
    assert data.split_sizes == {"train": 16, "validation": 4, "test": 8}


@pytest.mark.parametrize(
    ("module", "title", "stored"),
    [
        (Cifar10, "CIFAR-10", "cifar-10-batches-py"),
        (Cifar100, "CIFAR-100", "cifar-100-python"),
        (FashionMnist, "Fashion-MNIST", "FashionMNIST/raw"),
    ],
)
def test_error_without_files_and_network_says_what_to_do(tmp_path, module, title, stored):
    message = (
        f"{title} is not in {tmp_path} and could not be downloaded: put {stored} or train/ and "
        "test/ folders there (data.root=DIR), or try data=digits"
    )
    with pytest.raises(InputError) as caught:
        module(root=tmp_path, **SETTINGS).prepare_data()
    assert str(caught.value) == message


def test_download_off_downloads_nothing(tmp_path):
    with pytest.raises(InputError, match=r"CIFAR-10 is not in .* and data.download is off: put"):
        Cifar10(root=tmp_path, download=False, **SETTINGS).prepare_data()


def test_a_failed_download_is_an_error_of_one_line(tmp_path, monkeypatch):
    class Connection:
        def close(self) -> None:
            """Do nothing."""

    def fail(*_args, **_settings):
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(socket, "create_connection", lambda *_args, **_settings: Connection())
    monkeypatch.setattr(datasets.CIFAR10, "download", fail)
    with pytest.raises(InputError, match=r"CIFAR-10 is not in .* and could not be downloaded"):
        Cifar10(root=tmp_path, **SETTINGS).prepare_data()


def test_the_folders_of_the_splits_may_have_other_usual_names(tmp_path, write_class):
    for split, number in (("Training", 10), ("Test", 4)):
        for name in ("cat", "dog"):
            write_class(tmp_path / split / name, number, side=32)
    data = Cifar10(root=tmp_path, **SETTINGS)
    data.prepare_data()
    data.setup()
    assert data.split_sizes["test"] == 8
