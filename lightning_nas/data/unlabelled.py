"""Images without labels for predictions, decoded, cropped and normalised as test images are."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lightning_nas.data.image_folder import SUFFIXES, find_images
from lightning_nas.data.images import ImageFiles, Normalise, compute_decoded_side
from lightning_nas.data.loader import StreamSource
from lightning_nas.errors import InputError


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

    Raises:
        InputError: If ``root`` has no images, or a number is out of its range.
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
        self.paths = _find_paths(Path(root))
        self._batches = torch.arange(len(self.paths)).split(batch_size)
        device = torch.device(device)
        files = ImageFiles(self.paths, compute_decoded_side(image_size, crop), channels)
        no_labels = torch.zeros(len(self.paths), dtype=torch.int64)
        self._source = StreamSource(files, no_labels, device, num_workers)
        self._normalise = Normalise(mean, std, image_size, device)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[list[Path], Tensor]]:
        """Yield the batches.

        Raises:
            InputError: If a file cannot be read. The message names the file.
        """
        pixels = self._source.batches(self._batches)
        for index, (images, _) in zip(self._batches, pixels, strict=True):
            yield [self.paths[i] for i in index.tolist()], self._normalise(images)


def _find_paths(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise InputError(f"{root} is neither a folder nor a file")
    paths = find_images(root)
    if not paths:
        raise InputError(f"{root} has no images ({', '.join(sorted(SUFFIXES))})")
    return paths
