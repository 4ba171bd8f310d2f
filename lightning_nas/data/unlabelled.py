"""Images without labels for predictions, decoded, cropped and normalised as test images are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lightning_nas.data.decode import SUFFIXES
from lightning_nas.data.folders import UNREADABLE, describe_counts, find_images
from lightning_nas.data.images import ImageFiles, Normalise, compute_decoded_side
from lightning_nas.data.loader import StreamSource
from lightning_nas.errors import InputError, printable


class UnlabelledImages:
    """Iterable of paths and float32 images ``(N, C, H, W)``, channels last, in order of the paths.

    Args:
        root: Folder, searched with its sub-folders, or one image file of any name.
        image_size: Side in pixels of the images in a batch.
        channels: 1 for grey, 3 for RGB; images are converted.
        mean: Mean of each channel in training, for pixels in [0, 1].
        std: Standard deviation of each channel in training, for pixels in [0, 1].
        crop: Share of the decoded side that is kept around the centre, as in ``ImageFolder``.
        batch_size: Maximum number of images in a batch, at least 1.
        num_workers: Number of processes that decode; 0 = decode in this process.
        device: Device of the batches.
        rank: Rank of this process, from 0. Batch i belongs to rank ``i % world_size``.
        world_size: Number of processes that share the batches, at least 1.

    Attributes:
        paths: Image files of all processes.
        left_out: Number of files that were not read, by kind.
        errors: What is wrong with unreadable files, by path; known after a pass.

    Raises:
        InputError: If ``root`` has no images or fewer than processes, or a number is out of its
            range.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        image_size: int,
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        crop: float = 1.0,
        batch_size: int = 64,
        num_workers: int = 0,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"the batch size must be 1 or more, got {batch_size}")
        self.left_out: Counter[str] = Counter()
        self.errors: dict[str, str] = {}
        self.paths = _find_paths(Path(root), self.left_out)
        if len(self.paths) < world_size:
            raise InputError(f"{len(self.paths)} images are too few for {world_size} processes")
        batch_size = min(batch_size, len(self.paths) // world_size)  # a batch for every process
        self._batches = torch.arange(len(self.paths)).split(batch_size)[rank::world_size]
        device = torch.device(device)
        files = ImageFiles(self.paths, compute_decoded_side(image_size, crop), channels)
        no_labels = torch.zeros(len(self.paths), dtype=torch.int64)
        self._source = StreamSource(files, no_labels, device, num_workers)
        self._normalise = Normalise(mean, std, image_size, device)

    def __len__(self) -> int:
        """Return the number of batches of this process."""
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[list[Path], Tensor]]:
        """Yield the batches. The pixels of unreadable files, which ``errors`` lists, are black."""
        self.errors.clear()
        pixels = self._source.decode(self._batches)
        for index, (images, _, errors) in zip(self._batches, pixels, strict=True):
            self.errors |= errors
            self.left_out[UNREADABLE] = len(self.errors)
            yield [self.paths[i] for i in index.tolist()], self._normalise(images)


def _find_paths(root: Path, left_out: Counter[str]) -> list[Path]:
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InputError(f"{printable(root)} is neither a folder nor a file")
    paths = find_images(root, left_out)
    if not paths:
        found = f"; found: {describe_counts(left_out) or 'nothing'}"
        raise InputError(f"{printable(root)} has no images ({', '.join(sorted(SUFFIXES))}){found}")
    return paths
