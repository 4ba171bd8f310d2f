"""``ImageLoader``, the data loader of every split, and two sources of pixels.

The loader chooses the order of the images. A source turns batches of indices into uint8 images on
the device. ``MemorySource`` holds the images in memory; ``StreamSource`` decodes files in worker
processes. Lightning accepts any iterable with a length in place of a DataLoader.
"""

import itertools
import logging
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.decode import UnreadableImageError
from lightning_nas.data.images import ImageFiles, Normalise
from lightning_nas.data.seeding import make_generator
from lightning_nas.data.sharing import ADVICE, SHARED, Receiver, has_room, send
from lightning_nas.errors import DEAD_WORKER, InputError

log = logging.getLogger(__name__)


class Source(Protocol):
    """Source of the pixels of an ``ImageLoader``."""

    device: torch.device

    def batches(self, index_batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 images ``(N, H, W, C)`` and labels ``(N,)`` for each batch of indices."""


class MemorySource:
    """Source with all images in the memory of the device. Several loaders may share a source.

    Args:
        images: uint8 images ``(M, H, W, C)``.
        labels: int64 labels ``(M,)``.
        device: Device that holds the images.
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
    """Source that decodes files in worker processes. The processes stay alive between passes.

    Two loaders must not share a source.

    Args:
        files: Image files.
        labels: int64 labels ``(M,)``.
        device: Device of the batches.
        num_workers: Number of worker processes, at most the number of cores; 0 = decode in this
            process.
    """

    def __init__(
        self, files: ImageFiles, labels: Tensor, device: torch.device, num_workers: int
    ) -> None:
        self.device = device
        self._files = files
        self._batch_sampler = _BatchSampler()
        self._receiver = Receiver()
        num_workers = min(num_workers, len(os.sched_getaffinity(0)))
        self._loader = DataLoader(
            _Decoder(files, labels),
            sampler=self._batch_sampler,
            batch_size=None,  # an item is a batch already
            collate_fn=_keep,  # torch's own would put arrays into shared memory
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=device.type == "cuda",
            # Without a generator, iter() would change the global random state.
            generator=make_generator("workers"),
        )

    def batches(self, index_batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels for each batch of indices.

        Raises:
            UnreadableImageError: If a file cannot be read.
        """
        for images, labels, errors in self.decode(index_batches):
            if errors:
                path, reason = next(iter(errors.items()))
                raise UnreadableImageError(path, reason, self._files.hint)
            yield images, labels.to(self.device, non_blocking=True)

    def decode(
        self, index_batches: Iterable[Tensor]
    ) -> Iterator[tuple[Tensor, Tensor, dict[str, str]]]:
        """Yield images on the device, labels, and the errors of unreadable files by path.

        The pixels of an unreadable file are black.
        """
        self._batch_sampler.index_batches = index_batches
        if self._loader.num_workers and self._loader._iterator is None and not has_room():
            log.warning("%s is full: one process decodes all images; %s", SHARED, ADVICE)
            self._loader.num_workers = 0
        for images, labels, errors in self._load():
            images = self._receiver.receive(images)
            yield images.to(self.device, non_blocking=True), torch.tensor(labels), errors

    def _load(self) -> Iterator[Any]:
        try:
            yield from self._loader
        except (EOFError, ConnectionError, FileNotFoundError) as error:
            # a process that dies while it hands over a batch; torch has words only for other times
            raise RuntimeError(f"{DEAD_WORKER} died while it sent a batch") from error

    def close(self) -> None:
        """End the worker processes. A later pass starts new worker processes.

        Without this method, the garbage collector would close the queues of the workers first.
        Then each worker would need five seconds to end.
        """
        iterator, self._loader._iterator = self._loader._iterator, None
        if iterator is not None and self._loader.num_workers:
            iterator._shutdown_workers()  # type: ignore[attr-defined]


def _keep(batch: Any) -> Any:
    return batch


class _BatchSampler:
    """Sampler that returns given batches of indices. The batches are set before each pass."""

    index_batches: Iterable[Tensor] = ()

    def __iter__(self) -> Iterator[list[int]]:
        return (index.tolist() for index in self.index_batches)


class _Decoder(Dataset):
    """Data set whose items are whole batches. A worker process decodes the images of a batch.

    An item has the errors of unreadable files. If the worker raised an exception, the user would
    see the traceback of the worker.
    """

    def __init__(self, files: ImageFiles, labels: Tensor) -> None:
        self.files = files
        self.labels = labels

    def __getitem__(
        self, indices: list[int]
    ) -> tuple[Tensor | np.ndarray, list[int], dict[str, str]]:
        pixels = np.zeros((len(indices), *self.files.shape[1:]), dtype=np.uint8)
        errors = {}
        for place, index in zip(pixels, indices, strict=True):
            try:
                place[:] = self.files.decode(index)
            except UnreadableImageError as error:
                errors[str(error.path)] = error.reason
        return send(pixels), self.labels[indices].tolist(), errors


class ImageLoader:
    """Loader of float32 images ``(N, C, H, W)``, channels last, and int64 labels ``(N,)``.

    Order and augmentation depend only on seed, epoch and rank. The order is the same on all ranks;
    each rank loads a share of this order. The augmentation differs between ranks. With
    ``shuffle``, all shares have the same length, and all batches are full unless a share is shorter
    than a batch. Without ``shuffle``, the shares together contain each image once, all ranks have
    the same number of batches, and the batches of a rank differ by one image at most. An image that
    would be alone in its batch joins another one.

    Args:
        source: Source of the pixels.
        indices: Indices of the images of the split.
        batch_size: Number of images in a batch of one rank, at least 1. Without ``shuffle``, a
            batch may be smaller, or have up to 4 images if ``batch_size`` is 2 or 3.
        normalise: Normalisation of the images.
        augmentation: Augmentation, which also normalises; None = only normalise.
        shuffle: Whether each epoch has a new random order.
        endless: Whether the loader repeats passes without end, with ``shuffle`` and full batches.
            A batch may hold the last images of a pass and the first images of the next pass.
        seed: Seed of order and augmentation.
        rank: Rank of this process, from 0.
        world_size: Number of processes that share the images, at least 1.

    Raises:
        InputError: If a rank would have no images.
    """

    batch_sampler = None  # Lightning reads this attribute if the loader has a ``sampler``

    def __init__(
        self,
        source: Source,
        indices: Tensor,
        batch_size: int,
        normalise: Normalise,
        augmentation: Augmentation | None = None,
        *,
        shuffle: bool = False,
        endless: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if len(indices) < world_size:
            raise InputError(f"{len(indices)} images are too few for {world_size} processes")
        self.source = source
        self.indices = indices
        self.batch_size = batch_size
        self.normalise = normalise
        self.augmentation = augmentation
        self.shuffle = shuffle or endless
        self.endless = endless
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    @property
    def sampler(self) -> Self:
        """The loader itself, because Lightning calls ``loader.sampler.set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, from 0. The next pass has the order and augmentation of this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches in a pass. An endless loader continues after this number."""
        share = len(self.indices) // self.world_size
        if self.shuffle:
            return max(1, share // self.batch_size)
        number = -(-len(self.indices) // (self.world_size * self.batch_size))
        # batch normalisation fails on a single image with a 1x1 map
        return number if self.batch_size == 1 else max(1, min(number, share // 2))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one pass.

        The epoch is read at the first batch, because Lightning calls ``iter`` before ``set_epoch``.
        """
        generator = make_generator(
            "augmentation", self.seed, self.epoch, self.rank, device=self.source.device
        )
        # ``closing`` matters after an interrupted pass: an open generator refers to this loader, so
        # the garbage collector would end the workers of a StreamSource, which takes 5 s per worker.
        with closing(self._endless_batches() if self.endless else self._batches()) as batches:
            for images, labels in self.source.batches(batches):
                if self.augmentation is None:
                    yield self.normalise(images), labels
                else:
                    yield self.augmentation(images, generator, self.normalise), labels

    def _batches(self) -> Generator[Tensor, None, None]:
        share = self._share()
        if self.shuffle:
            yield from share[: len(self) * self.batch_size].split(self.batch_size)
        else:
            yield from share.tensor_split(len(self))

    def _endless_batches(self) -> Generator[Tensor, None, None]:
        remaining = self.indices[:0]
        for pass_number in itertools.count():
            remaining = torch.cat([remaining, self._share(pass_number)])
            while len(remaining) >= self.batch_size:
                yield remaining[: self.batch_size]
                remaining = remaining[self.batch_size :]

    def _share(self, pass_number: int = 0) -> Tensor:
        """Return the indices of this rank in order. Passes of an epoch have numbers from 0."""
        if not self.shuffle:
            return self.indices[self.rank :: self.world_size]
        generator = make_generator("order", self.seed, self.epoch, pass_number)
        order = self.indices[torch.randperm(len(self.indices), generator=generator)]
        return order[self.rank :: self.world_size][: len(order) // self.world_size]
