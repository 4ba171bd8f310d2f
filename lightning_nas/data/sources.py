"""Where a loader takes its pixels: from memory on the device, or from files by worker processes.

Both turn batches of indices into batches of uint8 images and labels on the device, and nothing
else, so that one augmentation serves both.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lightning_nas.data.images import ImageFiles
from lightning_nas.data.seeding import seeded_generator
from lightning_nas.errors import InputError


class Source(Protocol):
    """What `ImageLoader` reads from."""

    device: torch.device

    def batches(self, index_batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 images ``(N, H, W, C)`` and labels ``(N,)`` for each batch of indices."""


class MemorySource:
    """All images on the device, gathered there. Loaders may share it.

    Args:
        images: uint8 ``(M, H, W, C)``.
        labels: int64 ``(M,)``.
        device: Where they are kept.
    """

    def __init__(self, images: Tensor, labels: Tensor, device: torch.device) -> None:
        self.device = device
        self.images = images.to(device)
        self.labels = labels.to(device)

    def batches(self, index_batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels for each batch of indices."""
        for index in index_batches:
            index = index.to(self.device, non_blocking=True)
            yield self.images.index_select(0, index), self.labels.index_select(0, index)


class StreamSource:
    """Images decoded in passing by worker processes, which outlive a pass. One loader each.

    Args:
        files: The images.
        labels: int64 ``(M,)``.
        device: Where the batches are sent.
        num_workers: Processes, of which no more are started than there are cores; 0 = decode in
            this one.
    """

    def __init__(
        self, files: ImageFiles, labels: Tensor, device: torch.device, num_workers: int
    ) -> None:
        self.device = device
        self._plan = _Plan()
        num_workers = min(num_workers, len(os.sched_getaffinity(0)))
        self._loader = DataLoader(
            _Decoder(files, labels),
            sampler=self._plan,
            batch_size=None,  # an item is a batch already
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=device.type == "cuda",
            generator=seeded_generator("workers"),  # without one, iter() draws a global number
        )

    def batches(self, index_batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels for each batch of indices.

        Raises:
            InputError: If a file cannot be read.
        """
        self._plan.index_batches = index_batches
        for batch in self._loader:
            if isinstance(batch, str):
                raise InputError(batch)
            images, labels = batch
            yield (
                images.to(self.device, non_blocking=True),
                labels.to(self.device, non_blocking=True),
            )

    def close(self) -> None:
        """End the worker processes; a later pass starts new ones.

        Left to the garbage collector, which ends their queues first, each would take five seconds.
        """
        iterator, self._loader._iterator = self._loader._iterator, None
        if iterator is not None and self._loader.num_workers:
            iterator._shutdown_workers()  # type: ignore[attr-defined]


class _Plan:
    """The sampler of a DataLoader whose order changes from pass to pass."""

    index_batches: Iterable[Tensor] = ()

    def __iter__(self) -> Iterator[list[int]]:
        return (index.tolist() for index in self.index_batches)


class _Decoder(Dataset):
    """Decodes a batch in a worker process.

    An unreadable file is returned as its message: raised in a worker, it would reach the main
    process wrapped in the worker's traceback.
    """

    def __init__(self, files: ImageFiles, labels: Tensor) -> None:
        self.files = files
        self.labels = labels

    def __getitem__(self, indices: list[int]) -> tuple[Tensor, Tensor] | str:
        try:
            images = np.stack([self.files.decode(index) for index in indices])
        except InputError as error:
            return str(error)
        return torch.from_numpy(images), self.labels[indices]
