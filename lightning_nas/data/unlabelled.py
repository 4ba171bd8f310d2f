"""Images without labels, to be predicted: decoded, cropped and normalised as in evaluation."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lightning_nas.data.folder import SUFFIXES, find_images
from lightning_nas.data.images import ImageFiles, decoded_side
from lightning_nas.data.normalise import Normalise
from lightning_nas.data.sources import StreamSource
from lightning_nas.errors import InputError


class UnlabelledImages:
    """Yields paths and float32 images ``(N, C, H, W)``, channels last, in the order of the paths.

    Args:
        root: A folder, searched with its sub-folders, or one image file of any name.
        image_size: Side in pixels of the images in a batch.
        channels: 1 for grey, 3 for RGB; the files are converted.
        mean: Mean of each channel that the network was trained with, for pixels in [0, 1].
        std: Standard deviation of each channel, likewise.
        crop: Share of the decoded side that is kept, from the centre; as in `ImageFolder`.
        batch_size: The most images a batch.
        num_workers: Processes that decode; 0 = this one.
        device: Where the batches lie.

    Raises:
        InputError: If there are no images in ``root``, or a number is out of its range.
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
    ) -> None:
        if batch_size < 1:
            raise InputError(f"the batch size must be 1 or more, got {batch_size}")
        self.paths = _paths(Path(root))
        self._batches = torch.arange(len(self.paths)).split(batch_size)
        device = torch.device(device)
        files = ImageFiles(self.paths, decoded_side(image_size, crop), channels)
        no_labels = torch.zeros(len(self.paths), dtype=torch.int64)
        self._source = StreamSource(files, no_labels, device, num_workers)
        self._normalise = Normalise(mean, std, image_size, device)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[list[Path], Tensor]]:
        """Yield the batches.

        Raises:
            InputError: If a file cannot be read; it is named.
        """
        pixels = self._source.batches(self._batches)
        for index, (images, _) in zip(self._batches, pixels, strict=True):
            yield [self.paths[i] for i in index.tolist()], self._normalise(images)


def _paths(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InputError(f"{root} is neither a folder nor a file")
    found = find_images(root)
    if not found:
        raise InputError(f"{root} has no images ({', '.join(sorted(SUFFIXES))})")
    return found
