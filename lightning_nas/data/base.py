"""The base class of all data modules: it makes splits, statistics and loaders of labelled images.

A subclass only reads its images.
"""

import copy
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self
from weakref import WeakSet

import torch
from pytorch_lightning import LightningDataModule

from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.images import (
    ImageFiles,
    LabelledImages,
    Normalise,
    check_pixels_differ,
    measure_channels,
)
from lightning_nas.data.loader import ImageLoader, MemorySource, Source, StreamSource
from lightning_nas.data.seeding import make_generator
from lightning_nas.data.splits import leave_out, make_splits
from lightning_nas.errors import InputError, printable

STATISTICS_SAMPLE = 2_048  # images decoded for mean and deviation if the files are streamed


class ImageData(LightningDataModule):
    """Data module of labelled square images in a training, a validation and a test split.

    The attributes below exist after ``prepare_data()`` and ``setup()``, which need no Trainer.

    Args:
        batch_size: Images in a batch of one process, at least 1.
        validation: Number (int) or fraction (float) of the training images in the validation split,
            stratified by class. Unused if the data set has an official validation split.
        seed: Seed of the validation split, the order and the augmentation.
        augmentation: Augmentation of the training images; None = normalisation alone.
        train_on_all: Whether the training split includes the validation images, which stay in the
            validation split: for the final training after a search.
        num_workers: Processes that decode images of more than 64 pixels a side. Smaller images are
            kept in memory.
        mean: Mean of each channel for pixels in [0, 1]; None = the mean of the training split.
        std: Standard deviation of each channel for pixels in [0, 1]; None = that of the training
            split.

    Attributes:
        num_classes: Number of classes.
        classes: Names of the classes.
        channels: 1 for grey images, 3 for RGB.
        image_size: Side in pixels of the images in the batches.
        split_sizes: Number of images in "train", "validation" and "test".
        left_out: Number of files that were not read, by kind.
        class_sizes: Number of images of each class in all splits.
        largest_share: Share of the largest class in all images, in (0, 1].
        original_sides: Shortest and longest side in pixels of the image files, if their headers
            were read; else None.
        pixel_mean: Mean of each channel for the normalisation, given or measured.
        pixel_std: Standard deviation of each channel for the normalisation, given or measured.
        crop: Ratio of the side in batches to the decoded side.

    Raises:
        InputError: If ``batch_size`` is below 1.
    """

    test_fraction = 0.1  # of the images, held out if the data set has no official test split

    num_classes: int
    classes: list[str]
    channels: int
    image_size: int
    split_sizes: dict[str, int]
    left_out: Counter[str]
    class_sizes: list[int]
    largest_share: float
    original_sides: tuple[int, int] | None
    pixel_mean: Sequence[float]
    pixel_std: Sequence[float]
    crop: float = 1.0

    def __init__(
        self,
        *,
        batch_size: int,
        validation: int | float,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        train_on_all: bool = False,
        num_workers: int = 2,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.batch_size = _check_positive("data.batch_size", batch_size)
        self.validation = validation
        self.seed = seed
        self.augmentation = augmentation
        self.train_on_all = train_on_all
        self.num_workers = num_workers
        self.mean = mean
        self.std = std
        self._ready = False
        self._memory: MemorySource | None = None
        self._streams: WeakSet[StreamSource] = WeakSet()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the Trainer, the images on the device and the workers."""
        return self.__dict__ | {"trainer": None, "_memory": None, "_streams": WeakSet()}

    def read(self) -> LabelledImages:
        """Return the images of all splits. Each subclass implements this method."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Read the images, split them and measure their statistics, once for all stages."""
        if self._ready:
            return
        data = self.read()
        if len(data.classes) < 2:
            raise InputError(f"the data have one class ({data.classes[0]}); at least 2 are needed")
        all_splits = make_splits(data, self.validation, self.seed, self.test_fraction)
        self.splits = splits = leave_out(all_splits, data)
        train = splits.train
        if self.train_on_all:
            train = torch.cat([train, splits.validation]).sort().values
        self._train = train
        self.split_sizes = {
            "train": len(train),
            "validation": len(splits.validation),
            "test": len(splits.test),
        }
        self.classes = data.classes
        self.num_classes = len(data.classes)
        _, side, _, self.channels = data.images.shape
        self.image_size = data.image_size or side
        self.left_out = data.left_out
        read = torch.cat([splits.train, splits.validation, splits.test])
        self.class_sizes = torch.bincount(data.labels[read], minlength=self.num_classes).tolist()
        self.largest_share = max(self.class_sizes) / sum(self.class_sizes)
        self.original_sides = data.original_sides
        self._data = data
        self.pixel_mean, self.pixel_std = self._find_statistics()
        self._ready = True

    @property
    def stored_images(self) -> torch.Tensor | ImageFiles:
        """Images of all splits: uint8 ``(M, H, W, C)``, or the files of images."""
        return self._data.images

    def find_path(self, index: int) -> str:
        """Return the file of an image, relative to the folder of the data; empty without files.

        Args:
            index: Index of the image, as in ``splits``.
        """
        paths = self._data.paths
        return printable(os.path.relpath(paths[index], self._data.root)) if paths else ""

    @property
    def split_rule(self) -> str:
        """How this class has split the images, in words; empty for official splits alone."""
        if self._data.validation is not None or not len(self._train):
            return ""
        held_out = "validation split" if self._data.test is not None else "split"
        return f"{held_out} by seed {self.seed}"

    def validate_on_test(self) -> Self:
        """Return a copy whose validation split is the test split. Call ``setup`` before.

        Raises:
            InputError: If there are no test images.
        """
        if not len(self.splits.test):
            raise InputError("the data have no test images")
        other = copy.copy(self)
        other.splits = replace(self.splits, validation=self.splits.test)
        return other

    def teardown(self, stage: str) -> None:
        """End the processes that decode images; loaders can start new ones."""
        for stream in self._streams:
            stream.close()

    def train_dataloader(self) -> ImageLoader:
        """Return shuffled, augmented, full batches of the training split.

        With ``trainer.overfit_batches``, the order of the images stays the same in all epochs.
        """
        shuffle = not getattr(self.trainer, "overfit_batches", 0)
        return self._make_loader(self._train, self.batch_size, self.augmentation, shuffle=shuffle)

    def val_dataloader(self, smallest: int | None = None) -> ImageLoader:
        """Return the validation split in a fixed order, without augmentation.

        Args:
            smallest: Lower bound of the size of every batch, which is at most twice this number; a
                process with fewer images has one batch. None = batches of at most ``batch_size``.
        """
        batch_size = self.batch_size
        if smallest is not None:
            processes = self.trainer.world_size if self.trainer else 1
            images = len(self.splits.validation)
            batches = max(1, images // processes // smallest)
            batch_size = math.ceil(math.ceil(images / processes) / batches)
        return self._make_loader(self.splits.validation, batch_size)

    def test_dataloader(self) -> ImageLoader:
        """Return the test split in a fixed order, without augmentation."""
        return self._make_loader(self.splits.test, self.batch_size)

    def controller_dataloader(self, batch_size: int) -> ImageLoader:
        """Return endless shuffled batches of exactly ``batch_size`` validation images."""
        _check_positive("the controller's batch size", batch_size)
        return self._make_loader(self.splits.validation, batch_size, endless=True)

    def calibration_batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``size`` training images (all, if fewer) and labels, without augmentation.

        The images are the same in every call and on every rank. They serve to measure the
        statistics of batch normalisation.
        """
        index = self._sample_training(size)
        images = self._data.images[index].to(self._device)
        return self._make_normalise()(images), self._data.labels[index].to(self._device)

    def sample_augmented(self, classes: int, count: int) -> tuple[list[str], torch.Tensor]:
        """Return training images as they reach the network, with augmentation.

        Args:
            classes: Number of classes, at most; the first ones that have training images.
            count: Images of each class. A class with fewer images repeats them.

        Returns:
            Names of the classes, and pixels, uint8 ``(classes, count, H, W, C)`` on the CPU.
        """
        labels = self._data.labels[self._train]
        chosen = labels.unique()[:classes].tolist()
        members = [self._train[labels == label] for label in chosen]
        rows = [row.repeat(-(-count // len(row)))[:count] for row in members]
        images = self._data.images[torch.cat(rows)].to(self._device)
        normalise = self._make_normalise()
        if self.augmentation is None:
            batch = normalise(images)
        else:
            generator = make_generator("samples", self.seed, device=self._device)
            batch = self.augmentation(images, generator, normalise)
        pixels = self.show_pixels(batch).unflatten(0, (len(rows), count))
        return [self.classes[label] for label in chosen], pixels

    def show_pixels(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Return the pixels of normalised images, uint8 ``(N, H, W, C)``."""
        std_C, mean_C = torch.tensor(self.pixel_std), torch.tensor(self.pixel_mean)
        pixels = images_NCHW.cpu().float().permute(0, 2, 3, 1) * std_C + mean_C
        return (255 * pixels).round().clamp(0, 255).to(torch.uint8)

    def _make_loader(
        self,
        indices: torch.Tensor,
        batch_size: int,
        augmentation: Augmentation | None = None,
        *,
        shuffle: bool = False,
        endless: bool = False,
    ) -> ImageLoader:
        return ImageLoader(
            self._make_source(),
            indices,
            batch_size,
            self._make_normalise(),
            augmentation,
            shuffle=shuffle,
            endless=endless,
            seed=self.seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
        )

    def _make_source(self) -> Source:
        images, labels, device = self._data.images, self._data.labels, self._device
        if not isinstance(images, torch.Tensor):
            stream = StreamSource(images, labels, device, self.num_workers)
            self._streams.add(stream)
            return stream
        if self._memory is None or self._memory.device != device:
            self._memory = MemorySource(images, labels, device)
        return self._memory

    def _make_normalise(self) -> Normalise:
        return Normalise(self.pixel_mean, self.pixel_std, self.image_size, self._device)

    def _find_statistics(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return mean and deviation of each channel: the given ones, else measured ones.

        Without training images, pixels that have no given mean and deviation stay as they are.
        """
        mean, std = self.mean, self.std
        if not len(self._train):
            mean, std = mean or [0.0] * self.channels, std or [1.0] * self.channels
        else:
            check_pixels_differ(self._data.images, self._train)
        if mean is None or std is None:
            in_memory = isinstance(self._data.images, torch.Tensor)
            index = self._train if in_memory else self._sample_training(STATISTICS_SAMPLE)
            measured_mean, measured_std = measure_channels(self._data.images, index)
            mean = measured_mean if mean is None else mean
            std = measured_std if std is None else std
        for name, given in {"mean": mean, "std": std}.items():
            if len(given) != self.channels:
                raise InputError(f"data.{name} needs {self.channels} numbers, got {list(given)}")
        return mean, std

    def _sample_training(self, size: int) -> torch.Tensor:
        """Return up to ``size`` indices of training images, the same in every call."""
        generator = make_generator("sample", self.seed)
        return self._train[torch.randperm(len(self._train), generator=generator)[:size]]

    @property
    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")


def _check_positive(name: str, value: int) -> int:
    if value < 1:
        raise InputError(f"{name} must be 1 or more, got {value}")
    return value
