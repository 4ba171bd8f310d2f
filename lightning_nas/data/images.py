"""Labelled images, image files of one size, and normalisation. No splits, no augmentation.

Pixels are uint8 in the order (height, width, channel). ``decode.py`` opens the files. Shapes: M, N
= images, H = height, W = width, C = channels.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from lightning_nas.data.decode import UnreadableImageError, decode_image
from lightning_nas.data.headers import PROGRESS_FROM
from lightning_nas.errors import InputError

IN_MEMORY_SIDE = 64  # pixels; larger images are decoded again in each epoch


def compute_decoded_side(image_size: int, crop: float) -> int:
    """Return the side in pixels of decoded images, of which batches have ``image_size`` pixels.

    Raises:
        InputError: If ``image_size`` is below 1, or ``crop`` outside (0, 1].
    """
    if image_size < 1:
        raise InputError(f"data.image_size must be 1 or more, got {image_size}")
    check_crop(crop)
    return round(image_size / crop)


def check_crop(crop: float) -> None:
    """Raise ``InputError`` unless ``crop`` is in (0, 1]."""
    if not 0 < crop <= 1:
        raise InputError(f"data.crop must be above 0 and up to 1, got {crop}")


class ImageFiles:
    """Image files with the ``shape`` and the indexing of the uint8 tensor of their pixels.

    Args:
        paths: Image files.
        image_size: Side in pixels of the decoded squares. The centre square of an image of another
            size is resized.
        channels: 1 for grey, 3 for RGB; images are converted.
        blank: Positions of unreadable files, which decode to black without an error.
        hint: What to do about an unreadable file, for its error.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        image_size: int,
        channels: int,
        blank: Collection[int] = (),
        hint: str = "",
    ) -> None:
        self.hint = hint
        self.paths = [str(path) for path in paths]
        self.blank = frozenset(blank)
        self.shape = (len(paths), image_size, image_size, channels)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Return the images at ``indices``, decoded by threads; many images show a progress bar."""
        pixels = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        with ThreadPoolExecutor() as pool:
            images = pool.map(self.decode, indices.tolist())
            is_quick = len(indices) <= PROGRESS_FROM
            bar = tqdm(images, "reading images", len(indices), unit="images", disable=is_quick)
            for place, image in zip(pixels, bar, strict=True):
                place[:] = image
        return torch.from_numpy(pixels)

    def decode(self, index: int) -> np.ndarray:
        """Return one image, uint8 ``(H, W, C)``.

        Raises:
            UnreadableImageError: If the file is no image or is damaged.
        """
        _, side, _, channels = self.shape
        if index in self.blank:
            return np.zeros((side, side, channels), dtype=np.uint8)
        try:
            pixels = decode_image(self.paths[index], channels)
        except UnreadableImageError as error:
            error.hint = self.hint
            raise
        square = ImageOps.fit(pixels, (side, side), Image.Resampling.BILINEAR)
        return np.asarray(square).reshape(side, side, channels)


@dataclass(frozen=True)
class LabelledImages:
    """The images of all splits of a data set.

    Attributes:
        images: uint8 ``(M, H, W, C)``, or files that decode to it.
        labels: Positions in ``classes``, int64 ``(M,)``.
        classes: Names of the classes.
        image_size: Side in pixels of images in batches; None = the whole side.
        validation: Indices of the official validation split; None if the data set has none.
        test: Indices of the official test split; None if the data set has none.
        unreadable: Indices of images without pixels, which belong to no split; None = no image.
        left_out: Number of files that were not read, by kind.
        original_sides: Shortest and longest side of the image files in pixels, if known.
        paths: File of each image; empty if the data set has not one file for each image.
        root: Folder of these files.
    """

    images: Tensor | ImageFiles
    labels: Tensor
    classes: list[str]
    image_size: int | None = None
    validation: Tensor | None = None
    test: Tensor | None = None
    unreadable: Tensor | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    original_sides: tuple[int, int] | None = None
    paths: Sequence[str] = ()
    root: Path = Path()


class Normalise:
    """Map of uint8 images to ``(pixel / 255 - mean) / std``, channels first.

    Larger images than the network's are cropped to their centre.

    Args:
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel, positive, for pixels in [0, 1].
        width: Width in pixels of the network's images.
        device: Device of the images.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], width: int, device: torch.device
    ) -> None:
        self.width = width
        mean_C = torch.tensor(list(mean), dtype=torch.float64)
        std_C = torch.tensor(list(std), dtype=torch.float64)
        # Repeated for a whole row of pixels: torch does not vectorise over a last axis of 3.
        self.scale = (1 / (255 * std_C)).float().repeat(width).to(device)
        self.shift = (-mean_C / std_C).float().repeat(width).to(device)

    def __call__(self, images_NHWC: Tensor) -> Tensor:
        """Return float32 ``(N, C, H, W)`` in channels-last memory.

        Args:
            images_NHWC: Pixels from 0 to 255, uint8 or float.
        """
        if excess := images_NHWC.shape[2] - self.width:
            start = excess // 2
            centre = slice(start, start + self.width)
            images_NHWC = images_NHWC[:, centre, centre]
        rows = images_NHWC.flatten(2).float()
        return torch.addcmul(self.shift, rows, self.scale).view_as(images_NHWC).permute(0, 3, 1, 2)


def measure_channels(
    images: Tensor | ImageFiles, indices: Tensor
) -> tuple[list[float], list[float]]:
    """Return the exact mean and standard deviation of each channel, for pixels in [0, 1].

    Pixels are counted by value, 256 images at a time: exact, and without a copy of all images as
    floats. The deviation of a constant channel is one grey level, so that it can be a divisor.
    """
    channels = images.shape[3]
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    for part in indices.split(256):
        pixels = images[part].flatten(0, 2)
        for channel, count in enumerate(counts):
            count += torch.bincount(pixels[:, channel], minlength=256)
    share = counts / counts.sum(1, keepdim=True).double()
    level = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ level
    variance = (share * (level - mean[:, None]) ** 2).sum(1)
    return mean.tolist(), variance.sqrt().clamp_min(1 / 255).tolist()


def check_pixels_differ(images: Tensor | ImageFiles, indices: Tensor) -> None:
    """Check that there is something to learn from. Reads images until two pixels differ.

    Raises:
        InputError: If all pixels of all these images have the same value.
    """
    lowest, highest = 255, 0
    for part in indices.split(16):
        pixels = images[part]
        lowest, highest = min(lowest, int(pixels.min())), max(highest, int(pixels.max()))
        if lowest < highest:
            return
    raise InputError(
        f"all pixels of all {len(indices):,} training images have the value {lowest} of 255: there "
        "is nothing to learn"
    )
