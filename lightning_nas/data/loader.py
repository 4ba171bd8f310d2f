"""The one loader of all splits. It decides which images come when; pixels are its source's affair.

Lightning needs no DataLoader: any iterable with a length will do, and the batches lie on the
device already.
"""

import itertools
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Self

import torch
from torch import Tensor

from lightning_nas.data.augmentation import Augmentation
from lightning_nas.data.normalise import Normalise
from lightning_nas.data.seeding import seeded_generator
from lightning_nas.data.sources import Source
from lightning_nas.errors import InputError


class ImageLoader:
    """Yields float32 images ``(N, C, H, W)``, channels last, and int64 labels ``(N,)``.

    Order and augmentation depend on the seed, the epoch and the rank alone. All ranks draw the
    same order and take their share of it, but each augments by draws of its own. With ``shuffle``,
    shares are equally long and batches full (unless a share is shorter than a batch); without,
    the shares hold every image once, in as many batches on each rank, as even as can be.

    Args:
        source: Turns indices into uint8 images.
        indices: The images of the split.
        batch_size: Images a batch and rank; without ``shuffle`` the most of them.
        normalise: Turns uint8 images into floats.
        augmentation: Alters training images; it calls ``normalise`` itself.
        shuffle: Whether the order is drawn anew for each epoch.
        endless: Whether passes follow one another without end, in full batches; a pass's remainder
            is joined with the next pass. Always shuffled.
        seed: Seed of the draws.
        rank: Which share of the images is this process's.
        world_size: How many processes share the images.

    Raises:
        InputError: If a rank would have no images.
    """

    batch_sampler = None  # Lightning reads it where a loader has a sampler

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
        """The loader itself: Lightning calls ``loader.sampler.set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the augmentation of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches in a pass; an endless loader goes on after them."""
        if self.shuffle:
            return max(1, len(self.indices) // self.world_size // self.batch_size)
        return -(-len(self.indices) // (self.world_size * self.batch_size))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one pass.

        A generator, so that the epoch is read at the first batch: Lightning calls ``iter`` before
        ``set_epoch``.
        """
        generator = seeded_generator(
            "augmentation", self.seed, self.epoch, self.rank, device=self.source.device
        )
        # Closed, the plan lets go of this loader. Left open by a pass that is broken off, it would
        # keep a streaming source in a reference cycle, whose workers take five seconds to end.
        with closing(self._endless_batches() if self.endless else self._batches()) as plan:
            for images, labels in self.source.batches(plan):
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
        waiting = self.indices[:0]
        for turn in itertools.count():
            waiting = torch.cat([waiting, self._share(turn)])
            while len(waiting) >= self.batch_size:
                yield waiting[: self.batch_size]
                waiting = waiting[self.batch_size :]

    def _share(self, turn: int = 0) -> Tensor:
        """Return this rank's indices for one turn of an epoch, in order."""
        if not self.shuffle:
            return self.indices[self.rank :: self.world_size]
        generator = seeded_generator("order", self.seed, self.epoch, turn)
        order = self.indices[torch.randperm(len(self.indices), generator=generator)]
        return order[self.rank :: self.world_size][: len(order) // self.world_size]
